//! A database backup: lease, dump, store, check, commit. The manifest is written last. Without it
//! there is no backup.
//!
//! A run may be killed at any await, and may start twice or late. The next run or the sweep settles
//! its remains.

mod commit;
mod dump;
pub(crate) mod engine;
pub(crate) mod engine_fault;
mod exclusions;
mod left_out;
mod manifest_limit;
mod missing;
mod pipeline;
pub(crate) mod preflight;
mod retry;

use holdfast_domain::{BackupType, Job, JobStatus};
use holdfast_repository::{artifact_writer::Meters, writing_key::writing_key};

pub(crate) use self::exclusions::no_such_exclusion;
use self::{commit::commit, retry::dump_with_retries};
use crate::{
    Holdfast, OperationError, StopReason,
    job::{
        claim::{JobClaim, claim},
        commit::{RunFault, refuse_if_committed},
        finish, lost_lease,
        run::{BackupOutcome, BackupRequest, Run, RunLimits, SkipReason},
        trigger,
        watch::Watch,
    },
};

/// Backs up the database.
///
/// # Errors
/// If the run could not begin ([`OperationError::AlreadyRunning`],
/// [`OperationError::ConcurrencyLimit`]) or could not be recorded. The event's source should retry.
/// A failed dump is [`BackupOutcome::Failed`], and its job has the reason.
pub async fn back_up_database(
    h: &Holdfast,
    request: BackupRequest,
    limits: RunLimits,
) -> Result<BackupOutcome, OperationError> {
    let backup_id = request.backup_id();
    if matches!(request, BackupRequest::Scheduled { .. })
        && trigger::switched_off(h, BackupType::Database).is_some()
    {
        return Ok(BackupOutcome::Skipped {
            backup_id,
            reason: SkipReason::Disabled,
        });
    }
    let run = match claim(h, &request, limits).await? {
        JobClaim::Run(run) => run,
        JobClaim::Skip(reason) => return Ok(BackupOutcome::Skipped { backup_id, reason }),
    };
    let meters = Meters::default();
    let watch = Watch::begin(h, &run, limits, meters.progress());
    // Boxed, because callers embed the future of the entire pipeline in their own.
    let result = Box::pin(dump_and_commit(h, &run, &meters, &watch, limits)).await;
    drop(watch);
    conclude(h, &run, result).await
}

async fn dump_and_commit(
    h: &Holdfast,
    run: &Run,
    meters: &Meters,
    watch: &Watch,
    limits: RunLimits,
) -> Result<Job, RunFault> {
    if let Some(switch) = trigger::switched_off(h, BackupType::Database) {
        return Err(OperationError::Disabled(switch).into());
    }
    refuse_if_committed(h, run, watch).await?;
    let key = watch
        .guard(async {
            Ok(writing_key(&h.repository, h.settings.database.encryption.into()).await?)
        })
        .await?;
    let dump = dump_with_retries(h, run, &key, meters, watch, limits).await?;
    commit(h, run, &key, dump, watch).await
}

async fn conclude(
    h: &Holdfast,
    run: &Run,
    result: Result<Job, RunFault>,
) -> Result<BackupOutcome, OperationError> {
    let backup_id = run.job.backup_id.clone();
    let skipped = |reason| {
        Ok(BackupOutcome::Skipped {
            backup_id: backup_id.clone(),
            reason,
        })
    };
    match result {
        Ok(job) => Ok(BackupOutcome::Completed(Box::new(job))),
        Err(RunFault::CommittedBefore) => {
            skipped(SkipReason::AlreadyFinished(JobStatus::Completed))
        }
        Err(RunFault::Failed(OperationError::Stopped(StopReason::Cancelled))) => {
            skipped(SkipReason::AlreadyFinished(JobStatus::Cancelled))
        }
        Err(RunFault::Failed(OperationError::Stopped(StopReason::LeaseLost))) => {
            Ok(lost_lease::state_after_lost_lease(h, run)
                .await?
                .outcome(run))
        }
        // The job can be neither continued nor settled. The event's source retries, and the next
        // run takes it over.
        Err(RunFault::Failed(error)) if error.is_catalog_away() => Err(error),
        Err(RunFault::Failed(error)) => {
            tracing::error!(backupId = %backup_id, code = %error.code(), %error, "the backup failed");
            Ok(BackupOutcome::Failed(Box::new(
                finish::fail_run(h, run, error.failure()).await?,
            )))
        }
        Err(RunFault::Unknown(error)) => Err(error),
    }
}
