//! The lease of a source for a backup, and the death of its run. Every time here is by the clock of
//! the catalogue's server. One machine writes a lease, another one judges it, and their clocks may
//! differ.

use holdfast_catalog::{Catalog, CatalogError, Lease, LeaseError, Source};
use holdfast_domain::heartbeat::DEAD_AFTER;
use holdfast_domain::{BackupId, Timestamp};
use jiff::SignedDuration;

use crate::{InvalidOperation, OperationError, RunLimits};

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

/// The deadline of a run for its lease, by the clock of the catalogue's server.
pub(crate) async fn deadline_of(
    catalog: &Catalog,
    limits: RunLimits,
) -> Result<Option<Timestamp>, CatalogError> {
    match limits.deadline {
        Some(deadline) => Ok(Some(catalog.by_server_clock(deadline).await?)),
        None => Ok(None),
    }
}

/// Releases the lease. A failure is logged, and the sweep releases it later.
pub(crate) async fn release(catalog: &Catalog, id: &BackupId) {
    let Ok(source) = source_of(id) else { return };
    if let Err(error) = catalog.release(source, id).await {
        tracing::warn!(backupId = %id, %error, "cannot release the lease: the sweep releases it");
    }
}

pub(crate) fn source_of(id: &BackupId) -> Result<Source, OperationError> {
    Source::of(id.backup_type()).ok_or_else(|| InvalidOperation::NoSource(id.clone()).into())
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
