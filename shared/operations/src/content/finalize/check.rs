//! Looks for every object that an item refers to: the rows in the order of their objects' keys beside the store's own
//! listing, one pass for the files and one for what rebuilds their blocks.

use futures_util::TryStreamExt as _;
use holdfast_catalog::Kept;
use holdfast_domain::{BackupId, ItemRecord, ObjectKey, StoredObject};
use holdfast_storage::{ObjectInfo, ObjectStream};

use super::damage::fail_item;
use crate::{Holdfast, OperationError, heartbeat::persist};

const PAGE: u32 = 500;

/// An item whose object is not there, or not of its length, has failed.
pub(super) async fn look_for_objects(h: &Holdfast, id: &BackupId) -> Result<(), OperationError> {
    for (kept, folder) in [(Kept::File, ObjectKey::OBJECTS), (Kept::Dag, ObjectKey::DAGS)] {
        let mut listing = Listing { objects: h.repository.store().list(folder), at: None };
        let mut after: Option<(ObjectKey, String)> = None;
        loop {
            let from = after.as_ref().map(|(key, content_id)| (key, content_id.as_str()));
            let page = persist(|| async { Ok(h.catalog.items_by_object(id, kept, from, PAGE).await?) }).await?;
            for record in &page {
                let Some(object) = object_of(record, kept) else { continue };
                if let Some(problem) = listing.problem_of(object).await? {
                    fail_item(h, id, record, object, &problem).await?;
                }
                after = Some((object.artifact.key.clone(), record.item.content_id.clone()));
            }
            if page.len() < PAGE as usize {
                break;
            }
        }
    }
    Ok(())
}

fn object_of(record: &ItemRecord, kept: Kept) -> Option<&StoredObject> {
    let file = record.file.as_ref()?;
    match kept {
        Kept::File => Some(&file.object),
        Kept::Dag => file.dag.as_ref(),
    }
}

/// The store's listing, read as far as it was asked for.
struct Listing {
    objects: ObjectStream,
    at: Option<ObjectInfo>,
}

impl Listing {
    /// What is wrong with an object, by its key and length alone. Objects are asked for in the order of their keys.
    async fn problem_of(&mut self, object: &StoredObject) -> Result<Option<String>, OperationError> {
        let (key, size) = (&object.artifact.key, object.artifact.size);
        while self.at.as_ref().is_none_or(|at| at.key < *key) {
            let Some(next) = self.objects.try_next().await? else { break };
            self.at = Some(next);
        }
        Ok(match &self.at {
            Some(at) if at.key == *key && at.size_bytes == size => None,
            Some(at) if at.key == *key => Some(format!("{key} has {} bytes, {size} were stored", at.size_bytes)),
            _ => Some(format!("{key} is missing")),
        })
    }
}
