//! Lost backups: completed jobs with a missing manifest, although no deletion was decided. All data
//! is kept, because the missing manifest may name any of it. The backup is completed again if the
//! manifest returns, or an operator accepts the loss.

use std::fmt::Write as _;

use holdfast_catalog::{Catalog, CatalogError, JobChange};
use holdfast_domain::{
    BackupId, BackupType, DeletionCause, FailureCode, Job, JobCopy, JobDeletion, JobFailure,
    JobStatus, Manifest, Timestamp,
};
use holdfast_repository::{Repository, RepositoryError, presence::missing_artifacts};
use serde::Serialize;

use crate::{
    Holdfast, InvalidOperation, NotLost, OperationError, RETAINED_TYPES,
    inventory::{
        expected::{Expected, first_store_mismatch, store_mismatch},
        manifests,
    },
    job::finish,
};

/// Whether the manifest of a lost backup is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ManifestPresence {
    /// It is missing.
    Missing,
    /// It is back, and retention has not run since.
    Present,
}

/// A lost backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LostBackup {
    /// The backup.
    pub backup_id: BackupId,
    /// The type of the backup.
    #[serde(rename = "type")]
    pub backup_type: BackupType,
    /// When it was triggered.
    pub created_at: Timestamp,
    /// Time when retention found the manifest missing. `None` if retention has not run since.
    pub lost_at: Option<Timestamp>,
    /// Whether the manifest is back.
    pub manifest: ManifestPresence,
    /// Bytes of its artifacts.
    pub size: Option<u64>,
    /// Its copy in the second store.
    pub copy: Option<JobCopy>,
}

/// All lost backups of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LostBackups {
    /// The store searched for manifests.
    pub store: String,
    /// Why retention changes nothing, if the store holds fewer than half of the completed backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<String>,
    /// The backups. For each type, those not yet seen by retention come first.
    pub backups: Vec<LostBackup>,
}

/// Lists every expected backup with a manifest missing now or at the last retention.
///
/// # Errors
/// If the store or the catalogue does not answer.
pub async fn lost_backups(holdfast: &Holdfast) -> Result<LostBackups, OperationError> {
    let mut backups = Vec::new();
    let mut both = Vec::new();
    for kind in RETAINED_TYPES {
        let seen = manifests(&holdfast.repository, kind).await?;
        let expected = Expected::compare(&holdfast.repository, &holdfast.catalog, kind, |id| {
            seen.contains(id)
        })
        .await?;
        for id in expected.unresolved() {
            backups.extend(describe(&holdfast.catalog, id, ManifestPresence::Missing).await?);
        }
        for id in &expected.returned {
            backups.extend(describe(&holdfast.catalog, id, ManifestPresence::Present).await?);
        }
        both.push(expected);
    }
    Ok(LostBackups {
        store: holdfast.repository.location().to_string(),
        suspended: store_mismatch(&holdfast.repository, both.first(), both.get(1))
            .map(|mismatch| mismatch.to_string()),
        backups,
    })
}

