//! The end of a content backup: check of every referenced object, archive, list of items, manifest.
//!
//! The job's row records the stored artifacts under the fencing number, so that the next run
//! resumes there. Memory depends on neither the number of items nor their size.

mod archive;
mod check;
mod commit;
mod damage;
mod leftovers;
mod list;
mod rows;
mod tar;
mod time;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use holdfast_catalog::{Catalog, ContentWork};
use holdfast_domain::{BackupId, Job, JobStatus, Timestamp};
use holdfast_repository::{
    Repository,
    artifact_writer::Meters,
    writing_key::{WritingKey, existing_writing_key},
};

use self::time::RunTime;
use super::wait_for_next_run;
use crate::{
    Holdfast, OperationError, StopReason,
    job::{
        claim::{JobClaim, claim_finalizing},
        commit::{RunFault, refuse_if_committed},
        ending::{RunEnding, ending_of},
        finish,
        lost_lease::{LostLease, state_after_lost_lease},
        persist::persist,
        run::{BackupOutcome, Run, RunLimits, SkipReason},
        watch::Watch,
    },
};

/// How a finalizing run ended.
#[derive(Debug, Clone)]
pub enum FinalizeOutcome {
    /// The backup exists.
    Completed(Box<Job>),
    /// The backup failed. The job has the reason.
    Failed(Box<Job>),
    /// The time ran out with work left: the caller dispatches another run.
    Continue {
        /// The backup.
        backup_id: BackupId,
    },
    /// This run had nothing to do.
    Skipped {
        /// The backup.
        backup_id: BackupId,
        /// Why.
        reason: SkipReason,
    },
}

/// Makes a backup of a job with all items settled.
///
/// # Errors
/// If the run could not begin or could not be recorded. The event's source should retry. An
/// impossible backup is [`FinalizeOutcome::Failed`], and its job has the reason.
pub async fn finalize_content(
    holdfast: &Holdfast,
    backup_id: &BackupId,
    limits: RunLimits,
) -> Result<FinalizeOutcome, OperationError> {
    let run = match claim_finalizing(holdfast, backup_id, limits).await? {
        JobClaim::Run(run) => run,
        JobClaim::Skip(reason) => {
            return Ok(FinalizeOutcome::Skipped {
                backup_id: backup_id.clone(),
                reason,
            });
        }
    };
    let (meters, progress) = (Meters::default(), RunProgress::default());
    let watch = Watch::begin(holdfast, &run, limits, meters.progress());
    let result = finalize_once(holdfast, &run, (&watch, limits), &meters, &progress).await;
    drop(watch);
    conclude(holdfast, &run, result, &progress).await
}

/// Finalizes the backup of a run with a lease and without a deadline.
pub(crate) async fn finalize_leased(
    holdfast: &Holdfast,
    run: &Run,
    (watch, limits): (&Watch, RunLimits),
    meters: &Meters,
) -> Result<Box<Job>, RunFault> {
    let progress = RunProgress::default();
    loop {
        // An archive of several volumes takes several rounds.
        if let FinalizeEnd::Committed(job) =
            finalize_once(holdfast, run, (watch, limits), meters, &progress).await?
        {
            return Ok(job);
        }
    }
}

/// How far a successful run came.
enum FinalizeEnd {
    Committed(Box<Job>),
    OutOfTime,
}

/// From this number of fruitless runs on, a run attempts a single entry.
const MAX_RUNS_WITHOUT_PROGRESS: u64 = 16;

/// The progress of a run.
#[derive(Default)]
struct RunProgress {
    /// Runs without a stored artifact directly before this one.
    fruitless: AtomicU64,
    /// Archive entries written by this run.
    entries: Arc<AtomicU64>,
}

impl RunProgress {
    /// Whether the backup makes no progress. There are two cases. Two consecutive runs wrote no
    /// archive entry. Or many runs wrote entries but stored no volume, although the last of
    /// them attempted single entries.
    fn is_stalled(&self) -> bool {
        let fruitless = self.fruitless.load(Ordering::Relaxed);
        (fruitless > 0 && self.entries.load(Ordering::Relaxed) == 0)
            || fruitless > MAX_RUNS_WITHOUT_PROGRESS
    }
}

/// Shared state of the steps of one run.
struct Finalizing<'a> {
    holdfast: &'a Holdfast,
    run: &'a Run,
    watch: &'a Watch,
    key: WritingKey,
    meters: &'a Meters,
    progress: &'a RunProgress,
    time: RunTime,
    work: ContentWork,
}

