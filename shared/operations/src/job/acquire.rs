//! A lease for a new backup. A dead run that holds it is settled first.

use holdfast_catalog::{CatalogError, LeaseError};
use holdfast_domain::{BackupId, Job, Timestamp};

use super::{
    dead::{DeadJobs, finish_dead_jobs, free_orphan_leases},
    lease::{from_lease, release, source_of},
};
use crate::{Holdfast, OperationError};

/// Leases the source to a new job and writes its `pending` row. A dead holder of the lease is
/// settled first.
///
/// The lease is taken before the row is written, so only one of two triggers writes a row.
pub(crate) async fn lease_and_insert(
    h: &Holdfast,
    job: &Job,
    now: Timestamp,
) -> Result<(), OperationError> {
    lease(h, &job.backup_id, now).await?;
    match h.catalog.insert_pending(job).await {
        Ok(()) => {
            h.observer.job_changed(job).await;
            Ok(())
        }
        // A repeated event: the row is its own.
        Err(CatalogError::AlreadyExists { .. }) => Ok(()),
        Err(error) => {
            release(h, &job.backup_id).await;
            Err(error.into())
        }
    }
}

/// Leases the source to a backup. One dead holder is settled first.
pub(crate) async fn lease(
    h: &Holdfast,
    id: &BackupId,
    now: Timestamp,
) -> Result<(), OperationError> {
    let source = source_of(id)?;
    let acquire = || {
        h.catalog
            .acquire(source, id, h.settings.max_concurrent, now)
    };
    match acquire().await {
        Ok(()) => return Ok(()),
        Err(LeaseError::SourceLeased { .. } | LeaseError::ConcurrencyLimit { .. }) => {}
        Err(error) => return Err(from_lease(error)),
    }
    let mut dead = DeadJobs::default();
    finish_dead_jobs(h, now, &mut dead).await?;
    free_orphan_leases(h, now, &mut dead).await?;
    for problem in dead.problems {
        tracing::warn!(backupId = %id, problem, "cannot settle the dead run that holds the lease: the sweep retries");
    }
    acquire().await.map_err(from_lease)
}
