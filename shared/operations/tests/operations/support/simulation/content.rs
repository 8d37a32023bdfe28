//! Content backups of this world, in the two halves of a real one.

use holdfast_catalog::{FoundItem, JobChange, Settled, Source, SourceAddress, source_id};
use holdfast_domain::{
    BackupId, BackupType, ContentItem, ContentManifest, Encoding, ItemFailure, ItemFailureCode,
    ItemStatus, JobFailure, JobStatus, ObjectKey, StorageType, StoredFile, StoredObject, Timestamp,
    Verified,
};

use super::{World, digest};

/// An active content backup with the lease. Its rows contain its references.
pub(crate) struct OnItsWay {
    pub(crate) id: BackupId,
    pub(crate) created_at: Timestamp,
}

impl World {
    /// A completed content backup of these files. `None` if the lease was not available.
    pub(crate) async fn back_up_content(&self, files: &[&str]) -> Option<BackupId> {
        let on_its_way = self.begin_content(files).await?;
        Some(self.finish_content(on_its_way).await)
    }

    /// The first half: the lease, and a settled row for each file. Files not yet held are fetched.
    pub(crate) async fn begin_content(&self, files: &[&str]) -> Option<OnItsWay> {
        let (id, created_at) = (self.new_id(BackupType::Content), self.now());
        self.h
            .catalog
            .acquire(Source::Content, &id, 2, Timestamp::now())
            .await
            .ok()?;
        self.h
            .catalog
            .take_over(Source::Content, &id, 0, None, Timestamp::now())
            .await
            .unwrap();
        self.insert(&id, None).await;
        for file in files {
            self.settle(&id, file).await;
        }
        Some(OnItsWay { id, created_at })
    }

    async fn settle(&self, id: &BackupId, file: &str) {
        let item = item(file);
        let found = FoundItem {
            item: item.clone(),
            doc_id: file.to_owned(),
        };
        self.h.catalog.add_items(id, &[found]).await.unwrap();
        let source = source_id(StorageType::Gaia, file);
        let held = self
            .h
            .catalog
            .stored_files(std::slice::from_ref(&source))
            .await
            .unwrap()
            .pop()
            .map(|held| held.file);
        let settled = match held {
            Some(held) if self.is_there(&held).await => {
                self.h
                    .catalog
                    .settle_item(
                        id,
                        file,
                        Settled::Unchanged {
                            file_name: file,
                            file: &held,
                        },
                        self.now(),
                    )
                    .await
            }
            _ => {
                let kept = self.keep(file).await;
                self.h
                    .catalog
                    .settle_item(
                        id,
                        file,
                        Settled::Done {
                            file_name: file,
                            file: &kept,
                        },
                        self.now(),
                    )
                    .await
            }
        };
        assert!(settled.unwrap());
    }

    async fn is_there(&self, file: &StoredFile) -> bool {
        for object in std::iter::once(&file.object).chain(&file.dag) {
            if !self.has(&object.artifact.key).await {
                return false;
            }
        }
        true
    }

    /// Fetches a file. An existing object at its address is reused, and never overwritten.
    async fn keep(&self, file: &str) -> StoredFile {
        let body = format!("the file {file}");
        let digest = digest(body.as_bytes());
        let address = digest.sha256;
        let dag_body = format!("the blocks of {file}");
        let dag_key =
            ObjectKey::content_dag(&self::digest(dag_body.as_bytes()).sha256, Encoding::PLAIN);
        let object = |artifact| StoredObject {
            artifact,
            compression: None,
            encryption: None,
        };
        let kept = StoredFile {
            size: body.len() as u64,
            file_sha256: address,
            dag: Some(object(self.put(&dag_key, dag_body.as_bytes()).await)),
            object: object(
                self.put(
                    &ObjectKey::content_object(&address, Encoding::PLAIN),
                    body.as_bytes(),
                )
                .await,
            ),
            cid: None,
            verified: Verified::Transport,
            served_by: "https://gaia.example".to_owned(),
            validator: None,
            content_type: None,
            content_encoding: None,
            fetched_at: self.now(),
        };
        let hold = SourceAddress {
            storage_type: StorageType::Gaia,
            locator: file,
            address: &address,
        };
        self.h
            .catalog
            .record_stored_file(&hold, &kept, self.now())
            .await
            .unwrap();
        kept
    }

    /// The second half: the check of every object, then list, manifest, job, lease.
    pub(crate) async fn finish_content(&self, on_its_way: OnItsWay) -> BackupId {
        let OnItsWay { id, created_at } = on_its_way;
        let mut lines = Vec::new();
        for mut record in self.h.catalog.items_after(&id, None, 10_000).await.unwrap() {
            let file = record
                .file
                .as_ref()
                .expect("every item was settled with its file");
            if !self.is_there(file).await {
                let message = "its object is missing".to_owned();
                (record.status, record.file) = (ItemStatus::Failed, None);
                record.error = Some(ItemFailure {
                    code: ItemFailureCode::Store,
                    message,
                });
            }
            lines.push(record);
        }
        let counts = self.h.catalog.item_counts(&id).await.unwrap();
        let list = lines.iter().fold(String::new(), |list, line| {
            list + &serde_json::to_string(line).unwrap() + "\n"
        });
        let key = ObjectKey::content_items(&id, 1, Encoding::PLAIN);
        let list = self.put(&key, list.as_bytes()).await;
        let content = ContentManifest {
            items: counts,
            item_list: key,
            archive: Vec::new(),
        };
        self.step(&id, JobStatus::Finalizing).await;
        self.commit(&id, created_at, vec![list], Some(content))
            .await;
        self.h.catalog.release(Source::Content, &id).await.unwrap();
        id
    }

    /// Ends a content backup without a manifest.
    pub(crate) async fn give_up_content(
        &self,
        on_its_way: OnItsWay,
        failure: Option<JobFailure>,
    ) -> BackupId {
        let change = JobChange {
            error: failure,
            completed_at: Some(self.now()),
            ..JobChange::default()
        };
        self.h
            .catalog
            .transition(&on_its_way.id, JobStatus::Failed, change, None)
            .await
            .unwrap();
        self.h
            .catalog
            .release(Source::Content, &on_its_way.id)
            .await
            .unwrap();
        on_its_way.id
    }
}

fn item(file: &str) -> ContentItem {
    ContentItem {
        content_id: file.to_owned(),
        title: file.to_owned(),
        url: format!("https://gaia.example/{file}"),
        storage_type: StorageType::Gaia,
        creator: None,
        cut: std::collections::BTreeMap::new(),
    }
}