/// Boxed: callers embed this future in their own.
fn finalize_once<'a>(
    holdfast: &'a Holdfast,
    run: &'a Run,
    watched: (&'a Watch, RunLimits),
    meters: &'a Meters,
    progress: &'a RunProgress,
) -> BoxFuture<'a, Result<FinalizeEnd, RunFault>> {
    finalize_steps(holdfast, run, watched, meters, progress).boxed()
}

async fn finalize_steps(
    holdfast: &Holdfast,
    run: &Run,
    (watch, limits): (&Watch, RunLimits),
    meters: &Meters,
    progress: &RunProgress,
) -> Result<FinalizeEnd, RunFault> {
    refuse_if_committed(holdfast, run, watch).await?;
    let key = watch
        .guard(async {
            Ok(existing_writing_key(&holdfast.repository, run.job.encrypted.into()).await?)
        })
        .await?;
    let mut work = watch
        .persist(|| async { Ok(holdfast.catalog.content_work(&run.job.backup_id).await?) })
        .await?;
    let time = RunTime::new(limits, work.fruitless, Timestamp::now());
    progress
        .fruitless
        .store(work.fruitless.into(), Ordering::Relaxed);
    work.fruitless += 1;
    let mut finalizing = Finalizing {
        holdfast,
        run,
        watch,
        key,
        meters,
        progress,
        time,
        work,
    };
    finalizing.begin().await?;
    if finalizing.check().await? && finalizing.archive().await? && finalizing.list().await? {
        let job = finalizing.commit().await?;
        return Ok(FinalizeEnd::Committed(Box::new(job)));
    }
    Ok(FinalizeEnd::OutOfTime)
}

/// Each step returns whether there is time for the next.
impl Finalizing<'_> {
    fn id(&self) -> &BackupId {
        &self.run.job.backup_id
    }

    /// Resumes the recorded work. A manifest names one key for all its artifacts, so artifacts
    /// under another key are written again.
    async fn begin(&mut self) -> Result<(), OperationError> {
        let epoch = self
            .key
            .encryption
            .as_ref()
            .map(|encryption| encryption.key_epoch);
        if self.work.key_epoch != epoch {
            let work = &mut self.work;
            (work.item_list, work.archived_after, work.archive_done) = (None, None, false);
            work.volumes.clear();
            work.key_epoch = epoch;
        }
        self.record().await
    }

    /// Checks every referenced object. An item with a missing object fails.
    async fn check(&mut self) -> Result<bool, OperationError> {
        if !self.work.checked {
            let repository = &self.key.repository.id;
            self.watch
                .guard(check::check_objects(
                    &self.holdfast.repository,
                    &self.holdfast.catalog,
                    repository,
                    self.id(),
                ))
                .await?;
            self.work.checked = true;
            self.record_progress().await?;
        }
        self.refuse_too_many_failures().await?;
        Ok(true)
    }

    /// Stores the rest of the archive.
    async fn archive(&mut self) -> Result<bool, OperationError> {
        if !self.holdfast.settings.content.archive || self.work.archive_done {
            return Ok(true);
        }
        let volume = archive::store_volume(self).await?;
        self.work.volumes.push(volume.artifact);
        self.work.archived_after = volume.after;
        self.work.archive_done = volume.is_last;
        self.record_progress().await?;
        Ok(self.work.archive_done && self.time.is_left())
    }

    /// Stores the list of items. The rows no longer change, so it equals the document in the
    /// archive.
    async fn list(&mut self) -> Result<bool, OperationError> {
        if self.work.item_list.is_none() {
            self.work.item_list = Some(list::store_list(self).await?);
            self.record_progress().await?;
        }
        Ok(true)
    }

    /// Fails the backup if more than `BACKUP_CONTENT_MAX_FAILURE_PERCENT` of its items failed.
    async fn refuse_too_many_failures(&self) -> Result<(), OperationError> {
        let counts = self
            .watch
            .persist(|| async { Ok(self.holdfast.catalog.item_counts(self.id()).await?) })
            .await?;
        self.meters.expected.store(counts.bytes, Ordering::Relaxed);
        let percent = self.holdfast.settings.content.max_failure_percent;
        if counts.fails(percent) {
            return Err(OperationError::TooManyFailures {
                failed: counts.failed,
                expected: counts.expected,
                percent,
            });
        }
        Ok(())
    }

    async fn record_progress(&mut self) -> Result<(), OperationError> {
        self.work.fruitless = 0;
        self.record().await
    }

    /// Records the progress. A refused write means that another run has the job.
    async fn record(&self) -> Result<(), OperationError> {
        let record = || async {
            Ok(self
                .holdfast
                .catalog
                .record_work(self.id(), self.run.fence, &self.work)
                .await?)
        };
        let is_ours = self.watch.persist(record).await?;
        if is_ours {
            Ok(())
        } else {
            Err(StopReason::LeaseLost.into())
        }
    }
}

