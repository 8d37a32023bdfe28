//! The exclusion during the removal of objects.
//!
//! In the repository it is the content lease, without a job. The holder's id marks it as a
//! collection. After a crash it expires after ten minutes, like every lease without a job. In the
//! second store it is a lock document, and copies of content check it.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use holdfast_catalog::Source;
use holdfast_codec::random_bytes;
use holdfast_domain::{BackupId, BackupType, Job, Trigger, TriggerKind};

use super::{Side, replica_lock::ReplicaLock};
use crate::{
    Holdfast, OperationError, RunLimits,
    job::{acquire, lease, run::Run, watch::Watch},
};

/// The longest delay of a scheduled backup. Its event is delivered again after one minute, and
/// after two more minutes.
const MAX_DURATION: Duration = Duration::from_mins(2);

/// Result of an attempt to acquire the exclusion.
pub(super) enum Acquisition {
    Acquired(CollectionLock),
    /// The reason.
    Busy(String),
}

/// An acquired exclusion.
pub(super) struct CollectionLock {
    kind: ExclusionKind,
    since: Instant,
}

enum ExclusionKind {
    Lease { holder: BackupId, watch: Watch },
    Copies(ReplicaLock),
}

impl CollectionLock {
    /// Acquires the content lease, unless a content backup is active. For the second store it
    /// acquires the lock document, unless content is being copied.
    pub(super) async fn take(
        h: &Holdfast,
        side: Side<'_>,
        limits: RunLimits,
    ) -> Result<Acquisition, OperationError> {
        match side {
            Side::Primary => Self::lease(h, limits).await,
            Side::Replica(_) => Ok(match ReplicaLock::take(h).await? {
                Ok(lock) => Acquisition::Acquired(Self {
                    kind: ExclusionKind::Copies(lock),
                    since: Instant::now(),
                }),
                Err(why) => Acquisition::Busy(why),
            }),
        }
    }

    async fn lease(h: &Holdfast, limits: RunLimits) -> Result<Acquisition, OperationError> {
        let at = h.catalog.now().await?;
        let holder = BackupId::of_collection(at, random_bytes()?);
        match acquire::lease(h, &holder, at).await {
            Ok(()) => {}
            Err(
                error @ (OperationError::AlreadyRunning { .. }
                | OperationError::ConcurrencyLimit { .. }
                | OperationError::Collecting),
            ) => return Ok(Acquisition::Busy(error.to_string())),
            Err(error) => {
                // The lease may have been written although the call failed.
                lease::release(h, &holder).await;
                return Err(error);
            }
        }
        match Self::begin(h, &holder, limits).await {
            Ok(Acquisition::Acquired(lock)) => Ok(Acquisition::Acquired(lock)),
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
    ) -> Result<Acquisition, OperationError> {
        if let Some(why) = active_backup(h).await? {
            return Ok(Acquisition::Busy(why));
        }
        let (at, deadline) = (h.catalog.now().await?, lease::deadline_of(h, limits).await?);
        let fence = h
            .catalog
            .take_over(Source::Content, holder, 0, deadline, at)
            .await;
        let fence = fence.map_err(lease::from_lease)?;
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
        let kind = ExclusionKind::Lease {
            holder: holder.clone(),
            watch,
        };
        Ok(Acquisition::Acquired(Self {
            kind,
            since: Instant::now(),
        }))
    }

    /// Runs a step. Returns an error if the exclusion is lost first.
    pub(super) async fn guard<T, E: Into<OperationError>>(
        &self,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, OperationError> {
        let step = async { step.await.map_err(Into::into) };
        match &self.kind {
            ExclusionKind::Lease { watch, .. } => watch.guard(step).await,
            ExclusionKind::Copies(lock) => lock.guard(step).await,
        }
    }

    /// Beats, and returns an error if the exclusion is lost.
    pub(super) async fn confirm(&self) -> Result<(), OperationError> {
        match &self.kind {
            ExclusionKind::Lease { watch, .. } => watch.confirm().await,
            ExclusionKind::Copies(lock) => lock.beat().await,
        }
    }

    /// Whether the longest duration has passed.
    pub(super) fn is_over(&self) -> bool {
        self.since.elapsed() >= MAX_DURATION
    }

    /// Releases the exclusion.
    pub(super) async fn release(self, h: &Holdfast) {
        match self.kind {
            ExclusionKind::Lease { holder, watch } => {
                drop(watch);
                lease::release(h, &holder).await;
            }
            ExclusionKind::Copies(lock) => lock.release().await,
        }
    }
}

/// The active content backup, also without the lease. The items of ended jobs count as references
/// instead.
async fn active_backup(h: &Holdfast) -> Result<Option<String>, OperationError> {
    let active = h.catalog.active(Some(BackupType::Content)).await?;
    Ok(active
        .first()
        .map(|job| format!("backup {} is {}", job.backup_id, job.status)))
}
