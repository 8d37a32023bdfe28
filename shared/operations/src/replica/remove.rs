//! Retention in the second store: it deletes the copies of deleted backups in the order of the
//! first store's retention, then unreferenced objects and abandoned uploads.
//!
//! In doubt, data is kept. A lost backup has only its copy, so that copy stays.

use holdfast_catalog::JobStanding;
use holdfast_domain::heartbeat::DEAD_AFTER;
use holdfast_domain::{BackupId, BackupType, JobStatus, ObjectKey, Timestamp};
use holdfast_repository::{Repository, RepositoryError};
use holdfast_storage::UnfinishedUpload;
use jiff::SignedDuration;
use serde::Serialize;

use super::CopyFault;
use crate::{
    BlockedBackup, CollectionReport, DeletedBackup, Holdfast, OperationError, RETAINED_TYPES,
    RunLimits,
    inventory::{Folder, expected::wrong_first_store, folders},
    job::run::is_late,
    retention::{Deletion, collect_copies, delete_copy},
};

/// An upload without an active copy stays for this long.
const UPLOAD_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// Backups per catalogue query.
const PAGE: usize = 1000;

/// Result of retention in the second store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RemovedCopies {
    /// Deleted copies, including remains of incomplete ones.
    pub deleted: Vec<DeletedBackup>,
    /// Expired copies, retained by the store.
    pub blocked: Vec<BlockedBackup>,
    /// Copies of lost backups. They are kept, and may be the last ones.
    pub last: Vec<BackupId>,
    /// Number of copies after the run.
    pub retained: u64,
    /// Bytes of the deleted copies.
    pub bytes_freed: u64,
    /// Number of aborted uploads.
    pub uploads_aborted: u64,
    /// Content objects without a reference in either store.
    pub collection: CollectionReport,
    /// The reason for a suspended run: the first store holds fewer than half of the catalogue's
    /// completed backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<String>,
    /// Failed steps.
    pub problems: Vec<String>,
}

impl RemovedCopies {
    /// All failed steps.
    pub fn all_problems(&self) -> impl Iterator<Item = &String> {
        self.problems.iter().chain(&self.collection.problems)
    }
}

/// Deletes from the second store the copies of backups deleted by retention.
///
/// # Errors
/// [`OperationError::Disabled`], and a fault if the store holds another repository. The report
/// lists failed steps, and the other steps still run.
pub async fn remove_copies(
    h: &Holdfast,
    second: &Repository,
    limits: RunLimits,
    now: Timestamp,
) -> Result<RemovedCopies, OperationError> {
    if !h.settings.enabled {
        return Err(OperationError::Disabled("BACKUP_SYSTEM_ENABLED"));
    }
    let (mut report, now) = (
        RemovedCopies::default(),
        h.catalog.by_server_clock(now).await?,
    );
    if !expect_ours(h, second).await? {
        return Ok(report);
    }
    match wrong_first_store(h).await {
        Ok(None) => delete_and_collect(h, second, limits, now, &mut report).await,
        Ok(suspended @ Some(_)) => {
            report.suspended = suspended;
            return Ok(report);
        }
        Err(error) => report.problems.push(format!("the first store: {error}")),
    }
    if let Err(error) = abort_uploads(h, second, limits, now, &mut report).await {
        report.problems.push(format!("unfinished uploads: {error}"));
    }
    Ok(report)
}

async fn delete_and_collect(
    h: &Holdfast,
    second: &Repository,
    limits: RunLimits,
    now: Timestamp,
    report: &mut RemovedCopies,
) {
    for kind in RETAINED_TYPES {
        if let Err(error) = of_type(h, second, kind, limits, now, report).await {
            report
                .problems
                .push(format!("copies of {kind} backups: {error}"));
        }
    }
    match Box::pin(collect_copies(h, second, limits, now)).await {
        Ok(collection) => report.collection = collection,
        Err(error) => report
            .problems
            .push(format!("content objects could not be collected: {error}")),
    }
}

/// Checks for a copy of this repository. Returns `false` if the store was never used.
async fn expect_ours(h: &Holdfast, second: &Repository) -> Result<bool, OperationError> {
    let theirs = match second.open().await {
        Ok(file) => file.id,
        Err(RepositoryError::File(holdfast_repository::RepositoryFileError::NotInitialised(_))) => {
            return Ok(false);
        }
        Err(RepositoryError::Store(cause)) => {
            return Err(CopyFault::Store {
                location: second.location().to_string(),
                cause,
            }
            .into());
        }
        Err(error) => return Err(error.into()),
    };
    let ours = h.repository.open().await?.id;
    if theirs == ours {
        return Ok(true);
    }
    Err(CopyFault::AnotherRepository {
        location: second.location().to_string(),
        theirs,
        ours,
    }
    .into())
}

