//! Artifacts in a backup's folder that no manifest names: of runs that were killed, or came to nothing. What is not
//! removed here is left to the sweep.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use holdfast_domain::{BackupId, Manifest, ObjectKey};

use crate::{Holdfast, OperationError};

/// A few artifacts are quickly removed, or not at all.
const TIME: Duration = Duration::from_secs(5);

/// After the commit: everything in the folder that the manifest does not name.
pub(super) async fn remove_unnamed(h: &Holdfast, manifest: &Manifest) {
    let id = &manifest.backup_id;
    let named = manifest.artifacts.iter().map(|artifact| artifact.key.clone());
    let kept: Vec<ObjectKey> = named.chain([ObjectKey::manifest(id), ObjectKey::restore_guide(id)]).collect();
    log(id, remove_but(h, id, &kept).await);
}

/// Of a job that was settled without a backup: everything, once it is certain that there is no manifest.
pub(super) async fn remove_all(h: &Holdfast, id: &BackupId) {
    match h.repository.manifest(id).await {
        Err(OperationError::NotFound(_)) => log(id, remove_but(h, id, &[]).await),
        Ok(_) => {}
        Err(error) => log(id, Err(error)),
    }
}

/// The run may have little time left, and nothing depends on this.
async fn remove_but(h: &Holdfast, id: &BackupId, kept: &[ObjectKey]) -> Result<(), OperationError> {
    let removed = tokio::time::timeout(TIME, remove_each(h, id, kept)).await;
    removed.unwrap_or_else(|_| Err(OperationError::internal("remove artifacts", &"it took too long")))
}

async fn remove_each(h: &Holdfast, id: &BackupId, kept: &[ObjectKey]) -> Result<(), OperationError> {
    let store = h.repository.store();
    let mut objects = store.list(&ObjectKey::backup_prefix(id));
    while let Some(object) = objects.try_next().await? {
        if !kept.contains(&object.key) {
            store.delete(&object.key).await?;
            tracing::info!(backupId = %id, key = %object.key, "an artifact that no manifest names was removed");
        }
    }
    Ok(())
}

/// Aborts the uploads into the folder of a backup that is settled: they are of runs that were killed.
pub(super) async fn abort_uploads(h: &Holdfast, id: &BackupId) {
    let aborting = async {
        let store = h.repository.store();
        for upload in store.list_unfinished_uploads(&ObjectKey::backup_prefix(id)).await? {
            store.abort_upload(&upload.key, &upload.upload_id).await?;
            tracing::info!(backupId = %id, key = %upload.key, "an unfinished upload was aborted");
        }
        Ok(())
    };
    log(id, aborting.await);
}

fn log(id: &BackupId, removed: Result<(), OperationError>) {
    if let Err(error) = removed {
        tracing::warn!(backupId = %id, %error, "artifacts that no manifest names are left to the sweep");
    }
}
