//! A copy in progress, in the job's row under `copyWork`: its run and its progress. It outlives a
//! dead run, so that the next one resumes. It is removed when the copy is complete, and is no part
//! of the job.

mod due;
mod hold;

use bson::{Bson, Document, doc};
use holdfast_domain::{
    BackupId, CopyStatus, JobCopy, JobStatus, ObjectKey, Sha256Digest, Timestamp,
};
use mongodb::options::ReturnDocument;
use serde::{Deserialize, Serialize};

pub use self::due::{Copying, Uncopied};
pub(crate) use self::hold::COLLECTION_OF_COPIES;
use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, call},
    row,
};

/// The progress of a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CopyWork {
    /// Failed attempts since the last success.
    pub attempts: u32,
    /// Copied items of a content backup's list.
    pub items: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// The object being sent in parts.
    pub upload: Option<CopyUpload>,
    /// Whether a repair began and did not succeed. The size of an existing object then proves
    /// nothing.
    pub to_repair: bool,
}

/// An upload that the next run resumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyUpload {
    /// The key of the resulting object.
    pub key: ObjectKey,
    /// The object's bytes.
    pub size: u64,
    /// The SHA-256 of the sent stored form. An object may be stored again in another form of the
    /// same size.
    #[serde(default)]
    pub form: Option<Sha256Digest>,
    /// Bytes of each part except the last.
    pub part_bytes: u64,
    /// The second store's id of it.
    pub upload_id: String,
    /// The sent parts, in any order.
    pub parts: Vec<CopiedPart>,
}

/// A part accepted by the second store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedPart {
    /// Counted from 1.
    pub number: u32,
    /// Its bytes.
    pub size: u64,
    /// The digest sent with it.
    pub sha256: Sha256Digest,
    /// The store's receipt.
    pub etag: String,
}

/// The result of beginning a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyClaim {
    /// This run has it now.
    Taken {
        /// The work of earlier runs for the same store.
        work: CopyWork,
        /// The last beat of these runs.
        touched_at: Option<Timestamp>,
    },
    /// Another run has it.
    Elsewhere,
    /// There is nothing to copy. The state of the job.
    NotCompleted(JobStatus),
    /// The catalogue has no job of the backup, and so no row for this.
    NoJob,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CopyProgressRow {
    store: String,
    touched_at: Timestamp,
    #[serde(flatten)]
    work: CopyWork,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    copy_work: Option<CopyProgressRow>,
}

impl Catalog {
    /// Takes the copy of a completed backup to this store for this run, unless another run has a
    /// beat after `stale_at`. The job then has a running copy.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn begin_copy(
        &self,
        id: &BackupId,
        store: &str,
        run: &str,
        stale_at: Timestamp,
        now: Timestamp,
    ) -> Result<CopyClaim, CatalogError> {
        let free = vec![
            doc! { "copyWork.run": Bson::Null },
            doc! { "copyWork.touchedAt": { "$lt": row::date(stale_at) } },
        ];
        let filter =
            doc! { "_id": id.as_str(), "status": JobStatus::Completed.as_str(), "$or": free };
        let update = doc! {
            "$set": {
                "copyWork.run": run, "copyWork.store": store, "copyWork.touchedAt": row::date(now),
                "copy.status": CopyStatus::Running.as_str(), "copy.at": row::date(now), "copy.store": store,
            },
            "$unset": { "copy.error": "", "copy.bytes": "" },
        };
        let collection = self.collection(JOBS);
        let take = collection
            .find_one_and_update(filter, update)
            .return_document(ReturnDocument::Before)
            .projection(doc! { "copyWork": 1 });
        let Some(before) = call("begin a copy", take).await? else {
            return self.why_not(id).await;
        };
        // Unreadable work is discarded, and so is work for another store.
        let held = row::read::<Row>(JOBS, before)
            .ok()
            .and_then(|row| row.copy_work);
        let held = held.filter(|held| held.store == store);
        let touched_at = held.as_ref().map(|held| held.touched_at);
        Ok(CopyClaim::Taken {
            work: held.map(|held| held.work).unwrap_or_default(),
            touched_at,
        })
    }

    async fn why_not(&self, id: &BackupId) -> Result<CopyClaim, CatalogError> {
        match self.get(id).await {
            Ok(job) if job.status == JobStatus::Completed => Ok(CopyClaim::Elsewhere),
            Ok(job) => Ok(CopyClaim::NotCompleted(job.status)),
            Err(CatalogError::NotFound { .. }) => Ok(CopyClaim::NoJob),
            Err(error) => Err(error),
        }
    }

    /// Renews the hold of a run, and writes its progress if given. Returns `false` if another run
    /// has the copy, or if the backup was deleted.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn record_copied(
        &self,
        id: &BackupId,
        run: &str,
        work: Option<&CopyWork>,
        now: Timestamp,
    ) -> Result<bool, CatalogError> {
        let mut set = doc! { "copyWork.touchedAt": row::date(now) };
        if let Some(work) = work {
            set.insert("copy.bytes", row::int64(work.bytes));
            set.extend(prefixed(work)?);
        }
        let collection = self.collection(JOBS);
        let record = collection.update_one(at_work(id, run), doc! { "$set": set });
        Ok(call("record a copy", record).await?.matched_count == 1)
    }

    /// Ends a run's copy: writes the result into the job, and the progress for the next run. The
    /// progress of a complete copy is removed. Returns `false` if the run no longer had it.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn end_copy(
        &self,
        id: &BackupId,
        run: &str,
        copy: &JobCopy,
        work: Option<&CopyWork>,
        now: Timestamp,
    ) -> Result<bool, CatalogError> {
        let mut set = doc! { "copy": row::of(copy)? };
        let update = if let Some(work) = work {
            set.insert("copyWork.touchedAt", row::date(now));
            set.extend(prefixed(work)?);
            doc! { "$set": set, "$unset": { "copyWork.run": "" } }
        } else {
            doc! { "$set": set, "$unset": { "copyWork": "" } }
        };
        let filter = doc! { "_id": id.as_str(), "copyWork.run": run };
        Ok(call(
            "end a copy",
            self.collection(JOBS).update_one(filter, update),
        )
        .await?
        .matched_count
            == 1)
    }
}

fn at_work(id: &BackupId, run: &str) -> Document {
    doc! { "_id": id.as_str(), "status": JobStatus::Completed.as_str(), "copyWork.run": run }
}

fn prefixed(work: &CopyWork) -> Result<Document, CatalogError> {
    Ok(row::of(work)?
        .into_iter()
        .map(|(key, value)| (format!("copyWork.{key}"), value))
        .collect())
}
