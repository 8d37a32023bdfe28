//! Cancels a backup for an operator. The run notices this at its next beat, at most ten seconds
//! later. Downloads under way end by themselves and have no effect.

use holdfast_catalog::{CatalogError, JobChange};
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp};

use super::{finish::parent::finish_parent_of, lease};
use crate::{Holdfast, OperationError};

/// Settles a job as `cancelled`, and releases its lease. For a `full` job, the cancellable parts
/// are cancelled too.
///
/// # Errors
/// [`OperationError::NotFound`]. [`OperationError::NotCancellable`] if the job is settled or
/// commits now.
pub async fn cancel(h: &Holdfast, id: &BackupId, now: Timestamp) -> Result<Job, OperationError> {
    cancel_at(h, id, h.catalog.by_server_clock(now).await?).await
}

/// The same at this time of the catalogue's server.
pub(crate) async fn cancel_at(
    h: &Holdfast,
    id: &BackupId,
    now: Timestamp,
) -> Result<Job, OperationError> {
    let change = JobChange {
        completed_at: Some(now),
        ..JobChange::default()
    };
    let job = match h
        .catalog
        .transition(id, JobStatus::Cancelled, change, None)
        .await
    {
        Ok(job) => job,
        Err(CatalogError::NotFound { .. }) => return Err(OperationError::NotFound(id.clone())),
        Err(CatalogError::Conflict { status, .. }) => {
            return Err(OperationError::NotCancellable {
                backup_id: id.clone(),
                status,
            });
        }
        Err(error) => return Err(error.into()),
    };
    h.observer.job_changed(&job).await;
    lease::release(h, id).await;
    cancel_children_of(h, &job, now).await?;
    finish_parent_of(h, &job).await;
    Ok(job)
}

/// Cancels the parts of a full backup. A committing part still becomes a backup.
async fn cancel_children_of(
    h: &Holdfast,
    parent: &Job,
    now: Timestamp,
) -> Result<(), OperationError> {
    if parent.backup_type != BackupType::Full {
        return Ok(());
    }
    for child in h.catalog.children(&parent.backup_id).await? {
        match Box::pin(cancel_at(h, &child.backup_id, now)).await {
            Ok(_) | Err(OperationError::NotCancellable { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
