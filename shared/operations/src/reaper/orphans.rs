//! Compares the folders of backups with the catalogue. A failed or cancelled job with a manifest
//! becomes completed. Unnamed objects are removed only if a late manifest cannot name them.

use futures_util::TryStreamExt as _;
use holdfast_catalog::{Catalog, CatalogError, CollectingProgress};
use holdfast_codec::random_bytes;
use holdfast_domain::{BackupId, BackupType, JobStatus, ObjectKey, Timestamp};
use holdfast_repository::{Repository, RepositoryError};
use holdfast_storage::ObjectInfo;
use jiff::SignedDuration;

use super::SweepReport;
use crate::{
    Holdfast, OperationError, RunLimits,
    inventory::expected::first_store_mismatch,
    job::{late, run::is_late},
};

/// An object without a reference stays for this long, because a paused run may still write the
/// manifest.
const MIN_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Jobs read in one call.
const PAGE: usize = 500;

/// Whether this store matches the catalogue. It is checked once, before the first removal.
#[derive(Default)]
struct StoreCheck(Option<bool>);

impl StoreCheck {
    /// Only the first refusal is reported.
    async fn may_remove(
        &mut self,
        repository: &Repository,
        catalog: &Catalog,
        report: &mut SweepReport,
    ) -> Result<bool, OperationError> {
        if let Some(known) = self.0 {
            return Ok(known);
        }
        let wrong = first_store_mismatch(repository, catalog).await?;
        self.0 = Some(wrong.is_none());
        report
            .problems
            .extend(wrong.map(|mismatch| mismatch.to_string()));
        Ok(self.0 == Some(true))
    }
}

/// Processes every backup's folder in order. If the time ends, it records the current folder, and
/// the next sweep resumes there.
pub(super) async fn sweep(
    holdfast: &Holdfast,
    limits: RunLimits,
    now: Timestamp,
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    let mut check = StoreCheck::default();
    for kind in [BackupType::Database, BackupType::Content] {
        let from = saved_position(&holdfast.repository, &holdfast.catalog, kind).await?;
        match sweep_type(holdfast, kind, from, &mut check, (limits, now), report).await? {
            None if from == 0 => {}
            None => {
                holdfast
                    .catalog
                    .forget_collecting_progress(&name(kind))
                    .await?;
            }
            Some(next) => {
                save_position(&holdfast.repository, &holdfast.catalog, kind, next).await?;
                report
                    .unfinished
                    .push(format!("objects of {kind} backups without a manifest"));
            }
        }
    }
    Ok(())
}

fn name(kind: BackupType) -> String {
    format!("orphans-{kind}")
}

/// The time in the id of the last sweep's folder, in milliseconds. It is 0 after a complete sweep.
async fn saved_position(
    repository: &Repository,
    catalog: &Catalog,
    kind: BackupType,
) -> Result<u64, OperationError> {
    let store = repository.location().to_string();
    Ok(catalog
        .collecting_progress(&name(kind), &store)
        .await?
        .map_or(0, |progress| progress.part))
}

async fn save_position(
    repository: &Repository,
    catalog: &Catalog,
    kind: BackupType,
    part: u64,
) -> Result<(), OperationError> {
    let store = repository.location().to_string();
    let progress = CollectingProgress {
        store,
        part,
        ..CollectingProgress::default()
    };
    let run = hex::encode(random_bytes::<8>()?);
    Ok(catalog
        .keep_collecting_progress(&name(kind), &run, &progress, Timestamp::now())
        .await?)
}

/// Returns the current folder if the time ended.
async fn sweep_type(
    holdfast: &Holdfast,
    kind: BackupType,
    from: u64,
    check: &mut StoreCheck,
    (limits, now): (RunLimits, Timestamp),
    report: &mut SweepReport,
) -> Result<Option<u64>, OperationError> {
    // Retention processes the shared objects of backups.
    let mut objects = holdfast
        .repository
        .store()
        .list(&ObjectKey::backups_prefix(kind));
    let (mut folder, mut committed): (Vec<ObjectInfo>, Vec<BackupId>) = (Vec::new(), Vec::new());
    while let Some(object) = objects.try_next().await? {
        // Ids begin with their times, so the folders are sorted by time.
        let Some(at) = object
            .key
            .backup()
            .map(|id| made_at(&id))
            .filter(|at| *at >= from)
        else {
            continue;
        };
        // Objects are sorted by key, so those of one folder are adjacent.
        if folder
            .first()
            .is_some_and(|first| first.key.backup() != object.key.backup())
        {
            sweep_folder(
                &holdfast.repository,
                &holdfast.catalog,
                &std::mem::take(&mut folder),
                check,
                now,
                report,
            )
            .await;
            if is_late(limits) {
                complete_committed(holdfast, &committed, report).await?;
                return Ok(Some(at));
            }
        }
        committed.extend(
            object
                .key
                .backup()
                .filter(|id| object.key == ObjectKey::manifest(id)),
        );
        if committed.len() >= PAGE {
            complete_committed(holdfast, &std::mem::take(&mut committed), report).await?;
        }
        folder.push(object);
    }
    sweep_folder(
        &holdfast.repository,
        &holdfast.catalog,
        &folder,
        check,
        now,
        report,
    )
    .await;
    complete_committed(holdfast, &committed, report).await?;
    Ok(None)
}

