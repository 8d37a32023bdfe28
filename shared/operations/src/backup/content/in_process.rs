//! A content backup in this process, from discovery to manifest, for an operator's machine without
//! a deadline. It uses only its own queue. One run does all steps under one fencing number and
//! beats throughout. So a killed run counts as dead after a minute, and the next run resumes at its
//! step.
//!
//! Memory does not depend on the number of items. The queue is bounded, and the rows of items
//! record transient failures.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use holdfast_domain::{BackupType, Job, JobStatus, Timestamp};
use holdfast_repository::artifact_writer::Meters;
use tokio::task::JoinSet;

use super::{
    discover::{DiscoveryEnd, discover, send},
    download::{Downloader, download_item},
    fan_in::finalize_leased_if_settled,
    finalize::{clean_up_cancelled, clean_up_completed, fail_and_clean_up, finalize_leased},
    outcome::DownloadOutcome,
    queue::LocalQueue,
};
use crate::{
    Holdfast, OperationError, StopReason,
    job::{
        claim::{JobClaim, claim_all_steps, is_finalized},
        commit::RunFault,
        ending::{RunEnding, ending_of},
        persist::persist,
        run::{BackupOutcome, BackupRequest, Run, RunLimits, SkipReason},
        trigger,
        watch::Watch,
    },
};

/// Each worker needs a blocking thread of the runtime, and so do the checksums of the store.
const MAX_WORKERS: usize = 128;
/// Waiting messages for each worker.
const QUEUED_PER_WORKER: usize = 4;
/// Wait after a transient fault of the catalogue, and the least wait before failed items are tried
/// again.
const PAUSE: Duration = Duration::from_secs(5);
/// Interval of checking for a cancellation.
const CANCEL_CHECK_EVERY: Duration = Duration::from_secs(2);
/// Items looked up in one call.
const PAGE: u32 = 1000;
/// In the first runs of a backup, up to this number, a killed attempt is not counted. Later an item
/// may be the reason for the kills.
const MAX_REFUNDED_RUNS: u64 = 4;

/// Backs up the content in this process. It resumes a backup of an earlier run.
///
/// # Errors
/// If the backup could not begin or could not be recorded. A later call with the same request
/// resumes it.
pub async fn back_up_content_in_process(
    holdfast: &Holdfast,
    request: BackupRequest,
    limits: RunLimits,
) -> Result<BackupOutcome, OperationError> {
    let backup_id = request.backup_id();
    if matches!(request, BackupRequest::Scheduled { .. })
        && trigger::switched_off(&holdfast.settings, BackupType::Content).is_some()
    {
        return Ok(BackupOutcome::Skipped {
            backup_id,
            reason: SkipReason::Disabled,
        });
    }
    let (downloader, begun_at) = (
        Downloader::new(&holdfast.settings)?,
        holdfast.catalog.now().await?,
    );
    let run = match claim_all_steps(holdfast, &request, limits).await? {
        JobClaim::Run(run) => run,
        JobClaim::Skip(reason) => return Ok(BackupOutcome::Skipped { backup_id, reason }),
    };
    let (meters, is_finalizing) = (Meters::default(), Arc::new(AtomicBool::new(false)));
    let progress = {
        let (progress, is_finalizing) = (meters.progress(), Arc::clone(&is_finalizing));
        // Until then items are counted, and bytes are not.
        move || {
            is_finalizing
                .load(Ordering::Relaxed)
                .then(&progress)
                .flatten()
        }
    };
    let watch = Watch::begin(holdfast, &run, limits, progress);
    let in_process = InProcess {
        holdfast,
        downloader: &downloader,
        run: &run,
        watch: &watch,
        limits,
        meters: &meters,
        is_finalizing,
    };
    // Boxed, because callers embed the future of downloads and discovery in their own.
    let result = Box::pin(in_process.all_steps()).await;
    drop(watch);
    let outcome = conclude(holdfast, &run, result).await?;
    if let BackupOutcome::Completed(job) = &outcome
        && run.fence > 1
        && let Err(error) = clean_up_completed(&holdfast.repository, &job.backup_id, begun_at).await
    {
        tracing::warn!(backupId = %job.backup_id, %error, "cannot remove the remains of killed runs: the sweep removes them");
    }
    Ok(outcome)
}

struct InProcess<'a> {
    holdfast: &'a Holdfast,
    downloader: &'a Downloader,
    run: &'a Run,
    watch: &'a Watch,
    limits: RunLimits,
    meters: &'a Meters,
    is_finalizing: Arc<AtomicBool>,
}

