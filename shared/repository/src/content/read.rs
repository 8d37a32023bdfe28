//! Reads stored objects by their records: authenticated, decrypted, unzipped. Damage to an object
//! is distinct from a fault of its environment.

use std::{
    collections::HashMap,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use holdfast_codec::{ArtifactError, MasterKey};
use holdfast_domain::{BackupId, RepositoryId, SEGMENT_BYTES, Sha256Digest, StoredObject};
use holdfast_storage::{Store, StoreError};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::{
    Damage, Repository, RepositoryError,
    artifact_reader::{ArtifactReader, Depth, Opener},
};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Opens objects. Cheap to clone. It reads each master key once.
#[derive(Clone)]
pub struct ObjectSource {
    repository: Repository,
    keys: Repository,
    id: RepositoryId,
    masters: Arc<Mutex<HashMap<u32, Arc<MasterKey>>>>,
    other_forms: Arc<AtomicU64>,
}

/// Why an object was not read.
#[derive(Debug)]
pub enum ReadFault {
    /// It is missing, altered, cut, or differs from its record.
    Damaged(String),
    /// The store is away, or no available key opens it.
    Other(RepositoryError),
}

/// The size and hash of an object's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain {
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Sha256Digest,
}

impl ObjectSource {
    /// For the objects of the repository with this id.
    #[must_use]
    pub fn new(repository: &Repository, id: &RepositoryId) -> Self {
        Self::with_keys_of(repository, repository, id)
    }

    /// For the objects of a copy. The keys come from the copied repository.
    #[must_use]
    pub fn with_keys_of(keys: &Repository, repository: &Repository, id: &RepositoryId) -> Self {
        Self {
            repository: repository.clone(),
            keys: keys.clone(),
            id: id.clone(),
            masters: Arc::default(),
            other_forms: Arc::default(),
        }
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.repository.store().as_ref()
    }

    pub(super) const fn id(&self) -> &RepositoryId {
        &self.id
    }

    /// Number of objects proved by their content so far, because their stored digest differs from
    /// the record's.
    #[must_use]
    pub fn other_forms(&self) -> u64 {
        self.other_forms.load(Ordering::Relaxed)
    }

    pub(super) fn count_other_form(&self) {
        self.other_forms.fetch_add(1, Ordering::Relaxed);
    }

    /// Opens the content of an object with one form. Read it to its end on a blocking thread,
    /// because the last checks happen there.
    pub(super) async fn open(&self, object: &StoredObject) -> Result<ArtifactReader, ReadFault> {
        self.open_to(object, Depth::Plain).await
    }

    /// The same, to the given depth.
    ///
    /// # Errors
    /// [`ReadFault::Damaged`] if the object is missing, or its record names another segment size.
    /// [`ReadFault::Other`] if the store is unavailable, or no key at hand opens the object.
    pub async fn open_to(
        &self,
        object: &StoredObject,
        depth: Depth,
    ) -> Result<ArtifactReader, ReadFault> {
        let key = object.artifact.key.clone();
        if object.artifact.segment_bytes != SEGMENT_BYTES {
            return Err(ReadFault::Damaged(format!(
                "the record of {key} names another segment size"
            )));
        }
        let master = self.master(object).await?;
        let opener = Arc::new(Opener::of(object.clone(), &self.id, master));
        match self.repository.store().get(&key, None).await {
            Ok(bytes) => Ok(ArtifactReader::of(bytes, opener, depth)),
            Err(error) => Err(error.into()),
        }
    }

    async fn master(&self, object: &StoredObject) -> Result<Option<Arc<MasterKey>>, ReadFault> {
        match &object.encryption {
            None => Ok(None),
            Some(encryption) => self.master_of_epoch(encryption.key_epoch).await.map(Some),
        }
    }

    pub(super) async fn master_of_epoch(
        &self,
        key_epoch: u32,
    ) -> Result<Arc<MasterKey>, ReadFault> {
        let mut masters = self.masters.lock().await;
        if let Some(master) = masters.get(&key_epoch) {
            return Ok(Arc::clone(master));
        }
        let master = self.keys.master_key(key_epoch).await?;
        masters.insert(key_epoch, Arc::clone(&master));
        Ok(master)
    }
}

impl ReadFault {
    /// The cause of an error from the reading stages.
    #[must_use]
    pub fn of(error: &io::Error, object: &impl std::fmt::Display) -> Self {
        let store = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<StoreError>());
        match (ArtifactError::of(error), store) {
            (None, Some(store)) => store.clone().into(),
            (None, None) if error.kind() != io::ErrorKind::InvalidData => {
                Self::Other(RepositoryError::internal("read an object", error))
            }
            _ => Self::Damaged(format!("{object}: {error}")),
        }
    }

    /// The same, as an error of a reader. [`ReadFault::of`] restores it.
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Damaged(problem) => io::Error::new(io::ErrorKind::InvalidData, problem),
            Self::Other(RepositoryError::Store(error)) => io::Error::other(error),
            Self::Other(error) => io::Error::other(error.to_string()),
        }
    }

    /// Separates the damage of one object from a fault that concerns all of them.
    ///
    /// # Errors
    /// [`ReadFault::Other`].
    pub fn separate<T>(read: Result<T, Self>) -> Result<Result<T, Damage>, RepositoryError> {
        match read {
            Ok(read) => Ok(Ok(read)),
            Err(Self::Damaged(problem)) => Ok(Err(problem.into())),
            Err(Self::Other(error)) => Err(error),
        }
    }

    /// The same as a fault of the backup. The fault names the object.
    #[must_use]
    pub fn into_backup_error(self, id: &BackupId) -> RepositoryError {
        match self {
            Self::Damaged(problem) => RepositoryError::corrupt(id, problem),
            Self::Other(error) => error,
        }
    }
}

impl From<StoreError> for ReadFault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { key, .. } => Self::Damaged(format!("{key} is missing")),
            StoreError::Corrupt { .. } => Self::Damaged(error.to_string()),
            error => Self::Other(error.into()),
        }
    }
}

impl From<RepositoryError> for ReadFault {
    fn from(error: RepositoryError) -> Self {
        Self::Other(error)
    }
}

/// Reads to the end, and returns the count and the hash of the bytes.
///
/// # Errors
/// Those of the reader.
pub fn digest_of(reader: &mut impl Read) -> io::Result<Plain> {
    let mut hashing = Hashing::new(reader);
    let mut buffer = vec![0; CHUNK_BYTES];
    while hashing.read(&mut buffer)? > 0 {}
    Ok(hashing.finish())
}

/// Counts and hashes the bytes read through it.
pub struct Hashing<R> {
    inner: R,
    size: u64,
    sha256: Sha256,
}

impl<R> Hashing<R> {
    /// Counts and hashes from here on.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            size: 0,
            sha256: Sha256::new(),
        }
    }

    /// The count and the hash.
    pub fn finish(self) -> Plain {
        Plain {
            size: self.size,
            sha256: Sha256Digest::new(self.sha256.finalize().into()),
        }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.size += count as u64;
        self.sha256.update(&buffer[..count]);
        Ok(count)
    }
}

/// Runs blocking work on a thread of the blocking pool. `doing` names the work, after "could not".
///
/// # Errors
/// [`RepositoryError::Internal`] if the work panicked, or the runtime ended before it.
pub async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RepositoryError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| RepositoryError::internal(doing, &error))
}
