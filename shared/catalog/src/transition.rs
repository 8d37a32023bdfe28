//! Changes of state: one `findAndModify`, filtered by the allowed previous states and by the
//! fencing number.

use bson::{Document, doc};
use holdfast_domain::{BackupId, Job, JobStatus, Progress};
use mongodb::options::ReturnDocument;

use crate::{
    Catalog, CatalogError, JobChange,
    catalog::{JOBS, call},
    job::{read, without_work, words},
    row,
};

impl Catalog {
    /// Changes the state of a job, if its present state allows this, and returns its new row.
    ///
    /// With a `guard`, only the run with this fencing number may do it. A change with a fencing
    /// number requires a number larger than the row's, so that none is used twice. A `failed`
    /// or `cancelled` job may become `completed`, if the caller has read its manifest from the
    /// store. A settled job has no work in progress. A completed job has no error and no
    /// progress.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`]. [`CatalogError::Conflict`] with the present state.
    /// [`CatalogError::Corrupt`] if the row is not a job (the change may have been made).
    pub async fn transition(
        &self,
        id: &BackupId,
        to: JobStatus,
        change: JobChange,
        guard: Option<u64>,
    ) -> Result<Job, CatalogError> {
        let filter = filter(id, to, change.fence, guard);
        let update = update(to, &change)?;
        self.change_job(id, to, filter, update).await
    }

    /// Makes the run with this fencing number the finalizer of a content backup. It is the first
    /// one, or follows a run killed before its manifest was written. The lease has decided
    /// between several runs.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`]. [`CatalogError::Conflict`] if the job is not `finalizing`, or
    /// has this or a larger fencing number.
    pub async fn take_up_finalizing(&self, id: &BackupId, fence: u64) -> Result<Job, CatalogError> {
        let to = JobStatus::Finalizing;
        let from = words([JobStatus::Finalizing, JobStatus::Committing]);
        let fence = row::int64(fence);
        let filter =
            doc! { "_id": id.as_str(), "status": { "$in": from }, "fence": { "$lt": fence } };
        let update = doc! { "$set": { "status": to.as_str(), "fence": fence } };
        self.change_job(id, to, filter, update).await
    }

    /// Changes the one row of the filter, and returns it. A conflict contains the present state.
    pub(crate) async fn change_job(
        &self,
        id: &BackupId,
        to: JobStatus,
        filter: Document,
        update: Document,
    ) -> Result<Job, CatalogError> {
        let collection = self.collection(JOBS);
        let change = collection
            .find_one_and_update(filter, update)
            .projection(without_work())
            .return_document(ReturnDocument::After);
        if let Some(row) = call("change a job's state", change).await? {
            return read(row);
        }
        let Job { status, fence, .. } = self.get(id).await?;
        Err(CatalogError::Conflict {
            id: id.to_string(),
            to,
            status,
            fence,
        })
    }

    /// Records the progress of a run. Returns `false` if the run lost the job, or if the job is no
    /// longer running.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn record_progress(
        &self,
        id: &BackupId,
        fence: u64,
        progress: Progress,
    ) -> Result<bool, CatalogError> {
        let filter = doc! { "_id": id.as_str(), "fence": row::int64(fence), "status": JobStatus::Running.as_str() };
        let update = doc! { "$set": { "progress": row::of(&progress)? } };
        let result = call(
            "record progress",
            self.collection(JOBS).update_one(filter, update),
        )
        .await?;
        Ok(result.matched_count == 1)
    }
}

fn filter(id: &BackupId, to: JobStatus, new_fence: Option<u64>, guard: Option<u64>) -> Document {
    let mut fence = Document::new();
    if let Some(guard) = guard {
        fence.insert("$eq", row::int64(guard));
    }
    if let Some(new_fence) = new_fence {
        fence.insert("$lt", row::int64(new_fence));
    }
    let from = words(to.may_come_from().iter().copied());
    let mut filter = doc! { "_id": id.as_str(), "status": { "$in": from } };
    if !fence.is_empty() {
        filter.insert("fence", fence);
    }
    filter
}

fn update(to: JobStatus, change: &JobChange) -> Result<Document, CatalogError> {
    let mut set = row::of(change)?;
    set.insert("status", to.as_str());
    let mut unset = Document::new();
    if to == JobStatus::Completed {
        for outdated in ["error", "progress"] {
            set.remove(outdated);
            unset.insert(outdated, "");
        }
    }
    if !to.is_active() {
        unset.insert("work", "");
    }
    let mut update = Document::new();
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    if let Some(at) = change.started_at {
        update.insert("$min", doc! { "startedAt": row::date(at) });
    }
    update.insert("$set", set);
    Ok(update)
}
