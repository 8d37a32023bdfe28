//! Errors of restores, verifications and drills.

use holdfast_database::{DatabaseError, RestoreError, RestoreFault};
use holdfast_domain::BackupId;
use holdfast_repository::{RepositoryError, RepositoryFileError};
use holdfast_storage::StoreError;

/// Error of a restore, a verification or a drill. Its texts contain no secret.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The repository, or the backup in it.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The target server of a restore.
    #[error("the target of the restore: {0}")]
    Target(DatabaseError),
    /// A restore failed.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The server of restore drills failed.
    #[error("the server of restore drills (BACKUP_DRILL_URI): {reason}")]
    Drill {
        /// What failed.
        reason: String,
        /// Whether a retry may succeed.
        is_transient: bool,
    },
    /// The operation was stopped early and has no result.
    #[error("{0}")]
    Unfinished(String),
}

impl RecoveryError {
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        RepositoryError::Invalid(reason.into()).into()
    }

    /// For a restore whose archive could not be read, the underlying error of the store or the
    /// artifact.
    pub(crate) fn from_restore(backup_id: &BackupId, error: RestoreError) -> Self {
        match &error.cause {
            RestoreFault::Source(source) if error.incomplete.is_empty() => {
                RepositoryError::from_reading(backup_id, source).into()
            }
            _ => error.into(),
        }
    }
}

impl From<StoreError> for RecoveryError {
    fn from(error: StoreError) -> Self {
        RepositoryError::from(error).into()
    }
}

impl From<RepositoryFileError> for RecoveryError {
    fn from(error: RepositoryFileError) -> Self {
        RepositoryError::from(error).into()
    }
}
