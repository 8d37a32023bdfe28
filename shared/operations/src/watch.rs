//! What watches a run from beside it: the heartbeat, the deadline, the progress. It says when the run has to stop.

use std::{future::Future, time::Duration};

use holdfast_catalog::{Catalog, CatalogError, Source};
use holdfast_domain::{BackupId, JobStatus, Progress, Timestamp};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior},
};

use crate::{
    Holdfast, OperationError, StopReason, lease,
    run::{Run, RunLimits},
};

const PROGRESS_EVERY: Duration = Duration::from_secs(1);
const BEAT_EVERY: Duration = Duration::from_secs(10);
/// A run that could not beat for this long stops before others take it for dead.
const SILENCE_LIMIT: Duration = Duration::from_secs(45);
/// Before the deadline, for stopping the engine, aborting the upload and settling the job.
pub(crate) const MARGIN: Duration = Duration::from_secs(20);

/// Watches one run until it is dropped.
pub(crate) struct Watch {
    stop: watch::Receiver<Option<StopReason>>,
    heart: Heart,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Heart {
    catalog: Catalog,
    source: Source,
    backup_id: BackupId,
    fence: u64,
}

impl Watch {
    /// Begins to beat for a run. `progress` is asked at each step, and may say that there is none to tell.
    pub(crate) fn begin(
        h: &Holdfast,
        run: &Run,
        limits: RunLimits,
        progress: impl Fn() -> Option<Progress> + Send + 'static,
    ) -> Self {
        let backup_id = run.job.backup_id.clone();
        let source = lease::source_of(&backup_id).unwrap_or(Source::Database);
        let heart = Heart { catalog: h.catalog.clone(), source, backup_id, fence: run.fence };
        let (sender, stop) = watch::channel(None);
        let task = tokio::spawn({
            let (heart, observer) = (heart.clone(), h.observer.clone());
            let report = move |id: &BackupId, progress: &Progress| observer.progress(id, progress);
            async move {
                let reason = keep_watch(&heart, limits, progress, report).await;
                let _ = sender.send(Some(reason));
            }
        });
        Self { stop, heart, task }
    }

    /// Waits until the run has to stop.
    pub(crate) async fn stopped(&self) -> StopReason {
        let mut stop = self.stop.clone();
        let reason = stop.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
        // The task ends only by sending a reason: without one it panicked, and nobody beats.
        reason.unwrap_or(StopReason::LeaseLost)
    }

    /// A step of the run, unless the run has to stop before it is done.
    pub(crate) async fn guard<T>(
        &self,
        step: impl Future<Output = Result<T, OperationError>>,
    ) -> Result<T, OperationError> {
        tokio::select! {
            biased;
            reason = self.stopped() => Err(reason.into()),
            result = step => result,
        }
    }

    /// Beats once more: the run may have been paused since the last one.
    pub(crate) async fn confirm(&self) -> Result<(), OperationError> {
        match self.heart.beat().await? {
            None => Ok(()),
            Some(reason) => Err(reason.into()),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_watch(
    heart: &Heart,
    limits: RunLimits,
    progress: impl Fn() -> Option<Progress>,
    report: impl Fn(&BackupId, &Progress),
) -> StopReason {
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last_attempt, mut last_beat) = (Instant::now(), Instant::now());
    loop {
        ticks.tick().await;
        let progress = progress();
        if let Some(progress) = &progress {
            report(&heart.backup_id, progress);
        }
        if limits.deadline.is_some_and(|deadline| Timestamp::now() + MARGIN >= deadline) {
            return StopReason::Deadline;
        }
        if last_attempt.elapsed() < BEAT_EVERY {
            continue;
        }
        last_attempt = Instant::now();
        match heart.beat_with(progress).await {
            Ok(None) => last_beat = Instant::now(),
            Ok(Some(reason)) => return reason,
            Err(error) => {
                tracing::warn!(backupId = %heart.backup_id, %error, "a beat failed");
                if last_beat.elapsed() > SILENCE_LIMIT {
                    return StopReason::LeaseLost;
                }
            }
        }
    }
}

impl Heart {
    /// Says that the run lives; a reason to stop where it may not go on.
    async fn beat(&self) -> Result<Option<StopReason>, CatalogError> {
        if self.catalog.beat(self.source, &self.backup_id, self.fence, Timestamp::now()).await? {
            return Ok(None);
        }
        let status = self.catalog.get(&self.backup_id).await.map(|job| job.status);
        let cancelled = matches!(status, Ok(JobStatus::Cancelled));
        Ok(Some(if cancelled { StopReason::Cancelled } else { StopReason::LeaseLost }))
    }

    async fn beat_with(&self, progress: Option<Progress>) -> Result<Option<StopReason>, CatalogError> {
        if let Some(reason) = self.beat().await? {
            return Ok(Some(reason));
        }
        if let Some(progress) = progress {
            // False once the job is `committing`: nothing to tell then.
            self.catalog.record_progress(&self.backup_id, self.fence, progress).await?;
        }
        Ok(None)
    }
}
