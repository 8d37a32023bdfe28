//! Making a repository, its first master key, and its copy. Whatever is there is kept; two at once make one.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use holdfast_codec::{MasterKey, random_bytes};
use holdfast_domain::{BackupId, KeyEpoch, ObjectKey, RepositoryFile, RepositoryId, Timestamp, WrappedKey};
use holdfast_storage::{PutMode, StoreError};
use serde::Serialize;

use super::{Repository, RepositoryFileError, StoredBackup};
use crate::RepositoryError;

/// What `init` found and made.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct InitReport {
    /// The repository's id.
    pub repository_id: RepositoryId,
    /// Whether it was made now.
    pub created: bool,
    /// Whether its lost `repository.json` was put back from the copy.
    pub restored_from_copy: bool,
    /// The newest key epoch, if there is a master key.
    pub key_epoch: Option<u32>,
    /// Whether that master key was made now.
    pub key_created: bool,
    /// Whether `BACKUP_BREAK_GLASS_RECIPIENT` is set, and that master key is not wrapped for it.
    pub lacks_recipient: bool,
}

impl Repository {
    /// Makes what is missing: the repository, its copy, and `with_key` its first master key. A lost `repository.json` is
    /// put back from its copy.
    ///
    /// # Errors
    /// [`RepositoryFileError::Lost`] where backups are there and neither file is: a new one would orphan them.
    pub async fn init(&self, with_key: bool, now: Timestamp) -> Result<InitReport, RepositoryError> {
        self.store().prepare().await?;
        let mut restored_from_copy = false;
        if self.read(&ObjectKey::repository()).await?.is_none()
            && let Some(copy) = self.read(&ObjectKey::repository_copy()).await?
        {
            self.put_first(copy).await?;
            restored_from_copy = true;
        }
        let report = self.ready_for_writing(with_key, now).await?;
        if with_key && let Some(epoch) = report.key_epoch {
            // A key that opens nothing is better found now than by the first backup.
            self.master_key(epoch).await?;
        }
        Ok(InitReport { restored_from_copy, ..report })
    }

    /// As [`Repository::init`], for a run that nobody watches: a lost file is an error.
    pub(crate) async fn ready_for_writing(
        &self,
        with_key: bool,
        now: Timestamp,
    ) -> Result<InitReport, RepositoryError> {
        // The copy first: another run may be adding a key, to the file and then to the copy.
        let copy = self.copy().await?;
        let (mut file, created) = self.find_or_create(now).await?;
        if copy.as_ref().is_some_and(|copy| !file.covers(copy)) {
            return Err(RepositoryFileError::CopyDiffers(self.location().clone()).into());
        }
        let key_created = with_key && file.epochs.is_empty();
        if key_created {
            file = self.add_first_key(now).await?;
        }
        if copy.as_ref() != Some(&file) {
            match self.update_copy().await {
                // A run without keys cannot tell that they are the same, and needs none: the next with keys does it.
                Err(RepositoryError::Key(error)) if !with_key => {
                    tracing::warn!(reason = %error, "repository.copy.json is behind repository.json, and stays so");
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
        let Some((wanted, epoch)) = self.keyring().recipient().zip(file.newest_epoch()) else { return false };
        let wanted = wanted.to_string();
        !epoch.keys.iter().any(|key| matches!(key, WrappedKey::Age { recipient, .. } if *recipient == wanted))
    }

    async fn find_or_create(&self, now: Timestamp) -> Result<(RepositoryFile, bool), RepositoryError> {
        match self.open().await {
            Ok(file) => Ok((file, false)),
            Err(RepositoryError::File(RepositoryFileError::NotInitialised(_))) => {
                let file = RepositoryFile::new(RepositoryId::new(random_bytes()?), now);
                Ok((self.put_first(file).await?, true))
            }
            Err(error) => Err(error),
        }
    }

    /// Puts the file if there is none; where another was quicker, theirs counts.
    pub(super) async fn put_first(&self, file: RepositoryFile) -> Result<RepositoryFile, RepositoryError> {
        match self.store().put(&ObjectKey::repository(), encode(&file)?, PutMode::IfAbsent).await {
            Ok(_) => Ok(file),
            Err(StoreError::AlreadyExists { .. }) => self.open().await,
            Err(error @ StoreError::Unsupported { .. }) => {
                self.withdraw(&file).await;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the file from a store that cannot be used, if it is this very file: a repository begins in another one.
    async fn withdraw(&self, file: &RepositoryFile) {
        if self.read(&ObjectKey::repository()).await.is_ok_and(|found| found.as_ref() == Some(file))
            && let Err(error) = self.store().delete(&ObjectKey::repository()).await
        {
            tracing::warn!(%error, "repository.json could not be removed from a store that cannot be used");
        }
    }

    /// Adds epoch 1, by replacing exactly the file that was read: no one's key is ever overwritten.
    async fn add_first_key(&self, now: Timestamp) -> Result<RepositoryFile, RepositoryError> {
        let key = ObjectKey::repository();
        let etag = self.store().head(&key).await?.etag;
        let mut file = self.open().await?;
        if !file.epochs.is_empty() {
            return Ok(file);
        }
        self.refuse_key_beside_encrypted_backups().await?;
        let master = MasterKey::random()?;
        let keys = self.keyring().wrap(&master, &file.id).await?;
        let fingerprint = Some(master.fingerprint());
        file.epochs.push(KeyEpoch { epoch: 1, created_at: now, fingerprint, keys });
        match self.store().put(&key, encode(&file)?, PutMode::IfUnchanged(etag)).await {
            Ok(_) => Ok(file),
            Err(StoreError::AlreadyExists { .. }) => self.open().await,
            Err(error) => Err(error.into()),
        }
    }

    async fn refuse_key_beside_encrypted_backups(&self) -> Result<(), RepositoryError> {
        for backup in self.read_each(self.backup_ids().await?, is_encrypted).await {
            let (id, is_encrypted) = backup;
            let is_encrypted = match is_encrypted {
                Some(known) => known,
                // The manifest cannot be read: the names of the artifacts tell.
                None => self.holds_encrypted_artifacts(&id).await?,
            };
            if is_encrypted {
                return Err(RepositoryFileError::KeyLost(self.location().clone(), id).into());
            }
        }
        Ok(())
    }

    async fn holds_encrypted_artifacts(&self, id: &BackupId) -> Result<bool, RepositoryError> {
        let mut objects = self.store().list(&ObjectKey::backup_prefix(id));
        while let Some(object) = objects.try_next().await? {
            // Volumes of an archive end in a number.
            if object.key.file_name().split('.').any(|part| part == "enc") {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a backup is encrypted, as far as its manifest can be read.
fn is_encrypted(backup: StoredBackup) -> (BackupId, Option<bool>) {
    (backup.backup_id, backup.manifest.ok().map(|manifest| manifest.encryption.is_some()))
}

pub(super) fn encode(file: &RepositoryFile) -> Result<Bytes, RepositoryError> {
    let text =
        serde_json::to_vec_pretty(file).map_err(|error| RepositoryError::internal("encode repository.json", &error))?;
    Ok(text.into())
}
