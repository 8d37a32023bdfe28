//! Reader leases: retention deletes no backup during its restore, verification, copy or decryption.
//! Reading code knows only this trait, and no catalogue. Reading never waits for a lease: without
//! one, the reader logs a warning and continues.

mod lease;

use std::fmt;

use async_trait::async_trait;
use holdfast_codec::random_bytes;
use holdfast_domain::{BackupId, Timestamp};
use holdfast_repository::{Repository, RepositoryError};

pub use self::lease::ReaderLease;

/// The purpose of reading a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A restore of its data.
    Restore,
    /// A verification, including a drill.
    Verify,
    /// A copy to the second store.
    Copy,
    /// One of its artifacts is decrypted.
    Decrypt,
    /// Its rows are added to a catalogue again.
    Rebuild,
}

impl Purpose {
    /// The word in the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::Verify => "verify",
            Self::Copy => "copy",
            Self::Decrypt => "decrypt",
            Self::Rebuild => "rebuild",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A run that reads a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Its own id.
    pub id: String,
    /// The backup.
    pub backup_id: BackupId,
    /// Its purpose.
    pub purpose: Purpose,
    /// The store it reads from.
    pub store: String,
    /// Time of its start.
    pub started_at: Timestamp,
}

impl Reader {
    /// A reader of a backup in this repository.
    ///
    /// # Errors
    /// If the system has no randomness.
    fn new(
        repository: &Repository,
        backup_id: &BackupId,
        purpose: Purpose,
        started_at: Timestamp,
    ) -> Result<Self, RepositoryError> {
        let (id, store) = (
            hex::encode(random_bytes::<16>()?),
            repository.location().to_string(),
        );
        Ok(Self {
            id,
            backup_id: backup_id.clone(),
            purpose,
            store,
            started_at,
        })
    }
}

/// Whether a backup is protected during a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// Retention and the collection of content objects skip it.
    Protected,
    /// Retention has begun its deletion, and does not stop.
    BeingDeleted,
    /// It is unprotected, for this reason.
    Unprotected(String),
}

impl Protection {
    /// A sentence for the plan of a restore, if nothing protects the backup.
    #[must_use]
    pub fn warning(&self, id: &BackupId) -> Option<String> {
        let reason = match self {
            Self::Protected => return None,
            Self::BeingDeleted => "retention has begun to delete it",
            Self::Unprotected(reason) => reason,
        };
        Some(format!(
            "nothing protects backup {id} from retention while it is read: {reason}"
        ))
    }
}

/// Why a reader could not be recorded.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct LeaseError(pub String);

/// The place for records of readers.
#[async_trait]
pub trait ReaderLeases: Send + Sync {
    /// Records a reader before it reads the manifest.
    async fn acquire(&self, reader: &Reader) -> Result<Protection, LeaseError>;

    /// Renews the record of the reader.
    async fn beat(&self, reader: &Reader) -> Result<(), LeaseError>;

    /// Removes the reader.
    async fn release(&self, reader: &Reader) -> Result<(), LeaseError>;
}

/// No place for records of readers, for this reason.
#[derive(Debug, Clone)]
pub struct NoLeases(pub String);

#[async_trait]
impl ReaderLeases for NoLeases {
    async fn acquire(&self, _reader: &Reader) -> Result<Protection, LeaseError> {
        Ok(Protection::Unprotected(self.0.clone()))
    }

    async fn beat(&self, _reader: &Reader) -> Result<(), LeaseError> {
        Ok(())
    }

    async fn release(&self, _reader: &Reader) -> Result<(), LeaseError> {
        Ok(())
    }
}