/// Completes the failed or cancelled jobs among these.
async fn complete_committed(
    holdfast: &Holdfast,
    committed: &[BackupId],
    report: &mut SweepReport,
) -> Result<(), OperationError> {
    let late = late::complete_committed(holdfast, committed).await?;
    report.completed.extend(late.completed);
    report.problems.extend(late.problems);
    Ok(())
}

fn made_at(id: &BackupId) -> u64 {
    id.created_at()
        .and_then(|at| at.as_millisecond().try_into().ok())
        .unwrap_or_default()
}

async fn sweep_folder(
    repository: &Repository,
    catalog: &Catalog,
    folder: &[ObjectInfo],
    check: &mut StoreCheck,
    now: Timestamp,
    report: &mut SweepReport,
) {
    let Some(id) = folder.first().and_then(|object| object.key.backup()) else {
        return;
    };
    let old = |object: &&ObjectInfo| now.duration_since(object.last_modified_at) > MIN_AGE;
    if is_complete_folder(&id, folder) || !folder.iter().any(|object| old(&object)) {
        return;
    }
    let kept = match kept_objects(repository, catalog, &id, now).await {
        Ok(Some(kept)) => kept,
        Ok(None) => return,
        Err(error) => {
            return report
                .problems
                .push(format!("the objects of {id}: {error}"));
        }
    };
    let orphans: Vec<&ObjectInfo> = folder
        .iter()
        .filter(old)
        .filter(|object| !kept.contains(&object.key))
        .collect();
    if orphans.is_empty() {
        return;
    }
    match check.may_remove(repository, catalog, report).await {
        Ok(true) => delete(repository, &id, &orphans, report).await,
        Ok(false) => {}
        Err(error) => report
            .problems
            .push(format!("the objects of {id}: {error}")),
    }
}

async fn delete(
    repository: &Repository,
    id: &BackupId,
    orphans: &[&ObjectInfo],
    report: &mut SweepReport,
) {
    for object in orphans {
        match repository.store().delete(&object.key).await {
            Ok(()) => {
                tracing::info!(backupId = %id, key = %object.key, "an object without a manifest was removed");
                report.removed(id.backup_type(), object.size_bytes);
            }
            Err(error) => report
                .problems
                .push(format!("object {}: {error}", object.key)),
        }
    }
}

/// Manifest, guide, and one dump, or one list and one archive: a normal folder. Verification
/// compares these objects with the manifest.
fn is_complete_folder(id: &BackupId, folder: &[ObjectInfo]) -> bool {
    let has = |key: ObjectKey| folder.iter().any(|object| object.key == key);
    let most = if id.backup_type() == BackupType::Content {
        4
    } else {
        3
    };
    folder.len() <= most && has(ObjectKey::manifest(id)) && has(ObjectKey::restore_guide(id))
}

/// The objects of a backup that must stay, or `None` if all of them must.
async fn kept_objects(
    repository: &Repository,
    catalog: &Catalog,
    id: &BackupId,
    now: Timestamp,
) -> Result<Option<Vec<ObjectKey>>, OperationError> {
    let (status, ended_at) = match catalog.get(id).await {
        Ok(job) => (job.status, job.completed_at),
        // Another catalogue may have its job.
        Err(CatalogError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match repository.manifest(id).await {
        Ok(_) if status.is_active() => Ok(None),
        Ok(manifest) => {
            let artifacts = manifest.artifacts.into_iter().map(|artifact| artifact.key);
            Ok(Some(
                artifacts
                    .chain([ObjectKey::manifest(id), ObjectKey::restore_guide(id)])
                    .collect(),
            ))
        }
        Err(RepositoryError::NotFound(_))
            if matches!(status, JobStatus::Failed | JobStatus::Cancelled) =>
        {
            // Old objects may belong to a recently ended job.
            let is_settled = ended_at.is_some_and(|at| {
                now.duration_since(at) >= crate::job::finish::LATE_MANIFEST_GRACE
            });
            Ok(is_settled.then(Vec::new))
        }
        Err(RepositoryError::NotFound(_)) if status == JobStatus::Completed => {
            Err(OperationError::corrupt(
                id,
                "its job is completed, but its manifest is missing: none of its objects was removed",
            ))
        }
        Err(RepositoryError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
