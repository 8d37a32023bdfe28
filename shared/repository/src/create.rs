//! Creates a repository, its first master key, and its copy. Existing files are kept. Concurrent
//! calls create one repository.

use bytes::Bytes;
use holdfast_codec::random_bytes;
use holdfast_domain::{ObjectKey, RepositoryFile, RepositoryId, Timestamp, WrappedKey};
use holdfast_storage::{PutMode, StoreError};
use serde::Serialize;

use super::{Repository, RepositoryFileError};
use crate::{EncryptionMode, RepositoryError};

/// Result of `init`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an answer of its own"
)]
pub struct InitReport {
    /// The repository's id.
    pub repository_id: RepositoryId,
    /// Whether it was created now.
    pub created: bool,
    /// Whether its lost `repository.json` was restored from the copy.
    pub restored_from_copy: bool,
    /// The newest key epoch, if there is a master key.
    pub key_epoch: Option<u32>,
    /// Whether that master key was created now.
    pub key_created: bool,
    /// Whether `BACKUP_BREAK_GLASS_RECIPIENT` is set, but that master key is not wrapped for it.
    pub lacks_recipient: bool,
}

impl Repository {
    /// Creates the missing parts: the repository, its copy, and with encryption its first master
    /// key. A lost `repository.json` is restored from its copy.
    ///
    /// # Errors
    /// [`RepositoryFileError::Lost`] if both files are missing although backups exist: a new
    /// repository would orphan them.
    pub async fn init(
        &self,
        encryption: EncryptionMode,
        now: Timestamp,
    ) -> Result<InitReport, RepositoryError> {
        self.store().prepare().await?;
        let mut restored_from_copy = false;
        if self.read(&ObjectKey::repository()).await?.is_none()
            && let Some(copy) = self.read(&ObjectKey::repository_copy()).await?
        {
            self.put_first(copy).await?;
            restored_from_copy = true;
        }
        let report = self.ready_for_writing(encryption, now).await?;
        if encryption == EncryptionMode::On
            && let Some(epoch) = report.key_epoch
        {
            // Detects a wrong key now instead of at the first backup.
            self.master_key(epoch).await?;
        }
        Ok(InitReport {
            restored_from_copy,
            ..report
        })
    }

    /// As [`Repository::init`], for unattended runs: a lost file is an error.
    pub(crate) async fn ready_for_writing(
        &self,
        encryption: EncryptionMode,
        now: Timestamp,
    ) -> Result<InitReport, RepositoryError> {
        // The copy first: another run may be adding a key, to the file and then to the copy.
        let copy = self.copy().await?;
        let (mut file, created) = self.find_or_create(now).await?;
        if copy.as_ref().is_some_and(|copy| !file.covers(copy)) {
            return Err(RepositoryFileError::CopyDiffers(self.location().clone()).into());
        }
        let key_created = encryption == EncryptionMode::On && file.epochs.is_empty();
        if key_created {
            file = self.add_first_key(now).await?;
        }
        if copy.as_ref() != Some(&file) {
            match self.update_copy().await {
                // A run without keys cannot compare the wrapped keys, and needs none. The next run
                // with keys updates the copy.
                Err(RepositoryError::Key(error)) if encryption == EncryptionMode::Off => {
                    tracing::warn!(reason = %error, "repository.copy.json is older than repository.json: the next run with a key updates it");
                }
                updated => updated?,
            }
        }
        let lacks_recipient = self.lacks_recipient(&file);
        if lacks_recipient {
            tracing::warn!(
                "BACKUP_BREAK_GLASS_RECIPIENT is set, and the master key is not wrapped for it: run \
                 `holdfast key add-recipient RECIPIENT` with its value"
            );
        }
        Ok(InitReport {
            key_epoch: file.newest_epoch().map(|epoch| epoch.epoch),
            repository_id: file.id,
            created,
            restored_from_copy: false,
            key_created,
            lacks_recipient,
        })
    }

    fn lacks_recipient(&self, file: &RepositoryFile) -> bool {
        let Some((wanted, epoch)) = self.keyring().recipient().zip(file.newest_epoch()) else {
            return false;
        };
        let wanted = wanted.to_string();
        !epoch
            .keys
            .iter()
            .any(|key| matches!(key, WrappedKey::Age { recipient, .. } if *recipient == wanted))
    }

    async fn find_or_create(
        &self,
        now: Timestamp,
    ) -> Result<(RepositoryFile, bool), RepositoryError> {
        match self.open().await {
            Ok(file) => Ok((file, false)),
            Err(RepositoryError::File(RepositoryFileError::NotInitialised(_))) => {
                let file = RepositoryFile::new(RepositoryId::new(random_bytes()?), now);
                Ok((self.put_first(file).await?, true))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the file if it is missing. If another run was faster, its file is returned.
    pub(super) async fn put_first(
        &self,
        file: RepositoryFile,
    ) -> Result<RepositoryFile, RepositoryError> {
        match self
            .store()
            .put(&ObjectKey::repository(), encode(&file)?, PutMode::IfAbsent)
            .await
        {
            Ok(_) => Ok(file),
            Err(StoreError::AlreadyExists { .. }) => self.open().await,
            Err(error @ StoreError::Unsupported { .. }) => {
                self.withdraw(&file).await;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes exactly this file from an unusable store, because the repository will be created in
    /// another store.
    async fn withdraw(&self, file: &RepositoryFile) {
        if self
            .read(&ObjectKey::repository())
            .await
            .is_ok_and(|found| found.as_ref() == Some(file))
            && let Err(error) = self.store().delete(&ObjectKey::repository()).await
        {
            tracing::warn!(%error, "repository.json could not be removed from an unusable store");
        }
    }
}

pub(super) fn encode(file: &RepositoryFile) -> Result<Bytes, RepositoryError> {
    let text = serde_json::to_vec_pretty(file)
        .map_err(|error| RepositoryError::internal("encode repository.json", &error))?;
    Ok(text.into())
}
