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
use holdfast_catalog::ContentWork;
use holdfast_domain::{BackupId, Job, JobStatus, Timestamp};
use holdfast_repository::{
    artifact_writer::Meters,
    writing_key::{WritingKey, existing_writing_key},
};

use self::time::RunTime;
use super::wait_for_next_run;
use crate::job::heartbeat::persist;
use crate::{
    Holdfast, OperationError, StopReason,
    job::{
        claim::{JobClaim, claim_finalizing},
        commit::{RunFault, refuse_if_committed},
        finish, lost_lease,
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
    /// The time ran out with work left: hand on to another run.
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
    h: &Holdfast,
    backup_id: &BackupId,
    limits: RunLimits,
) -> Result<FinalizeOutcome, OperationError> {
    let run = match claim_finalizing(h, backup_id, limits).await? {
        JobClaim::Run(run) => run,
        JobClaim::Skip(reason) => {
            return Ok(FinalizeOutcome::Skipped {
                backup_id: backup_id.clone(),
                reason,
            });
        }
    };
    let (meters, progress) = (Meters::default(), RunProgress::default());
    let watch = Watch::begin(h, &run, limits, meters.progress());
    let result = finalize_once(h, &run, (&watch, limits), &meters, &progress).await;
    drop(watch);
    conclude(h, &run, result, &progress).await
}

/// Finalizes the backup of a run with a lease and without a deadline.
pub(crate) async fn finalize_leased(
    h: &Holdfast,
    run: &Run,
    (watch, limits): (&Watch, RunLimits),
    meters: &Meters,
) -> Result<Box<Job>, RunFault> {
    let progress = RunProgress::default();
    loop {
        // An archive of several volumes takes several rounds.
        if let FinalizeEnd::Committed(job) =
            finalize_once(h, run, (watch, limits), meters, &progress).await?
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
    h: &'a Holdfast,
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
    h: &'a Holdfast,
    run: &'a Run,
    watched: (&'a Watch, RunLimits),
    meters: &'a Meters,
    progress: &'a RunProgress,
) -> BoxFuture<'a, Result<FinalizeEnd, RunFault>> {
    finalize_steps(h, run, watched, meters, progress).boxed()
}

async fn finalize_steps(
    h: &Holdfast,
    run: &Run,
    (watch, limits): (&Watch, RunLimits),
    meters: &Meters,
    progress: &RunProgress,
) -> Result<FinalizeEnd, RunFault> {
    refuse_if_committed(h, run, watch).await?;
    let key = watch
        .guard(async { Ok(existing_writing_key(&h.repository, run.job.encrypted.into()).await?) })
        .await?;
    let mut work = watch
        .persist(|| async { Ok(h.catalog.content_work(&run.job.backup_id).await?) })
        .await?;
    let time = RunTime::new(limits, work.fruitless, Timestamp::now());
    progress
        .fruitless
        .store(work.fruitless.into(), Ordering::Relaxed);
    work.fruitless += 1;
    let mut finalizing = Finalizing {
        h,
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
                .guard(check::check_objects(self.h, repository, self.id()))
                .await?;
            self.work.checked = true;
            self.record_progress().await?;
        }
        self.refuse_too_many_failures().await?;
        Ok(true)
    }

    /// Stores the rest of the archive.
    async fn archive(&mut self) -> Result<bool, OperationError> {
        if !self.h.settings.content.archive || self.work.archive_done {
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
            .persist(|| async { Ok(self.h.catalog.item_counts(self.id()).await?) })
            .await?;
        self.meters.expected.store(counts.bytes, Ordering::Relaxed);
        let percent = self.h.settings.content.max_failure_percent;
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
                .h
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
    h: &Holdfast,
    run: &Run,
    result: Result<FinalizeEnd, RunFault>,
    progress: &RunProgress,
) -> Result<FinalizeOutcome, OperationError> {
    let backup_id = run.job.backup_id.clone();
    let skipped = |reason| {
        Ok(FinalizeOutcome::Skipped {
            backup_id: backup_id.clone(),
            reason,
        })
    };
    match result {
        Ok(FinalizeEnd::Committed(job)) => Ok(FinalizeOutcome::Completed(job)),
        Ok(FinalizeEnd::OutOfTime) => end_for_next_run(h, run).await,
        Err(RunFault::CommittedBefore) => {
            skipped(SkipReason::AlreadyFinished(JobStatus::Completed))
        }
        Err(
            RunFault::Failed(OperationError::Stopped(reason))
            | RunFault::Unknown(OperationError::Stopped(reason)),
        ) => {
            match reason {
                StopReason::Deadline if progress.is_stalled() => {
                    fail(h, run, &OperationError::TooSlow).await
                }
                StopReason::Deadline => end_for_next_run(h, run).await,
                StopReason::LeaseLost => after_lost_lease(h, run).await,
                // The next run resumes after the last volume. The event's source retries.
                StopReason::CatalogSilent => Err(reason.into()),
                StopReason::Cancelled => {
                    clean_up_cancelled(h, run).await;
                    skipped(SkipReason::AlreadyFinished(JobStatus::Cancelled))
                }
            }
        }
        Err(RunFault::Failed(error)) if error.is_catalog_away() => Err(error),
        Err(RunFault::Failed(error)) => fail(h, run, &error).await,
        Err(RunFault::Unknown(error)) => Err(error),
    }
}

async fn after_lost_lease(h: &Holdfast, run: &Run) -> Result<FinalizeOutcome, OperationError> {
    Ok(
        match lost_lease::state_after_lost_lease(h, run)
            .await?
            .outcome(run)
        {
            BackupOutcome::Completed(job) | BackupOutcome::Failed(job) => {
                FinalizeOutcome::Failed(job)
            }
            BackupOutcome::Skipped { backup_id, reason } => {
                FinalizeOutcome::Skipped { backup_id, reason }
            }
        },
    )
}

async fn fail(
    h: &Holdfast,
    run: &Run,
    error: &OperationError,
) -> Result<FinalizeOutcome, OperationError> {
    Ok(FinalizeOutcome::Failed(Box::new(
        fail_and_clean_up(h, run, error).await?,
    )))
}

/// Settles the job as failed, and removes this run's part of the archive. The sweep removes the
/// parts of earlier runs.
pub(crate) async fn fail_and_clean_up(
    h: &Holdfast,
    run: &Run,
    error: &OperationError,
) -> Result<Job, OperationError> {
    let id = &run.job.backup_id;
    tracing::error!(backupId = %id, code = %error.code(), %error, "the backup failed");
    let items = match persist(|| async { Ok(h.catalog.item_counts(id).await?) }).await {
        Err(error) if error.is_catalog_away() => return Err(error),
        counted => counted.ok(),
    };
    let job = finish::fail_counted_run(h, run, error.failure(), items).await?;
    // The job is settled under this run's number, so no other run will name its artifacts.
    leftovers::remove_own(h, id, run.fence).await;
    Ok(job)
}

/// Removes the archive volumes of a cancelled run.
pub(crate) async fn clean_up_cancelled(h: &Holdfast, run: &Run) {
    leftovers::remove_own(h, &run.job.backup_id, run.fence).await;
}

/// Removes the remains of a completed backup's runs, if they were killed before `begun_before`.
pub(crate) async fn clean_up_completed(
    h: &Holdfast,
    id: &BackupId,
    begun_before: Timestamp,
) -> Result<(), OperationError> {
    let manifest = h.repository.manifest(id).await?;
    leftovers::remove_unnamed(h, &manifest).await;
    leftovers::remove_unfinished(h, id, begun_before).await;
    Ok(())
}

async fn end_for_next_run(h: &Holdfast, run: &Run) -> Result<FinalizeOutcome, OperationError> {
    let backup_id = run.job.backup_id.clone();
    if wait_for_next_run(h, run).await? {
        tracing::info!(backupId = %backup_id, "the run's time is used up: another run resumes");
        return Ok(FinalizeOutcome::Continue { backup_id });
    }
    after_lost_lease(h, run).await
}
