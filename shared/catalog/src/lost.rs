//! Lost backups: jobs that were completed and whose manifest is missing, though no deletion was decided.

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, BackupType, FailureCode, Job, JobDeletion, JobStatus, VerificationStatus};
use mongodb::options::ReturnDocument;

use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, call},
    job::{read, readable, without_work},
    row,
};

/// A backup whose manifest the catalogue expects in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedBackup {
    /// The backup.
    pub backup_id: BackupId,
    /// Whether its job is lost. Otherwise its job is completed.
    pub is_lost: bool,
}

impl Catalog {
    /// The backups of this type that are completed or lost, by id. Rows that cannot be read count too.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn expected(&self, kind: BackupType) -> Result<Vec<ExpectedBackup>, CatalogError> {
        let completed = doc! { "status": JobStatus::Completed.as_str() };
        let filter = doc! { "type": kind.as_str(), "$or": [completed, lost()] };
        let collection = self.collection(JOBS);
        let find = collection.find(filter).sort(doc! { "_id": 1 }).projection(doc! { "status": 1 });
        let rows: Vec<Document> = call("list jobs", async { find.await?.try_collect().await }).await?;
        let expected = |row: &Document| {
            let backup_id = row::id_of(row).parse().ok()?;
            let is_lost = row.get_str("status").is_ok_and(|status| status == JobStatus::Deleted.as_str());
            Some(ExpectedBackup { backup_id, is_lost })
        };
        Ok(rows.iter().filter_map(expected).collect())
    }

    /// The jobs of all lost backups, newest first.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn lost_jobs(&self) -> Result<Vec<Job>, CatalogError> {
        let collection = self.collection(JOBS);
        let newest_first = doc! { "createdAt": -1, "_id": -1 };
        let find = collection.find(lost()).sort(newest_first).projection(without_work());
        let rows: Vec<Document> = call("list jobs", async { find.await?.try_collect().await }).await?;
        Ok(readable(rows.into_iter().map(read)))
    }

    /// Makes a lost backup `completed` again, because its manifest is back. A verification that passed before the loss
    /// is forgotten, so that the backup is verified again.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`]; [`CatalogError::Conflict`] if it is not lost.
    pub async fn bring_back(&self, job: &Job) -> Result<Job, CatalogError> {
        let mut unset = doc! { "error": "", "lostAt": "" };
        if job.verification.as_ref().is_some_and(|newest| newest.status == VerificationStatus::Passed) {
            unset.insert("verification", "");
        }
        let update = doc! { "$set": { "status": JobStatus::Completed.as_str() }, "$unset": unset };
        self.change_lost(&job.backup_id, JobStatus::Completed, update).await
    }

    /// Decides to delete a lost backup: what is left of it may be removed from now on.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`]; [`CatalogError::Conflict`] if it is not lost.
    pub async fn accept_loss(&self, id: &BackupId, deletion: &JobDeletion) -> Result<Job, CatalogError> {
        let update = doc! { "$set": { "deletion": row::of(deletion)? } };
        self.change_lost(id, JobStatus::Deleted, update).await
    }

    async fn change_lost(&self, id: &BackupId, to: JobStatus, update: Document) -> Result<Job, CatalogError> {
        let mut filter = lost();
        filter.insert("_id", id.as_str());
        let collection = self.collection(JOBS);
        let change = collection
            .find_one_and_update(filter, update)
            .projection(without_work())
            .return_document(ReturnDocument::After);
        if let Some(row) = call("change a job's state", change).await? {
            return read(row);
        }
        let Job { status, fence, .. } = self.get(id).await?;
        Err(CatalogError::Conflict { id: id.to_string(), to, status, fence })
    }
}

/// The filter of [`Job::is_lost`].
fn lost() -> Document {
    doc! {
        "status": JobStatus::Deleted.as_str(),
        "deletion": Bson::Null,
        "error.code": FailureCode::StoreCorrupt.as_str(),
    }
}
