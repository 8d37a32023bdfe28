//! The exclusion during the removal of objects.
//!
//! In the repository it is the content lease, without a job. The holder's id marks it as a
//! collection. After a crash it expires after ten minutes, like every lease without a job. In the
//! second store it is a lock document, and copies of content check it.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use holdfast_catalog::{Catalog, Source};
use holdfast_codec::random_bytes;
use holdfast_domain::{BackupId, BackupType, Job, Trigger, TriggerKind};

use super::{Acquisition, Side, replica_lock::ReplicaLock};
use crate::{
    Holdfast, OperationError, RunLimits,
    job::{acquire, lease, run::Run, watch::Watch},
};

/// The longest delay of a scheduled backup. Its event is delivered again after one minute, and
/// after two more minutes.
const MAX_DURATION: Duration = Duration::from_mins(2);

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
        holdfast: &Holdfast,
        side: Side<'_>,
        limits: RunLimits,
    ) -> Result<Acquisition<Self>, OperationError> {
        match side {
            Side::Primary => Self::lease(holdfast, limits).await,
            Side::Replica(_) => Ok(match ReplicaLock::take(&holdfast.catalog).await? {
                Acquisition::Acquired(lock) => Acquisition::Acquired(Self {
                    kind: ExclusionKind::Copies(lock),
                    since: Instant::now(),
                }),
                Acquisition::Busy(why) => Acquisition::Busy(why),
            }),
        }
    }

    async fn lease(
        holdfast: &Holdfast,
        limits: RunLimits,
    ) -> Result<Acquisition<Self>, OperationError> {
        let at = holdfast.catalog.now().await?;
        let holder = BackupId::from_collection(at, random_bytes()?);
        match acquire::lease(holdfast, &holder, at).await {
            Ok(()) => {}
            Err(
                error @ (OperationError::AlreadyRunning { .. }
                | OperationError::ConcurrencyLimit { .. }
                | OperationError::Collecting),
            ) => return Ok(Acquisition::Busy(error.to_string())),
            Err(error) => {
                // The lease may have been written although the call failed.
                lease::release(&holdfast.catalog, &holder).await;
                return Err(error);
            }
        }
        match Self::begin(holdfast, &holder, limits).await {
            Ok(Acquisition::Acquired(lock)) => Ok(Acquisition::Acquired(lock)),
            otherwise => {
                lease::release(&holdfast.catalog, &holder).await;
                otherwise
            }
        }
    }

    async fn begin(
        holdfast: &Holdfast,
        holder: &BackupId,
        limits: RunLimits,
    ) -> Result<Acquisition<Self>, OperationError> {
        if let Some(why) = active_backup(&holdfast.catalog).await? {
            return Ok(Acquisition::Busy(why));
        }
        let (at, deadline) = (
            holdfast.catalog.now().await?,
            lease::deadline_of(&holdfast.catalog, limits).await?,
        );
        let fence = holdfast
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
        let watch = Watch::begin(holdfast, &Run { job, fence }, limits, || None);
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
            ExclusionKind::Copies(lock) => lock.confirm().await,
        }
    }

    /// Whether the longest duration has passed.
    pub(super) fn is_over(&self) -> bool {
        self.since.elapsed() >= MAX_DURATION
    }

    /// Releases the exclusion.
    pub(super) async fn release(self, catalog: &Catalog) {
        match self.kind {
            ExclusionKind::Lease { holder, watch } => {
                drop(watch);
                lease::release(catalog, &holder).await;
            }
            ExclusionKind::Copies(lock) => lock.release().await,
        }
    }
}

/// The active content backup, also without the lease. The items of ended jobs count as references
/// instead.
async fn active_backup(catalog: &Catalog) -> Result<Option<String>, OperationError> {
    let active = catalog.active(Some(BackupType::Content)).await?;
    Ok(active
        .first()
        .map(|job| format!("backup {} is {}", job.backup_id, job.status)))
}
