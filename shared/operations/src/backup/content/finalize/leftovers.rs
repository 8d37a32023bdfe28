//! Artifacts in a backup's folder that no manifest names: of runs that were killed, or came to nothing. What is not
//! removed here is left to the sweep.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use holdfast_domain::{BackupId, BackupType, Manifest, ObjectKey, Timestamp};

use holdfast_repository::RepositoryError;

use crate::{Holdfast, OperationError};

/// A few artifacts are quickly removed, or not at all.
const TIME: Duration = Duration::from_secs(5);

/// After the commit: everything in the folder that the manifest does not name.
pub(super) async fn remove_unnamed(h: &Holdfast, manifest: &Manifest) {
    let id = &manifest.backup_id;
    let named = manifest.artifacts.iter().map(|artifact| artifact.key.clone());
    let kept: Vec<ObjectKey> = named.chain([ObjectKey::manifest(id), ObjectKey::restore_guide(id)]).collect();
    log(id, remove_those(h, id, |key| !kept.contains(key)).await);
}

/// Of a job that was settled without a backup: what the run with this fencing number stored, once it is certain that
/// there is no manifest. An earlier run may be paused, and may still write a manifest that names what it stored.
pub(super) async fn remove_own(h: &Holdfast, id: &BackupId, fence: u64) {
    match h.repository.manifest(id).await {
        Err(RepositoryError::NotFound(_)) => {
            log(id, remove_those(h, id, |key| key.fence() == Some(fence)).await);
        }
        Ok(_) => {}
        Err(error) => log(id, Err(error.into())),
    }
}

/// The run may have little time left, and nothing depends on this.
async fn remove_those(
    h: &Holdfast,
    id: &BackupId,
    is_unnamed: impl Fn(&ObjectKey) -> bool,
) -> Result<(), OperationError> {
    let removed = tokio::time::timeout(TIME, remove_each(h, id, is_unnamed)).await;
    removed.unwrap_or_else(|_| Err(OperationError::internal("remove artifacts", &"it took too long")))
}

async fn remove_each(
    h: &Holdfast,
    id: &BackupId,
    is_unnamed: impl Fn(&ObjectKey) -> bool,
) -> Result<(), OperationError> {
    let store = h.repository.store();
    let mut objects = store.list(&ObjectKey::backup_prefix(id));
    while let Some(object) = objects.try_next().await? {
        if is_unnamed(&object.key) {
            store.delete(&object.key).await?;
            tracing::info!(backupId = %id, key = %object.key, "an artifact that no manifest names was removed");
        }
    }
    Ok(())
}

/// Removes what killed runs of a completed backup have begun to store: uploads of content, and files on their way, that
/// are older than the run which completed it. No run of this backup is at work any more, and no other content backup was
/// while its lease was held.
pub(super) async fn remove_unfinished(h: &Holdfast, id: &BackupId, begun_before: Timestamp) {
    log(id, remove_each_unfinished(h, id, begun_before).await);
}

async fn remove_each_unfinished(h: &Holdfast, id: &BackupId, begun_before: Timestamp) -> Result<(), OperationError> {
    let store = h.repository.store();
    let uploads = store.list_unfinished_uploads(&ObjectKey::type_prefix(BackupType::Content)).await?;
    for upload in uploads.into_iter().filter(|upload| upload.initiated_at < begun_before) {
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
        tracing::warn!(backupId = %id, %error, "artifacts that no manifest names are left to the sweep");
    }
}
