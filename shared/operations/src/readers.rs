//! Reader leases: while a backup is restored, verified, copied or decrypted, nothing deletes it. What reads knows this trait and no
//! catalogue. Reading never waits for a lease: if there is none, the reader is warned and goes on.

mod catalogued;
mod lease;

use std::fmt;

use async_trait::async_trait;
use holdfast_codec::random_bytes;
use holdfast_domain::{BackupId, Timestamp};

pub(crate) use self::catalogued::{first_reader, protect};
pub use self::{catalogued::CatalogLeases, lease::ReaderLease};
use crate::{OperationError, Repository};

/// What a backup is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Its data are brought back.
    Restore,
    /// It is verified, by a drill too.
    Verify,
    /// It is copied to the second store.
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
    /// What for.
    pub purpose: Purpose,
    /// The store that it reads from.
    pub store: String,
    /// When it began.
    pub started_at: Timestamp,
}

impl Reader {
    /// A reader of a backup in this repository.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new(
        repository: &Repository,
        backup_id: &BackupId,
        purpose: Purpose,
        started_at: Timestamp,
    ) -> Result<Self, OperationError> {
        let (id, store) = (hex::encode(random_bytes::<16>()?), repository.location().to_string());
        Ok(Self { id, backup_id: backup_id.clone(), purpose, store, started_at })
    }
}

/// Whether a backup is protected while it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protection {
    /// Retention and the collection of content objects leave it alone.
    Held,
    /// Retention has begun to delete it, and does not stop.
    BeingDeleted,
    /// Nothing protects it, for this reason.
    Unprotected(String),
}

impl Protection {
    /// A sentence for the plan of a restore, if nothing protects the backup.
    #[must_use]
    pub fn warning(&self, id: &BackupId) -> Option<String> {
        let reason = match self {
            Self::Held => return None,
            Self::BeingDeleted => "retention has begun to delete it",
            Self::Unprotected(reason) => reason,
        };
        Some(format!("nothing protects backup {id} from retention while it is read: {reason}"))
    }
}

/// Where readers are recorded.
#[async_trait]
pub trait ReaderLeases: Send + Sync {
    /// Records a reader before it reads the manifest.
    async fn acquire(&self, reader: &Reader) -> Result<Protection, OperationError>;

    /// Records that the reader still reads.
    async fn beat(&self, reader: &Reader) -> Result<(), OperationError>;

    /// Removes the reader.
    async fn release(&self, reader: &Reader) -> Result<(), OperationError>;
}

/// No place to record readers, for this reason.
#[derive(Debug, Clone)]
pub struct NoLeases(pub String);

#[async_trait]
impl ReaderLeases for NoLeases {
    async fn acquire(&self, _reader: &Reader) -> Result<Protection, OperationError> {
        Ok(Protection::Unprotected(self.0.clone()))
    }

    async fn beat(&self, _reader: &Reader) -> Result<(), OperationError> {
        Ok(())
    }

    async fn release(&self, _reader: &Reader) -> Result<(), OperationError> {
        Ok(())
    }
}
