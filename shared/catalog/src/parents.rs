//! Full backups that were deleted with their last part, although a part is a backup again.

use std::collections::BTreeSet;

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, BackupType, Job, JobStatus};

use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, call},
    row,
};

/// Ids in one filter.
const PAGE: usize = 1000;

impl Catalog {
    /// The deleted full backups that a completed job names as its parent, by id.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn deleted_parents_of_backups(&self) -> Result<Vec<BackupId>, CatalogError> {
        let collection = self.collection(JOBS);
        let parts = doc! { "parentId": { "$type": "string" }, "status": JobStatus::Completed.as_str() };
        let find = collection.find(parts).projection(doc! { "parentId": 1 });
        let rows: Vec<Document> = call("list jobs", async { find.await?.try_collect().await }).await?;
        let parents: BTreeSet<String> =
            rows.iter().filter_map(|row| row.get_str("parentId").ok().map(str::to_owned)).collect();
        let parents: Vec<Bson> = parents.into_iter().map(Bson::from).collect();
        let mut deleted = Vec::new();
        for page in parents.chunks(PAGE) {
            let mut filter = deleted_parent();
            filter.insert("_id", doc! { "$in": page.to_vec() });
            let find = collection.find(filter).sort(doc! { "_id": 1 }).projection(doc! { "_id": 1 });
            let rows: Vec<Document> = call("list jobs", async { find.await?.try_collect().await }).await?;
            deleted.extend(rows.iter().filter_map(|row| row::id_of(row).parse::<BackupId>().ok()));
        }
        Ok(deleted)
    }

    /// Reverses the deletion of a full backup.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`]; [`CatalogError::Conflict`] if it is not a deleted full backup.
    pub async fn bring_parent_back(&self, id: &BackupId, to: JobStatus) -> Result<Job, CatalogError> {
        let mut filter = deleted_parent();
        filter.insert("_id", id.as_str());
        let update = doc! { "$set": { "status": to.as_str() }, "$unset": { "deletion": "" } };
        self.change_job(id, to, filter, update).await
    }
}

fn deleted_parent() -> Document {
    doc! { "type": BackupType::Full.as_str(), "status": JobStatus::Deleted.as_str() }
}
