//! Readers: runs with a restore, verification or copy of a backup. Each has a row with a beat, so
//! that retention does not delete its backup. A row is no lock: a backup may have many readers.

use bson::{Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Catalog, CatalogError,
    catalog::{READERS, call},
    row,
};

/// A reading run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReaderRow {
    /// The run's own id.
    #[serde(rename = "_id")]
    pub id: String,
    /// The backup.
    pub backup_id: BackupId,
    /// The purpose: `restore`, `verify`, `copy`.
    pub purpose: String,
    /// The store of the backup.
    pub store: String,
    /// When the run began.
    pub started_at: Timestamp,
    /// The last beat of the run.
    pub beat_at: Timestamp,
}

impl Catalog {
    /// Inserts or renews the row of a run that reads a backup.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn record_reader(&self, reader: &ReaderRow) -> Result<(), CatalogError> {
        let mut fields = row::of(reader)?;
        fields.remove("_id");
        let collection = self.collection(READERS);
        let record = collection
            .update_one(row::by_id(&reader.id), doc! { "$set": fields })
            .upsert(true);
        call("record a reader", record).await.map(drop)
    }

    /// Removes the row of a run that no longer reads a backup.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn remove_reader(&self, id: &str) -> Result<(), CatalogError> {
        call(
            "remove a reader",
            self.collection(READERS).delete_one(row::by_id(id)),
        )
        .await
        .map(drop)
    }

    /// The readers of a backup with a beat after `stale_at`. An unreadable row is an error, because
    /// retention then cannot know the readers.
    ///
    /// # Errors
    /// Those of the server. [`CatalogError::Corrupt`].
    pub async fn readers(
        &self,
        id: &BackupId,
        stale_at: Timestamp,
    ) -> Result<Vec<ReaderRow>, CatalogError> {
        let living = doc! { "backupId": id.as_str(), "beatAt": { "$gt": row::date(stale_at) } };
        let collection = self.collection(READERS);
        let rows: Vec<Document> = call("list readers", async {
            collection.find(living).await?.try_collect().await
        })
        .await?;
        rows.into_iter()
            .map(|row| row::read(READERS, row))
            .collect()
    }

    /// Removes the rows of runs without a beat since this time.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn forget_readers(&self, heard_of_before: Timestamp) -> Result<u64, CatalogError> {
        let dead = doc! { "beatAt": { "$lt": row::date(heard_of_before) } };
        Ok(
            call("forget readers", self.collection(READERS).delete_many(dead))
                .await?
                .deleted_count,
        )
    }
}
