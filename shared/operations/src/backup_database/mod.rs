//! A database backup: lease, dump, store, check, commit. The manifest is written last; without it there is no backup.
//!
//! A run may be killed at any await, come twice, or late: what is left behind is settled by the next run or the sweep.

mod claim;
mod commit;
mod dump;
pub(crate) mod engine;
mod pipeline;
pub(crate) mod restore_guide;
mod watch;

use std::time::Duration;

use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp, Trigger, TriggerKind};

use self::{
    claim::{Claim, claim},
    commit::commit,
    dump::{dump_to_store, writing_key},
    pipeline::Meters,
    watch::Watch,
};
use crate::{Holdfast, OperationError, StopReason, settle, trigger};

/// What asks for the backup.
#[derive(Debug, Clone)]
pub enum BackupRequest {
    /// A schedule's tick. The same tick is the same backup.
    Scheduled {
        /// The tick.
        tick: Timestamp,
        /// The schedule.
        by: Option<String>,
    },
    /// A job that was made `pending` by a trigger.
    Triggered {
        /// The job's backup.
        backup_id: BackupId,
    },
}

impl BackupRequest {
    /// The backup that it asks for.
    #[must_use]
    pub fn backup_id(&self) -> BackupId {
        match self {
            Self::Scheduled { tick, .. } => BackupId::of_tick(BackupType::Database, *tick),
            Self::Triggered { backup_id } => backup_id.clone(),
        }
    }

    pub(crate) fn trigger(&self) -> Trigger {
        match self {
            Self::Scheduled { by, .. } => Trigger { kind: TriggerKind::Schedule, by: by.clone() },
            Self::Triggered { .. } => Trigger { kind: TriggerKind::Manual, by: None },
        }
    }
}

/// What bounds a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunLimits {
    /// When the function is killed. The run stops itself early enough before it to clean up.
    pub deadline: Option<Timestamp>,
}

impl RunLimits {
    /// No bounds: an operator's machine.
    #[must_use]
    pub const fn none() -> Self {
        Self { deadline: None }
    }
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum BackupOutcome {
    /// The backup exists.
    Completed(Box<Job>),
    /// It does not, and the job says why.
    Failed(Box<Job>),
    /// This run had nothing to do.
    Skipped {
        /// The backup that was asked for.
        backup_id: BackupId,
        /// Why.
        reason: SkipReason,
    },
}

/// Why a run had nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Backups are switched off.
    Disabled,
    /// The job is settled: the event came again, or the job was cancelled meanwhile.
    AlreadySettled(JobStatus),
    /// Another run holds its lease, and beats.
    RunningElsewhere,
}

/// Backs up the database.
///
/// # Errors
/// Where it could not begin ([`OperationError::AlreadyRunning`], [`OperationError::ConcurrencyLimit`]) or not be
/// recorded: the event's source should try again. A dump that fails is [`BackupOutcome::Failed`]: its job says why.
pub async fn back_up_database(
    h: &Holdfast,
    request: BackupRequest,
    limits: RunLimits,
) -> Result<BackupOutcome, OperationError> {
    let backup_id = request.backup_id();
    if matches!(request, BackupRequest::Scheduled { .. }) && trigger::switched_off(h).is_some() {
        return Ok(BackupOutcome::Skipped { backup_id, reason: SkipReason::Disabled });
    }
    let run = match claim(h, &request, limits).await? {
        Claim::Run(run) => run,
        Claim::Skip(reason) => return Ok(BackupOutcome::Skipped { backup_id, reason }),
    };
    let meters = Meters::default();
    let watch = Watch::begin(h, &run, &meters, limits);
    // Boxed: the whole pipeline is inside, and callers embed this future in their own.
    let result = Box::pin(dump_and_commit(h, &run, &meters, &watch)).await;
    drop(watch);
    conclude(h, &run, result).await
}

/// A run that holds the lease.
pub(crate) struct Run {
    job: Job,
    fence: u64,
}

async fn dump_and_commit(h: &Holdfast, run: &Run, meters: &Meters, watch: &Watch) -> Result<Job, RunFault> {
    if let Some(switch) = trigger::switched_off(h) {
        return Err(OperationError::Disabled(switch).into());
    }
    refuse_to_repeat(h, run, watch).await?;
    let key = watch.guard(writing_key(h)).await?;
    let dump = dump_to_store(h, run, &key, meters, watch).await?;
    commit(h, run, &key, dump, watch).await
}

/// A run that was killed between its manifest and its job's last change has left a backup that exists; so has a run
/// that another catalogue knew. Whatever the row says, it is looked for first.
async fn refuse_to_repeat(h: &Holdfast, run: &Run, watch: &Watch) -> Result<(), RunFault> {
    match watch.guard(h.repository.manifest(&run.job.backup_id)).await {
        Ok(manifest) => {
            settle::complete(h, &run.job, &manifest).await?;
            Err(RunFault::CommittedBefore)
        }
        Err(OperationError::NotFound(_)) => Ok(()),
        // An earlier run may have committed: failing the job would deny a backup that exists.
        Err(error) if run.fence > 1 => Err(RunFault::Unknown(error)),
        Err(error) => Err(error.into()),
    }
}

/// How a run ended without a backup of its own.
enum RunFault {
    /// The backup exists already.
    CommittedBefore,
    /// There is no manifest: the job failed.
    Failed(OperationError),
    /// Whether there is a manifest is not known: the sweep will find out.
    Unknown(OperationError),
}

impl From<OperationError> for RunFault {
    fn from(error: OperationError) -> Self {
        Self::Failed(error)
    }
}

async fn conclude(h: &Holdfast, run: &Run, result: Result<Job, RunFault>) -> Result<BackupOutcome, OperationError> {
    let backup_id = run.job.backup_id.clone();
    let skipped = |reason| Ok(BackupOutcome::Skipped { backup_id: backup_id.clone(), reason });
    match result {
        Ok(job) => Ok(BackupOutcome::Completed(Box::new(job))),
        Err(RunFault::CommittedBefore) => skipped(SkipReason::AlreadySettled(JobStatus::Completed)),
        Err(RunFault::Failed(OperationError::Stopped(StopReason::Cancelled))) => {
            skipped(SkipReason::AlreadySettled(JobStatus::Cancelled))
        }
        Err(RunFault::Failed(OperationError::Stopped(StopReason::LeaseLost))) => skipped(SkipReason::RunningElsewhere),
        Err(RunFault::Failed(error)) => {
            tracing::error!(backupId = %backup_id, code = %error.code(), %error, "the backup failed");
            Ok(BackupOutcome::Failed(Box::new(record_failure(h, run, &error).await?)))
        }
        Err(RunFault::Unknown(error)) => Err(error),
    }
}

/// What took the database away may have taken the catalogue too: it is given a moment to come back.
async fn record_failure(h: &Holdfast, run: &Run, error: &OperationError) -> Result<Job, OperationError> {
    const WAITS_S: [u64; 3] = [1, 3, 6];
    let fail = || settle::fail(h, &run.job, error.failure(), Some(run.fence), Timestamp::now());
    for wait in WAITS_S {
        match fail().await {
            Err(error) if error.is_transient() => tokio::time::sleep(Duration::from_secs(wait)).await,
            settled => return settled,
        }
    }
    fail().await
}
