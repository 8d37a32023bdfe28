//! Whoever removes content objects from the second store says so in the catalogue first, and only then looks whether
//! anybody copies content there; whoever copies does the two the other way round. So one of them sees the other.

use std::future::Future;

use holdfast_catalog::Catalog;
use holdfast_codec::random_bytes;
use holdfast_domain::{BackupType, Timestamp};

use crate::{
    Holdfast, OperationError, StopReason,
    copy::EXCLUDES_FOR,
    heartbeat::{BEAT_EVERY, DEAD_AFTER},
};

/// The mark, while it is ours.
pub(super) struct Mark {
    catalog: Catalog,
    run: String,
}

impl Mark {
    /// Takes it; or says why not.
    pub(super) async fn take(h: &Holdfast) -> Result<Result<Self, String>, OperationError> {
        let (run, now) = (hex::encode(random_bytes::<8>()?), h.catalog.now().await?);
        if !h.catalog.begin_collecting_copies(&run, now - DEAD_AFTER, now).await? {
            return Ok(Err("another run removes content objects there".to_owned()));
        }
        let mark = Self { catalog: h.catalog.clone(), run };
        match copied_now(h, now).await {
            Ok(None) => Ok(Ok(mark)),
            busy => {
                mark.release().await;
                Ok(Err(busy?.unwrap_or_default()))
            }
        }
    }

    /// A step, with beats beside it.
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

    /// Says that this run lives; an error where it may not go on.
    pub(super) async fn beat(&self) -> Result<(), OperationError> {
        if self.catalog.beat_collecting_copies(&self.run, self.catalog.now().await?).await? {
            return Ok(());
        }
        Err(StopReason::LeaseLost.into())
    }

    /// Gives it back. Where that fails it is stale after a minute.
    pub(super) async fn release(self) {
        if let Err(error) = self.catalog.end_collecting_copies(&self.run).await {
            tracing::warn!(%error, "the mark of a collection could not be taken back; it counts for a minute");
        }
    }
}

/// A copy of content that somebody is at, or may go on with by what was seen there before.
async fn copied_now(h: &Holdfast, now: Timestamp) -> Result<Option<String>, OperationError> {
    let copying = h.catalog.copying(now - EXCLUDES_FOR).await?;
    let content = copying.iter().find(|copying| copying.backup_id.backup_type() == BackupType::Content);
    Ok(content.map(|copying| format!("backup {} is being copied there", copying.backup_id)))
}
