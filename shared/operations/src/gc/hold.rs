//! The exclusion during the removal of objects.
//!
//! In the repository it is the content lease, without a job. The holder's id marks it as a
//! collection. After a crash it expires after ten minutes, like every lease without a job. In the
//! second store it is a mark, and copies of content check it.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use holdfast_catalog::Source;
use holdfast_codec::random_bytes;
use holdfast_domain::{BackupId, BackupType, Job, Trigger, TriggerKind};

use super::{Of, lock::Mark};
use crate::{
    Holdfast, OperationError, RunLimits,
    job::{acquire, lease, run::Run, watch::Watch},
};

/// The longest delay of a scheduled backup. Its event is delivered again after one minute, and
/// after two more minutes.
const AT_MOST: Duration = Duration::from_mins(2);

/// Result of an attempt to acquire the exclusion.
pub(super) enum Held {
    Ours(Hold),
    /// The reason.
    Busy(String),
}

/// An acquired exclusion.
pub(super) struct Hold {
    held: Holding,
    since: Instant,
}

enum Holding {
    Lease { holder: BackupId, watch: Watch },
    Copies(Mark),
}

impl Hold {
    /// Acquires the content lease, unless a content backup is active. For the second store it
    /// acquires the mark, unless content is being copied.
    pub(super) async fn take(
        h: &Holdfast,
        of: Of<'_>,
        limits: RunLimits,
    ) -> Result<Held, OperationError> {
        match of {
            Of::First => Self::lease(h, limits).await,
            Of::Second(_) => Ok(match Mark::take(h).await? {
                Ok(mark) => Held::Ours(Self {
                    held: Holding::Copies(mark),
                    since: Instant::now(),
                }),
                Err(why) => Held::Busy(why),
            }),
        }
    }

    async fn lease(h: &Holdfast, limits: RunLimits) -> Result<Held, OperationError> {
        let at = h.catalog.now().await?;
        let holder = BackupId::of_collection(at, random_bytes()?);
        match acquire::lease(h, &holder, at).await {
            Ok(()) => {}
            Err(
                error @ (OperationError::AlreadyRunning { .. }
                | OperationError::ConcurrencyLimit { .. }
                | OperationError::Collecting),
            ) => return Ok(Held::Busy(error.to_string())),
            Err(error) => {
                // The lease may have been written although the call failed.
                lease::release(h, &holder).await;
                return Err(error);
            }
        }
        match Self::begin(h, &holder, limits).await {
            Ok(Held::Ours(hold)) => Ok(Held::Ours(hold)),
            otherwise => {
                lease::release(h, &holder).await;
                otherwise
            }
        }
    }

    async fn begin(
        h: &Holdfast,
        holder: &BackupId,
        limits: RunLimits,
    ) -> Result<Held, OperationError> {
        if let Some(why) = on_its_way(h).await? {
            return Ok(Held::Busy(why));
        }
        let (at, deadline) = (h.catalog.now().await?, lease::deadline_of(h, limits).await?);
        let fence = h
            .catalog
            .take_over(Source::Content, holder, 0, deadline, at)
            .await;
        let fence = fence.map_err(lease::of_lease)?;
        // Only for the watch. This job is never written.
        let job = Job::pending(
            holder.clone(),
            Trigger {
                kind: TriggerKind::Schedule,
                by: None,
            },
            at,
        );
        let watch = Watch::begin(h, &Run { job, fence }, limits, || None);
        let held = Holding::Lease {
            holder: holder.clone(),
            watch,
        };
        Ok(Held::Ours(Self {
            held,
            since: Instant::now(),
        }))
    }

    /// Runs a step. Returns an error if the exclusion is lost first.
    pub(super) async fn guard<T, E: Into<OperationError>>(
        &self,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, OperationError> {
        let step = async { step.await.map_err(Into::into) };
        match &self.held {
            Holding::Lease { watch, .. } => watch.guard(step).await,
            Holding::Copies(mark) => mark.guard(step).await,
        }
    }

    /// Beats, and returns an error if the exclusion is lost.
    pub(super) async fn confirm(&self) -> Result<(), OperationError> {
        match &self.held {
            Holding::Lease { watch, .. } => watch.confirm().await,
            Holding::Copies(mark) => mark.beat().await,
        }
    }

    /// Whether the longest duration has passed.
    pub(super) fn is_over(&self) -> bool {
        self.since.elapsed() >= AT_MOST
    }

    /// Releases the exclusion.
    pub(super) async fn release(self, h: &Holdfast) {
        match self.held {
            Holding::Lease { holder, watch } => {
                drop(watch);
                lease::release(h, &holder).await;
            }
            Holding::Copies(mark) => mark.release().await,
        }
    }
}

/// The active content backup, also without the lease. The items of ended jobs count as references
/// instead.
async fn on_its_way(h: &Holdfast) -> Result<Option<String>, OperationError> {
    let active = h.catalog.active(Some(BackupType::Content)).await?;
    Ok(active
        .first()
        .map(|job| format!("backup {} is {}", job.backup_id, job.status)))
}
