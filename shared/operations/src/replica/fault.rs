//! What can be wrong with the second store. Which of two stores failed is the first thing that an operator has to know.

use holdfast_domain::{FailureCode, ObjectKey, RepositoryId};
use holdfast_storage::StoreError;

use crate::error::WRONG_CLOCK;

/// A fault of the second store, or of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum CopyFault {
    /// A call to it failed.
    #[error("the second store {location}: {cause}")]
    Store {
        /// Where it is.
        location: String,
        /// What failed.
        cause: StoreError,
    },
    /// It is somebody else's.
    #[error(
        "the second store {location} holds the repository {theirs}, and this one is {ours}. Nothing was written: name \
         another bucket or prefix in BACKUP_CLOUD_BUCKET"
    )]
    AnotherRepository {
        /// Where it is.
        location: String,
        /// The repository there.
        theirs: RepositoryId,
        /// The one to be copied.
        ours: RepositoryId,
    },
    /// Its `repository.json` is of the same repository, and not what it should be.
    #[error("{file} in the second store {location} {problem}. Nothing was written: find out who changed it")]
    RepositoryFile {
        /// Where it is.
        location: String,
        /// Which of the two.
        file: ObjectKey,
        /// What is wrong with it.
        problem: String,
    },
    /// Something else stands in an object's place.
    #[error(
        "the copy of {key} in {location} is not what was written: {problem}. It was left as it is: \
         `holdfast copy {backup} --repair` reads the copy whole and repairs it from the first store",
        backup = backup_of(key)
    )]
    Differs {
        /// Where it is.
        location: String,
        /// The object.
        key: ObjectKey,
        /// What differs.
        problem: String,
    },
}

/// Which backup is repaired; all of them if the object is shared.
fn backup_of(key: &ObjectKey) -> String {
    key.backup().map_or_else(|| "--all".to_owned(), |id| id.to_string())
}

impl CopyFault {
    /// Whether the same copy may succeed later, with nothing changed.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Store { cause, .. } if cause.is_transient())
    }

    pub(crate) const fn code(&self) -> FailureCode {
        match self {
            Self::Store { cause: StoreError::Denied { .. }, .. } => FailureCode::StoreDenied,
            Self::Store { cause: StoreError::Corrupt { .. }, .. } | Self::Differs { .. } => FailureCode::StoreCorrupt,
            Self::Store { cause: StoreError::Full { .. }, .. } => FailureCode::StoreFull,
            Self::Store { cause: StoreError::Unsupported { .. }, .. }
            | Self::AnotherRepository { .. }
            | Self::RepositoryFile { .. } => FailureCode::ConfigInvalid,
            Self::Store { .. } => FailureCode::StoreUnavailable,
        }
    }

    pub(crate) const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Store { cause: StoreError::Denied { .. }, .. } => Some(
                "check BACKUP_CLOUD_ACCESS_KEY and BACKUP_CLOUD_SECRET_KEY, or the function's role where there are none, \
                 and that they may list, read and write the bucket",
            ),
            Self::Store { cause: StoreError::Unsupported { .. }, .. } => {
                Some("set BACKUP_CLOUD_PROVIDER=gcp, which is for stores without checksums of their own")
            }
            Self::Store { cause: StoreError::WrongClock { .. }, .. } => Some(WRONG_CLOCK),
            Self::Store { .. } => Some(
                "check that BACKUP_CLOUD_BUCKET exists in BACKUP_CLOUD_REGION, has room, and answers at \
                 BACKUP_CLOUD_ENDPOINT where that is set; it is tried again by itself",
            ),
            // Their messages say what to do.
            _ => None,
        }
    }
}
