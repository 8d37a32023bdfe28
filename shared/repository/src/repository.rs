//! A repository: a place in a store, and the keys for it. The store is the truth. Nothing here reads MongoDB.

use std::sync::Arc;

use holdfast_codec::MasterKey;
use holdfast_domain::{
    BackupId, BackupType, FORMAT_VERSION, KeyEpoch, ObjectKey, RepositoryFile, RepositoryId, settings::StoreLocation,
};
use holdfast_storage::{Store, StoreError, read_all};
use tokio::sync::Mutex;

use crate::{Keyring, RepositoryError};

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

/// A master key with its repository and wrapped form: a recreated repository has another key under the same number.
struct Opened {
    repository: RepositoryId,
    epoch: KeyEpoch,
    master: Arc<MasterKey>,
}

/// A fault of the repository itself.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryFileError {
    /// The place is empty.
    #[error("{0} holds no repository: run `holdfast init` first")]
    NotInitialised(StoreLocation),
    /// `repository.json` is missing, but its copy exists.
    #[error(
        "{0} has lost its repository.json, but its copy exists. Nothing was written: \
         run `holdfast init` to restore it from the copy"
    )]
    LostButCopied(StoreLocation),
    /// Both files are missing, but backups exist.
    #[error(
        "{0} holds backups, but neither repository.json nor repository.copy.json. Nothing was written, and no new key \
         is made beside old backups. Put an older version of one of the two files back. Without an older version, \
         recreate both with `holdfast key import FILE`. FILE is the output of `holdfast key export`"
    )]
    Lost(StoreLocation),
    /// Invalid JSON.
    #[error("repository.json in {location} is not readable: {cause}. Its copy is repository.copy.json")]
    Malformed {
        /// The place.
        location: StoreLocation,
        /// The cause.
        cause: String,
    },
    /// Written by a newer Holdfast.
    #[error(
        "the repository has format version {0}, but this Holdfast reads versions up to {FORMAT_VERSION}: use a newer \
         Holdfast"
    )]
    TooNew(u32),
    /// The copy does not match the file.
    #[error(
        "repository.json and repository.copy.json in {0} contradict each other: the ids differ, or a master key in the \
         copy is missing in the file or was wrapped later. Nothing was written. One of the two was replaced or rolled \
         back: replace that file with the other one"
    )]
    CopyDiffers(StoreLocation),
    /// Backups are encrypted under a key that the repository does not list.
    #[error(
        "{0} holds encrypted backups, such as {1}, but its repository.json lists no master key: it was replaced or \
         rolled back. Nothing was written. Holdfast never creates a new key for old backups: restore the file"
    )]
    KeyLost(StoreLocation, BackupId),
    /// An artifact names an unlisted epoch.
    #[error("repository.json in {location} does not list key epoch {epoch}")]
    UnknownEpoch {
        /// The place.
        location: StoreLocation,
        /// The epoch.
        epoch: u32,
    },
    /// The repository's files are faulty, and the check of a backup needs them.
    #[error("the backup cannot be checked, because the repository's files are faulty: {0}")]
    Faulty(String),
    /// Another writer was faster.
    #[error("repository.json in {0} was changed by another run. Nothing was written: run the command again")]
    Changed(StoreLocation),
    /// Encryption was requested, but the repository has no master key yet.
    #[error("{0} has no master key yet: run `holdfast init` with a key set")]
    NoKey(StoreLocation),
}

impl Repository {
    /// The repository at a place in a store. Reads nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, location: StoreLocation, keyring: Keyring) -> Self {
        Self { inner: Arc::new(Inner { store, location, keyring, masters: Mutex::default() }) }
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
        // The file is written before its copy and before any backup. So after a concurrent creation it exists now.
        self.read(&ObjectKey::repository()).await?.ok_or_else(|| missing.into())
    }

    /// The master key of an epoch.
    ///
    /// # Errors
    /// If the repository does not list the epoch, or no key at hand opens it.
    pub async fn master_key(&self, epoch: u32) -> Result<Arc<MasterKey>, RepositoryError> {
        match self.listed(epoch).await {
            Ok((repository, listed)) => self.unwrapped(&repository, &listed).await,
            // The exported key needs no file with a wrapped form. It authenticates all that it opens.
            Err(error) => self.keyring().exported(epoch).map(|master| Arc::new(master.clone())).ok_or(error),
        }
    }

    async fn listed(&self, epoch: u32) -> Result<(RepositoryId, KeyEpoch), RepositoryError> {
        let RepositoryFile { id, epochs, .. } = self.open().await?;
        let listed = epochs.into_iter().find(|listed| listed.epoch == epoch);
        let unknown = || RepositoryFileError::UnknownEpoch { location: self.location().clone(), epoch };
        Ok((id, listed.ok_or_else(unknown)?))
    }

    /// Unwraps the master key of a listed epoch, once. It may take a passphrase's time, or a call of KMS.
    ///
    /// # Errors
    /// [`RepositoryError::Key`] if no key at hand opens it.
    pub async fn unwrapped(
        &self,
        repository: &RepositoryId,
        epoch: &KeyEpoch,
    ) -> Result<Arc<MasterKey>, RepositoryError> {
        let mut masters = self.inner.masters.lock().await;
        if let Some(opened) = masters.iter().find(|opened| opened.repository == *repository && opened.epoch == *epoch) {
            return Ok(Arc::clone(&opened.master));
        }
        let master = Arc::new(self.keyring().unwrap(epoch, repository).await?);
        let (repository, epoch) = (repository.clone(), epoch.clone());
        masters.push(Opened { repository, epoch, master: Arc::clone(&master) });
        Ok(master)
    }

    pub(crate) async fn read(&self, key: &ObjectKey) -> Result<Option<RepositoryFile>, RepositoryError> {
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
            if self.store().list(&ObjectKey::type_prefix(kind)).try_next().await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
