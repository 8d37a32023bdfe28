//! A requested backup: takes the lease and writes the `pending` job now. The run follows in another
//! process.

use holdfast_catalog::{Catalog, CatalogError, JobChange};
use holdfast_codec::random_bytes;
use holdfast_domain::settings::Settings;
use holdfast_domain::{
    BackupId, BackupType, FailureCode, Job, JobFailure, JobStatus, Timestamp, Trigger, TriggerKind,
    settings::SettingsError,
};

use super::{acquire, finish, lease};
use crate::{BackupRequest, Holdfast, OperationError};

/// Takes the lease for a backup of this type, and writes its `pending` job.
///
/// # Errors
/// [`OperationError::AlreadyRunning`], [`OperationError::ConcurrencyLimit`],
/// [`OperationError::Disabled`]. Nothing was written in these cases.
pub async fn trigger(
    holdfast: &Holdfast,
    kind: BackupType,
    by: Option<String>,
    now: Timestamp,
) -> Result<Job, OperationError> {
    if let Some(switch) = switched_off(&holdfast.settings, kind) {
        return Err(OperationError::Disabled(switch));
    }
    let now = holdfast.catalog.by_server_clock(now).await?;
    let id = BackupId::new(kind, now, random_bytes()?);
    let job = Job::pending(
        id,
        Trigger {
            kind: TriggerKind::Manual,
            by,
        },
        now,
    );
    if let Err(error) = acquire::lease_and_insert(holdfast, &job, now).await {
        if error.is_catalog_away() {
            // The lease may have been written although the call failed. The id is new, so no other
            // run has it.
            lease::release(&holdfast.catalog, &job.backup_id).await;
        }
        return Err(error);
    }
    Ok(job)
}

/// The name of the disabled switch for backups of this type, if any.
pub(crate) fn switched_off(settings: &Settings, kind: BackupType) -> Option<&'static str> {
    let (database, content) = (settings.database.enabled, settings.content.enabled);
    match kind {
        _ if !settings.enabled => Some("BACKUP_SYSTEM_ENABLED"),
        BackupType::Database if !database => Some("BACKUP_DATABASE_ENABLED"),
        BackupType::Content if !content => Some("BACKUP_CONTENT_ENABLED"),
        BackupType::Full if !database && !content => Some("BACKUP_DATABASE_ENABLED"),
        _ => None,
    }
}

/// Settles a job after a failed dispatch, and releases its lease.
///
/// # Errors
/// If the catalogue does not answer. The sweep settles the job then.
pub async fn abandon(holdfast: &Holdfast, job: &Job, why: &str) -> Result<(), OperationError> {
    let failure = JobFailure::new(
        FailureCode::NotStarted,
        format!("the backup could not be dispatched to a worker: {why}"),
        Some(
            "check that the function of the API may put events on the bus, then trigger the backup again",
        ),
    );
    // Only without a run: the event may have arrived after all.
    finish::fail(
        &holdfast.catalog,
        holdfast.observer.as_ref(),
        job,
        failure,
        Some(0),
        holdfast.catalog.now().await?,
    )
    .await?;
    Ok(())
}

/// Writes a `failed` job for a run with wrong settings, and releases the lease of its trigger.
///
/// # Errors
/// If the catalogue does not answer.
pub async fn record_misconfigured(
    catalog: &Catalog,
    request: &BackupRequest,
    errors: &SettingsError,
    now: Timestamp,
) -> Result<Job, OperationError> {
    let (id, now) = (request.backup_id(), catalog.by_server_clock(now).await?);
    let pending = Job::pending(id.clone(), request.trigger(), now);
    match catalog.insert_pending(&pending).await {
        Ok(()) | Err(CatalogError::AlreadyExists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let failure = JobFailure::new(
        FailureCode::ConfigInvalid,
        errors.to_string(),
        Some("correct the settings: GET /api/backups/config lists every fault"),
    );
    let change = JobChange {
        error: Some(failure),
        completed_at: Some(now),
        ..JobChange::default()
    };
    match catalog
        .transition(&id, JobStatus::Failed, change, Some(0))
        .await
    {
        Ok(job) => {
            catalog.release(lease::source_of(&id)?, &id).await?;
            Ok(job)
        }
        Err(CatalogError::Conflict { .. }) => Ok(catalog.get(&id).await?),
        Err(error) => Err(error.into()),
    }
}
