//! The death of a run, and the lease of a source for a backup.

use holdfast_catalog::{CatalogError, Lease, LeaseError, Source};
use holdfast_domain::heartbeat::DEAD_AFTER;
use holdfast_domain::{BackupId, Job, Timestamp};
use jiff::SignedDuration;

use crate::{Holdfast, OperationError, reaper};

/// A `pending` job without a run for this long will never have one.
pub(crate) const NOT_STARTED_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Whether a lease has no live run: its run is silent for too long or past its deadline, or the expected next run did
/// not come.
pub(crate) fn is_dead(lease: &Lease, now: Timestamp) -> bool {
    if let Some(until) = lease.waits_until {
        return now > until;
    }
    now.duration_since(lease.beat_at) > DEAD_AFTER || lease.deadline_at.is_some_and(|deadline| now > deadline)
}

/// Whether a run may take over the lease: it never had a run, or no run is active, or its run is dead.
pub(crate) fn may_be_taken_over(lease: &Lease, now: Timestamp) -> bool {
    lease.fence == 0 || lease.waits_until.is_some() || is_dead(lease, now)
}

/// Leases the source to a new job and writes its `pending` row. A dead holder of the lease is settled first.
///
/// The lease is taken before the row is written, so only one of two triggers writes a row.
pub(crate) async fn lease_and_insert(h: &Holdfast, job: &Job, now: Timestamp) -> Result<(), OperationError> {
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
pub(crate) async fn lease(h: &Holdfast, id: &BackupId, now: Timestamp) -> Result<(), OperationError> {
    let source = source_of(id)?;
    let acquire = || h.catalog.acquire(source, id, h.settings.max_concurrent, now);
    match acquire().await {
        Ok(()) => return Ok(()),
        Err(LeaseError::SourceLeased { .. } | LeaseError::ConcurrencyLimit { .. }) => {}
        Err(error) => return Err(of_lease(error)),
    }
    let mut report = reaper::SweepReport::default();
    reaper::settle_dead_jobs(h, now, &mut report).await?;
    reaper::free_orphan_leases(h, now, &mut report).await?;
    for problem in report.problems {
        tracing::warn!(backupId = %id, problem, "cannot settle the dead run that holds the lease: the sweep retries");
    }
    acquire().await.map_err(of_lease)
}

/// Releases the lease. A failure is logged, and the sweep releases it later.
pub(crate) async fn release(h: &Holdfast, id: &BackupId) {
    let Ok(source) = source_of(id) else { return };
    if let Err(error) = h.catalog.release(source, id).await {
        tracing::warn!(backupId = %id, %error, "cannot release the lease: the sweep releases it");
    }
}

pub(crate) fn source_of(id: &BackupId) -> Result<Source, OperationError> {
    Source::of(id.backup_type())
        .ok_or_else(|| OperationError::Invalid(format!("backup {id} reads no source of its own")))
}

pub(crate) fn of_lease(error: LeaseError) -> OperationError {
    match error {
        LeaseError::SourceLeased { holder, .. } if holder.is_collection() => OperationError::Collecting,
        LeaseError::SourceLeased { holder, .. } => OperationError::AlreadyRunning { backup_id: holder },
        LeaseError::ConcurrencyLimit { holders } => OperationError::ConcurrencyLimit { running: holders },
        LeaseError::Lost { .. } => OperationError::Stopped(crate::StopReason::LeaseLost),
        LeaseError::Catalog(error) => error.into(),
    }
}