async fn of_type(
    h: &Holdfast,
    second: &Repository,
    kind: BackupType,
    limits: RunLimits,
    now: Timestamp,
    report: &mut RemovedCopies,
) -> Result<(), OperationError> {
    let folders: Vec<(BackupId, Folder)> = folders(second, kind).await?.into_iter().collect();
    for page in folders.chunks(PAGE) {
        let ids: Vec<BackupId> = page.iter().map(|(id, _)| id.clone()).collect();
        let mut standings = h.catalog.standings(&ids).await?;
        for (id, folder) in page {
            if is_late(limits) {
                report.problems.push(
                    "the function's time ran out before all expired copies were deleted".to_owned(),
                );
                return Ok(());
            }
            // A backup with an unreadable or missing row is kept.
            let Some(Ok(standing)) = standings.remove(id) else {
                report.retained += u64::from(folder.has_manifest);
                continue;
            };
            if let Err(error) = remove_one(h, second, (id, folder), &standing, now, report).await {
                report.problems.push(format!("the copy of {id}: {error}"));
            }
        }
    }
    Ok(())
}

async fn remove_one(
    h: &Holdfast,
    second: &Repository,
    (id, folder): (&BackupId, &Folder),
    standing: &JobStanding,
    now: Timestamp,
    report: &mut RemovedCopies,
) -> Result<(), OperationError> {
    if standing.is_lost {
        report.last.push(id.clone());
    } else if standing.status == JobStatus::Deleted
        && is_gone(h, id).await?
        && !is_being_copied(h, id).await?
    {
        match delete_copy(h, second, id, now).await? {
            Deletion::Deleted => {
                tracing::info!(backupId = %id, store = %second.location(), bytes = folder.size_bytes, "the copy of a backup was deleted by retention");
                let bytes = folder.size_bytes;
                report.bytes_freed += bytes;
                report.deleted.push(DeletedBackup {
                    backup_id: id.clone(),
                    bytes,
                    reasons: Vec::new(),
                });
                return Ok(());
            }
            Deletion::Blocked(lock) => report.blocked.push(BlockedBackup {
                backup_id: id.clone(),
                lock,
            }),
            Deletion::InUse(_) => {}
        }
    }
    report.retained += u64::from(folder.has_manifest);
    Ok(())
}

/// Whether the backup's manifest is certainly missing from the first store. Until then the deletion
/// may be unfinished.
async fn is_gone(h: &Holdfast, id: &BackupId) -> Result<bool, OperationError> {
    match h.repository.store().head(&ObjectKey::manifest(id)).await {
        Ok(_) => Ok(false),
        Err(error) if error.is_not_found() => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Whether a run may still write to it.
async fn is_being_copied(h: &Holdfast, id: &BackupId) -> Result<bool, OperationError> {
    let copying = h
        .catalog
        .copying(h.catalog.now().await? - DEAD_AFTER)
        .await?;
    Ok(copying.iter().any(|copying| copying.backup_id == *id))
}

async fn abort_uploads(
    h: &Holdfast,
    second: &Repository,
    limits: RunLimits,
    now: Timestamp,
    report: &mut RemovedCopies,
) -> Result<(), OperationError> {
    let store = second.store();
    let mut uploads: Vec<UnfinishedUpload> = Vec::new();
    for kind in RETAINED_TYPES {
        uploads.extend(
            store
                .list_unfinished_uploads(&ObjectKey::type_prefix(kind))
                .await?,
        );
    }
    let active = h.catalog.copying(now - UPLOAD_LIFETIME).await?;
    let is_active = |upload: &UnfinishedUpload| {
        active
            .iter()
            .any(|copying| copying.upload_id.as_ref() == Some(&upload.upload_id.0))
    };
    for upload in uploads {
        if now.duration_since(upload.initiated_at) <= UPLOAD_LIFETIME || is_active(&upload) {
            continue;
        }
        if is_late(limits) {
            report.problems.push(
                "the function's time ran out before all unfinished uploads were aborted".to_owned(),
            );
            return Ok(());
        }
        match store.abort_upload(&upload.key, &upload.upload_id).await {
            Ok(()) => {
                tracing::info!(key = %upload.key, store = %second.location(), "an unfinished upload was aborted");
                report.uploads_aborted += 1;
            }
            Err(error) => report
                .problems
                .push(format!("upload of {}: {error}", upload.key)),
        }
    }
    Ok(())
}
