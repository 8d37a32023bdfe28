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

use holdfast_catalog::Catalog;
use holdfast_domain::{BackupType, Job, JobStatus};
use holdfast_repository::{artifact_writer::Meters, writing_key::writing_key};

pub(crate) use self::exclusions::no_such_exclusion;
use self::{commit::commit, retry::dump_with_retries};
use crate::{
    Holdfast, Observer, OperationError,
    job::{
        claim::{JobClaim, claim},
        commit::{RunFault, refuse_if_committed},
        ending::{RunEnding, ending_of},
        finish,
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
    holdfast: &Holdfast,
    request: BackupRequest,
    limits: RunLimits,
) -> Result<BackupOutcome, OperationError> {
    let backup_id = request.backup_id();
    if matches!(request, BackupRequest::Scheduled { .. })
        && trigger::switched_off(&holdfast.settings, BackupType::Database).is_some()
    {
        return Ok(BackupOutcome::Skipped {
            backup_id,
            reason: SkipReason::Disabled,
        });
    }
    let run = match claim(holdfast, &request, limits).await? {
        JobClaim::Run(run) => run,
        JobClaim::Skip(reason) => return Ok(BackupOutcome::Skipped { backup_id, reason }),
    };
    let meters = Meters::default();
    let watch = Watch::begin(holdfast, &run, limits, meters.progress());
    // Boxed, because callers embed the future of the entire pipeline in their own.
    let result = Box::pin(dump_and_commit(holdfast, &run, &meters, &watch, limits)).await;
    drop(watch);
    conclude(&holdfast.catalog, holdfast.observer.as_ref(), &run, result).await
}

async fn dump_and_commit(
    holdfast: &Holdfast,
    run: &Run,
    meters: &Meters,
    watch: &Watch,
    limits: RunLimits,
) -> Result<Job, RunFault> {
    if let Some(switch) = trigger::switched_off(&holdfast.settings, BackupType::Database) {
        return Err(OperationError::Disabled(switch).into());
    }
    refuse_if_committed(holdfast, run, watch).await?;
    let key = watch
        .guard(async {
            Ok(writing_key(
                &holdfast.repository,
                holdfast.settings.database.encryption.into(),
            )
            .await?)
        })
        .await?;
    let dump = dump_with_retries(holdfast, run, &key, meters, watch, limits).await?;
    commit(holdfast, run, &key, dump, watch).await
}

async fn conclude(
    catalog: &Catalog,
    observer: &dyn Observer,
    run: &Run,
    result: Result<Job, RunFault>,
) -> Result<BackupOutcome, OperationError> {
    let fault = match result {
        Ok(job) => return Ok(BackupOutcome::Completed(Box::new(job))),
        Err(fault) => fault,
    };
    let backup_id = run.job.backup_id.clone();
    let skipped = |status| {
        Ok(BackupOutcome::Skipped {
            backup_id: backup_id.clone(),
            reason: SkipReason::AlreadyFinished(status),
        })
    };
    match ending_of(catalog, run, fault).await? {
        RunEnding::CommittedBefore => skipped(JobStatus::Completed),
        RunEnding::Cancelled => skipped(JobStatus::Cancelled),
        RunEnding::LostLease(state) => Ok(state.outcome(run)),
        RunEnding::Failed(error) => {
            tracing::error!(backupId = %backup_id, code = %error.code(), %error, "the backup failed");
            Ok(BackupOutcome::Failed(Box::new(
                finish::fail_run(catalog, observer, run, error.failure()).await?,
            )))
        }
    }
}
