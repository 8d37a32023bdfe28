//! Lost backups: completed jobs with a missing manifest, although no deletion was decided.

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{
    BackupId, BackupType, DeletionCause, FailureCode, Job, JobDeletion, JobStatus,
    VerificationStatus,
};

use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, call},
    job::{listed, read, readable},
    row,
};

/// The expected state of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// The job is completed: the manifest is in the store.
    Present,
    /// The job is lost: the manifest is missing, and may come back.
    Lost,
    /// An operator accepted the loss: the manifest is missing, and everything else may be deleted.
    AcceptedLoss,
}

/// A backup with an expected manifest, including lost backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedBackup {
    /// The backup.
    pub backup_id: BackupId,
    /// The expected state of the manifest, by its job.
    pub expectation: Expectation,
}

impl Catalog {
    /// The completed and lost backups of this type by id, including accepted losses and unreadable
    /// rows.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn expected(&self, kind: BackupType) -> Result<Vec<ExpectedBackup>, CatalogError> {
        let completed = doc! { "status": JobStatus::Completed.as_str() };
        let filter = doc! { "type": kind.as_str(), "$or": [completed, lost(), accepted_loss()] };
        let collection = self.collection(JOBS);
        let find = collection
            .find(filter)
            .sort(doc! { "_id": 1 })
            .projection(doc! { "status": 1, "deletion": 1 });
        let rows: Vec<Document> =
            call("list jobs", async { find.await?.try_collect().await }).await?;
        let expected = |row: &Document| {
            let backup_id = row::id_of(row).parse().ok()?;
            Some(ExpectedBackup {
                backup_id,
                expectation: expectation(row),
            })
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
        let find = collection
            .find(lost())
            .sort(newest_first)
            .projection(listed());
        let rows: Vec<Document> =
            call("list jobs", async { find.await?.try_collect().await }).await?;
        Ok(readable(rows.into_iter().map(read)))
    }

    /// Makes a lost backup `completed` again, because its manifest is back. This also reverses an
    /// accepted loss. A verification before the loss is removed, so that the backup is verified
    /// again.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`]. [`CatalogError::Conflict`] if it is not lost.
    pub async fn reinstate(&self, job: &Job) -> Result<Job, CatalogError> {
        let mut unset = doc! { "error": "", "lostAt": "", "deletion": "" };
        if job
            .verification
            .as_ref()
            .is_some_and(|newest| newest.status == VerificationStatus::Passed)
        {
            unset.insert("verification", "");
        }
        let update = doc! { "$set": { "status": JobStatus::Completed.as_str() }, "$unset": unset };
        let reversible = doc! { "$or": [lost(), accepted_loss()] };
        self.change_lost(&job.backup_id, reversible, JobStatus::Completed, update)
            .await
    }

    /// Decides to delete a lost backup. Its remains may be removed from now on. An accepted loss
    /// can be decided again, if the manifest is back and the backup is damaged.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`]. [`CatalogError::Conflict`] if it is not lost.
    pub async fn accept_loss(
        &self,
        id: &BackupId,
        deletion: &JobDeletion,
    ) -> Result<Job, CatalogError> {
        let update = doc! { "$set": { "deletion": row::of(deletion)? } };
        let open = match deletion.cause {
            DeletionCause::AcceptedDamage => doc! { "$or": [lost(), accepted_loss()] },
            DeletionCause::AcceptedLoss | DeletionCause::Retention => lost(),
        };
        self.change_lost(id, open, JobStatus::Deleted, update).await
    }

    async fn change_lost(
        &self,
        id: &BackupId,
        mut filter: Document,
        to: JobStatus,
        update: Document,
    ) -> Result<Job, CatalogError> {
        filter.insert("_id", id.as_str());
        self.change_job(id, to, filter, update).await
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

/// The filter of [`Job::is_accepted_loss`].
fn accepted_loss() -> Document {
    doc! { "status": JobStatus::Deleted.as_str(), "deletion.cause": DeletionCause::AcceptedLoss.as_str() }
}

fn expectation(row: &Document) -> Expectation {
    if !row
        .get_str("status")
        .is_ok_and(|status| status == JobStatus::Deleted.as_str())
    {
        return Expectation::Present;
    }
    if row.get_document("deletion").is_ok() {
        Expectation::AcceptedLoss
    } else {
        Expectation::Lost
    }
}
