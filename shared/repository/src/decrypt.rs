//! Artifacts decrypted for other tools, and the master keys for safekeeping.

use std::{
    fs::File,
    io::{self, Seek as _, Write},
    sync::Arc,
};

use holdfast_codec::{ArtifactError, ArtifactPlace, DecryptReader, Header, MasterKey};
use holdfast_domain::{ObjectKey, RepositoryId, Secret};

use crate::{
    Repository, RepositoryError,
    artifact_reader::{ArtifactReader, Depth, Opener, master_of, stored_object},
};

/// A master key, plain, to be kept offline.
#[derive(Debug)]
pub struct ExportedKey {
    /// The repository it opens.
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
    /// [`RepositoryError::Invalid`] where it is not 64 hex digits.
    pub fn master(&self) -> Result<MasterKey, RepositoryError> {
        let invalid =
            || RepositoryError::Invalid(format!("the master key of epoch {} is not 64 hex digits", self.epoch));
        MasterKey::from_hex(&self.master_key).ok_or_else(invalid)
    }
}

/// Writes a stored artifact decrypted (and still compressed, if it is). Returns the bytes written.
///
/// # Errors
/// [`RepositoryError::Corrupt`] where it is not authentic; nothing of a segment is written before it was checked.
pub async fn decrypt_artifact(
    repository: &Repository,
    key: &ObjectKey,
    mut out: impl Write + Send + 'static,
) -> Result<u64, RepositoryError> {
    let id =
        key.backup().ok_or_else(|| RepositoryError::Invalid(format!("{key} is not the key of a backup's artifact")))?;
    let manifest = repository.manifest(&id).await?;
    let named = manifest.artifacts.iter().find(|artifact| artifact.key == *key);
    let artifact =
        named.ok_or_else(|| RepositoryError::Invalid(format!("the manifest of {id} does not name {key}")))?;
    let object = stored_object(&manifest, artifact);
    let master = master_of(repository, object.encryption.as_ref()).await?;
    let opener = Arc::new(Opener::of(object, &manifest.repository, master));
    let mut reader = ArtifactReader::from_store(repository, key, opener, Depth::Decrypted).await?;
    let copied = tokio::task::spawn_blocking(move || {
        let bytes = io::copy(&mut reader, &mut out)?;
        out.flush()?;
        Ok(bytes)
    });
    let copied = copied.await.map_err(|error| RepositoryError::internal("decrypt", &error))?;
    copied.map_err(|error: io::Error| RepositoryError::from_reading(&id, &error))
}

/// Writes a downloaded artifact decrypted, by its own MAC alone: one pass to check it, one to decrypt it. `key` is where
/// it stood in the store, to which it is bound.
///
/// # Errors
/// As [`decrypt_artifact`].
pub async fn decrypt_file(
    repository: &Repository,
    mut file: File,
    key: &ObjectKey,
    mut out: impl Write + Send + 'static,
) -> Result<u64, RepositoryError> {
    let broken = |error: &io::Error| match (key.backup(), ArtifactError::of(error)) {
        (Some(id), Some(fault)) => RepositoryError::corrupt(&id, format!("the copy given for {key}: {fault}")),
        _ => RepositoryError::Invalid(format!("the copy given for {key} cannot be decrypted: {error}")),
    };
    let header = Header::read_from(&mut file).map_err(|error| broken(&error))?;
    let master = repository.master_key(header.key_epoch).await?;
    let place =
        ArtifactPlace { repository: header.repository.clone(), key_epoch: header.key_epoch, object_key: key.clone() };
    let copied = tokio::task::spawn_blocking(move || {
        let size = file.metadata()?.len();
        file.rewind()?;
        let digest = holdfast_codec::verify(&file, size, &master, &place)?;
        file.rewind()?;
        let bytes = io::copy(&mut DecryptReader::open(&file, &master, &place, digest)?, &mut out)?;
        out.flush()?;
        Ok(bytes)
    });
    let copied = copied.await.map_err(|error| RepositoryError::internal("decrypt", &error))?;
    copied.map_err(|error: io::Error| broken(&error))
}

/// Every master key of the repository, plain: what to print and keep offline.
///
/// # Errors
/// Where an epoch does not open with the keys at hand.
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
