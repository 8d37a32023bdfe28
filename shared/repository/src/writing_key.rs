//! The inputs of a write: the existing repository, and its encryption key.

use std::sync::Arc;

use holdfast_codec::{ArtifactPlace, MasterKey};
use holdfast_domain::{Encryption, ObjectKey, RepositoryFile, Timestamp, WrappedKey};

use super::artifact_writer::Recipe;
use crate::{Repository, RepositoryError, RepositoryFileError};

/// Whether new objects are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionMode {
    /// Objects are stored in plain form.
    Off,
    /// Objects are encrypted with the newest master key.
    On,
}

impl From<bool> for EncryptionMode {
    /// From a setting or a job's row.
    fn from(is_on: bool) -> Self {
        if is_on { Self::On } else { Self::Off }
    }
}

/// The repository of a run, and its encryption key.
pub struct WritingKey {
    /// The content of `repository.json`.
    pub repository: RepositoryFile,
    /// The newest master key. `None` without encryption.
    pub master: Option<Arc<MasterKey>>,
    /// The cipher suite and the epoch of the master key. `None` without encryption.
    pub encryption: Option<Encryption>,
    /// The wrapped forms of the master key. Empty without encryption.
    pub wrapped: Vec<WrappedKey>,
}

/// Opens or creates the repository, and with encryption opens its newest key. Fails closed.
///
/// # Errors
/// [`RepositoryError::File`] if the repository's files are lost, unreadable, contradictory, or
/// changed by another run. [`RepositoryError::Key`] if the master key cannot be created, or no key
/// at hand opens it. [`RepositoryError::Store`] if the store is unavailable.
pub async fn writing_key(
    repository: &Repository,
    encryption: EncryptionMode,
) -> Result<WritingKey, RepositoryError> {
    repository
        .ready_for_writing(encryption, Timestamp::now())
        .await?;
    let file = repository.open().await?;
    opened(repository, file, encryption).await
}

/// As [`writing_key`], but the repository and its key must exist. Writes nothing, for the later
/// steps of a backup: its first step has created both.
///
/// # Errors
/// As [`writing_key`], and [`RepositoryFileError::NoKey`] if the repository has no master key.
pub async fn existing_writing_key(
    repository: &Repository,
    encryption: EncryptionMode,
) -> Result<WritingKey, RepositoryError> {
    // The copy first: another run may be adding a key, to the file and then to the copy.
    let copy = repository.copy().await?;
    let file = repository.open().await?;
    if copy.is_some_and(|copy| !file.covers(&copy)) {
        return Err(RepositoryFileError::CopyDiffers(repository.location().clone()).into());
    }
    opened(repository, file, encryption).await
}

async fn opened(
    repository: &Repository,
    file: RepositoryFile,
    encryption: EncryptionMode,
) -> Result<WritingKey, RepositoryError> {
    if encryption == EncryptionMode::Off {
        return Ok(WritingKey {
            repository: file,
            master: None,
            encryption: None,
            wrapped: Vec::new(),
        });
    }
    let epoch = file.newest_epoch().cloned();
    let epoch = epoch.ok_or_else(|| RepositoryFileError::NoKey(repository.location().clone()))?;
    let master = repository.unwrapped(&file.id, &epoch).await?;
    let encryption = Encryption {
        suite: holdfast_codec::SUITE.to_owned(),
        key_epoch: epoch.epoch,
    };
    Ok(WritingKey {
        repository: file,
        master: Some(master),
        encryption: Some(encryption),
        wrapped: epoch.keys,
    })
}

impl WritingKey {
    /// The settings of the stages for an artifact under this key.
    #[must_use]
    pub fn recipe(&self, object_key: &ObjectKey, compression_level: Option<u8>) -> Recipe {
        let encryption =
            self.master
                .as_ref()
                .zip(self.encryption.as_ref())
                .map(|(master, encryption)| {
                    let place = ArtifactPlace {
                        repository: self.repository.id.clone(),
                        key_epoch: encryption.key_epoch,
                        object_key: object_key.clone(),
                    };
                    (Arc::clone(master), place)
                });
        Recipe {
            compression_level,
            encryption,
        }
    }
}
