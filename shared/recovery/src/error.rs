//! Errors of restores, verifications and drills.

use holdfast_database::{DatabaseError, RestoreError, RestoreFault};
use holdfast_domain::BackupId;
use holdfast_repository::{InvalidRequest, RepositoryError, RepositoryFileError};
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
    #[error("the server of restore drills (BACKUP_DRILL_URI): {0}")]
    Drill(#[from] DrillFault),
    /// A drill was stopped early and has no result.
    #[error(
        "the drill of backup {0} was stopped before its end, and its scratch databases were dropped"
    )]
    Unfinished(BackupId),
}

/// A fault of the server of restore drills.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrillFault {
    /// No server is configured.
    #[error("it is not set: set it to a server for scratch databases")]
    NotSet,
    /// The server refused a call, or did not answer.
    #[error(transparent)]
    Server(#[from] DatabaseError),
    /// A scratch database is left.
    #[error(
        "the scratch database {database} could not be dropped: {cause}. The next drill drops it"
    )]
    NotDropped {
        /// The database.
        database: String,
        /// The cause.
        cause: DatabaseError,
    },
    /// The beat of a drill did not reach the server.
    #[error("no beat of the drill succeeded for {minutes} minutes, so the drill was stopped")]
    Silent {
        /// The limit.
        minutes: u64,
    },
}

impl DrillFault {
    /// Whether a retry may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotSet | Self::NotDropped { .. } => false,
            Self::Server(error) => error.is_transient(),
            Self::Silent { .. } => true,
        }
    }
}

impl RecoveryError {
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

impl From<InvalidRequest> for RecoveryError {
    fn from(error: InvalidRequest) -> Self {
        RepositoryError::from(error).into()
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
