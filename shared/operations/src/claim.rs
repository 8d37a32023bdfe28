//! Taking a job over: find or make its row, see that no other run is at work, take the lease under a new number.

use std::time::Duration;

use holdfast_catalog::{CatalogError, JobChange, Lease, LeaseError};
use holdfast_domain::{Job, JobStatus, Timestamp};

use super::{BackupRequest, Run, RunLimits, SkipReason};
use crate::{Holdfast, OperationError, lease};

/// How often another run's beat is looked at, while it is not clear whether that run is dead.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

pub(super) enum Claim {
    Run(Box<Run>),
    Skip(SkipReason),
}

pub(super) async fn claim(h: &Holdfast, request: &BackupRequest, limits: RunLimits) -> Result<Claim, OperationError> {
    let job = find_or_start(h, request).await?;
    if !job.status.is_active() {
        // Its lease may have been taken just now, by the event's second coming.
        lease::release(h, &job.backup_id).await;
        return Ok(Claim::Skip(SkipReason::AlreadySettled(job.status)));
    }
    let Some(seen) = dead_or_unclaimed(h, &job).await? else {
        return Ok(Claim::Skip(SkipReason::RunningElsewhere));
    };
    let source = lease::source_of(&job.backup_id)?;
    let fence = match h.catalog.take_over(source, &job.backup_id, seen, limits.deadline, Timestamp::now()).await {
        Ok(fence) => fence,
        Err(LeaseError::Lost { .. }) => return Ok(Claim::Skip(SkipReason::RunningElsewhere)),
        Err(error) => return Err(lease::of_lease(error)),
    };
    begin(h, &job, fence).await
}

async fn find_or_start(h: &Holdfast, request: &BackupRequest) -> Result<Job, OperationError> {
    let id = request.backup_id();
    match h.catalog.get(&id).await {
        Ok(job) => return Ok(job),
        Err(CatalogError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if let BackupRequest::Triggered { backup_id } = request {
        return Err(OperationError::NotFound(backup_id.clone()));
    }
    let now = Timestamp::now();
    lease::lease_and_insert(h, &Job::pending(id.clone(), request.trigger(), now), now).await?;
    Ok(h.catalog.get(&id).await?)
}

/// The fencing number under which nobody is at work; `None` where somebody is. While it is unclear it waits: a run is
/// dead when it has been silent for a minute.
async fn dead_or_unclaimed(h: &Holdfast, job: &Job) -> Result<Option<u64>, OperationError> {
    let source = lease::source_of(&job.backup_id)?;
    let mut first_beat: Option<Timestamp> = None;
    loop {
        let held = h.catalog.get_lease(source).await?.filter(|lease| lease.holder == job.backup_id);
        let Some(Lease { fence, beat_at, .. }) = held else {
            // Its lease was freed by hand or by a sweep: it needs a new one, and its slot.
            lease::lease(h, &job.backup_id, Timestamp::now()).await?;
            continue;
        };
        if fence == 0 || held.as_ref().is_some_and(|lease| lease::is_dead(lease, Timestamp::now())) {
            return Ok(Some(fence));
        }
        if *first_beat.get_or_insert(beat_at) != beat_at {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn begin(h: &Holdfast, job: &Job, fence: u64) -> Result<Claim, OperationError> {
    let settings = &h.settings.database;
    let change = JobChange {
        fence: Some(fence),
        started_at: Some(Timestamp::now()),
        compressed: Some(settings.compression),
        encrypted: Some(settings.encryption),
        ..JobChange::default()
    };
    match h.catalog.transition(&job.backup_id, JobStatus::Running, change, None).await {
        Ok(job) => {
            // A run that is killed has said at least this.
            tracing::info!(backupId = %job.backup_id, fence, "the backup begins");
            h.observer.job_changed(&job).await;
            Ok(Claim::Run(Box::new(Run { job, fence })))
        }
        // Cancelled, or settled by the sweep, in the moment between.
        Err(CatalogError::Conflict { status, .. }) if !status.is_active() => {
            lease::release(h, &job.backup_id).await;
            Ok(Claim::Skip(SkipReason::AlreadySettled(status)))
        }
        Err(CatalogError::Conflict { .. }) => Ok(Claim::Skip(SkipReason::RunningElsewhere)),
        Err(error) => Err(error.into()),
    }
}
