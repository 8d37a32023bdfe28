//! Claims a job: finds or creates its row, makes sure that no other run is active, and takes the
//! lease under a new number.

use std::time::Duration;

use holdfast_catalog::{CatalogError, JobChange, LeaseError};
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp};

use super::{
    acquire, finish, lease,
    run::{BackupRequest, Run, RunLimits, SkipReason},
};
use crate::{Holdfast, OperationError};

/// Interval of reading another run's beat, until that run is known to be alive or dead.
const POLL_EVERY: Duration = Duration::from_secs(5);

pub(crate) enum JobClaim {
    Run(Box<Run>),
    Skip(SkipReason),
}

pub(crate) async fn claim(
    h: &Holdfast,
    request: &BackupRequest,
    limits: RunLimits,
) -> Result<JobClaim, OperationError> {
    let job = find_or_start(h, request).await?;
    if !job.status.is_active() {
        return already_finished(h, job).await;
    }
    // The steps after discovery belong to another run. This is a repeated earlier event.
    if job.backup_type == BackupType::Content && is_finalized(job.status) {
        return Ok(JobClaim::Skip(SkipReason::RunningElsewhere));
    }
    claim_active(h, &job, limits).await
}

/// The same for a run of all steps of a content backup. It resumes at the step of the earlier run.
pub(crate) async fn claim_all_steps(
    h: &Holdfast,
    request: &BackupRequest,
    limits: RunLimits,
) -> Result<JobClaim, OperationError> {
    let job = find_or_start(h, request).await?;
    match job.status {
        status if !status.is_active() => already_finished(h, job).await,
        status if is_finalized(status) => claim_finalizing(h, &job.backup_id, limits).await,
        _ => claim_active(h, &job, limits).await,
    }
}

async fn claim_active(
    h: &Holdfast,
    job: &Job,
    limits: RunLimits,
) -> Result<JobClaim, OperationError> {
    match take_over(h, job, limits).await? {
        Some(fence) => begin(h, job, fence).await,
        None => Ok(JobClaim::Skip(SkipReason::RunningElsewhere)),
    }
}

/// The event was delivered twice, or the job ended before the event came. A paused run may have
/// written the manifest after its job had failed, so the manifest decides.
async fn already_finished(h: &Holdfast, job: Job) -> Result<JobClaim, OperationError> {
    let status = match job.status {
        JobStatus::Failed | JobStatus::Cancelled
            if finish::complete_if_committed(h, &job).await? =>
        {
            JobStatus::Completed
        }
        status => status,
    };
    // A repeated event may have taken the lease just now.
    lease::release(h, &job.backup_id).await;
    Ok(JobClaim::Skip(SkipReason::AlreadyFinished(status)))
}

/// The same for a finalizing run of a content backup, whether it is the first or follows a dead
/// run.
pub(crate) async fn claim_finalizing(
    h: &Holdfast,
    id: &BackupId,
    limits: RunLimits,
) -> Result<JobClaim, OperationError> {
    let job = match h.catalog.get(id).await {
        Ok(job) => job,
        Err(CatalogError::NotFound { .. }) => return Err(OperationError::NotFound(id.clone())),
        Err(error) => return Err(error.into()),
    };
    if !job.status.is_active() {
        return Ok(JobClaim::Skip(SkipReason::AlreadyFinished(job.status)));
    }
    if !is_finalized(job.status) {
        return Ok(JobClaim::Skip(SkipReason::RunningElsewhere));
    }
    let Some(fence) = take_over(h, &job, limits).await? else {
        return Ok(JobClaim::Skip(SkipReason::RunningElsewhere));
    };
    let taken_up = h.catalog.take_up_finalizing(id, fence).await;
    if taken_up.is_ok() {
        tracing::info!(backupId = %id, fence, "the backup is finalized");
    }
    claimed(h, id, fence, taken_up).await
}

pub(crate) const fn is_finalized(status: JobStatus) -> bool {
    matches!(status, JobStatus::Finalizing | JobStatus::Committing)
}

