//! The work in progress of a content backup: what one run hands on to the next. It lives in the job's row under `work`,
//! goes once the job is settled, and is written by the run alone whose fencing number the row has.

use bson::doc;
use holdfast_domain::{Artifact, BackupId, ItemCounts, JobStatus, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, call},
    job::words,
    row,
};

/// How far discovery and finalizing came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContentWork {
    /// When every item was found, written as a row, and settled or queued.
    pub discovered_at: Option<Timestamp>,
    /// Where discovery goes on; none before its first page.
    pub cursor: Option<String>,
    /// Items found so far.
    pub found: u64,
    /// Version of the server that named the items.
    pub server_version: String,
    /// Runs that handed on to the next.
    pub rounds: u32,
    /// Whether every referenced object was seen in the store.
    pub checked: bool,
    /// The list of items, once it is stored.
    pub item_list: Option<StoredList>,
    /// The archive's volumes that are stored, in order.
    pub volumes: Vec<Artifact>,
    /// The content id of the last item in them.
    pub archived_after: Option<String>,
    /// Whether they are all.
    pub archive_done: bool,
    /// The master key that list and archive are encrypted under, where they are.
    pub key_epoch: Option<u32>,
    /// Finalize runs begun since the last that stored anything.
    pub fruitless: u32,
}

/// A list of items that is stored, and what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredList {
    /// Where it is.
    pub artifact: Artifact,
    /// The items in it.
    pub items: ItemCounts,
    /// Its bytes before compression and encryption.
    pub json_bytes: u64,
    /// Items whose file is not encrypted, though the list is.
    #[serde(default)]
    pub unencrypted: u64,
}

#[derive(Deserialize)]
struct Working {
    work: Option<ContentWork>,
}

impl Catalog {
    /// How far the work on a job is; the default where there is none yet, or none any more.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], and [`CatalogError::Corrupt`] where it cannot be read.
    pub async fn content_work(&self, id: &BackupId) -> Result<ContentWork, CatalogError> {
        let collection = self.collection(JOBS);
        let find = collection.find_one(row::by_id(id.as_str())).projection(doc! { "work": 1 });
        let found = call("read a job's work", find).await?;
        let row = found.ok_or_else(|| CatalogError::NotFound { id: id.to_string() })?;
        Ok(row::read::<Working>(JOBS, row)?.work.unwrap_or_default())
    }

    /// Writes how far the work is; `false` where the job is no longer this run's, or settled: then the run has to stop.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn record_work(&self, id: &BackupId, fence: u64, work: &ContentWork) -> Result<bool, CatalogError> {
        let active = words(JobStatus::ALL.into_iter().filter(|status| status.is_active()));
        let filter = doc! { "_id": id.as_str(), "fence": row::int64(fence), "status": { "$in": active } };
        let update = doc! { "$set": { "work": row::of(work)? } };
        let result = call("record a job's work", self.collection(JOBS).update_one(filter, update)).await?;
        Ok(result.matched_count == 1)
    }
}
