//! Readers: runs that restore, verify or copy a backup now. Each has a row with a beat, so that retention does not delete
//! what is being read. A row is no lock: a backup may have many readers.

use bson::{Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Catalog, CatalogError,
    catalog::{READERS, call},
    row,
};

/// A run that reads a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReaderRow {
    /// The run's own id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The backup.
    pub backup_id: BackupId,
    /// What it is read for: `restore`, `verify`, `copy`.
    pub purpose: String,
    /// The store that it is read from.
    pub store: String,
    /// When the run began.
    pub started_at: Timestamp,
    /// When the run was last heard of.
    pub beat_at: Timestamp,
}

impl Catalog {
    /// Records that a run reads a backup, or that it still does.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn record_reader(&self, reader: &ReaderRow) -> Result<(), CatalogError> {
        let mut fields = row::of(reader)?;
        fields.remove("_id");
        let collection = self.collection(READERS);
        let record = collection.update_one(row::by_id(&reader.id), doc! { "$set": fields }).upsert(true);
        call("record a reader", record).await.map(drop)
    }

    /// Records that a run does not read a backup any more.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn remove_reader(&self, id: &str) -> Result<(), CatalogError> {
        call("remove a reader", self.collection(READERS).delete_one(row::by_id(id))).await.map(drop)
    }

    /// The runs that read a backup and were heard of after `stale_at`. A row that is not a reader is an error: retention
    /// cannot know then who reads.
    ///
    /// # Errors
    /// Those of the server; [`CatalogError::Corrupt`].
    pub async fn readers(&self, id: &BackupId, stale_at: Timestamp) -> Result<Vec<ReaderRow>, CatalogError> {
        let living = doc! { "backupId": id.as_str(), "beatAt": { "$gt": row::date(stale_at) } };
        let collection = self.collection(READERS);
        let rows: Vec<Document> =
            call("list readers", async { collection.find(living).await?.try_collect().await }).await?;
        rows.into_iter().map(|row| row::read(READERS, row)).collect()
    }

    /// Removes the rows of runs that were not heard of since this moment.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn forget_readers(&self, heard_of_before: Timestamp) -> Result<u64, CatalogError> {
        let dead = doc! { "beatAt": { "$lt": row::date(heard_of_before) } };
        Ok(call("forget readers", self.collection(READERS).delete_many(dead)).await?.deleted_count)
    }
}
