//! Backups without a copy in the second store, and active copies.

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, BackupType, CopyStatus, JobCopy, JobStatus, Timestamp};
use serde::Deserialize;

use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, call},
    job::readable,
    row,
};

/// A completed backup without a complete copy in the given store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncopied {
    /// The backup.
    pub backup_id: BackupId,
    /// When it was completed.
    pub completed_at: Option<Timestamp>,
    /// The copy in its job, in any store.
    pub copy: Option<JobCopy>,
    /// Failed attempts since the last success.
    pub attempts: u32,
    /// The last beat of its run.
    pub touched_at: Option<Timestamp>,
    /// Whether a run holds it.
    pub is_held: bool,
    /// Whether a repair began and did not succeed.
    pub to_repair: bool,
}

/// A copy with a present or past run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copying {
    /// The backup.
    pub backup_id: BackupId,
    /// The last beat of its run.
    pub touched_at: Timestamp,
    /// The upload to resume.
    pub upload_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DueRow {
    #[serde(rename = "_id")]
    id: BackupId,
    completed_at: Option<Timestamp>,
    copy: Option<JobCopy>,
    copy_work: Option<Work>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Work {
    #[serde(default)]
    run: Option<String>,
    touched_at: Timestamp,
    #[serde(default)]
    attempts: u32,
    #[serde(default)]
    upload: Option<Upload>,
    #[serde(default)]
    to_repair: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Upload {
    upload_id: String,
}

impl Catalog {
    /// Completed backups without a complete copy in this store, newest first. A `full` backup has
    /// no copy of its own.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn uncopied(&self, store: &str, limit: u32) -> Result<Vec<Uncopied>, CatalogError> {
        let types =
            [BackupType::Database, BackupType::Content].map(|kind| Bson::from(kind.as_str()));
        let elsewhere = vec![
            doc! { "copy.status": { "$ne": CopyStatus::Completed.as_str() } },
            doc! { "copy.store": { "$ne": store } },
        ];
        let filter = doc! {
            "status": JobStatus::Completed.as_str(), "type": { "$in": types.to_vec() }, "$or": elsewhere,
        };
        let rows = self.copy_rows(filter, limit).await?;
        let of = |row: DueRow| {
            let work = row.copy_work.as_ref();
            Uncopied {
                backup_id: row.id,
                completed_at: row.completed_at,
                attempts: work.map_or(0, |work| work.attempts),
                touched_at: work.map(|work| work.touched_at),
                is_held: work.is_some_and(|work| work.run.is_some()),
                to_repair: work.is_some_and(|work| work.to_repair),
                copy: row.copy,
            }
        };
        Ok(rows.into_iter().map(of).collect())
    }

    /// Copies with a beat of their run after this time.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn copying(&self, since: Timestamp) -> Result<Vec<Copying>, CatalogError> {
        const NO_LIMIT: u32 = 0;
        let rows = self
            .copy_rows(
                doc! { "copyWork.touchedAt": { "$gt": row::date(since) } },
                NO_LIMIT,
            )
            .await?;
        let of = |row: DueRow| {
            let work = row.copy_work?;
            let upload_id = work.upload.map(|upload| upload.upload_id);
            Some(Copying {
                backup_id: row.id,
                touched_at: work.touched_at,
                upload_id,
            })
        };
        Ok(rows.into_iter().filter_map(of).collect())
    }

    /// Marks these backups as waiting for a copy, if their jobs have no entry of a copy yet.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn expect_copies(
        &self,
        ids: &[BackupId],
        store: &str,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        let ids: Vec<Bson> = ids.iter().map(|id| id.as_str().into()).collect();
        let pending =
            doc! { "status": CopyStatus::Pending.as_str(), "at": row::date(now), "store": store };
        let filter = doc! { "_id": { "$in": ids }, "copy": Bson::Null };
        let update = doc! { "$set": { "copy": pending } };
        call(
            "expect copies",
            self.collection(JOBS).update_many(filter, update),
        )
        .await
        .map(drop)
    }

    /// Marks the copy of a backup as deleted, if its job has an entry of a copy.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn set_copy_deleted(
        &self,
        id: &BackupId,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        let filter = doc! {
            "_id": id.as_str(), "copy": { "$exists": true },
            "copy.status": { "$ne": CopyStatus::Deleted.as_str() },
        };
        let set = doc! { "copy.status": CopyStatus::Deleted.as_str(), "copy.at": row::date(now) };
        let update = doc! { "$set": set, "$unset": { "copy.error": "", "copyWork": "" } };
        call(
            "forget a copy",
            self.collection(JOBS).update_one(filter, update),
        )
        .await
        .map(drop)
    }

    async fn copy_rows(&self, filter: Document, limit: u32) -> Result<Vec<DueRow>, CatalogError> {
        let collection = self.collection(JOBS);
        let wanted = doc! {
            "completedAt": 1, "copy": 1, "copyWork.run": 1, "copyWork.touchedAt": 1, "copyWork.attempts": 1,
            "copyWork.upload.uploadId": 1, "copyWork.toRepair": 1,
        };
        let newest_first = doc! { "createdAt": -1, "_id": -1 };
        let find = collection
            .find(filter)
            .sort(newest_first)
            .limit(i64::from(limit))
            .projection(wanted);
        let rows: Vec<Document> =
            call("list copies", async { find.await?.try_collect().await }).await?;
        Ok(readable(rows.into_iter().map(|row| row::read(JOBS, row))))
    }
}