/// The new fencing number, or `None` if another run is active or was faster.
async fn take_over(
    h: &Holdfast,
    job: &Job,
    limits: RunLimits,
) -> Result<Option<u64>, OperationError> {
    let Some(seen) = dead_or_unclaimed(h, job).await? else {
        return Ok(None);
    };
    let source = lease::source_of(&job.backup_id)?;
    let deadline = lease::deadline_of(h, limits).await?;
    let take = async |seen| {
        h.catalog
            .take_over(
                source,
                &job.backup_id,
                seen,
                deadline,
                h.catalog.now().await?,
            )
            .await
    };
    let mut taken = take(seen).await;
    // A lease that was released and taken again counts from 1. Its number must exceed all numbers
    // of the job.
    while let Ok(fence) = taken
        && fence <= job.fence
    {
        taken = take(fence).await;
    }
    match taken {
        Ok(fence) => Ok(Some(fence)),
        Err(LeaseError::Lost { .. }) => Ok(None),
        Err(error) => Err(lease::from_lease(error)),
    }
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
    let now = h.catalog.now().await?;
    acquire::lease_and_insert(h, &Job::pending(id.clone(), request.trigger(), now), now).await?;
    Ok(h.catalog.get(&id).await?)
}

/// The fencing number of a dead or missing run, or `None` if a run is active. Until this is clear,
/// it waits: a run without a beat for a minute is dead.
async fn dead_or_unclaimed(h: &Holdfast, job: &Job) -> Result<Option<u64>, OperationError> {
    let source = lease::source_of(&job.backup_id)?;
    let mut first_beat: Option<Timestamp> = None;
    loop {
        let found = h
            .catalog
            .get_lease(source)
            .await?
            .filter(|lease| lease.holder == job.backup_id);
        let Some(found) = found else {
            // An operator or a sweep released its lease. It needs a new one, with a slot.
            acquire::lease(h, &job.backup_id, h.catalog.now().await?).await?;
            continue;
        };
        if lease::may_be_taken_over(&found, h.catalog.now().await?) {
            return Ok(Some(found.fence));
        }
        if *first_beat.get_or_insert(found.beat_at) != found.beat_at {
            return Ok(None);
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// The forms of the backup's data: compressed, encrypted. A resumed content backup keeps its forms,
/// because it has items already. Every run of a database backup begins a new dump.
fn forms(h: &Holdfast, job: &Job) -> (bool, bool) {
    match job.backup_type {
        BackupType::Content if job.started_at.is_some() => (job.compressed, job.encrypted),
        BackupType::Content => (
            h.settings.content.compression,
            h.settings.content.encryption,
        ),
        BackupType::Database | BackupType::Full => (
            h.settings.database.compression,
            h.settings.database.encryption,
        ),
    }
}

async fn begin(h: &Holdfast, job: &Job, fence: u64) -> Result<JobClaim, OperationError> {
    let (compressed, encrypted) = forms(h, job);
    let change = JobChange {
        fence: Some(fence),
        started_at: Some(h.catalog.now().await?),
        compressed: Some(compressed),
        encrypted: Some(encrypted),
        ..JobChange::default()
    };
    let begun = h
        .catalog
        .transition(&job.backup_id, JobStatus::Running, change, None)
        .await;
    if let Ok(job) = &begun {
        // The first log line of a run, in case it is killed.
        tracing::info!(backupId = %job.backup_id, fence, "the backup begins");
        h.observer.job_changed(job).await;
    }
    claimed(h, &job.backup_id, fence, begun).await
}

async fn claimed(
    h: &Holdfast,
    id: &BackupId,
    fence: u64,
    changed: Result<Job, CatalogError>,
) -> Result<JobClaim, OperationError> {
    match changed {
        Ok(job) => Ok(JobClaim::Run(Box::new(Run { job, fence }))),
        // The job was cancelled or settled by the sweep in between.
        Err(CatalogError::Conflict { status, .. }) if !status.is_active() => {
            lease::release(h, id).await;
            Ok(JobClaim::Skip(SkipReason::AlreadyFinished(status)))
        }
        Err(CatalogError::Conflict { .. }) => Ok(JobClaim::Skip(SkipReason::RunningElsewhere)),
        Err(error) => Err(error.into()),
    }
}
