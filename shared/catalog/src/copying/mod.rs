//! A copy in progress, in the job's row under `copyWork`: who is at it, and how far it came. It outlives a run that died,
//! so that the next one goes on; it goes when the copy is whole, and is no part of the job.

mod due;
mod hold;

use bson::{Bson, Document, doc};
use holdfast_domain::{BackupId, CopyStatus, JobCopy, JobStatus, ObjectKey, Sha256Digest, Timestamp};
use mongodb::options::ReturnDocument;
use serde::{Deserialize, Serialize};

pub use self::due::{Copying, Uncopied};
pub(crate) use self::hold::COLLECTION_OF_COPIES;
use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, call},
    row,
};

/// How far a copy came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CopyWork {
    /// Tries that failed since the last that did not.
    pub attempts: u32,
    /// Items of a content backup's list whose objects are there.
    pub items: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// The object that is being sent in parts.
    pub upload: Option<CopyUpload>,
    /// Whether a repair was begun that has not ended well: what is there is not to be judged by its size any more.
    pub to_repair: bool,
}

/// An upload that goes on in the next run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyUpload {
    /// What it becomes.
    pub key: ObjectKey,
    /// The object's bytes.
    pub size: u64,
    /// The SHA-256 of the stored form that is sent. An object may be stored again in another form of the same size.
    #[serde(default)]
    pub form: Option<Sha256Digest>,
    /// Bytes of each part but the last.
    pub part_bytes: u64,
    /// The second store's name for it.
    pub upload_id: String,
    /// The parts that are there, in any order.
    pub parts: Vec<CopiedPart>,
}

/// A part that the second store took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedPart {
    /// Counted from 1.
    pub number: u32,
    /// Its bytes.
    pub size: u64,
    /// The digest that it was sent under.
    pub sha256: Sha256Digest,
    /// The store's receipt.
    pub etag: String,
}

/// What came of beginning a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyClaim {
    /// It is this run's now.
    Taken {
        /// What earlier runs did for this very store.
        work: CopyWork,
        /// When they were last heard of.
        touched_at: Option<Timestamp>,
    },
    /// Another run is at it.
    Elsewhere,
    /// There is nothing to copy: its job stands here.
    NotCompleted(JobStatus),
    /// The catalogue has no job of the backup, and so no place for this.
    NoJob,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    store: String,
    touched_at: Timestamp,
    #[serde(flatten)]
    work: CopyWork,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    copy_work: Option<Held>,
}

impl Catalog {
    /// Takes the copying of a completed backup to this store for this run, unless another run was heard of after
    /// `stale_at`, and says in the job that it is running.
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
        let free =
            vec![doc! { "copyWork.run": Bson::Null }, doc! { "copyWork.touchedAt": { "$lt": row::date(stale_at) } }];
        let filter = doc! { "_id": id.as_str(), "status": JobStatus::Completed.as_str(), "$or": free };
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
        let Some(before) = call("begin a copy", take).await? else { return self.why_not(id).await };
        // What cannot be read is begun anew, and so is what was begun for another store.
        let held = row::read::<Row>(JOBS, before).ok().and_then(|row| row.copy_work);
        let held = held.filter(|held| held.store == store);
        let touched_at = held.as_ref().map(|held| held.touched_at);
        Ok(CopyClaim::Taken { work: held.map(|held| held.work).unwrap_or_default(), touched_at })
    }

    async fn why_not(&self, id: &BackupId) -> Result<CopyClaim, CatalogError> {
        match self.get(id).await {
            Ok(job) if job.status == JobStatus::Completed => Ok(CopyClaim::Elsewhere),
            Ok(job) => Ok(CopyClaim::NotCompleted(job.status)),
            Err(CatalogError::NotFound { .. }) => Ok(CopyClaim::NoJob),
            Err(error) => Err(error),
        }
    }

    /// Says that a run lives, and writes how far it came where that is given; `false` where the copy is no longer this
    /// run's, or the backup is no longer there.
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

    /// Ends a run's copying: what the job says of it, and for the next run how far it came; that of a copy which is whole
    /// is forgotten. `false` where it was no longer this run's.
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
        Ok(call("end a copy", self.collection(JOBS).update_one(filter, update)).await?.matched_count == 1)
    }
}

fn at_work(id: &BackupId, run: &str) -> Document {
    doc! { "_id": id.as_str(), "status": JobStatus::Completed.as_str(), "copyWork.run": run }
}

fn prefixed(work: &CopyWork) -> Result<Document, CatalogError> {
    Ok(row::of(work)?.into_iter().map(|(key, value)| (format!("copyWork.{key}"), value)).collect())
}
