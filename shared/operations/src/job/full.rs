//! A full backup: a job without a lease, as the parent of one backup of each type. It completes if
//! all its parts complete, and fails if one part fails.

use holdfast_catalog::{Catalog, CatalogError, JobChange};
use holdfast_codec::random_bytes;
use holdfast_domain::settings::Settings;
use holdfast_domain::{
    BackupId, BackupType, FailureCode, Job, JobFailure, JobStatus, Timestamp, Trigger, TriggerKind,
    settings::{SettingError, SettingsError},
};

use super::{
    acquire,
    finish::{self, parent::finish_if_parts_ended},
    lease, trigger,
};
use crate::{Holdfast, Observer, OperationError};

/// The parts of a full backup.
pub(crate) const PARTS: [BackupType; 2] = [BackupType::Database, BackupType::Content];

/// A requested full backup.
#[derive(Debug, Clone)]
pub struct FullTrigger {
    /// The parent.
    pub job: Job,
    /// Its parts. The caller must dispatch each one to its worker.
    pub children: Vec<Job>,
    /// The switches of the omitted parts.
    pub skipped: Vec<&'static str>,
}

/// Takes the leases for both parts, and writes the parent and its `pending` parts. A disabled part
/// is omitted.
///
/// # Errors
/// [`OperationError::AlreadyRunning`] if a backup of either type is running,
/// [`OperationError::ConcurrencyLimit`], [`OperationError::Disabled`] if both are disabled,
/// [`OperationError::Config`] if `BACKUP_MAX_CONCURRENT` is too small for both. Nothing was begun
/// in these cases.
pub async fn trigger_full(
    holdfast: &Holdfast,
    by: Option<String>,
    now: Timestamp,
) -> Result<FullTrigger, OperationError> {
    if let Some(switch) = trigger::switched_off(&holdfast.settings, BackupType::Full) {
        return Err(OperationError::Disabled(switch));
    }
    let now = holdfast.catalog.by_server_clock(now).await?;
    finish_abandoned(&holdfast.catalog, holdfast.observer.as_ref(), now).await;
    let (kinds, skipped) = parts(&holdfast.settings);
    if kinds.len() > usize::try_from(holdfast.settings.max_concurrent).unwrap_or(usize::MAX) {
        let problem = format!(
            "is {}: a full backup runs {} at a time. Raise it, or back up one after the other",
            holdfast.settings.max_concurrent,
            kinds.len()
        );
        return Err(
            SettingsError(vec![SettingError::new("BACKUP_MAX_CONCURRENT", problem)]).into(),
        );
    }
    let job = |kind| {
        let trigger = Trigger {
            kind: TriggerKind::Manual,
            by: by.clone(),
        };
        Ok::<_, OperationError>(Job::pending(
            BackupId::new(kind, now, random_bytes()?),
            trigger,
            now,
        ))
    };
    let parent = job(BackupType::Full)?;
    let children: Vec<Job> = kinds
        .into_iter()
        .map(|kind| {
            Ok(Job {
                parent_id: Some(parent.backup_id.clone()),
                ..job(kind)?
            })
        })
        .collect::<Result<_, OperationError>>()?;
    lease_all(holdfast, &children, now).await?;
    match write_rows(
        &holdfast.catalog,
        holdfast.observer.as_ref(),
        parent,
        &children,
        &skipped,
        now,
    )
    .await
    {
        Ok(job) => Ok(FullTrigger {
            job,
            children,
            skipped,
        }),
        Err(error) => {
            release_all(&holdfast.catalog, &children).await;
            Err(error)
        }
    }
}

/// The enabled parts, and the switches of the others.
fn parts(settings: &Settings) -> (Vec<BackupType>, Vec<&'static str>) {
    let mut kinds = Vec::new();
    let mut skipped = Vec::new();
    for kind in PARTS {
        match trigger::switched_off(settings, kind) {
            None => kinds.push(kind),
            Some(switch) => skipped.push(switch),
        }
    }
    (kinds, skipped)
}

/// All leases, or none.
async fn lease_all(
    holdfast: &Holdfast,
    children: &[Job],
    now: Timestamp,
) -> Result<(), OperationError> {
    for child in children {
        if let Err(error) = acquire::lease(holdfast, &child.backup_id, now).await {
            release_all(&holdfast.catalog, children).await;
            return Err(error);
        }
    }
    Ok(())
}

/// Releases the leases of these jobs, as far as they hold any.
async fn release_all(catalog: &Catalog, children: &[Job]) {
    for child in children {
        lease::release(catalog, &child.backup_id).await;
    }
}

/// Writes the parent first, so that no part lacks it. The parent runs once all parts exist.
async fn write_rows(
    catalog: &Catalog,
    observer: &dyn Observer,
    parent: Job,
    children: &[Job],
    skipped: &[&str],
    now: Timestamp,
) -> Result<Job, OperationError> {
    catalog.insert_pending(&parent).await?;
    observer.job_changed(&parent).await;
    for child in children {
        catalog.insert_pending(child).await?;
        observer.job_changed(child).await;
    }
    let notes = skipped
        .iter()
        .map(|switch| format!("a part was left out: it is switched off by {switch}=false"));
    let change = JobChange {
        started_at: Some(now),
        message: Some(notes.collect::<Vec<_>>().join("; ")).filter(|notes| !notes.is_empty()),
        ..JobChange::default()
    };
    let parent = catalog
        .transition(&parent.backup_id, JobStatus::Running, change, None)
        .await?;
    observer.job_changed(&parent).await;
    Ok(parent)
}

/// Settles full backups with a killed trigger or last run. Without a sweeping function, the next
/// full backup does this. A failure is logged, and the sweep or the next full backup retries.
async fn finish_abandoned(catalog: &Catalog, observer: &dyn Observer, now: Timestamp) {
    let settling = async {
        for parent in catalog.active(Some(BackupType::Full)).await? {
            sweep_parent(catalog, observer, &parent, now).await?;
        }
        Ok::<_, OperationError>(())
    };
    if let Err(error) = settling.await {
        tracing::warn!(%error, "an earlier full backup could not be settled");
    }
}

/// Settles a full backup for the sweep: with its parts, or as failed if its trigger died half-way.
pub(crate) async fn sweep_parent(
    catalog: &Catalog,
    observer: &dyn Observer,
    parent: &Job,
    now: Timestamp,
) -> Result<Option<Job>, OperationError> {
    if parent.status == JobStatus::Running {
        return finish_if_parts_ended(catalog, observer, &parent.backup_id, now).await;
    }
    if now.duration_since(parent.created_at) <= lease::NOT_STARTED_AFTER {
        return Ok(None);
    }
    let failure = JobFailure {
        code: FailureCode::NotStarted,
        message: "its trigger died before all of its parts were there".to_owned(),
        hint: Some("trigger it again".to_owned()),
    };
    match finish::fail(catalog, observer, parent, failure, None, now).await {
        Ok(job) => Ok(Some(job)),
        Err(OperationError::Catalog(CatalogError::Conflict { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}
