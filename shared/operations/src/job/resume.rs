//! Whether the backup with the lease of its source was interrupted, so that another process may
//! resume it.

use holdfast_catalog::{CatalogError, Lease, UNSTARTED_GRACE};
use holdfast_domain::heartbeat::DEAD_AFTER;
use holdfast_domain::{BackupId, Job, Timestamp, settings::StoreLocation};
use jiff::SignedDuration;
use std::time::Duration;

use super::lease;
use crate::{Holdfast, OperationError};

/// Interval of reading the lease, until the run is known to be alive or dead.
const POLL_EVERY: Duration = Duration::from_secs(2);
/// Functions touch the items of a downloading backup at least this often.
const FUNCTION_SILENCE_LIMIT: SignedDuration = SignedDuration::from_mins(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Liveness {
    Alive,
    Unclear,
    Dead,
}

/// Whether the backup with the lease of its source has no active run, because its run died or never
/// began. It waits until this is clear. A beat within about ten seconds proves a live run. No beat
/// for a minute proves a dead one.
///
/// # Errors
/// Those of the catalogue.
pub async fn is_interrupted(h: &Holdfast, id: &BackupId) -> Result<bool, OperationError> {
    let source = lease::source_of(id)?;
    let mut seen: Option<(u64, Timestamp)> = None;
    loop {
        let lease = h
            .catalog
            .get_lease(source)
            .await?
            .filter(|lease| lease.holder == *id);
        let Some(lease) = lease else { return Ok(true) };
        let job = match h.catalog.get(id).await {
            Ok(job) => Some(job),
            Err(CatalogError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        match liveness(h, &lease, job.as_ref(), h.catalog.now().await?).await? {
            Liveness::Alive => return Ok(false),
            Liveness::Dead => return Ok(true),
            Liveness::Unclear => {}
        }
        let sign = (lease.fence, lease.beat_at);
        if *seen.get_or_insert(sign) != sign {
            return Ok(false);
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

async fn liveness(
    h: &Holdfast,
    lease: &Lease,
    job: Option<&Job>,
    now: Timestamp,
) -> Result<Liveness, OperationError> {
    let dead_if = |is_dead| {
        if is_dead {
            Liveness::Dead
        } else {
            Liveness::Unclear
        }
    };
    let Some(job) = job else {
        return Ok(dead_if(
            now.duration_since(lease.taken_at) > UNSTARTED_GRACE,
        ));
    };
    if !job.status.is_active() {
        return Ok(Liveness::Dead);
    }
    if lease.waits_until.is_some() && !lease::is_dead(lease, now) {
        let is_alive = are_functions_active(h, lease, now).await?;
        return Ok(if is_alive {
            Liveness::Alive
        } else {
            Liveness::Dead
        });
    }
    // A request without a run may be on its way to a function.
    let is_silent = now.duration_since(lease.beat_at) > DEAD_AFTER;
    Ok(dead_if(if lease.fence == 0 {
        is_silent
    } else {
        lease::is_dead(lease, now)
    }))
}

/// Whether functions continue a backup with a waiting lease. A directory has no functions.
async fn are_functions_active(
    h: &Holdfast,
    lease: &Lease,
    now: Timestamp,
) -> Result<bool, OperationError> {
    if matches!(h.repository.location(), StoreLocation::Directory(_)) {
        return Ok(false);
    }
    let since = now - FUNCTION_SILENCE_LIMIT;
    Ok(lease.beat_at > since || h.catalog.items_touched_since(&lease.holder, since).await?)
}
