//! Whether the backup with the lease of its source was interrupted, so that another process may
//! resume it.

use std::time::Duration;

use holdfast_catalog::{Catalog, CatalogError, Lease, Source, UNSTARTED_GRACE};
use holdfast_domain::heartbeat::{BEAT_EVERY, DEAD_AFTER};
use holdfast_domain::{BackupId, Job, Timestamp, settings::StoreLocation};
use holdfast_repository::Repository;
use jiff::SignedDuration;

use super::lease;
use crate::{Holdfast, OperationError};

/// Interval of reading the lease, until the run is known to be alive or dead.
const POLL_EVERY: Duration = Duration::from_secs(2);
/// A run with a beat of this age or less is alive. One missed beat is no proof of death.
const LIVE_BEAT_AGE: Duration = BEAT_EVERY.saturating_mul(3);
/// A request without a run is on its way to a function for this long.
const DISPATCH_TIME: SignedDuration = SignedDuration::from_mins(1);
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
pub async fn is_interrupted(holdfast: &Holdfast, id: &BackupId) -> Result<bool, OperationError> {
    let source = lease::source_of(id)?;
    let mut seen: Option<(u64, Timestamp)> = None;
    loop {
        let Some((lease, job)) = lease_and_job(&holdfast.catalog, source, id).await? else {
            return Ok(true);
        };
        match liveness(
            &holdfast.repository,
            &holdfast.catalog,
            &lease,
            job.as_ref(),
            holdfast.catalog.now().await?,
        )
        .await?
        {
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

/// Whether the backup with the lease of its source is known to be alive, without a wait: its run
/// had a recent beat, its functions are active, or its request is on its way to a function.
///
/// # Errors
/// Those of the catalogue.
pub async fn is_alive(holdfast: &Holdfast, id: &BackupId) -> Result<bool, OperationError> {
    let (catalog, source) = (&holdfast.catalog, lease::source_of(id)?);
    let Some((lease, job)) = lease_and_job(catalog, source, id).await? else {
        return Ok(false);
    };
    let now = catalog.now().await?;
    match liveness(&holdfast.repository, catalog, &lease, job.as_ref(), now).await? {
        Liveness::Alive => Ok(true),
        Liveness::Dead => Ok(false),
        Liveness::Unclear => Ok(is_recent(&lease, now)),
    }
}

fn is_recent(lease: &Lease, now: Timestamp) -> bool {
    if lease.fence == 0 {
        return now.duration_since(lease.taken_at) <= DISPATCH_TIME;
    }
    // Negative for a beat after `now`.
    Duration::try_from(now.duration_since(lease.beat_at)).map_or(true, |age| age <= LIVE_BEAT_AGE)
}

/// The lease of the source with its job, if this backup holds it.
async fn lease_and_job(
    catalog: &Catalog,
    source: Source,
    id: &BackupId,
) -> Result<Option<(Lease, Option<Job>)>, OperationError> {
    let lease = catalog.get_lease(source).await?;
    let Some(lease) = lease.filter(|lease| lease.holder == *id) else {
        return Ok(None);
    };
    match catalog.get(id).await {
        Ok(job) => Ok(Some((lease, Some(job)))),
        Err(CatalogError::NotFound { .. }) => Ok(Some((lease, None))),
        Err(error) => Err(error.into()),
    }
}

async fn liveness(
    repository: &Repository,
    catalog: &Catalog,
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
        let is_alive = are_functions_active(repository, catalog, lease, now).await?;
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
    repository: &Repository,
    catalog: &Catalog,
    lease: &Lease,
    now: Timestamp,
) -> Result<bool, OperationError> {
    if matches!(repository.location(), StoreLocation::Directory(_)) {
        return Ok(false);
    }
    let since = now - FUNCTION_SILENCE_LIMIT;
    Ok(lease.beat_at > since || catalog.items_touched_since(&lease.holder, since).await?)
}