async fn conclude(
    holdfast: &Holdfast,
    run: &Run,
    result: Result<FinalizeEnd, RunFault>,
    progress: &RunProgress,
) -> Result<FinalizeOutcome, OperationError> {
    let fault = match result {
        Ok(FinalizeEnd::Committed(job)) => return Ok(FinalizeOutcome::Completed(job)),
        Ok(FinalizeEnd::OutOfTime) => return end_for_next_run(&holdfast.catalog, run).await,
        // A run that stopped around its manifest ends like one that stopped before.
        Err(RunFault::Unknown(error @ OperationError::Stopped(_))) => RunFault::Failed(error),
        Err(fault) => fault,
    };
    match ending_of(&holdfast.catalog, run, fault).await? {
        RunEnding::CommittedBefore => Ok(skipped(run, JobStatus::Completed)),
        RunEnding::Cancelled => {
            clean_up_cancelled(&holdfast.repository, run).await;
            Ok(skipped(run, JobStatus::Cancelled))
        }
        RunEnding::LostLease(state) => Ok(outcome_of(state, run)),
        RunEnding::Failed(OperationError::Stopped(StopReason::Deadline)) => {
            if progress.is_stalled() {
                return fail(holdfast, run, &OperationError::TooSlow).await;
            }
            end_for_next_run(&holdfast.catalog, run).await
        }
        RunEnding::Failed(error) => fail(holdfast, run, &error).await,
    }
}

fn skipped(run: &Run, status: JobStatus) -> FinalizeOutcome {
    FinalizeOutcome::Skipped {
        backup_id: run.job.backup_id.clone(),
        reason: SkipReason::AlreadyFinished(status),
    }
}

fn outcome_of(state: LostLease, run: &Run) -> FinalizeOutcome {
    match state.outcome(run) {
        BackupOutcome::Completed(job) | BackupOutcome::Failed(job) => FinalizeOutcome::Failed(job),
        BackupOutcome::Skipped { backup_id, reason } => {
            FinalizeOutcome::Skipped { backup_id, reason }
        }
    }
}

async fn fail(
    holdfast: &Holdfast,
    run: &Run,
    error: &OperationError,
) -> Result<FinalizeOutcome, OperationError> {
    Ok(FinalizeOutcome::Failed(Box::new(
        fail_and_clean_up(holdfast, run, error).await?,
    )))
}

/// Settles the job as failed, and removes this run's part of the archive. The sweep removes the
/// parts of earlier runs.
pub(crate) async fn fail_and_clean_up(
    holdfast: &Holdfast,
    run: &Run,
    error: &OperationError,
) -> Result<Job, OperationError> {
    let id = &run.job.backup_id;
    tracing::error!(backupId = %id, code = %error.code(), %error, "the backup failed");
    let items = match persist(|| async { Ok(holdfast.catalog.item_counts(id).await?) }).await {
        Err(error) if error.is_catalog_away() => return Err(error),
        counted => counted.ok(),
    };
    let job = finish::fail_counted_run(
        &holdfast.catalog,
        holdfast.observer.as_ref(),
        run,
        error.failure(),
        items,
    )
    .await?;
    // The job is settled under this run's number, so no other run will name its artifacts.
    leftovers::remove_own(&holdfast.repository, id, run.fence).await;
    Ok(job)
}

/// Removes the archive volumes of a cancelled run.
pub(crate) async fn clean_up_cancelled(repository: &Repository, run: &Run) {
    leftovers::remove_own(repository, &run.job.backup_id, run.fence).await;
}

/// Removes the remains of a completed backup's runs, if they were killed before `begun_before`.
pub(crate) async fn clean_up_completed(
    repository: &Repository,
    id: &BackupId,
    begun_before: Timestamp,
) -> Result<(), OperationError> {
    let manifest = repository.manifest(id).await?;
    leftovers::remove_unnamed(repository, &manifest).await;
    leftovers::remove_unfinished(repository, id, begun_before).await;
    Ok(())
}

async fn end_for_next_run(catalog: &Catalog, run: &Run) -> Result<FinalizeOutcome, OperationError> {
    let backup_id = run.job.backup_id.clone();
    if wait_for_next_run(catalog, run).await? {
        tracing::info!(backupId = %backup_id, "the run's time is used up: another run resumes");
        return Ok(FinalizeOutcome::Continue { backup_id });
    }
    Ok(outcome_of(state_after_lost_lease(catalog, run).await?, run))
}
