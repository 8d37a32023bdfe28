//! Faults of the second store. Operators first need to know the failed store, so each message names
//! it.

use holdfast_domain::{FailureCode, ObjectKey, RepositoryId};
use holdfast_storage::StoreError;

/// Remedy for a wrong clock of this machine.
pub(crate) const WRONG_CLOCK: &str = "set this machine's clock, by NTP: `timedatectl set-ntp true`";

/// A fault of the second store or of its objects.
#[derive(Debug, thiserror::Error)]
pub enum CopyFault {
    /// A call to it failed.
    #[error("the second store {location}: {cause}")]
    Store {
        /// Its location.
        location: String,
        /// The cause.
        cause: StoreError,
    },
    /// It belongs to another repository.
    #[error(
        "the second store {location} holds the repository {theirs} instead of {ours}. Nothing was written: set \
         another bucket or prefix in BACKUP_CLOUD_BUCKET"
    )]
    AnotherRepository {
        /// Its location.
        location: String,
        /// The repository in it.
        theirs: RepositoryId,
        /// The repository to copy.
        ours: RepositoryId,
    },
    /// Its `repository.json` belongs to this repository, but has wrong content.
    #[error(
        "{file} in the second store {location} {problem}. Nothing was written: investigate the change of that file"
    )]
    RepositoryFile {
        /// The store's location.
        location: String,
        /// The wrong file.
        file: ObjectKey,
        /// The problem.
        problem: String,
    },
    /// The copy of an object has other bytes.
    #[error(
        "the copy of {key} in {location} is damaged: {problem}. It was not changed: \
         `holdfast copy {backup} --repair` reads the complete copy and repairs it from the first store",
        backup = backup_of(key)
    )]
    Differs {
        /// The store's location.
        location: String,
        /// The object.
        key: ObjectKey,
        /// The difference.
        problem: String,
    },
}

/// The argument for a repair: the backup, or all of them if the object is shared.
fn backup_of(key: &ObjectKey) -> String {
    key.backup()
        .map_or_else(|| "--all".to_owned(), |id| id.to_string())
}

impl CopyFault {
    /// Whether the same copy may succeed later without a change.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Store { cause, .. } if cause.is_transient())
    }

    pub(crate) const fn code(&self) -> FailureCode {
        match self {
            Self::Store {
                cause: StoreError::Denied { .. },
                ..
            } => FailureCode::StoreDenied,
            Self::Store {
                cause: StoreError::Corrupt { .. },
                ..
            }
            | Self::Differs { .. } => FailureCode::StoreCorrupt,
            Self::Store {
                cause: StoreError::Full { .. },
                ..
            } => FailureCode::StoreFull,
            Self::Store {
                cause: StoreError::Unsupported { .. },
                ..
            }
            | Self::AnotherRepository { .. }
            | Self::RepositoryFile { .. } => FailureCode::ConfigInvalid,
            Self::Store { .. } => FailureCode::StoreUnavailable,
        }
    }

    pub(crate) const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Store {
                cause: StoreError::Denied { .. },
                ..
            } => Some(
                "check BACKUP_CLOUD_ACCESS_KEY and BACKUP_CLOUD_SECRET_KEY, or without keys the function's role. \
                 They need permission to list, read and write the bucket",
            ),
            Self::Store {
                cause: StoreError::Unsupported { .. },
                ..
            } => Some("set BACKUP_CLOUD_PROVIDER=gcp for a store without its own checksums"),
            Self::Store {
                cause: StoreError::WrongClock { .. },
                ..
            } => Some(WRONG_CLOCK),
            Self::Store { .. } => Some(
                "check that BACKUP_CLOUD_BUCKET exists in BACKUP_CLOUD_REGION, has room, and answers at \
                 BACKUP_CLOUD_ENDPOINT (if set). The copy is retried automatically",
            ),
            // Their messages contain the remedy.
            _ => None,
        }
    }
}
