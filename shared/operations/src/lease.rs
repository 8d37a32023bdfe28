//! When a run counts as dead, and how a source is leased to a backup. Every time here is by the catalogue's server: the
//! clocks of two machines may differ, and a lease is written by one and judged by another.

use holdfast_catalog::{CatalogError, Lease, LeaseError, Source};
use holdfast_domain::{BackupId, Job, Timestamp};
use jiff::SignedDuration;

use crate::{Holdfast, OperationError, RunLimits, heartbeat::DEAD_AFTER, sweep};

/// A `pending` job that nobody took over for this long never will be.
pub(crate) const NOT_STARTED_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Whether nobody will go on with what holds this lease: its run is silent for too long, or past its deadline; or it
/// waited for a run that did not come.
pub(crate) fn is_dead(lease: &Lease, now: Timestamp) -> bool {
    if let Some(until) = lease.waits_until {
        return now > until;
    }
    now.duration_since(lease.beat_at) > DEAD_AFTER || lease.deadline_at.is_some_and(|deadline| now > deadline)
}

/// Whether a run may take the lease over: nobody ever did, nobody is at work, or who was is dead.
pub(crate) fn may_be_taken_over(lease: &Lease, now: Timestamp) -> bool {
    lease.fence == 0 || lease.waits_until.is_some() || is_dead(lease, now)
}

/// When a run has to be through, for its lease.
pub(crate) async fn deadline_of(h: &Holdfast, limits: RunLimits) -> Result<Option<Timestamp>, CatalogError> {
    match limits.deadline {
        Some(deadline) => Ok(Some(h.catalog.by_server_clock(deadline).await?)),
        None => Ok(None),
    }
}

/// Leases the source to a new job and writes its `pending` row. A dead holder in the way is settled first.
///
/// The lease is taken before the row is written, so that of two triggers one writes nothing.
pub(crate) async fn lease_and_insert(h: &Holdfast, job: &Job, now: Timestamp) -> Result<(), OperationError> {
    lease(h, &job.backup_id, now).await?;
    match h.catalog.insert_pending(job).await {
        Ok(()) => {
            h.observer.job_changed(job).await;
            Ok(())
        }
        // The same event a second time: the row is its own.
        Err(CatalogError::AlreadyExists { .. }) => Ok(()),
        Err(error) => {
            release(h, &job.backup_id).await;
            Err(error.into())
        }
    }
}

/// Leases the source to a backup; a holder in the way that is dead is settled, once.
pub(crate) async fn lease(h: &Holdfast, id: &BackupId, now: Timestamp) -> Result<(), OperationError> {
    let source = source_of(id)?;
    let acquire = || h.catalog.acquire(source, id, h.settings.max_concurrent, now);
    match acquire().await {
        Ok(()) => return Ok(()),
        Err(LeaseError::SourceLeased { .. } | LeaseError::ConcurrencyLimit { .. }) => {}
        Err(error) => return Err(of_lease(error)),
    }
    let mut report = sweep::SweepReport::default();
    sweep::settle_dead_jobs(h, now, &mut report).await?;
    sweep::free_orphan_leases(h, now, &mut report).await?;
    for problem in report.problems {
        tracing::warn!(backupId = %id, problem, "a run in the way could not be settled; the sweep will try again");
    }
    acquire().await.map_err(of_lease)
}

/// Gives the lease back. A failure is logged: the sweep finds what is left.
pub(crate) async fn release(h: &Holdfast, id: &BackupId) {
    let Ok(source) = source_of(id) else { return };
    if let Err(error) = h.catalog.release(source, id).await {
        tracing::warn!(backupId = %id, %error, "the lease could not be given back; the sweep will free it");
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
