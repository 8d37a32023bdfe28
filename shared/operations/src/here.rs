//! A content backup in this process, from discovery to manifest: for an operator's machine, which has no deadline and
//! needs no queue but its own.
//!
//! Memory does not grow with the number of items: the queue is bounded, and what failed for the moment is not kept in
//! it but found again by its row.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{BackupId, JobStatus, Timestamp};
use tokio::task::JoinSet;

use crate::{
    Holdfast, OperationError,
    content::{
        discover::{DiscoveryOutcome, discover_content, send},
        download::{DownloadOutcome, Downloader, download_item},
        fan_in::finalize_if_settled,
        finalize::{FinalizeOutcome, finalize_content},
        queue::LocalQueue,
    },
    run::{BackupOutcome, BackupRequest, RunLimits, SkipReason},
    settle,
};

/// Each needs a blocking thread of the runtime's, and so do the store's checksums.
const MOST_WORKERS: usize = 128;
/// Messages that wait for a worker, each.
const QUEUED_PER_WORKER: usize = 4;
/// After a fault of the catalogue that may pass, and at least before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(5);
/// How often it is looked whether the backup was cancelled.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Items looked up in one call.
const PAGE: u32 = 1000;

/// Backs up the content, all of it here.
///
/// # Errors
/// Where it could not begin or not be recorded.
pub async fn back_up_content_here(
    h: &Holdfast,
    request: BackupRequest,
    limits: RunLimits,
) -> Result<BackupOutcome, OperationError> {
    let downloader = Downloader::new(&h.settings)?;
    let here = Here { h, downloader: &downloader, backup_id: request.backup_id(), limits };
    // Boxed: downloads and discovery are inside, and callers embed this future in their own.
    match Box::pin(here.bring_in(request)).await {
        Ok(None) => Box::pin(here.finalize()).await,
        Ok(Some(ended)) => Ok(ended),
        Err(error) => here.fail(error).await,
    }
}

struct Here<'a> {
    h: &'a Holdfast,
    downloader: &'a Downloader,
    backup_id: BackupId,
    limits: RunLimits,
}

impl Here<'_> {
    fn skipped(&self, status: JobStatus) -> BackupOutcome {
        BackupOutcome::Skipped { backup_id: self.backup_id.clone(), reason: SkipReason::AlreadySettled(status) }
    }

    /// Discovery and downloads; how the backup ended, where it did before it could be finalized.
    async fn bring_in(&self, request: BackupRequest) -> Result<Option<BackupOutcome>, OperationError> {
        let mut workers = self.workers();
        let queue = Arc::clone(&workers.queue);
        let outcome = tokio::select! {
            outcome = self.discover(&queue, request) => outcome?,
            error = workers.failed() => return Err(error),
        };
        match outcome {
            DiscoveryOutcome::Failed(job) => return Ok(Some(BackupOutcome::Failed(job))),
            DiscoveryOutcome::Skipped { backup_id, reason } => {
                return Ok(Some(BackupOutcome::Skipped { backup_id, reason }));
            }
            DiscoveryOutcome::HandOn { .. } | DiscoveryOutcome::Queued { .. } | DiscoveryOutcome::Finalize { .. } => {}
        }
        tokio::select! {
            downloaded = self.download(workers) => downloaded.map(|()| None),
            status = self.ended() => Ok(Some(self.skipped(status))),
        }
    }

    async fn discover(&self, queue: &LocalQueue, request: BackupRequest) -> Result<DiscoveryOutcome, OperationError> {
        loop {
            let outcome = discover_content(self.h, queue, request.clone(), self.limits).await?;
            if !matches!(outcome, DiscoveryOutcome::HandOn { .. }) {
                return Ok(outcome);
            }
        }
    }

    /// What was sent, and then what failed for the moment, again and again until nothing is left: each time after the
    /// longest wait that was asked for.
    async fn download(&self, mut workers: Workers) -> Result<(), OperationError> {
        let mut wait = workers.drain().await?;
        loop {
            let status = self.h.catalog.get(&self.backup_id).await?.status;
            if status != JobStatus::Running || finalize_if_settled(self.h, &self.backup_id, Timestamp::now()).await? {
                return Ok(());
            }
            tokio::time::sleep(wait.max(PAUSE)).await;
            wait = self.round().await?;
        }
    }

    /// Sends every pending item to workers once; the longest wait that one of them asks for.
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
        let mut after: Option<String> = None;
        loop {
            let page = self.h.catalog.pending_since(&self.backup_id, Timestamp::MAX, after.as_deref(), PAGE).await?;
            let Some(last) = page.last().cloned() else { return Ok(()) };
            send(self.h, queue, &self.backup_id, &page).await?;
            after = Some(last);
        }
    }

    async fn finalize(&self) -> Result<BackupOutcome, OperationError> {
        loop {
            match finalize_content(self.h, &self.backup_id, self.limits).await? {
                FinalizeOutcome::Completed(job) => return Ok(BackupOutcome::Completed(job)),
                FinalizeOutcome::Failed(job) => return Ok(BackupOutcome::Failed(job)),
                FinalizeOutcome::Skipped { backup_id, reason } => {
                    return Ok(BackupOutcome::Skipped { backup_id, reason });
                }
                FinalizeOutcome::HandOn { .. } => {}
            }
        }
    }

    /// Nobody else goes on with what runs here; a job that does not run is not this run's to settle.
    async fn fail(&self, error: OperationError) -> Result<BackupOutcome, OperationError> {
        let Ok(job) = self.h.catalog.get(&self.backup_id).await else { return Err(error) };
        if job.status != JobStatus::Running {
            return Err(error);
        }
        let job = settle::fail(self.h, &job, error.failure(), Some(job.fence), Timestamp::now()).await?;
        Ok(BackupOutcome::Failed(Box::new(job)))
    }

    fn workers(&self) -> Workers {
        let count = usize::try_from(self.h.settings.content.concurrency).unwrap_or(usize::MAX).min(MOST_WORKERS);
        let queue = Arc::new(LocalQueue::new(count * QUEUED_PER_WORKER));
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let (h, downloader, limits) = (self.h.clone(), self.downloader.clone(), self.limits);
            let queue = Arc::clone(&queue);
            tasks.spawn(async move { work(&h, &downloader, &queue, limits).await });
        }
        Workers { queue, tasks }
    }

    /// Waits until the job is no longer running because somebody ended it.
    async fn ended(&self) -> JobStatus {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match self.h.catalog.get(&self.backup_id).await {
                Ok(job) if !job.status.is_active() => return job.status,
                _ => {}
            }
        }
    }
}

/// Downloads beside each other. Dropped, they stop, and what they had begun to upload is aborted.
struct Workers {
    queue: Arc<LocalQueue>,
    tasks: JoinSet<Result<Duration, OperationError>>,
}

impl Workers {
    /// The first error of a worker; while none has one it waits.
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

    /// Waits until everything sent was tried; the longest wait that was asked for.
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
    h: &Holdfast,
    downloader: &Downloader,
    queue: &LocalQueue,
    limits: RunLimits,
) -> Result<Duration, OperationError> {
    let mut longest = Duration::ZERO;
    while let Some(message) = queue.recv().await {
        match download_item(h, downloader, &message, limits).await {
            Ok(DownloadOutcome::Retry { after, .. }) => longest = longest.max(after),
            Ok(DownloadOutcome::Settled | DownloadOutcome::AlreadySettled | DownloadOutcome::NoTime) => {}
            Err(error) if error.is_transient() => {
                tracing::warn!(contentId = message.content_id, %error, "a download could not be recorded and is tried again");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(longest)
}
