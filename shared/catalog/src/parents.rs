//! Full backups that were deleted with their last part, although a part is a backup again.

use std::collections::BTreeSet;

use bson::{Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp};

use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, call},
    row,
};

/// Ids in one filter.
const PAGE: usize = 1000;

impl Catalog {
    /// The deleted full backups created at `since` or later with a completed part, by id.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn deleted_parents_of_backups(
        &self,
        since: Timestamp,
    ) -> Result<Vec<BackupId>, CatalogError> {
        let mut filter = deleted_parent();
        filter.insert("createdAt", doc! { "$gte": row::date(since) });
        let collection = self.collection(JOBS);
        let find = collection
            .find(filter)
            .sort(doc! { "_id": 1 })
            .projection(doc! { "_id": 1 });
        let rows: Vec<Document> =
            call("list jobs", async { find.await?.try_collect().await }).await?;
        let deleted: Vec<BackupId> = rows
            .iter()
            .filter_map(|row| row::id_of(row).parse().ok())
            .collect();
        let mut with_a_backup = Vec::new();
        for page in deleted.chunks(PAGE) {
            let named = self.with_a_completed_part(page).await?;
            with_a_backup.extend(
                page.iter()
                    .filter(|id| named.contains(id.as_str()))
                    .cloned(),
            );
        }
        Ok(with_a_backup)
    }

    /// Those of these full backups with a completed part.
    async fn with_a_completed_part(
        &self,
        parents: &[BackupId],
    ) -> Result<BTreeSet<String>, CatalogError> {
        let parents: Vec<&str> = parents.iter().map(BackupId::as_str).collect();
        let parts =
            doc! { "parentId": { "$in": parents }, "status": JobStatus::Completed.as_str() };
        let collection = self.collection(JOBS);
        let find = collection.find(parts).projection(doc! { "parentId": 1 });
        let rows: Vec<Document> =
            call("list jobs", async { find.await?.try_collect().await }).await?;
        Ok(rows
            .iter()
            .filter_map(|row| row.get_str("parentId").ok().map(str::to_owned))
            .collect())
    }

    /// Reverses the deletion of a full backup.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`]; [`CatalogError::Conflict`] if it is not a deleted full backup.
    pub async fn reinstate_parent(
        &self,
        id: &BackupId,
        to: JobStatus,
    ) -> Result<Job, CatalogError> {
        let mut filter = deleted_parent();
        filter.insert("_id", id.as_str());
        let update = doc! { "$set": { "status": to.as_str() }, "$unset": { "deletion": "" } };
        self.change_job(id, to, filter, update).await
    }
}

fn deleted_parent() -> Document {
    doc! { "type": BackupType::Full.as_str(), "status": JobStatus::Deleted.as_str() }
}
