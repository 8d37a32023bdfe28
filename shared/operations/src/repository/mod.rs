//! A repository: a place in a store, and the keys that open it. The store is the truth; nothing here asks MongoDB.

mod copy;
mod create;
mod import;
mod keyring;
mod kms;
mod manifests;
mod rewrap;
mod second;
mod sources;

use std::sync::Arc;

use holdfast_codec::MasterKey;
use holdfast_domain::{
    BackupId, BackupType, FORMAT_VERSION, KeyEpoch, ObjectKey, RepositoryFile, RepositoryId, settings::StoreLocation,
};
use holdfast_storage::{Store, StoreError, read_all};
use tokio::sync::Mutex;

pub(crate) use self::sources::source_warnings_before;
pub use self::{
    create::InitReport,
    keyring::{Keyring, KeyringError, Openers},
    manifests::StoredBackup,
    rewrap::{KeyChange, Rewrap, RewrapReport, RewrappedEpoch, WrappedUnder},
    sources::{SourceName, SourceWarning, amount_held, newest_filled, source_warnings, sources_of},
};
use crate::OperationError;

/// A `repository.json` larger than this is not one.
const MAX_FILE_BYTES: usize = 1024 * 1024;

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

/// A master key that was unwrapped, and what it was unwrapped from: a repository that was made anew has another under
/// the same number.
struct Opened {
    repository: RepositoryId,
    epoch: KeyEpoch,
    master: Arc<MasterKey>,
}

/// What is wrong with a repository itself.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// Nothing is there at all.
    #[error("{0} holds no repository: run `holdfast init` first")]
    NotInitialised(StoreLocation),
    /// `repository.json` is gone, its copy is there.
    #[error(
        "{0} has lost its repository.json; its copy is there. Nothing was written: \
         run `holdfast init`, which puts the copy in its place"
    )]
    LostButCopied(StoreLocation),
    /// Both are gone, backups are there.
    #[error(
        "{0} holds backups, but neither repository.json nor repository.copy.json. Nothing was written, and no new key \
         is made beside old backups. Put an older version of one of the two files back. If there is none, recreate both \
         with `holdfast key import FILE`, where FILE holds the output of `holdfast key export`"
    )]
    Lost(StoreLocation),
    /// Not the JSON it should be.
    #[error("repository.json in {location} is not readable: {cause}. Its copy is repository.copy.json")]
    Malformed {
        /// Where.
        location: StoreLocation,
        /// What is wrong with it.
        cause: String,
    },
    /// Written by a newer Holdfast.
    #[error("the repository has format version {0}; this Holdfast reads up to {FORMAT_VERSION}: use a newer one")]
    TooNew(u32),
    /// The copy is not a copy.
    #[error(
        "repository.json and repository.copy.json in {0} differ in what neither may lose: another id, or a master key \
         that only the copy has, or has wrapped later. Nothing was written. One of the two was replaced or rolled back: find out which, and \
         put the other in its place"
    )]
    CopyDiffers(StoreLocation),
    /// Backups are encrypted under a key that the repository does not list.
    #[error(
        "{0} holds encrypted backups, as {1}, and its repository.json lists no master key: it was replaced or rolled back. \
         Nothing was written, and no new key is ever made beside old backups: bring the file back"
    )]
    KeyLost(StoreLocation, BackupId),
    /// The epoch that an artifact names is not listed.
    #[error("repository.json in {location} does not list key epoch {epoch}")]
    UnknownEpoch {
        /// Where.
        location: StoreLocation,
        /// Which.
        epoch: u32,
    },
    /// The repository's files are faulty, and a backup cannot be judged without them.
    #[error("the backup cannot be judged, because the repository's files are faulty: {0}")]
    Faulty(String),
    /// Somebody else was quicker.
    #[error("repository.json in {0} was changed by somebody else meanwhile: nothing was written; run it again")]
    Changed(StoreLocation),
    /// Encryption was asked for, and the repository has no master key yet.
    #[error("{0} has no master key yet: run `holdfast init` with a key set")]
    NoKey(StoreLocation),
}

