//! Settles jobs with a dead run, and releases leases without a job.

use std::collections::HashMap;

use holdfast_catalog::{Lease, Source};
use holdfast_domain::{BackupId, BackupType, FailureCode, Job, JobFailure, JobStatus, Timestamp};
use holdfast_repository::RepositoryError;
use jiff::SignedDuration;

use super::{
    finish,
    lease::{NOT_STARTED_AFTER, is_dead},
};
use crate::{Holdfast, OperationError};

/// An older backup without a run is given up.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_hours(48);

/// The settled jobs.
#[derive(Debug, Default)]
pub(crate) struct DeadJobs {
    /// Jobs with a dead run, now `failed: stalled`.
    pub(crate) stalled: Vec<BackupId>,
    /// Jobs with a manifest in the store, now `completed`.
    pub(crate) completed: Vec<BackupId>,
    /// Triggers without a run, now `failed: not-started`.
    pub(crate) not_started: Vec<BackupId>,
    /// Number of released orphaned leases and slots.
    pub(crate) leases_freed: u64,
    /// Failed steps.
    pub(crate) problems: Vec<String>,
}

/// Settles each active job with a dead run, or without a run.
pub(crate) async fn finish_dead_jobs(
    h: &Holdfast,
    now: Timestamp,
    dead: &mut DeadJobs,
) -> Result<(), OperationError> {
    let jobs = h.catalog.active(None).await?;
    // A full backup holds no lease. Its parts are settled instead.
    let jobs = jobs
        .into_iter()
        .filter(|job| job.backup_type != BackupType::Full);
    let leases: HashMap<Source, Lease> = h
        .catalog
        .leases()
        .await?
        .sources
        .into_iter()
        .map(|lease| (lease.source, lease))
        .collect();
    for job in jobs {
        let lease = Source::of(job.backup_type).and_then(|source| leases.get(&source));
        let lease = lease.filter(|lease| lease.holder == job.backup_id);
        if let Err(error) = finish_if_dead(h, &job, lease, now, dead).await {
            dead.problems
                .push(format!("job {}: {error}", job.backup_id));
        }
    }
    Ok(())
}

async fn finish_if_dead(
    h: &Holdfast,
    job: &Job,
    lease: Option<&Lease>,
    now: Timestamp,
    dead: &mut DeadJobs,
) -> Result<(), OperationError> {
    if job.status == JobStatus::Pending && lease.is_none_or(|lease| lease.fence == 0) {
        if now.duration_since(job.created_at) > NOT_STARTED_AFTER {
            finish::fail(h, job, not_started(), Some(job.fence), now).await?;
            dead.not_started.push(job.backup_id.clone());
        }
        return Ok(());
    }
    if lease.is_some_and(|lease| !is_dead(lease, now)) {
        return Ok(());
    }
    // The results of a content backup stay, and another run resumes it.
    if job.backup_type == BackupType::Content && !is_given_up(job, now) {
        return Ok(());
    }
    finish_dead_job(h, job, now, dead).await
}

/// Settles an abandoned job: by its manifest if it exists, or else as stalled.
pub(crate) async fn finish_dead_job(
    h: &Holdfast,
    job: &Job,
    now: Timestamp,
    dead: &mut DeadJobs,
) -> Result<(), OperationError> {
    match h.repository.manifest(&job.backup_id).await {
        Ok(manifest) => {
            finish::complete(h, job, &manifest).await?;
            dead.completed.push(job.backup_id.clone());
        }
        Err(RepositoryError::NotFound(_)) => {
            finish::fail(h, job, stalled(), Some(job.fence), now).await?;
            dead.stalled.push(job.backup_id.clone());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

pub(crate) async fn free_orphan_leases(
    h: &Holdfast,
    now: Timestamp,
    dead: &mut DeadJobs,
) -> Result<(), OperationError> {
    for orphan in h.catalog.orphan_leases(now).await? {
        if h.catalog.free_orphan(&orphan).await? {
            tracing::info!(backupId = %orphan.holder, "an orphaned lease was released");
            dead.leases_freed += 1;
        }
    }
    Ok(())
}

fn not_started() -> JobFailure {
    JobFailure {
        code: FailureCode::NotStarted,
        message: "no run began the backup within 10 minutes".to_owned(),
        hint: Some(
            "check the worker's log and the dead-letter queue, then trigger it again".to_owned(),
        ),
    }
}

fn stalled() -> JobFailure {
    JobFailure {
        code: FailureCode::Stalled,
        message: "the run stopped beating before its manifest was written".to_owned(),
        hint: Some(
            "check the worker's log: it was killed, or ran out of memory or time. The next run starts from the \
             beginning"
                .to_owned(),
        ),
    }
}

/// Whether a content backup without a run is given up instead of resumed.
pub(crate) fn is_given_up(job: &Job, now: Timestamp) -> bool {
    now.duration_since(job.created_at) > GIVEN_UP_AFTER
}
