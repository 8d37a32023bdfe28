//! Watches a run: heartbeat, deadline, progress. It decides when the run must stop.

use std::{
    convert::Infallible,
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use holdfast_catalog::{Catalog, CatalogError, Source};
use holdfast_domain::{BackupId, JobStatus, Progress, Timestamp};
use holdfast_recovery::heartbeat::{self, Ended, Heartbeat, Rhythm, Stopped};
use tokio::time::{MissedTickBehavior, timeout};

use super::{
    lease,
    persist::persist,
    run::{Run, RunLimits},
};
use crate::{Holdfast, OperationError, StopReason};

const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Time limit of recording the progress, so that it never delays a beat.
const RECORD_TIMEOUT: Duration = Duration::from_secs(2);
/// Before the deadline, for stopping the engine, aborting the upload and settling the job.
pub(crate) const MARGIN: Duration = Duration::from_secs(20);

/// Watches one run until it is dropped.
pub(crate) struct Watch {
    heart: Heart,
    heartbeat: Heartbeat<StopReason>,
}

#[derive(Clone)]
struct Heart {
    catalog: Catalog,
    source: Source,
    backup_id: BackupId,
    fence: u64,
}

impl Watch {
    /// Begins to beat for a run. Each step calls `progress`, and `None` reports nothing.
    pub(crate) fn begin(
        holdfast: &Holdfast,
        run: &Run,
        limits: RunLimits,
        progress: impl Fn() -> Option<Progress> + Send + Sync + 'static,
    ) -> Self {
        let backup_id = run.job.backup_id.clone();
        let source = lease::source_of(&backup_id).unwrap_or(Source::Database);
        let heart = Heart {
            catalog: holdfast.catalog.clone(),
            source,
            backup_id,
            fence: run.fence,
        };
        let watching = {
            let (heart, observer) = (heart.clone(), holdfast.observer.clone());
            let report = move |id: &BackupId, progress: &Progress| observer.progress(id, progress);
            async move { keep_watch(&heart, limits, progress, report).await }
        };
        Self {
            heart,
            heartbeat: Heartbeat::spawn(StopReason::CatalogSilent, watching),
        }
    }

    /// Waits until the run must stop.
    pub(crate) async fn stopped(&self) -> StopReason {
        self.heartbeat.stopped().await
    }

    /// Runs a step, unless the run must stop before the step ends.
    pub(crate) fn guard<T>(
        &self,
        step: impl Future<Output = Result<T, OperationError>>,
    ) -> impl Future<Output = Result<T, OperationError>> {
        self.heartbeat.guard(step)
    }

    /// Makes a repeatable call of the catalogue. It is repeated while the catalogue does not
    /// answer, unless the run must stop.
    pub(crate) async fn persist<T, F>(&self, call: impl Fn() -> F) -> Result<T, OperationError>
    where
        F: Future<Output = Result<T, OperationError>>,
    {
        self.guard(persist(call)).await
    }

    /// Beats once more: the run may have been paused since the last one.
    pub(crate) async fn confirm(&self) -> Result<(), OperationError> {
        match self
            .persist(|| async { Ok(self.heart.beat().await?) })
            .await?
        {
            None => Ok(()),
            Some(reason) => Err(reason.into()),
        }
    }
}

/// Beats and checks the time. A hanging beat does not delay the deadline.
async fn keep_watch(
    heart: &Heart,
    limits: RunLimits,
    progress: impl Fn() -> Option<Progress>,
    report: impl Fn(&BackupId, &Progress),
) -> StopReason {
    // At the first beat there is no progress yet.
    let is_first = AtomicBool::new(true);
    let beat = || async {
        let stopped = heart.beat().await?;
        if stopped.is_none() && !is_first.swap(false, Ordering::Relaxed) {
            heart.record(progress()).await;
        }
        Ok::<_, CatalogError>(stopped)
    };
    let failed = |error: &str| {
        tracing::warn!(backupId = %heart.backup_id, error, "a beat failed and is repeated");
    };
    let deadline = until_deadline(heart, limits, &progress, report);
    let work = std::future::pending::<Infallible>();
    match heartbeat::run(Rhythm::LEASE, work, deadline, beat, failed).await {
        Ended::Done(never) => match never {},
        Ended::Deadline => StopReason::Deadline,
        Ended::Stopped(Stopped::Lost(reason)) => reason,
        Ended::Stopped(Stopped::Silent(_)) => StopReason::CatalogSilent,
    }
}

/// Reports the progress each second. It ends when the run's time does.
async fn until_deadline(
    heart: &Heart,
    limits: RunLimits,
    progress: &impl Fn() -> Option<Progress>,
    report: impl Fn(&BackupId, &Progress),
) {
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(progress) = progress() {
            report(&heart.backup_id, &progress);
        }
        if limits
            .deadline
            .is_some_and(|deadline| Timestamp::now() + MARGIN >= deadline)
        {
            return;
        }
    }
}

impl Heart {
    /// Renews the lease. Returns a reason if the run must stop.
    async fn beat(&self) -> Result<Option<StopReason>, CatalogError> {
        if self
            .catalog
            .beat(
                self.source,
                &self.backup_id,
                self.fence,
                self.catalog.now().await?,
            )
            .await?
        {
            return Ok(None);
        }
        let status = self
            .catalog
            .get(&self.backup_id)
            .await
            .map(|job| job.status);
        let cancelled = matches!(status, Ok(JobStatus::Cancelled));
        Ok(Some(if cancelled {
            StopReason::Cancelled
        } else {
            StopReason::LeaseLost
        }))
    }

    /// Writes the progress. A failure does not matter: the next beat writes a newer one.
    async fn record(&self, progress: Option<Progress>) {
        let Some(progress) = progress else { return };
        // False if the job is `committing`, because it reports no progress then.
        let recording = self
            .catalog
            .record_progress(&self.backup_id, self.fence, progress);
        if let Ok(Err(error)) = timeout(RECORD_TIMEOUT, recording).await {
            tracing::debug!(backupId = %self.backup_id, %error, "the progress was not recorded");
        }
    }
}
