//! A run with invalid settings: its job records them, if there is a catalogue.

use holdfast_domain::{JobStatus, Timestamp, settings::SettingsError};
use holdfast_operations::{
    BackupOutcome, BackupRequest, OperationError, SkipReason, record_misconfigured,
};

use crate::Function;

/// Records that no backup is possible until the settings are corrected.
///
/// # Errors
/// For a temporary fault, or if the record failed: the event's source retries.
pub async fn record_misconfigured_run(
    function: &Function,
    request: &BackupRequest,
    faults: SettingsError,
) -> Result<BackupOutcome, OperationError> {
    // The event's source retries before this tick's backup is abandoned.
    if faults.is_transient() {
        return Err(faults.into());
    }
    tracing::error!(error = %faults, "no backup is possible until the settings are corrected");
    let catalog = function.catalog_despite_config_errors().await?;
    let job = record_misconfigured(&catalog, request, &faults, Timestamp::now()).await?;
    match job.status {
        JobStatus::Failed => Ok(BackupOutcome::Failed(Box::new(job))),
        status => Ok(BackupOutcome::Skipped {
            backup_id: job.backup_id,
            reason: SkipReason::AlreadyFinished(status),
        }),
    }
}