impl InProcess<'_> {
    async fn all_steps(&self) -> Result<Box<Job>, RunFault> {
        if !is_finalized(self.run.job.status) {
            tokio::select! {
                discovered = self.discover_and_download() => discovered?,
                () = self.cancelled() => return Err(OperationError::from(StopReason::Cancelled).into()),
            }
        }
        self.is_finalizing.store(true, Ordering::Relaxed);
        finalize_leased(
            self.holdfast,
            self.run,
            (self.watch, self.limits),
            self.meters,
        )
        .await
    }

    /// Discovery and downloads.
    async fn discover_and_download(&self) -> Result<(), RunFault> {
        if (2..=MAX_REFUNDED_RUNS).contains(&self.run.fence) {
            let (id, most) = (
                &self.run.job.backup_id,
                self.holdfast.settings.content.retry_attempts,
            );
            let refund = || async {
                Ok(self
                    .holdfast
                    .catalog
                    .refund_interrupted_attempts(id, most)
                    .await?)
            };
            self.watch.persist(refund).await?;
        }
        let mut workers = self.workers();
        let queue = Arc::clone(&workers.queue);
        let reached = tokio::select! {
            reached = discover(self.holdfast, queue.as_ref(), self.run, self.limits, self.watch) => reached?,
            error = workers.failed() => return Err(error.into()),
        };
        if matches!(reached, DiscoveryEnd::OutOfTime) {
            return Err(OperationError::from(StopReason::Deadline).into());
        }
        Ok(self.watch.guard(self.download(workers)).await?)
    }

    /// Tries the sent items, then repeats the transient failures until none is left. Before each
    /// round it waits for the longest requested wait.
    async fn download(&self, mut workers: Workers) -> Result<(), OperationError> {
        let mut wait = workers.drain().await?;
        loop {
            if persist(|| {
                finalize_leased_if_settled(
                    &self.holdfast.catalog,
                    self.holdfast.observer.as_ref(),
                    self.run,
                )
            })
            .await?
            {
                return Ok(());
            }
            tokio::time::sleep(wait.max(PAUSE)).await;
            wait = self.round().await?;
        }
    }

    /// Sends every pending item to workers once. Returns the longest requested wait.
    async fn round(&self) -> Result<Duration, OperationError> {
        let mut workers = self.workers();
        let queue = Arc::clone(&workers.queue);
        tokio::select! {
            sent = self.send_pending(&queue) => sent?,
            error = workers.failed() => return Err(error),
        }
        workers.drain().await
    }

    async fn send_pending(&self, queue: &LocalQueue) -> Result<(), OperationError> {
        let (id, mut after): (_, Option<String>) = (&self.run.job.backup_id, None);
        loop {
            let next = || async {
                Ok(self
                    .holdfast
                    .catalog
                    .pending_since(id, Timestamp::MAX, after.as_deref(), PAGE)
                    .await?)
            };
            let page = persist(next).await?;
            let Some(last) = page.last().cloned() else {
                return Ok(());
            };
            persist(|| send(&self.holdfast.catalog, queue, id, &page)).await?;
            after = Some(last);
        }
    }

    fn workers(&self) -> Workers {
        let count = usize::try_from(self.holdfast.settings.content.concurrency)
            .unwrap_or(usize::MAX)
            .min(MAX_WORKERS);
        let queue = Arc::new(LocalQueue::new(count * QUEUED_PER_WORKER));
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let (holdfast, downloader, limits) =
                (self.holdfast.clone(), self.downloader.clone(), self.limits);
            let queue = Arc::clone(&queue);
            tasks.spawn(async move { work(&holdfast, &downloader, &queue, limits).await });
        }
        Workers { queue, tasks }
    }

    /// Waits until the job is cancelled. A beat notices this too, but later.
    async fn cancelled(&self) {
        loop {
            tokio::time::sleep(CANCEL_CHECK_EVERY).await;
            let job = self.holdfast.catalog.get(&self.run.job.backup_id).await;
            if job.is_ok_and(|job| job.status == JobStatus::Cancelled) {
                return;
            }
        }
    }
}

async fn conclude(
    holdfast: &Holdfast,
    run: &Run,
    result: Result<Box<Job>, RunFault>,
) -> Result<BackupOutcome, OperationError> {
    let id = &run.job.backup_id;
    let fault = match result {
        Ok(job) => return Ok(BackupOutcome::Completed(job)),
        Err(fault) => fault,
    };
    match ending_of(&holdfast.catalog, run, fault).await? {
        RunEnding::CommittedBefore => {
            let job = persist(|| async { Ok(holdfast.catalog.get(id).await?) }).await?;
            Ok(BackupOutcome::Completed(Box::new(job)))
        }
        RunEnding::Cancelled => {
            clean_up_cancelled(&holdfast.repository, run).await;
            let reason = SkipReason::AlreadyFinished(JobStatus::Cancelled);
            Ok(BackupOutcome::Skipped {
                backup_id: id.clone(),
                reason,
            })
        }
        RunEnding::LostLease(state) => Ok(state.outcome(run)),
        RunEnding::Failed(error) => Ok(BackupOutcome::Failed(Box::new(
            fail_and_clean_up(holdfast, run, &error).await?,
        ))),
    }
}

/// Concurrent downloads. Dropping them stops them and aborts their uploads.
struct Workers {
    queue: Arc<LocalQueue>,
    tasks: JoinSet<Result<Duration, OperationError>>,
}

impl Workers {
    /// The first error of a worker. It waits until there is one.
    async fn failed(&mut self) -> OperationError {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error,
                Err(error) => return OperationError::internal("download", &error),
            }
        }
        std::future::pending().await
    }

    /// Waits until every sent item was tried. Returns the longest requested wait.
    async fn drain(&mut self) -> Result<Duration, OperationError> {
        self.queue.close().await;
        let mut longest = Duration::ZERO;
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.map_err(|error| OperationError::internal("download", &error))?;
            longest = longest.max(ended?);
        }
        Ok(longest)
    }
}

async fn work(
    holdfast: &Holdfast,
    downloader: &Downloader,
    queue: &LocalQueue,
    limits: RunLimits,
) -> Result<Duration, OperationError> {
    let mut longest = Duration::ZERO;
    while let Some(message) = queue.recv().await {
        match download_item(holdfast, downloader, &message, limits).await {
            Ok(DownloadOutcome::Retry { after, .. }) => longest = longest.max(after),
            Ok(
                DownloadOutcome::Settled
                | DownloadOutcome::AlreadySettled
                | DownloadOutcome::NoTime,
            ) => {}
            Err(error) if error.is_transient() => {
                tracing::warn!(contentId = message.content_id, %error, "a download could not be recorded and is tried again");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(longest)
}
