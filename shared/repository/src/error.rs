//! Errors of a repository.

use std::{fmt, io};

use holdfast_codec::{ArtifactError, KeyError};
use holdfast_domain::BackupId;
use holdfast_storage::StoreError;

use crate::{InvalidRequest, KeyringError, MissingItem, RepositoryFileError};

/// Error of a repository. Its texts contain no secret.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The backup does not exist.
    #[error("there is no backup {0}")]
    NotFound(BackupId),
    /// The backup has no such item, or the item lacks the requested data.
    #[error(transparent)]
    NoItem(#[from] MissingItem),
    /// The requested operation is not possible with this backup or file.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `repository.json`, or its copy.
    #[error(transparent)]
    File(#[from] RepositoryFileError),
    /// The keys.
    #[error(transparent)]
    Key(#[from] KeyringError),
    /// Stored data differ from the data written.
    #[error("backup {backup_id} is damaged: {problem}")]
    Corrupt {
        /// The backup.
        backup_id: BackupId,
        /// The damage.
        problem: String,
    },
    /// An internal fault of Holdfast.
    #[error("could not {doing}: {cause}")]
    Internal {
        /// The operation, after "could not".
        doing: &'static str,
        /// The cause.
        cause: String,
    },
}

impl RepositoryError {
    /// Whether a retry of the same call may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }

    /// Damage of a backup.
    pub fn corrupt(backup_id: &BackupId, problem: impl Into<String>) -> Self {
        Self::Corrupt {
            backup_id: backup_id.clone(),
            problem: problem.into(),
        }
    }

    /// An internal fault.
    pub fn internal(doing: &'static str, cause: &dyn fmt::Display) -> Self {
        Self::Internal {
            doing,
            cause: cause.to_string(),
        }
    }

    /// Converts an `io::Error` of the reading stages to the underlying error of the store or the
    /// artifact.
    #[must_use]
    pub fn from_reading(backup_id: &BackupId, error: &io::Error) -> Self {
        let store = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<StoreError>());
        match (ArtifactError::of(error), store) {
            (None, Some(store)) => store.clone().into(),
            // The fault is in the target disk or pipe, not in the bytes read.
            (None, None) if error.kind() != io::ErrorKind::InvalidData => {
                Self::internal("read the backup or pass it on", error)
            }
            _ => Self::corrupt(backup_id, error.to_string()),
        }
    }
}

impl From<KeyError> for RepositoryError {
    fn from(error: KeyError) -> Self {
        Self::Key(error.into())
    }
}
