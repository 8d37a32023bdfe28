//! The lock of a collection in the second store excludes copies of content.
//!
//! A collection first writes its lock into the catalogue and then reads the active copies. A copy
//! first writes its row and then reads the lock. So at least one of them detects the other.

use std::future::Future;

use holdfast_catalog::Catalog;
use holdfast_codec::random_bytes;
use holdfast_domain::heartbeat::{BEAT_EVERY, COPY_EXCLUDES_GC_FOR, DEAD_AFTER};
use holdfast_domain::{BackupType, Timestamp};

use crate::{Holdfast, OperationError, StopReason};

/// An acquired lock.
pub(super) struct ReplicaLock {
    catalog: Catalog,
    run: String,
}

impl ReplicaLock {
    /// Acquires the lock, or returns the reason against it.
    pub(super) async fn take(h: &Holdfast) -> Result<Result<Self, String>, OperationError> {
        let (run, now) = (hex::encode(random_bytes::<8>()?), h.catalog.now().await?);
        if !h
            .catalog
            .begin_collecting_copies(&run, now - DEAD_AFTER, now)
            .await?
        {
            return Ok(Err(
                "another run deletes content objects in the second store".to_owned(),
            ));
        }
        let lock = Self {
            catalog: h.catalog.clone(),
            run,
        };
        match active_copy(h, now).await {
            Ok(None) => Ok(Ok(lock)),
            busy => {
                lock.release().await;
                Ok(Err(busy?.unwrap_or_default()))
            }
        }
    }

    /// Runs a step, and beats during it.
    pub(super) async fn guard<T>(
        &self,
        step: impl Future<Output = Result<T, OperationError>>,
    ) -> Result<T, OperationError> {
        let mut step = std::pin::pin!(step);
        loop {
            tokio::select! {
                biased;
                done = &mut step => return done,
                () = tokio::time::sleep(BEAT_EVERY) => self.beat().await?,
            }
        }
    }

    /// Renews the lock. Returns an error if it is lost.
    pub(super) async fn beat(&self) -> Result<(), OperationError> {
        if self
            .catalog
            .beat_collecting_copies(&self.run, self.catalog.now().await?)
            .await?
        {
            return Ok(());
        }
        Err(StopReason::LeaseLost.into())
    }

    /// Releases the lock. After a failure it expires within a minute.
    pub(super) async fn release(self) {
        if let Err(error) = self.catalog.end_collecting_copies(&self.run).await {
            tracing::warn!(%error, "the lock of a collection could not be released: it expires within a minute");
        }
    }
}

/// An active copy of content, or one that may resume and rely on its earlier checks of the store.
async fn active_copy(h: &Holdfast, now: Timestamp) -> Result<Option<String>, OperationError> {
    let copying = h.catalog.copying(now - COPY_EXCLUDES_GC_FOR).await?;
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
