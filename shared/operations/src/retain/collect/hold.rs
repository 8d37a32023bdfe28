//! What is held while objects are removed. In the repository it is the content lease, which has no job: its holder's id
//! says what it is, and a run that died loses it, as one without a job, after ten minutes. In the second store it is a
//! mark, which whoever copies content there looks at.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use holdfast_catalog::Source;
use holdfast_codec::random_bytes;
use holdfast_domain::{BackupId, BackupType, Job, Trigger, TriggerKind};

use super::{Of, mark::Mark};
use crate::{Holdfast, OperationError, RunLimits, lease, run::Run, watch::Watch};

/// The longest that a scheduled backup is kept waiting: its event comes again after one minute, and after two more.
const AT_MOST: Duration = Duration::from_mins(2);

/// Whether it was had.
pub(super) enum Held {
    Ours(Hold),
    /// Why not.
    Busy(String),
}

/// What is held, while it is ours.
pub(super) struct Hold {
    held: Holding,
    since: Instant,
}

enum Holding {
    Lease { holder: BackupId, watch: Watch },
    Copies(Mark),
}

impl Hold {
    /// Takes the lease, if no content backup is on its way; of the second store the mark, if no content is copied.
    pub(super) async fn take(h: &Holdfast, of: Of<'_>, limits: RunLimits) -> Result<Held, OperationError> {
        match of {
            Of::First => Self::lease(h, limits).await,
            Of::Second(_) => Ok(match Mark::take(h).await? {
                Ok(mark) => Held::Ours(Self { held: Holding::Copies(mark), since: Instant::now() }),
                Err(why) => Held::Busy(why),
            }),
        }
    }

    async fn lease(h: &Holdfast, limits: RunLimits) -> Result<Held, OperationError> {
        let at = h.catalog.now().await?;
        let holder = BackupId::of_collection(at, random_bytes()?);
        match lease::lease(h, &holder, at).await {
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

    async fn begin(h: &Holdfast, holder: &BackupId, limits: RunLimits) -> Result<Held, OperationError> {
        if let Some(why) = on_its_way(h).await? {
            return Ok(Held::Busy(why));
        }
        let (at, deadline) = (h.catalog.now().await?, lease::deadline_of(h, limits).await?);
        let fence = h.catalog.take_over(Source::Content, holder, 0, deadline, at).await;
        let fence = fence.map_err(lease::of_lease)?;
        // Never written: what watches runs asks for one.
        let job = Job::pending(holder.clone(), Trigger { kind: TriggerKind::Schedule, by: None }, at);
        let watch = Watch::begin(h, &Run { job, fence }, limits, || None);
        let held = Holding::Lease { holder: holder.clone(), watch };
        Ok(Held::Ours(Self { held, since: Instant::now() }))
    }

    /// A step, unless what is held is lost before it is done.
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

    /// Beats: it is ours still.
    pub(super) async fn confirm(&self) -> Result<(), OperationError> {
        match &self.held {
            Holding::Lease { watch, .. } => watch.confirm().await,
            Holding::Copies(mark) => mark.beat().await,
        }
    }

    /// Whether it was held for long enough.
    pub(super) fn is_over(&self) -> bool {
        self.since.elapsed() >= AT_MOST
    }

    /// Gives it back.
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

/// An active content backup, though it does not hold the lease. The items of jobs that ended count as references.
async fn on_its_way(h: &Holdfast) -> Result<Option<String>, OperationError> {
    let active = h.catalog.active(Some(BackupType::Content)).await?;
    Ok(active.first().map(|job| format!("backup {} is {}", job.backup_id, job.status)))
}
