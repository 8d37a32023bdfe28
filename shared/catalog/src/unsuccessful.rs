//! Jobs that ended without a backup. The sweep compares them with the store, because the manifest
//! decides.

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp};

use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, call},
    job::{read, readable, without_work, words},
    row,
};

/// The states of a job without a backup at its end.
const UNSUCCESSFUL: [JobStatus; 2] = [JobStatus::Failed, JobStatus::Cancelled];

impl Catalog {
    /// The `failed` or `cancelled` jobs among these backups. At most 1,000 ids in one call.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn unsuccessful_among(&self, ids: &[BackupId]) -> Result<Vec<Job>, CatalogError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Bson> = ids.iter().map(|id| id.as_str().into()).collect();
        self.unsuccessful(doc! { "_id": { "$in": ids } }, 0).await
    }

    /// A page of the `failed` or `cancelled` jobs of this type created at `since` or later, by id.
    /// The next page begins after its last id. An empty page is the last.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn unsuccessful_since(
        &self,
        kind: BackupType,
        since: Timestamp,
        after: Option<&BackupId>,
        limit: u32,
    ) -> Result<Vec<Job>, CatalogError> {
        let mut filter = doc! { "type": kind.as_str(), "createdAt": { "$gte": row::date(since) } };
        if let Some(after) = after {
            filter.insert("_id", doc! { "$gt": after.as_str() });
        }
        self.unsuccessful(filter, limit).await
    }

    /// Every `failed` or `cancelled` job of this type with an end at `since` or later, or without a
    /// recorded end.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn unsuccessful_ended_since(
        &self,
        kind: BackupType,
        since: Timestamp,
    ) -> Result<Vec<Job>, CatalogError> {
        // A negated comparison also matches a row without the field.
        let ended = doc! { "$not": { "$lt": row::date(since) } };
        self.unsuccessful(doc! { "type": kind.as_str(), "completedAt": ended }, 0)
            .await
    }

    async fn unsuccessful(
        &self,
        mut filter: Document,
        limit: u32,
    ) -> Result<Vec<Job>, CatalogError> {
        filter.insert("status", doc! { "$in": words(UNSUCCESSFUL) });
        let collection = self.collection(JOBS);
        let find = collection
            .find(filter)
            .sort(doc! { "_id": 1 })
            .limit(i64::from(limit))
            .projection(without_work());
        let rows: Vec<Document> =
            call("list jobs", async { find.await?.try_collect().await }).await?;
        Ok(readable(rows.into_iter().map(read)))
    }
}
