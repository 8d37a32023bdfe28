//! Artifacts of killed or failed runs in a backup's folder, without a reference from a manifest.
//! The sweep removes the rest.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use holdfast_domain::{BackupId, BackupType, Manifest, ObjectKey, Timestamp};
use holdfast_repository::{Repository, RepositoryError};

use crate::OperationError;

/// Removing a few artifacts is either fast or left to the sweep.
const TIME: Duration = Duration::from_secs(5);

/// After the commit: removes every file in the folder without a reference from the manifest.
pub(super) async fn remove_unnamed(repository: &Repository, manifest: &Manifest) {
    let id = &manifest.backup_id;
    let named = manifest
        .artifacts
        .iter()
        .map(|artifact| artifact.key.clone());
    let kept: Vec<ObjectKey> = named
        .chain([ObjectKey::manifest(id), ObjectKey::restore_guide(id)])
        .collect();
    log(
        id,
        remove_those(repository, id, |key| !kept.contains(key)).await,
    );
}

/// For a job settled without a backup: removes the artifacts of the run with this fencing number,
/// if there is certainly no manifest. An earlier run may be paused, and may still write a manifest
/// with its own artifacts.
pub(super) async fn remove_own(repository: &Repository, id: &BackupId, fence: u64) {
    match repository.manifest(id).await {
        Err(RepositoryError::NotFound(_)) => {
            log(
                id,
                remove_those(repository, id, |key| key.fence() == Some(fence)).await,
            );
        }
        Ok(_) => {}
        Err(error) => log(id, Err(error.into())),
    }
}

/// The run may have little time left, and nothing depends on this.
async fn remove_those(
    repository: &Repository,
    id: &BackupId,
    is_unnamed: impl Fn(&ObjectKey) -> bool,
) -> Result<(), OperationError> {
    let removed = tokio::time::timeout(TIME, remove_each(repository, id, is_unnamed)).await;
    removed.unwrap_or_else(|_| {
        Err(OperationError::internal(
            "remove artifacts",
            &"it took too long",
        ))
    })
}

async fn remove_each(
    repository: &Repository,
    id: &BackupId,
    is_unnamed: impl Fn(&ObjectKey) -> bool,
) -> Result<(), OperationError> {
    let store = repository.store();
    let mut objects = store.list(&ObjectKey::backup_prefix(id));
    while let Some(object) = objects.try_next().await? {
        if is_unnamed(&object.key) {
            store.delete(&object.key).await?;
            tracing::info!(backupId = %id, key = %object.key, "removed an artifact that is in no manifest");
        }
    }
    Ok(())
}

/// Removes unfinished uploads and incoming files of a completed backup's killed runs, if they are
/// older than the run that completed it. No run of this backup is active any more. No other content
/// backup was active while its lease was held.
pub(super) async fn remove_unfinished(
    repository: &Repository,
    id: &BackupId,
    begun_before: Timestamp,
) {
    log(
        id,
        remove_each_unfinished(repository, id, begun_before).await,
    );
}

async fn remove_each_unfinished(
    repository: &Repository,
    id: &BackupId,
    begun_before: Timestamp,
) -> Result<(), OperationError> {
    let store = repository.store();
    let uploads = store
        .list_unfinished_uploads(&ObjectKey::type_prefix(BackupType::Content))
        .await?;
    for upload in uploads
        .into_iter()
        .filter(|upload| upload.initiated_at < begun_before)
    {
        store.abort_upload(&upload.key, &upload.upload_id).await?;
        tracing::info!(backupId = %id, key = %upload.key, "an unfinished upload was aborted");
    }
    let mut objects = store.list(ObjectKey::INCOMING);
    while let Some(object) = objects.try_next().await? {
        if object.last_modified_at < begun_before {
            store.delete(&object.key).await?;
            tracing::info!(backupId = %id, key = %object.key, "a file of a killed download was removed");
        }
    }
    Ok(())
}

fn log(id: &BackupId, removed: Result<(), OperationError>) {
    if let Err(error) = removed {
        tracing::warn!(backupId = %id, %error, "cannot remove artifacts without a manifest: the sweep removes them");
    }
}
