//! Reads, authenticates and lists manifests.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use holdfast_domain::{
    BackupId, BackupType, MAX_MANIFEST_BYTES, Manifest, ManifestFile, NamespaceManifest, ObjectKey,
};
use holdfast_storage::{StoreError, read_all};

use super::Repository;
use crate::RepositoryError;

/// Manifests read at a time during a list.
const LIST_CONCURRENCY: usize = 4;

/// A stored backup with a manifest. The manifest is not authenticated: `verify` and `restore`
/// authenticate it.
#[derive(Debug, Clone)]
pub struct StoredBackup {
    /// Its id, from the manifest's key.
    pub backup_id: BackupId,
    /// The manifest without the digests of its artifacts' segments, or the reason for an
    /// unreadable one.
    pub manifest: Result<Manifest, String>,
}

impl Repository {
    /// The manifest of a backup. If the backup is encrypted, the manifest is authenticated.
    ///
    /// # Errors
    /// [`RepositoryError::NotFound`] if the backup does not exist, [`RepositoryError::Corrupt`] if
    /// its manifest is damaged.
    pub async fn manifest(&self, id: &BackupId) -> Result<Manifest, RepositoryError> {
        // Boxed: the callers' types are too deep for the compiler without it.
        let bytes = Box::pin(self.manifest_bytes(id)).await?;
        Box::pin(self.authentic(id, &bytes)).await
    }

    /// The manifest in these bytes. If the backup is encrypted, the manifest is authenticated.
    ///
    /// # Errors
    /// [`RepositoryError::Corrupt`] if the manifest is unreadable, of another backup, or not
    /// authentic. Otherwise those of [`Repository::master_key`].
    pub async fn authentic(
        &self,
        id: &BackupId,
        bytes: &[u8],
    ) -> Result<Manifest, RepositoryError> {
        let file = parsed(id, bytes)?;
        let manifest = file
            .manifest(id)
            .map_err(|error| RepositoryError::corrupt(id, error.to_string()))?;
        match (&manifest.encryption, &file.hmac) {
            (None, None) => Ok(manifest),
            (Some(encryption), Some(hmac)) => {
                let master = self.master_key(encryption.key_epoch).await?;
                if master.verify_manifest_mac(file.signed_bytes(), hmac) {
                    Ok(manifest)
                } else {
                    Err(RepositoryError::corrupt(
                        id,
                        "its manifest.json is not authentic: it was altered",
                    ))
                }
            }
            (Some(_), None) => Err(RepositoryError::corrupt(
                id,
                "its manifest.json has lost its HMAC",
            )),
            (None, Some(_)) => Err(RepositoryError::corrupt(
                id,
                "its manifest.json has an HMAC but names no key epoch",
            )),
        }
    }

    /// Every backup with a manifest, newest first.
    ///
    /// # Errors
    /// If the store cannot be listed. An unreadable manifest is part of the list.
    pub async fn list(&self) -> Result<Vec<StoredBackup>, RepositoryError> {
        Ok(self
            .read_each(self.backup_ids().await?, |backup| backup)
            .await)
    }

    /// The ids of all backups with a manifest, newest first. No manifest is read.
    ///
    /// # Errors
    /// If the store cannot be listed.
    pub async fn backup_ids(&self) -> Result<Vec<BackupId>, RepositoryError> {
        let mut ids = Vec::new();
        for kind in BackupType::ALL {
            let mut objects = self.store().list(&ObjectKey::backups_prefix(kind));
            while let Some(object) = objects.try_next().await? {
                ids.extend(object.key.manifest_of());
            }
        }
        ids.sort_by_key(|id| std::cmp::Reverse(created_ms(id)));
        Ok(ids)
    }

    /// Summarizes each of these backups. A manifest is dropped after its summary, so memory holds
    /// at most `LIST_CONCURRENCY` of them.
    pub async fn read_each<T>(
        &self,
        ids: Vec<BackupId>,
        summarize: impl Fn(StoredBackup) -> T,
    ) -> Vec<T> {
        let read = |backup_id: BackupId| async {
            let manifest = self
                .unauthenticated(&backup_id)
                .await
                .map_err(|error| error.to_string());
            summarize(StoredBackup {
                backup_id,
                manifest,
            })
        };
        futures_util::stream::iter(ids)
            .map(read)
            .buffered(LIST_CONCURRENCY)
            .collect()
            .await
    }

    /// The namespaces of a database backup, from its manifest. They are not authenticated.
    ///
    /// # Errors
    /// [`RepositoryError::NotFound`] if the backup does not exist, [`RepositoryError::Corrupt`] if
    /// its manifest is unreadable.
    pub async fn namespaces(
        &self,
        id: &BackupId,
    ) -> Result<Vec<NamespaceManifest>, RepositoryError> {
        Ok(self.unauthenticated(id).await?.namespaces)
    }

    /// The manifest of a backup as stored, without the digests of its artifacts' segments. It is
    /// not authenticated.
    ///
    /// # Errors
    /// As [`Repository::manifest`], but no key is needed.
    pub async fn unauthenticated(&self, id: &BackupId) -> Result<Manifest, RepositoryError> {
        let file = self.manifest_file(id).await?;
        let mut manifest = file
            .manifest(id)
            .map_err(|error| RepositoryError::corrupt(id, error.to_string()))?;
        // The digests are most of a large backup's manifest, and a list keeps all manifests at
        // once.
        manifest
            .artifacts
            .iter_mut()
            .for_each(|artifact| artifact.segments = Vec::new());
        Ok(manifest)
    }

    pub(super) async fn manifest_file(
        &self,
        id: &BackupId,
    ) -> Result<ManifestFile, RepositoryError> {
        parsed(id, &Box::pin(self.manifest_bytes(id)).await?)
    }

    /// A manifest's file as stored.
    ///
    /// # Errors
    /// [`RepositoryError::NotFound`] if the backup does not exist. [`RepositoryError::Store`] if
    /// the store is unavailable, or the file exceeds [`MAX_MANIFEST_BYTES`].
    pub async fn manifest_bytes(&self, id: &BackupId) -> Result<Bytes, RepositoryError> {
        match read_all(
            self.store().as_ref(),
            &ObjectKey::manifest(id),
            MAX_MANIFEST_BYTES,
        )
        .await
        {
            Err(StoreError::NotFound { .. }) => Err(RepositoryError::NotFound(id.clone())),
            read => Ok(read?),
        }
    }
}

fn parsed(id: &BackupId, bytes: &[u8]) -> Result<ManifestFile, RepositoryError> {
    ManifestFile::parse(bytes).map_err(|error| RepositoryError::corrupt(id, error.to_string()))
}

/// The time in an id: `db_<unix ms>_…`.
fn created_ms(id: &BackupId) -> u64 {
    id.as_str()
        .split('_')
        .nth(1)
        .and_then(|ms| ms.parse().ok())
        .unwrap_or_default()
}