impl Repository {
    /// The repository at a place in a store. Reads nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, location: StoreLocation, keyring: Keyring) -> Self {
        Self { inner: Arc::new(Inner { store, location, keyring, masters: Mutex::default() }) }
    }

    /// The store it lies in.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// Where it lies, for people.
    #[must_use]
    pub fn location(&self) -> &StoreLocation {
        &self.inner.location
    }

    fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    /// Reads `repository.json`.
    ///
    /// # Errors
    /// [`RepositoryError`] where it is missing or unreadable; it is never made here.
    pub async fn open(&self) -> Result<RepositoryFile, OperationError> {
        if let Some(file) = self.read(&ObjectKey::repository()).await? {
            return Ok(file);
        }
        let location = self.location().clone();
        let missing = if self.read(&ObjectKey::repository_copy()).await?.is_some() {
            RepositoryError::LostButCopied(location)
        } else if self.holds_backups().await? {
            RepositoryError::Lost(location)
        } else {
            RepositoryError::NotInitialised(location)
        };
        // It is written before its copy and before any backup: where another run made all of them meanwhile, it is there.
        self.read(&ObjectKey::repository()).await?.ok_or_else(|| missing.into())
    }

    /// The master key of an epoch.
    ///
    /// # Errors
    /// Where the repository does not list it, or no key at hand opens it.
    pub async fn master_key(&self, epoch: u32) -> Result<Arc<MasterKey>, OperationError> {
        match self.listed(epoch).await {
            Ok((repository, listed)) => self.unwrapped(&repository, &listed).await,
            // Who holds the key itself needs no file that wraps it; what it opens is authenticated by it.
            Err(error) => self.keyring().exported(epoch).map(|master| Arc::new(master.clone())).ok_or(error),
        }
    }

    async fn listed(&self, epoch: u32) -> Result<(RepositoryId, KeyEpoch), OperationError> {
        let RepositoryFile { id, epochs, .. } = self.open().await?;
        let listed = epochs.into_iter().find(|listed| listed.epoch == epoch);
        let unknown = || RepositoryError::UnknownEpoch { location: self.location().clone(), epoch };
        Ok((id, listed.ok_or_else(unknown)?))
    }

    /// The master key of an epoch that was just read. Unwrapping may take a passphrase's time, or a call of KMS: once.
    pub(crate) async fn unwrapped(
        &self,
        repository: &RepositoryId,
        epoch: &KeyEpoch,
    ) -> Result<Arc<MasterKey>, OperationError> {
        let mut masters = self.inner.masters.lock().await;
        if let Some(opened) = masters.iter().find(|opened| opened.repository == *repository && opened.epoch == *epoch) {
            return Ok(Arc::clone(&opened.master));
        }
        let master = Arc::new(self.keyring().unwrap(epoch, repository).await?);
        let (repository, epoch) = (repository.clone(), epoch.clone());
        masters.push(Opened { repository, epoch, master: Arc::clone(&master) });
        Ok(master)
    }

    async fn read(&self, key: &ObjectKey) -> Result<Option<RepositoryFile>, OperationError> {
        let bytes = match read_all(self.store().as_ref(), key, MAX_FILE_BYTES).await {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let malformed = |error: serde_json::Error| RepositoryError::Malformed {
            location: self.location().clone(),
            cause: error.to_string(),
        };
        let file: RepositoryFile = serde_json::from_slice(&bytes).map_err(malformed)?;
        if file.format_version > FORMAT_VERSION {
            return Err(RepositoryError::TooNew(file.format_version).into());
        }
        Ok(Some(file))
    }

    async fn holds_backups(&self) -> Result<bool, OperationError> {
        use futures_util::TryStreamExt as _;
        for kind in BackupType::ALL {
            if self.store().list(&ObjectKey::type_prefix(kind)).try_next().await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
