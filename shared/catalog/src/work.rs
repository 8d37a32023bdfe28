//! The work in progress of a content backup, passed from run to run. It is in the job's row under
//! `work`, and is removed when the job is settled. Only the run with the row's fencing number
//! writes it.

use bson::doc;
use holdfast_domain::{Artifact, BackupId, ItemCounts, JobStatus, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, call},
    job::words,
    row,
};

/// The progress of discovery and finalizing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContentWork {
    /// When every item was found, written as a row, and settled or queued.
    pub discovered_at: Option<Timestamp>,
    /// The position of discovery. `None` before its first page.
    pub cursor: Option<String>,
    /// Items found so far.
    pub found: u64,
    /// Version of the server with the items.
    pub server_version: String,
    /// The source: its connection string without credentials and options. Empty in rows of earlier
    /// versions.
    pub source_uri: String,
    /// Number of runs with work left at their end.
    pub rounds: u32,
    /// Whether the check of every referenced object is complete.
    pub checked: bool,
    /// The stored list of items.
    pub item_list: Option<StoredList>,
    /// The stored volumes of the archive, in order.
    pub volumes: Vec<Artifact>,
    /// The content id of the last item in them.
    pub archived_after: Option<String>,
    /// Whether these are all.
    pub archive_done: bool,
    /// The key epoch of list and archive, if they are encrypted.
    pub key_epoch: Option<u32>,
    /// Finalizing runs since the last stored artifact.
    pub fruitless: u32,
}

/// A stored list of items, and its totals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredList {
    /// Its artifact.
    pub artifact: Artifact,
    /// The items in it.
    pub items: ItemCounts,
    /// Its bytes before compression and encryption.
    pub json_bytes: u64,
    /// Items with an unencrypted file in an encrypted list.
    #[serde(default)]
    pub unencrypted: u64,
}

#[derive(Deserialize)]
struct Working {
    work: Option<ContentWork>,
}

impl Catalog {
    /// The work on a job so far. The default if it has not begun, or if the job is settled.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`]. [`CatalogError::Corrupt`] if it cannot be read.
    pub async fn content_work(&self, id: &BackupId) -> Result<ContentWork, CatalogError> {
        let collection = self.collection(JOBS);
        let find = collection
            .find_one(row::by_id(id.as_str()))
            .projection(doc! { "work": 1 });
        let found = call("read a job's work", find).await?;
        let row = found.ok_or_else(|| CatalogError::NotFound { id: id.to_string() })?;
        Ok(row::read::<Working>(JOBS, row)?.work.unwrap_or_default())
    }

    /// Writes the work of a run. Returns `false` if the run lost the job, or if the job is settled.
    /// The run must then stop.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn record_work(
        &self,
        id: &BackupId,
        fence: u64,
        work: &ContentWork,
    ) -> Result<bool, CatalogError> {
        let active = words(
            JobStatus::ALL
                .into_iter()
                .filter(|status| status.is_active()),
        );
        let filter =
            doc! { "_id": id.as_str(), "fence": row::int64(fence), "status": { "$in": active } };
        let update = doc! { "$set": { "work": row::of(work)? } };
        let result = call(
            "record a job's work",
            self.collection(JOBS).update_one(filter, update),
        )
        .await?;
        Ok(result.matched_count == 1)
    }
}
