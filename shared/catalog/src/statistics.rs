//! The inputs of statistics, in addition to the sums in `count`. The server computes the sums.
//! Every answer is bounded by a limit or by the number of types.

use std::time::Duration;

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, BackupType, JobStatus, Timestamp};
use serde::Deserialize;

use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, OBJECTS, call},
    job::readable,
    row,
};

/// The results of the jobs of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcomes {
    /// Their type.
    pub backup_type: BackupType,
    /// Jobs with a backup, deleted since or not.
    pub completed: u64,
    /// Those that failed.
    pub failed: u64,
}

/// The size of a present or deleted backup.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupSize {
    /// The backup.
    #[serde(rename = "_id")]
    pub backup_id: BackupId,
    /// When it was triggered.
    pub created_at: Timestamp,
    /// Bytes stored.
    pub size: u64,
    /// Bytes before compression and encryption.
    pub original_size: u64,
}

/// The content objects in the catalogue: files, and records of their IPFS blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredObjects {
    /// Their number.
    pub objects: u64,
    /// Bytes stored.
    pub bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DurationRow {
    duration_ms: u64,
}

impl Catalog {
    /// The results of the jobs triggered at this time or later, by type. Cancelled and unsettled
    /// jobs count as neither.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn outcomes(&self, since: Timestamp) -> Result<Vec<Outcomes>, CatalogError> {
        let settled = [JobStatus::Completed, JobStatus::Deleted, JobStatus::Failed];
        let among: Vec<&str> = settled.into_iter().map(JobStatus::as_str).collect();
        let pipeline = [
            doc! { "$match": { "status": { "$in": among }, "createdAt": { "$gte": row::date(since) } } },
            doc! { "$group": {
                "_id": { "type": "$type", "status": "$status" },
                "jobs": { "$sum": 1 },
                // Only completed jobs have a size.
                "sized": { "$sum": { "$cond": [{ "$gt": ["$size", Bson::Null] }, 1, 0] } },
            } },
        ];
        let collection = self.collection(JOBS);
        let groups: Vec<Document> = call("count jobs", async {
            collection.aggregate(pipeline).await?.try_collect().await
        })
        .await?;
        let mut outcomes: Vec<Outcomes> = Vec::new();
        for (kind, completed, failed) in groups.iter().filter_map(ended) {
            match outcomes.iter_mut().find(|one| one.backup_type == kind) {
                Some(one) => {
                    (one.completed, one.failed) = (one.completed + completed, one.failed + failed);
                }
                None => outcomes.push(Outcomes {
                    backup_type: kind,
                    completed,
                    failed,
                }),
            }
        }
        outcomes.sort_by_key(|one| one.backup_type);
        Ok(outcomes)
    }

    /// The durations of the completed backups of this type triggered at this time or later, newest
    /// first, up to a limit.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn durations_ms(
        &self,
        kind: BackupType,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<u64>, CatalogError> {
        let filter = doc! {
            "type": kind.as_str(), "status": JobStatus::Completed.as_str(),
            "createdAt": { "$gte": row::date(since) }, "durationMs": { "$exists": true },
        };
        let rows = self
            .newest_fields(filter, doc! { "durationMs": 1 }, limit)
            .await?;
        let rows = readable(
            rows.into_iter()
                .map(|found| row::read::<DurationRow>(JOBS, found)),
        );
        Ok(rows.into_iter().map(|found| found.duration_ms).collect())
    }

    /// The sizes of the backups of this type, including those deleted by retention, newest first.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn sizes(
        &self,
        kind: BackupType,
        limit: u32,
    ) -> Result<Vec<BackupSize>, CatalogError> {
        let held = [JobStatus::Completed.as_str(), JobStatus::Deleted.as_str()];
        let filter = doc! {
            "type": kind.as_str(), "status": { "$in": held.to_vec() },
            "size": { "$exists": true }, "originalSize": { "$exists": true },
        };
        let fields = doc! { "createdAt": 1, "size": 1, "originalSize": 1 };
        let rows = self.newest_fields(filter, fields, limit).await?;
        Ok(readable(
            rows.into_iter().map(|found| row::read(JOBS, found)),
        ))
    }

    /// The content objects of all known sources, each counted once. The server reads all rows
    /// twice, each time within `patience`.
    ///
    /// # Errors
    /// Those of the server. [`CatalogError::Unavailable`] if it needs longer.
    pub async fn stored_objects(&self, patience: Duration) -> Result<StoredObjects, CatalogError> {
        let files = self.sum_objects("file.object", patience).await?;
        let dags = self.sum_objects("file.dag", patience).await?;
        Ok(StoredObjects {
            objects: files.objects + dags.objects,
            bytes: files.bytes + dags.bytes,
        })
    }

    async fn sum_objects(
        &self,
        field: &str,
        patience: Duration,
    ) -> Result<StoredObjects, CatalogError> {
        let (key, size) = (format!("{field}.key"), format!("${field}.size"));
        let pipeline = [
            doc! { "$match": { &key: { "$exists": true } } },
            doc! { "$group": { "_id": format!("${key}"), "bytes": { "$max": size } } },
            doc! { "$group": { "_id": Bson::Null, "objects": { "$sum": 1 }, "bytes": { "$sum": "$bytes" } } },
        ];
        let collection = self.collection(OBJECTS);
        let summed = async {
            collection
                .aggregate(pipeline)
                .allow_disk_use(true)
                .max_time(patience)
                .await?
                .try_next()
                .await
        };
        let found: Option<Document> = call("sum stored files", summed).await?;
        let sum = |name| found.as_ref().map_or(0, |found| row::unsigned(found, name));
        Ok(StoredObjects {
            objects: sum("objects"),
            bytes: sum("bytes"),
        })
    }

    async fn newest_fields(
        &self,
        filter: Document,
        fields: Document,
        limit: u32,
    ) -> Result<Vec<Document>, CatalogError> {
        let collection = self.collection(JOBS);
        let find = collection
            .find(filter)
            .sort(doc! { "createdAt": -1 })
            .limit(i64::from(limit))
            .projection(fields);
        call("list jobs", async { find.await?.try_collect().await }).await
    }
}

fn ended(group: &Document) -> Option<(BackupType, u64, u64)> {
    let id = group.get_document("_id").ok()?;
    let (jobs, sized) = (row::unsigned(group, "jobs"), row::unsigned(group, "sized"));
    let kind = id.get_str("type").ok()?.parse().ok()?;
    Some(match id.get_str("status").ok()?.parse().ok()? {
        JobStatus::Completed => (kind, jobs, 0),
        JobStatus::Deleted => (kind, sized, 0),
        _ => (kind, 0, jobs),
    })
}
