//! Making a repository, its first master key, and its copy. Whatever is there is kept; two at once make one.

use bytes::Bytes;
use holdfast_codec::{MasterKey, random_bytes};
use holdfast_domain::{KeyEpoch, ObjectKey, RepositoryFile, RepositoryId, Timestamp};
use holdfast_storage::{PutMode, StoreError};
use serde::Serialize;

use super::{Repository, RepositoryError};
use crate::OperationError;

/// What `init` found and made.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
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
}

impl Repository {
    /// Makes what is missing: the repository, its copy, and `with_key` its first master key.
    ///
    /// # Errors
    /// [`RepositoryError::Lost`] where backups are there and the file is not: a new one would orphan them.
    pub async fn init(&self, with_key: bool, now: Timestamp) -> Result<InitReport, OperationError> {
        let (mut file, created, restored_from_copy) = self.find_or_create(now).await?;
        let key_created = with_key && file.epochs.is_empty();
        if key_created {
            file = self.add_first_key(now).await?;
        }
        self.write_copy(&file).await?;
        Ok(InitReport {
            key_epoch: file.newest_epoch().map(|epoch| epoch.epoch),
            repository_id: file.id,
            created,
            restored_from_copy,
            key_created,
        })
    }

    async fn find_or_create(&self, now: Timestamp) -> Result<(RepositoryFile, bool, bool), OperationError> {
        if let Some(file) = self.read(&ObjectKey::repository()).await? {
            return Ok((file, false, false));
        }
        if let Some(copy) = self.read(&ObjectKey::repository_copy()).await? {
            return Ok((self.put_first(copy).await?, false, true));
        }
        if self.holds_backups().await? {
            return Err(RepositoryError::Lost(self.location().clone()).into());
        }
        let file = RepositoryFile::new(RepositoryId::new(random_bytes()?), now);
        Ok((self.put_first(file).await?, true, false))
    }

    /// Puts the file if there is none; where another was quicker, theirs counts.
    async fn put_first(&self, file: RepositoryFile) -> Result<RepositoryFile, OperationError> {
        match self.store().put(&ObjectKey::repository(), encode(&file)?, PutMode::IfAbsent).await {
            Ok(_) => Ok(file),
            Err(StoreError::AlreadyExists { .. }) => self.open().await,
            Err(error) => Err(error.into()),
        }
    }

    /// Adds epoch 1, by replacing exactly the file that was read: no one's key is ever overwritten.
    async fn add_first_key(&self, now: Timestamp) -> Result<RepositoryFile, OperationError> {
        let key = ObjectKey::repository();
        let etag = self.store().head(&key).await?.etag;
        let mut file = self.open().await?;
        if !file.epochs.is_empty() {
            return Ok(file);
        }
        let master = MasterKey::random()?;
        let keys = self.inner.keyring.wrap(&master, &file.id).await?;
        file.epochs.push(KeyEpoch { epoch: 1, created_at: now, keys });
        match self.store().put(&key, encode(&file)?, PutMode::IfUnchanged(etag)).await {
            Ok(_) => Ok(file),
            Err(StoreError::AlreadyExists { .. }) => self.open().await,
            Err(error) => Err(error.into()),
        }
    }

    async fn write_copy(&self, file: &RepositoryFile) -> Result<(), OperationError> {
        let copy = ObjectKey::repository_copy();
        if self.read(&copy).await.ok().flatten().as_ref() != Some(file) {
            self.store().put(&copy, encode(file)?, PutMode::Replace).await?;
        }
        Ok(())
    }
}

fn encode(file: &RepositoryFile) -> Result<Bytes, OperationError> {
    let text =
        serde_json::to_vec_pretty(file).map_err(|error| OperationError::internal("encode repository.json", &error))?;
    Ok(text.into())
}
