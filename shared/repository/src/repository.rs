//! A repository: a place in a store, and the keys for it. The store is the truth. Nothing here
//! reads MongoDB.

use std::sync::Arc;

use holdfast_codec::MasterKey;
use holdfast_domain::{
    BackupType, FORMAT_VERSION, KeyEpoch, ObjectKey, RepositoryFile, RepositoryId,
    settings::StoreLocation,
};
use holdfast_storage::{Store, StoreError, read_all};
use tokio::sync::Mutex;

use crate::{Keyring, RepositoryError, RepositoryFileError};

/// A larger `repository.json` is invalid.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// A repository. Cheap to clone.
#[derive(Clone)]
pub struct Repository {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    location: StoreLocation,
    keyring: Keyring,
    masters: Mutex<Vec<Opened>>,
}

/// A master key with its repository and wrapped form: a recreated repository has another key under
/// the same number.
struct Opened {
    repository: RepositoryId,
    epoch: KeyEpoch,
    master: Arc<MasterKey>,
}

impl Repository {
    /// The repository at a place in a store. Reads nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, location: StoreLocation, keyring: Keyring) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                location,
                keyring,
                masters: Mutex::default(),
            }),
        }
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// Its place, for display.
    #[must_use]
    pub fn location(&self) -> &StoreLocation {
        &self.inner.location
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    /// Reads `repository.json`.
    ///
    /// # Errors
    /// [`RepositoryFileError`] if the file is missing or unreadable. It is never created here.
    pub async fn open(&self) -> Result<RepositoryFile, RepositoryError> {
        if let Some(file) = self.read(&ObjectKey::repository()).await? {
            return Ok(file);
        }
        let location = self.location().clone();
        let missing = if self.read(&ObjectKey::repository_copy()).await?.is_some() {
            RepositoryFileError::LostButCopied(location)
        } else if self.holds_backups().await? {
            RepositoryFileError::Lost(location)
        } else {
            RepositoryFileError::NotInitialised(location)
        };
        // The file is written before its copy and before any backup. So after a concurrent creation
        // it exists now.
        self.read(&ObjectKey::repository())
            .await?
            .ok_or_else(|| missing.into())
    }

    /// The master key of an epoch.
    ///
    /// # Errors
    /// If the repository does not list the epoch, or no key at hand opens it.
    pub async fn master_key(&self, epoch: u32) -> Result<Arc<MasterKey>, RepositoryError> {
        match self.listed(epoch).await {
            Ok((repository, listed)) => self.unwrapped(&repository, &listed).await,
            // The exported key needs no file with a wrapped form. It authenticates all that it
            // opens.
            Err(error) => self
                .keyring()
                .exported(epoch)
                .map(|master| Arc::new(master.clone()))
                .ok_or(error),
        }
    }

    async fn listed(&self, epoch: u32) -> Result<(RepositoryId, KeyEpoch), RepositoryError> {
        let RepositoryFile { id, epochs, .. } = self.open().await?;
        let listed = epochs.into_iter().find(|listed| listed.epoch == epoch);
        let unknown = || RepositoryFileError::UnknownEpoch {
            location: self.location().clone(),
            epoch,
        };
        Ok((id, listed.ok_or_else(unknown)?))
    }

    /// Unwraps the master key of a listed epoch, once. It may take a passphrase's time, or a call
    /// of KMS.
    ///
    /// # Errors
    /// [`RepositoryError::Key`] if no key at hand opens it.
    pub async fn unwrapped(
        &self,
        repository: &RepositoryId,
        epoch: &KeyEpoch,
    ) -> Result<Arc<MasterKey>, RepositoryError> {
        let mut masters = self.inner.masters.lock().await;
        if let Some(opened) = masters
            .iter()
            .find(|opened| opened.repository == *repository && opened.epoch == *epoch)
        {
            return Ok(Arc::clone(&opened.master));
        }
        let master = Arc::new(self.keyring().unwrap(epoch, repository).await?);
        let (repository, epoch) = (repository.clone(), epoch.clone());
        masters.push(Opened {
            repository,
            epoch,
            master: Arc::clone(&master),
        });
        Ok(master)
    }

    pub(crate) async fn read(
        &self,
        key: &ObjectKey,
    ) -> Result<Option<RepositoryFile>, RepositoryError> {
        let bytes = match read_all(self.store().as_ref(), key, MAX_FILE_BYTES).await {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let malformed = |error: serde_json::Error| RepositoryFileError::Malformed {
            location: self.location().clone(),
            cause: error.to_string(),
        };
        let file: RepositoryFile = serde_json::from_slice(&bytes).map_err(malformed)?;
        if file.format_version > FORMAT_VERSION {
            return Err(RepositoryFileError::TooNew(file.format_version).into());
        }
        Ok(Some(file))
    }

    pub(crate) async fn holds_backups(&self) -> Result<bool, RepositoryError> {
        use futures_util::TryStreamExt as _;
        for kind in BackupType::ALL {
            if self
                .store()
                .list(&ObjectKey::type_prefix(kind))
                .try_next()
                .await?
                .is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
