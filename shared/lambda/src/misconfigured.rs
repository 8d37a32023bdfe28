//! A run whose settings are wrong: its job says so, where there is a catalogue to hold it.

use holdfast_domain::{JobStatus, Timestamp, settings::SettingsError};
use holdfast_operations::{BackupOutcome, BackupRequest, OperationError, SkipReason, record_misconfigured};

use crate::Function;

/// Records that nothing is backed up until the settings are right.
///
/// # Errors
/// Where what is wrong may be right in a moment, or nothing could be recorded: the event's source tries again.
pub async fn record_misconfigured_run(
    function: &Function,
    request: &BackupRequest,
    faults: SettingsError,
) -> Result<BackupOutcome, OperationError> {
    // The event's source tries again, before this tick's backup is given up.
    if faults.is_transient() {
        return Err(faults.into());
    }
    tracing::error!(error = %faults, "nothing is backed up until the settings are right");
    let catalog = function.catalog_in_spite().await?;
    let job = record_misconfigured(&catalog, request, &faults, Timestamp::now()).await?;
    match job.status {
        JobStatus::Failed => Ok(BackupOutcome::Failed(Box::new(job))),
        status => Ok(BackupOutcome::Skipped { backup_id: job.backup_id, reason: SkipReason::AlreadySettled(status) }),
    }
}
