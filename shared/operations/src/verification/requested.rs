//! A verification that another process runs: whether it can be requested, and its result. Nothing
//! here reads an artifact or needs a key.

use std::time::Duration;

use holdfast_catalog::VerificationRecord;
use holdfast_domain::{BackupId, Timestamp, VerificationLevel, heartbeat::VERIFICATION_DEAD_AFTER};
use holdfast_recovery::verification::Verification;
use jiff::SignedDuration;

use super::on_request::{expect_finished, expect_level};
use crate::{Holdfast, OperationError};

/// Interval between two reads of the result.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// Tolerance between two readings of the catalogue's clock.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// Refuses a request that no run could serve: an unsupported level, an unfinished, missing or
/// already claimed backup.
///
/// # Errors
/// As [`expect_level`], and [`OperationError::NotFound`], [`OperationError::NotVerifiable`], and
/// [`OperationError::AlreadyVerifying`].
pub async fn expect_requestable(
    holdfast: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
) -> Result<(), OperationError> {
    expect_level(id, level)?;
    expect_finished(&holdfast.repository, &holdfast.catalog, id).await?;
    let since = holdfast.catalog.now().await? - VERIFICATION_DEAD_AFTER;
    if holdfast.catalog.is_verifying(id, since).await? {
        return Err(OperationError::AlreadyVerifying(id.clone()));
    }
    Ok(())
}

/// Removes the request of a verification that ended without a record, or never began. A failure is
/// logged: the request then expires.
pub async fn withdraw_request(holdfast: &Holdfast, id: &BackupId) {
    if let Err(error) = holdfast.catalog.withdraw_verification(id).await {
        tracing::warn!(backupId = %id, %error, "cannot remove the request of a verification: it counts until it expires");
    }
}

/// Waits for the recorded result of a verification that began at `since` or later, by the
/// catalogue's clock. Returns `None` after the caller's patience. An unavailable catalogue has no
/// result yet.
pub async fn await_verification(
    holdfast: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    since: Timestamp,
    patience: Duration,
) -> Option<Verification> {
    let looking = async {
        loop {
            match result_since(holdfast, id, level, since).await {
                Ok(Some(record)) => return from_record(holdfast, record).await,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(backupId = %id, %error, "cannot read the result of a verification: the next look retries");
                }
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    };
    tokio::time::timeout(patience, looking).await.ok()
}

async fn result_since(
    holdfast: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    since: Timestamp,
) -> Result<Option<VerificationRecord>, OperationError> {
    let records = holdfast.catalog.verifications(id).await?;
    Ok(records
        .into_iter()
        .find(|record| record.level == level && record.at >= since - CLOCK_TOLERANCE))
}

/// The row has no copy of the manifest. A missing manifest is among its problems.
async fn from_record(holdfast: &Holdfast, record: VerificationRecord) -> Verification {
    let manifest = holdfast
        .repository
        .unauthenticated(&record.backup_id)
        .await
        .ok();
    let items = manifest
        .as_ref()
        .and_then(|manifest| manifest.content.as_ref())
        .map(|content| content.items);
    Verification {
        backup_id: record.backup_id,
        level: record.level,
        status: record.status,
        problems: record.problems,
        repository_problems: record.repository_problems,
        notes: record.notes,
        bytes_read: record.bytes_read,
        namespaces: manifest.map_or_else(Vec::new, |manifest| manifest.namespaces),
        items,
        collections: record.collections,
        started_at: record.at,
        duration_ms: record.duration_ms,
    }
}
