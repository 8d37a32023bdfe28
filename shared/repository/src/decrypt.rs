//! Decrypts artifacts for other tools, and exports the master keys for safekeeping.

use std::{
    fs::File,
    io::{self, Seek as _, Write},
    sync::Arc,
};

use holdfast_codec::{ArtifactError, ArtifactPlace, DecryptReader, Header, MasterKey};
use holdfast_domain::{ObjectKey, RepositoryId, Secret};

use crate::{
    InvalidRequest, Repository, RepositoryError,
    artifact_reader::{ArtifactReader, Depth, Opener, master_of, stored_object},
};

/// A plain master key, for offline storage.
#[derive(Debug)]
pub struct ExportedKey {
    /// Its repository.
    pub repository: RepositoryId,
    /// Its epoch.
    pub epoch: u32,
    /// 64 hex digits.
    pub master_key: Secret,
}

impl ExportedKey {
    /// The key itself.
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] if it is not 64 hex digits.
    pub fn master(&self) -> Result<MasterKey, RepositoryError> {
        let invalid = || InvalidRequest::MasterKeyForm { epoch: self.epoch };
        Ok(MasterKey::from_hex(&self.master_key).ok_or_else(invalid)?)
    }
}

/// Writes a stored artifact decrypted, but still compressed. Returns the number of bytes written.
///
/// # Errors
/// [`RepositoryError::Corrupt`] if it is not authentic. Each segment is checked before it is
/// written.
pub async fn decrypt_artifact(
    repository: &Repository,
    key: &ObjectKey,
    mut out: impl Write + Send + 'static,
) -> Result<u64, RepositoryError> {
    let id = key
        .backup()
        .ok_or_else(|| InvalidRequest::NotAnArtifact(key.clone()))?;
    let manifest = repository.manifest(&id).await?;
    let named = manifest
        .artifacts
        .iter()
        .find(|artifact| artifact.key == *key);
    let artifact = named.ok_or_else(|| InvalidRequest::NotNamed {
        backup_id: id.clone(),
        key: key.clone(),
    })?;
    let object = stored_object(&manifest, artifact);
    let master = master_of(repository, object.encryption.as_ref()).await?;
    let opener = Arc::new(Opener::of(object, &manifest.repository, master));
    let mut reader = ArtifactReader::from_store(repository, key, opener, Depth::Decrypted).await?;
    let copied = tokio::task::spawn_blocking(move || {
        let bytes = io::copy(&mut reader, &mut out)?;
        out.flush()?;
        Ok(bytes)
    });
    let copied = copied
        .await
        .map_err(|error| RepositoryError::internal("decrypt", &error))?;
    copied.map_err(|error: io::Error| RepositoryError::from_reading(&id, &error))
}

/// Writes a downloaded artifact decrypted. Its own MAC authenticates it: one pass checks it, one
/// decrypts it. `key` is its key in the store, because the encryption is bound to that key.
///
/// # Errors
/// Those of [`decrypt_artifact`].
pub async fn decrypt_file(
    repository: &Repository,
    mut file: File,
    key: &ObjectKey,
    mut out: impl Write + Send + 'static,
) -> Result<u64, RepositoryError> {
    let broken = |error: &io::Error| match (key.backup(), ArtifactError::of(error)) {
        (Some(id), Some(fault)) => {
            RepositoryError::corrupt(&id, format!("the copy given for {key}: {fault}"))
        }
        _ => InvalidRequest::Undecryptable {
            key: key.clone(),
            cause: error.to_string(),
        }
        .into(),
    };
    let header = Header::read_from(&mut file).map_err(|error| broken(&error))?;
    let master = repository.master_key(header.key_epoch).await?;
    let place = ArtifactPlace {
        repository: header.repository.clone(),
        key_epoch: header.key_epoch,
        object_key: key.clone(),
    };
    let copied = tokio::task::spawn_blocking(move || {
        let size = file.metadata()?.len();
        file.rewind()?;
        let digest = holdfast_codec::verify(&file, size, &master, &place)?;
        file.rewind()?;
        let bytes = io::copy(
            &mut DecryptReader::open(&file, &master, &place, digest)?,
            &mut out,
        )?;
        out.flush()?;
        Ok(bytes)
    });
    let copied = copied
        .await
        .map_err(|error| RepositoryError::internal("decrypt", &error))?;
    copied.map_err(|error: io::Error| broken(&error))
}

/// Every master key of the repository in plain form, to print and keep offline.
///
/// # Errors
/// If an epoch does not open with the available keys.
pub async fn export_keys(repository: &Repository) -> Result<Vec<ExportedKey>, RepositoryError> {
    let file = repository.open().await?;
    let mut keys = Vec::new();
    for epoch in &file.epochs {
        let master = repository.master_key(epoch.epoch).await?;
        keys.push(ExportedKey {
            repository: file.id.clone(),
            epoch: epoch.epoch,
            master_key: Secret::new(hex::encode(master.expose())),
        });
    }
    Ok(keys)
}