async fn describe(
    catalog: &Catalog,
    id: &BackupId,
    manifest: ManifestPresence,
) -> Result<Option<LostBackup>, OperationError> {
    let job = match catalog.get(id).await {
        Ok(job) => job,
        Err(CatalogError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(LostBackup {
        backup_type: job.backup_type,
        created_at: job.created_at,
        lost_at: job.lost_at,
        manifest,
        size: job.size,
        copy: job.copy,
        backup_id: job.backup_id,
    }))
}

/// The job of a lost backup, for the operator's confirmation before its loss is accepted.
///
/// # Errors
/// [`OperationError::NotFound`]. [`OperationError::Invalid`] if the backup is not lost.
pub async fn expect_lost(holdfast: &Holdfast, id: &BackupId) -> Result<Job, OperationError> {
    let job = match holdfast.catalog.get(id).await {
        Err(CatalogError::NotFound { .. }) => return Err(OperationError::NotFound(id.clone())),
        job => job?,
    };
    let reason = match job.status {
        _ if id.backup_type() == BackupType::Full => NotLost::Full,
        _ if job.is_lost() || job.is_accepted_loss() => {
            match whole_manifest(&holdfast.repository, &job).await? {
                Found::Whole => NotLost::Returned,
                Found::Missing if job.is_accepted_loss() => NotLost::Deleted,
                Found::Damaged(_) | Found::Missing => return Ok(job),
            }
        }
        JobStatus::Completed => match holdfast.repository.manifest_bytes(id).await {
            Err(RepositoryError::NotFound(_)) => return Ok(job),
            found => {
                found?;
                NotLost::Present(holdfast.repository.location().clone())
            }
        },
        JobStatus::Deleted => NotLost::Deleted,
        status => NotLost::NeverCompleted(status),
    };
    Err(InvalidOperation::NotLost {
        backup_id: id.clone(),
        reason,
    }
    .into())
}

/// Proof of a store that fits the catalogue. In a wrong store every manifest is missing, and no
/// loss is real.
#[derive(Debug, Clone, Copy)]
pub struct FittingStore(());

/// Compares the store with the catalogue, before losses are accepted.
///
/// # Errors
/// [`OperationError::WrongStore`] if it holds fewer than half of the completed backups. Those of
/// store and catalogue.
pub async fn expect_fitting_store(holdfast: &Holdfast) -> Result<FittingStore, OperationError> {
    match first_store_mismatch(&holdfast.repository, &holdfast.catalog).await? {
        Some(mismatch) => Err(OperationError::WrongStore(mismatch)),
        None => Ok(FittingStore(())),
    }
}

/// Accepts the loss of a backup. The next run of retention deletes its remains, its copy in the
/// second store, and content objects without another reference.
///
/// # Errors
/// Those of [`expect_lost`].
pub async fn accept_loss(
    holdfast: &Holdfast,
    _: FittingStore,
    id: &BackupId,
    by: Option<String>,
    now: Timestamp,
) -> Result<Job, OperationError> {
    let now = holdfast.catalog.by_server_clock(now).await?;
    let job = expect_lost(holdfast, id).await?;
    if job.status == JobStatus::Completed {
        record_lost(holdfast, id, now).await?;
    }
    // If the manifest is in the store, an accepted loss would be void. The cause is then accepted
    // damage.
    let cause = match holdfast.repository.manifest_bytes(id).await {
        Err(RepositoryError::NotFound(_)) => DeletionCause::AcceptedLoss,
        found => found.map(|_| DeletionCause::AcceptedDamage)?,
    };
    let deletion = JobDeletion {
        cause,
        decided_at: now,
        by,
    };
    let job = holdfast.catalog.accept_loss(id, &deletion).await?;
    tracing::info!(backupId = %id, by = deletion.by, "the loss of a backup was accepted");
    Ok(job)
}

/// Records the missing manifest of a completed backup. Returns `false` if the job is no longer
/// completed.
pub(crate) async fn record_lost(
    holdfast: &Holdfast,
    id: &BackupId,
    now: Timestamp,
) -> Result<bool, OperationError> {
    let mut hint = format!(
        "restore the manifest: in a bucket with versions, copy its newest version to its key. To give the backup up, \
         run `holdfast lost accept {id}`"
    );
    if let Some(second) = &holdfast.settings.cloud.location {
        let _ = write!(
            hint,
            ". Its second copy is kept: `holdfast verify {id} --store {second}`"
        );
    }
    let error = JobFailure {
        code: FailureCode::StoreCorrupt,
        message: "its manifest is missing from the store, and retention did not delete it"
            .to_owned(),
        hint: Some(hint),
    };
    let change = JobChange {
        error: Some(error),
        lost_at: Some(now),
        ..JobChange::default()
    };
    match holdfast
        .catalog
        .transition(id, JobStatus::Deleted, change, None)
        .await
    {
        Ok(job) => {
            tracing::error!(backupId = %id, "a backup is lost: its manifest is missing from the store");
            holdfast.observer.job_changed(&job).await;
            Ok(true)
        }
        Err(CatalogError::Conflict { .. } | CatalogError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The result of looking for a returned manifest.
pub(crate) enum Reinstatement {
    /// The backup is completed again.
    Completed,
    /// Its manifest is back but damaged: the backup stays lost.
    Damaged(String),
    /// Its manifest is missing, or its job is no longer lost.
    NotLost,
}

/// Completes a lost backup again, if its manifest is back and all of its artifacts are in the
/// store. An accepted loss does not prevent this, because the operator's decision concerned a
/// missing backup.
pub(crate) async fn reinstate(
    holdfast: &Holdfast,
    id: &BackupId,
) -> Result<Reinstatement, OperationError> {
    let job = holdfast.catalog.get(id).await?;
    if !job.is_lost() && !job.is_accepted_loss() {
        return Ok(Reinstatement::NotLost);
    }
    match whole_manifest(&holdfast.repository, &job).await? {
        Found::Missing => return Ok(Reinstatement::NotLost),
        Found::Damaged(problem) => return Ok(Reinstatement::Damaged(problem)),
        Found::Whole => {}
    }
    match holdfast.catalog.reinstate(&job).await {
        Ok(job) => {
            tracing::info!(backupId = %id, "a lost backup is completed again: its manifest is back");
            holdfast.observer.job_changed(&job).await;
            finish::parent::finish_parent_of(&holdfast.catalog, holdfast.observer.as_ref(), &job)
                .await;
            Ok(Reinstatement::Completed)
        }
        Err(CatalogError::Conflict { .. } | CatalogError::NotFound { .. }) => {
            Ok(Reinstatement::NotLost)
        }
        Err(error) => Err(error.into()),
    }
}

enum Found {
    Whole,
    Damaged(String),
    Missing,
}

async fn whole_manifest(repository: &Repository, job: &Job) -> Result<Found, OperationError> {
    let manifest = match repository.manifest(&job.backup_id).await {
        Ok(manifest) => manifest,
        Err(RepositoryError::NotFound(_)) => return Ok(Found::Missing),
        Err(RepositoryError::Corrupt { problem, .. }) => return Ok(Found::Damaged(problem)),
        Err(error) => return Err(error.into()),
    };
    if is_of_another_run(job, &manifest) {
        return Ok(Found::Damaged(
            "its manifest.json does not match its job".to_owned(),
        ));
    }
    Ok(missing_artifacts(repository, &manifest)
        .await?
        .map_or(Found::Whole, |damage| Found::Damaged(damage.into_string())))
}

/// The manifest of an unencrypted backup has no authentication, so it must match the row.
fn is_of_another_run(job: &Job, manifest: &Manifest) -> bool {
    let Some(checksum) = job.checksum else {
        return false;
    };
    !finish::job_change_from(manifest)
        .is_ok_and(|change| change.checksum == Some(checksum) && change.key == job.key)
}
