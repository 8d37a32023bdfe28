//! Checks every referenced object: compares the rows with the store's own listing, both in the
//! order of the objects' keys. The first pass is for files, the second for the records of their
//! blocks. An object with a different size is read, because it may have been stored again after its
//! item was settled.

use futures_util::TryStreamExt as _;
use holdfast_catalog::ObjectKind;
use holdfast_domain::{BackupId, ItemRecord, ObjectKey, RepositoryId};
use holdfast_repository::content::{proof::ContentObject, read::ObjectSource};
use holdfast_storage::{ObjectInfo, ObjectStream};

use super::damage::fail_item;
use crate::{Holdfast, OperationError, job::heartbeat::persist};

const PAGE: u32 = 500;

/// Fails every item with a missing object, or with an object that has another size and no valid
/// proof.
pub(super) async fn check_objects(
    h: &Holdfast,
    repository: &RepositoryId,
    id: &BackupId,
) -> Result<(), OperationError> {
    let source = ObjectSource::new(&h.repository, repository);
    for (kept, folder) in [
        (ObjectKind::File, ObjectKey::OBJECTS),
        (ObjectKind::Dag, ObjectKey::DAGS),
    ] {
        let mut listing = Listing {
            objects: h.repository.store().list(folder),
            at: None,
        };
        let mut after: Option<(ObjectKey, String)> = None;
        loop {
            let from = after
                .as_ref()
                .map(|(key, content_id)| (key, content_id.as_str()));
            let page =
                persist(|| async { Ok(h.catalog.items_by_object(id, kept, from, PAGE).await?) })
                    .await?;
            for record in &page {
                let Some(object) = object_of(record, kept) else {
                    continue;
                };
                if let Some(problem) = listing.problem_of(&object, &source).await? {
                    fail_item(h, id, record, &object.stored, &problem).await?;
                }
                after = Some((object.key().clone(), record.item.content_id.clone()));
            }
            if page.len() < PAGE as usize {
                break;
            }
        }
    }
    Ok(())
}

fn object_of(record: &ItemRecord, kept: ObjectKind) -> Option<ContentObject> {
    let file = record.file.as_ref()?;
    match kept {
        ObjectKind::File => Some(ContentObject::file(file)),
        ObjectKind::Dag => ContentObject::blocks(file),
    }
}

/// The store's listing, read only as far as needed.
struct Listing {
    objects: ObjectStream,
    at: Option<ObjectInfo>,
}

impl Listing {
    /// The problem of an object, if any. The caller queries objects in the order of their keys.
    async fn problem_of(
        &mut self,
        object: &ContentObject,
        source: &ObjectSource,
    ) -> Result<Option<String>, OperationError> {
        let key = object.key();
        while self.at.as_ref().is_none_or(|at| at.key < *key) {
            let Some(next) = self.objects.try_next().await? else {
                break;
            };
            self.at = Some(next);
        }
        match &self.at {
            Some(at) if at.key == *key => Ok(source.problem_of_size(object, at.size_bytes).await?),
            _ => Ok(Some(format!("{key} is missing"))),
        }
    }
}
