//! A content backup: discover, download, finalize. Each step is a run or a message of its own, may come twice or late,
//! and hands on to the next; what was settled is a state of rows, never a count of messages.

mod adopt;
mod attempt;
pub(crate) mod discover;
pub(crate) mod download;
pub(crate) mod fan_in;
pub(crate) mod finalize;
mod held;
pub(crate) mod item_list;
mod keep;
pub(crate) mod kept_reader;
pub(crate) mod proof;
mod prove;
pub(crate) mod queue;
pub(crate) mod read;
pub(crate) mod source;
pub(crate) mod stored;

use holdfast_catalog::{Settled, Source};
use holdfast_codec::MasterKey;
use holdfast_domain::{BackupId, ItemFailure, ItemFailureCode, Sha256Digest, Timestamp};
use jiff::SignedDuration;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    Holdfast, OperationError,
    run::{Run, Step},
};

/// How long the lease waits for a run that was handed on to: then the event is taken for lost.
pub(crate) const HANDED_ON_FOR: SignedDuration = SignedDuration::from_mins(10);

/// From its trigger on, a backup's downloads have this long; what is not settled then has failed.
pub(crate) const DOWNLOADS_END_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// A backup that somebody has to be told to go on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HandOn {
    /// The backup.
    pub backup_id: BackupId,
    /// What comes next.
    pub step: Step,
}

/// Ends this run, not its job: the lease waits until another run goes on, at most until this time of the catalogue's
/// server. `false` where it is another run's by now.
pub(crate) async fn wait_until(h: &Holdfast, run: &Run, until: Timestamp) -> Result<bool, OperationError> {
    Ok(h.catalog.wait(Source::Content, &run.job.backup_id, run.fence, until, h.catalog.now().await?).await?)
}

/// The same for a run that was handed on to.
pub(crate) async fn wait_for_next_run(h: &Holdfast, run: &Run) -> Result<bool, OperationError> {
    wait_until(h, run, h.catalog.now().await? + HANDED_ON_FOR).await
}

/// The address of a file: its SHA-256, or with encryption what only the key's holder can make of it.
pub(crate) fn file_address(master: Option<&MasterKey>, file_sha256: &Sha256Digest) -> Sha256Digest {
    master.map_or(*file_sha256, |master| master.address(file_sha256))
}

/// The address of what rebuilds the blocks of `<cid>/<path>`.
pub(crate) fn dag_address(master: Option<&MasterKey>, path: &str) -> Sha256Digest {
    file_address(master, &Sha256Digest::new(Sha256::digest(path).into()))
}

/// Settles an item as failed; `true` where this call did it.
pub(crate) async fn fail_item(
    h: &Holdfast,
    backup_id: &BackupId,
    content_id: &str,
    code: ItemFailureCode,
    message: impl Into<String>,
) -> Result<bool, OperationError> {
    let failure = ItemFailure { code, message: message.into() };
    let settled = Settled::Failed(&failure);
    let by_this = h.catalog.settle_item(backup_id, content_id, settled, h.catalog.now().await?).await?;
    if by_this {
        tracing::info!(backupId = %backup_id, contentId = content_id, %code, reason = failure.message, "an item failed");
    }
    Ok(by_this)
}
