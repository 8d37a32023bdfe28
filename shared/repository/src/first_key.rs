//! The first master key of a repository. It is never created if encrypted backups exist, because
//! they need an older key.

use futures_util::TryStreamExt as _;
use holdfast_codec::MasterKey;
use holdfast_domain::{BackupId, KeyEpoch, ObjectKey, RepositoryFile, Timestamp};
use holdfast_storage::{PutMode, StoreError};

use super::{Repository, RepositoryFileError, create::encode};
use crate::RepositoryError;

impl Repository {
    /// Adds epoch 1 by replacing exactly the read file. So an existing key is never overwritten.
    pub(super) async fn add_first_key(
        &self,
        now: Timestamp,
    ) -> Result<RepositoryFile, RepositoryError> {
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
        file.epochs.push(KeyEpoch {
            epoch: 1,
            created_at: now,
            fingerprint,
            keys,
        });
        match self
            .store()
            .put(&key, encode(&file)?, PutMode::IfUnchanged(etag))
            .await
        {
            Ok(_) => Ok(file),
            Err(StoreError::AlreadyExists { .. }) => self.open().await,
            Err(error) => Err(error.into()),
        }
    }

    async fn refuse_key_beside_encrypted_backups(&self) -> Result<(), RepositoryError> {
        let mut denied = None;
        for id in self.backup_ids().await? {
            let is_encrypted = match self.unauthenticated(&id).await {
                Ok(manifest) => manifest.encryption.is_some(),
                // The manifest is unreadable, but the names of the artifacts reveal encryption.
                Err(error) => {
                    if let RepositoryError::Store(StoreError::Denied { cause, .. }) = error {
                        denied.get_or_insert_with(|| (id.clone(), cause));
                    }
                    self.holds_encrypted_artifacts(&id).await?
                }
            };
            if is_encrypted {
                return Err(RepositoryFileError::KeyLost(self.location().clone(), id).into());
            }
        }
        denied.map_or(Ok(()), |(id, cause)| {
            Err(RepositoryFileError::MayNotRead {
                location: self.location().clone(),
                manifest: ObjectKey::manifest(&id),
                cause,
            }
            .into())
        })
    }

    async fn holds_encrypted_artifacts(&self, id: &BackupId) -> Result<bool, RepositoryError> {
        let mut objects = self.store().list(&ObjectKey::backup_prefix(id));
        while let Some(object) = objects.try_next().await? {
            // The names of archive volumes end in a number.
            if object.key.file_name().split('.').any(|part| part == "enc") {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
