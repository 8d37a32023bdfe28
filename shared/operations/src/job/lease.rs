//! The lease of a source for a backup, and the death of its run. Every time here is by the
//! catalogue's server: the clocks of two machines may differ, and a lease is written by one and
//! judged by another.

use holdfast_catalog::{CatalogError, Lease, LeaseError, Source};
use holdfast_domain::heartbeat::DEAD_AFTER;
use holdfast_domain::{BackupId, Timestamp};
use jiff::SignedDuration;

use crate::{Holdfast, OperationError, RunLimits};

/// A `pending` job without a run for this long will never have one.
pub(crate) const NOT_STARTED_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Whether a lease has no live run: its run is silent for too long or past its deadline, or the
/// expected next run did not come.
pub(crate) fn is_dead(lease: &Lease, now: Timestamp) -> bool {
    if let Some(until) = lease.waits_until {
        return now > until;
    }
    now.duration_since(lease.beat_at) > DEAD_AFTER
        || lease.deadline_at.is_some_and(|deadline| now > deadline)
}

/// Whether a run may take over the lease: it never had a run, or no run is active, or its run is
/// dead.
pub(crate) fn may_be_taken_over(lease: &Lease, now: Timestamp) -> bool {
    lease.fence == 0 || lease.waits_until.is_some() || is_dead(lease, now)
}

/// When a run has to be through, for its lease.
pub(crate) async fn deadline_of(
    h: &Holdfast,
    limits: RunLimits,
) -> Result<Option<Timestamp>, CatalogError> {
    match limits.deadline {
        Some(deadline) => Ok(Some(h.catalog.by_server_clock(deadline).await?)),
        None => Ok(None),
    }
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

pub(crate) fn from_lease(error: LeaseError) -> OperationError {
    match error {
        LeaseError::SourceLeased { holder, .. } if holder.is_collection() => {
            OperationError::Collecting
        }
        LeaseError::SourceLeased { holder, .. } => {
            OperationError::AlreadyRunning { backup_id: holder }
        }
        LeaseError::ConcurrencyLimit { holders } => {
            OperationError::ConcurrencyLimit { running: holders }
        }
        LeaseError::Lost { .. } => OperationError::Stopped(crate::StopReason::LeaseLost),
        LeaseError::Catalog(error) => error.into(),
    }
}
