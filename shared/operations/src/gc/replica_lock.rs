//! The lock of a collection in the second store excludes copies of content.
//!
//! A collection first writes its lock into the catalogue and then reads the active copies. A copy
//! first writes its row and then reads the lock. So at least one of them detects the other.

use std::future::Future;

use holdfast_catalog::{Catalog, CatalogError};
use holdfast_codec::random_bytes;
use holdfast_domain::heartbeat::{COPY_EXCLUDES_GC_FOR, DEAD_AFTER};
use holdfast_domain::{BackupType, Timestamp};

use holdfast_recovery::heartbeat::{Heartbeat, Rhythm, Stopped, beat_until_stopped};

use super::Acquisition;
use crate::{OperationError, StopReason, job::persist::persist};

/// An acquired lock. It beats until it is dropped.
pub(super) struct ReplicaLock {
    heart: Heart,
    heartbeat: Heartbeat<StopReason>,
}

#[derive(Clone)]
struct Heart {
    catalog: Catalog,
    run: String,
}

impl ReplicaLock {
    /// Acquires the lock, or returns the reason against it.
    pub(super) async fn take(catalog: &Catalog) -> Result<Acquisition<Self>, OperationError> {
        let (run, now) = (hex::encode(random_bytes::<8>()?), catalog.now().await?);
        if !catalog
            .begin_collecting_copies(&run, now - DEAD_AFTER, now)
            .await?
        {
            return Ok(Acquisition::Busy(
                "another run deletes content objects in the second store".to_owned(),
            ));
        }
        let heart = Heart {
            catalog: catalog.clone(),
            run,
        };
        match active_copy(catalog, now).await {
            Ok(None) => Ok(Acquisition::Acquired(Self::begin(heart))),
            busy => {
                heart.release().await;
                Ok(Acquisition::Busy(busy?.unwrap_or_default()))
            }
        }
    }

    fn begin(heart: Heart) -> Self {
        let beating = {
            let heart = heart.clone();
            async move { heart.keep_beating().await }
        };
        Self {
            heart,
            heartbeat: Heartbeat::spawn(StopReason::CatalogSilent, beating),
        }
    }

    /// Runs a step, unless the lock is lost before the step ends.
    pub(super) fn guard<T>(
        &self,
        step: impl Future<Output = Result<T, OperationError>>,
    ) -> impl Future<Output = Result<T, OperationError>> {
        self.heartbeat.guard(step)
    }

    /// Beats once more. Returns an error if the lock is lost.
    pub(super) async fn confirm(&self) -> Result<(), OperationError> {
        let beat = || async { Ok(self.heart.beat().await?) };
        match self.guard(persist(beat)).await? {
            None => Ok(()),
            Some(reason) => Err(reason.into()),
        }
    }

    /// Releases the lock.
    pub(super) async fn release(self) {
        drop(self.heartbeat);
        self.heart.release().await;
    }
}

impl Heart {
    async fn keep_beating(&self) -> StopReason {
        let failed = |error: &str| {
            tracing::warn!(error, "the beat of a collection failed and is repeated");
        };
        let rhythm = Rhythm::LEASE.after_acquisition();
        match beat_until_stopped(rhythm, || self.beat(), failed).await {
            Stopped::Lost(reason) => reason,
            Stopped::Silent(_) => StopReason::CatalogSilent,
        }
    }

    /// Renews the lock. Returns a reason if it is lost.
    async fn beat(&self) -> Result<Option<StopReason>, CatalogError> {
        let now = self.catalog.now().await?;
        let is_ours = self.catalog.beat_collecting_copies(&self.run, now).await?;
        Ok((!is_ours).then_some(StopReason::LeaseLost))
    }

    /// After a failure the lock expires within a minute.
    async fn release(&self) {
        if let Err(error) = self.catalog.end_collecting_copies(&self.run).await {
            tracing::warn!(%error, "the lock of a collection could not be released: it expires within a minute");
        }
    }
}

/// An active copy of content, or one that may resume and rely on its earlier checks of the store.
async fn active_copy(catalog: &Catalog, now: Timestamp) -> Result<Option<String>, OperationError> {
    let copying = catalog.copying(now - COPY_EXCLUDES_GC_FOR).await?;
    let content = copying
        .iter()
        .find(|copying| copying.backup_id.backup_type() == BackupType::Content);
    Ok(content.map(|copying| {
        format!(
            "backup {} is being copied to the second store",
            copying.backup_id
        )
    }))
}
