//! A content backup: discover, download, finalize. Each step is a separate run or message, and
//! dispatches the next one. A step may run twice or late. Progress is counted in rows, never in
//! messages.

mod attempt;
pub(crate) mod discover;
pub(crate) mod download;
pub(crate) mod fan_in;
mod file_upload;
pub(crate) mod finalize;
pub(crate) mod in_process;
pub(crate) mod outcome;
mod placement;
pub(crate) mod queue;
pub(crate) mod source;
mod stored;

use holdfast_catalog::{Catalog, Settled, Source};
use holdfast_codec::MasterKey;
use holdfast_domain::{BackupId, ItemFailure, ItemFailureCode, Sha256Digest, Timestamp};
use jiff::SignedDuration;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    OperationError,
    job::run::{Run, Step},
};

/// How long the lease waits for the next run. After this time the event counts as lost.
pub(crate) const NEXT_RUN_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// Time for the downloads of a backup, from its trigger on. Items without a result fail then.
pub(crate) const DOWNLOADS_END_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// The next step of a backup, for the caller to dispatch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NextStep {
    /// The backup.
    pub backup_id: BackupId,
    /// The next step.
    pub step: Step,
}

/// Ends this run, not its job: the lease waits for the next run, at most until this time of the
/// catalogue's server. Returns `false` if another run has the lease by now.
pub(crate) async fn wait_until(
    catalog: &Catalog,
    run: &Run,
    until: Timestamp,
) -> Result<bool, OperationError> {
    Ok(catalog
        .wait(
            Source::Content,
            &run.job.backup_id,
            run.fence,
            until,
            catalog.now().await?,
        )
        .await?)
}

/// The same for a run with a dispatched successor.
pub(crate) async fn wait_for_next_run(
    catalog: &Catalog,
    run: &Run,
) -> Result<bool, OperationError> {
    wait_until(catalog, run, catalog.now().await? + NEXT_RUN_WITHIN).await
}

/// The address of a file: its SHA-256, or with encryption an HMAC of it under the master key.
pub(crate) fn file_address(master: Option<&MasterKey>, file_sha256: &Sha256Digest) -> Sha256Digest {
    master.map_or(*file_sha256, |master| master.address(file_sha256))
}

/// The address of the record of blocks for `<cid>/<path>`.
pub(crate) fn dag_address(master: Option<&MasterKey>, path: &str) -> Sha256Digest {
    file_address(master, &Sha256Digest::new(Sha256::digest(path).into()))
}

/// Settles an item as failed. Returns `true` if this call did it.
pub(crate) async fn fail_item(
    catalog: &Catalog,
    backup_id: &BackupId,
    content_id: &str,
    code: ItemFailureCode,
    message: impl Into<String>,
) -> Result<bool, OperationError> {
    let failure = ItemFailure {
        code,
        message: message.into(),
    };
    let settled = Settled::Failed(&failure);
    let by_this = catalog
        .settle_item(backup_id, content_id, settled, catalog.now().await?)
        .await?;
    if by_this {
        tracing::info!(backupId = %backup_id, contentId = content_id, %code, reason = failure.message, "an item failed");
    }
    Ok(by_this)
}
