//! Errors of use cases. Each becomes a code, a message and a remedy in the job's row.

mod remedy;

use holdfast_catalog::CatalogError;
use holdfast_codec::KeyError;
use holdfast_database::{DatabaseError, RestoreError};
use holdfast_domain::{
    BackupId, FailureCode, JobFailure, JobStatus, MAX_MANIFEST_BYTES, settings::SettingsError,
};
use holdfast_recovery::RecoveryError;
use holdfast_repository::{KeyringError, RepositoryError, RepositoryFileError};
use holdfast_storage::StoreError;

use crate::{
    backup::{content::queue::QueueError, database::engine_fault::EngineFault},
    replica::fault::CopyFault,
};

/// Error of a use case. Its texts contain no secret.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// A backup of the source is already running.
    #[error("backup {backup_id} is running: wait for it, or cancel it")]
    AlreadyRunning {
        /// The running backup.
        backup_id: BackupId,
    },
    /// Retention holds the content lease.
    #[error(
        "retention is deleting unreferenced content objects, for at most two minutes: try again later"
    )]
    Collecting,
    /// The limit of running backups is reached.
    #[error("{} backups are running, the maximum of BACKUP_MAX_CONCURRENT: {}", running.len(), list(running))]
    ConcurrencyLimit {
        /// The running backups.
        running: Vec<BackupId>,
    },
    /// A switch is off.
    #[error("backups are switched off by {0}=false")]
    Disabled(&'static str),
    /// The clock of this machine or of the catalogue's server is wrong.
    #[error(
        "this machine's clock is {seconds} seconds {side} the clock of the catalogue's server, so nothing was deleted: \
         set both clocks by NTP"
    )]
    Clock {
        /// Difference of the clocks.
        seconds: u64,
        /// `ahead of` or `behind`.
        side: &'static str,
    },
    /// The backup does not exist.
    #[error("there is no backup {0}")]
    NotFound(BackupId),
    /// The backup has no such item, or the item lacks the requested data.
    #[error("{0}")]
    NoItem(String),
    /// The backup cannot be cancelled in its state.
    #[error("backup {backup_id} is {status} and cannot be cancelled")]
    NotCancellable {
        /// The backup.
        backup_id: BackupId,
        /// State of the job.
        status: JobStatus,
    },
    /// The backup is not finished and cannot be verified.
    #[error("backup {backup_id} is {status}: there is nothing to verify")]
    NotVerifiable {
        /// The backup.
        backup_id: BackupId,
        /// State of the job.
        status: JobStatus,
    },
    /// Another run is verifying the backup.
    #[error("backup {0} is already being verified: its job will show the result")]
    AlreadyVerifying(BackupId),
    /// The server of restore drills failed.
    #[error("the server of restore drills (BACKUP_DRILL_URI): {reason}")]
    Drill {
        /// The failure.
        reason: String,
        /// Whether another attempt may succeed.
        is_transient: bool,
    },
    /// The operation was stopped early and has no result.
    #[error("{0}")]
    Unfinished(String),
    /// The requested operation is not possible with this backup or file.
    #[error("{0}")]
    Invalid(String),
    /// The store holds too few of the catalogue's backups, so it is probably another store.
    #[error("no loss was accepted: {0}")]
    WrongStore(String),
    /// Settings are wrong.
    #[error(transparent)]
    Config(#[from] SettingsError),
    /// The configured engine cannot dump.
    #[error("BACKUP_DUMP_ENGINE is mongodump: {0}")]
    Engine(#[from] EngineFault),
    /// The database.
    #[error(transparent)]
    Source(#[from] DatabaseError),
    /// The target server of a restore.
    #[error("the target of the restore: {0}")]
    Target(DatabaseError),
    /// The number of documents in the database differs from the dump.
    #[error("the dump is incomplete: {0}")]
    DumpNotWhole(String),
    /// The manifest exceeds the limit of readers.
    #[error(
        "the manifest is too large: at least {bytes} bytes for {namespaces} namespaces and {segments} segments of \
         stored data, and at most {MAX_MANIFEST_BYTES} bytes are allowed"
    )]
    ManifestTooLarge {
        /// Bytes known so far.
        bytes: u64,
        /// Namespaces of the dump.
        namespaces: usize,
        /// Segments of the artifacts.
        segments: usize,
    },
    /// The digests of the archive do not fit into the job's row.
    #[error(
        "the archive is too large: {segments} segments of 8 MiB, and at most {limit} are allowed"
    )]
    ArchiveTooLarge {
        /// Segments of all volumes.
        segments: usize,
        /// The limit.
        limit: usize,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The catalogue.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The second store, or a copy in it.
    #[error(transparent)]
    Copy(#[from] CopyFault),
    /// The repository.
    #[error(transparent)]
    Repository(#[from] RepositoryFileError),
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
    /// A restore failed.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The queue of downloads.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The next step of a backup could not be dispatched.
    #[error("the next step of the backup could not be started: {0}")]
    Dispatch(String),
    /// Too many items of a content backup failed.
    #[error(
        "{failed} of {expected} items could not be backed up, more than the {percent}% of \
         BACKUP_CONTENT_MAX_FAILURE_PERCENT"
    )]
    TooManyFailures {
        /// Items that failed.
        failed: u64,
        /// All items.
        expected: u64,
        /// The limit.
        percent: u32,
    },
    /// Two consecutive runs made no progress.
    #[error(
        "the time limit of a run is too short to write one file of the archive, or the list of items"
    )]
    TooSlow,
    /// The run was stopped.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// An internal fault of Holdfast.
    #[error("could not {doing}: {cause}")]
    Internal {
        /// The operation, after "could not".
        doing: &'static str,
        /// The cause.
        cause: String,
    },
}

/// Why a run stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// The function's time ran out.
    #[error("the function's time ran out before the dump was stored")]
    Deadline,
    /// This run no longer holds the lease.
    #[error("the run lost its lease: another run took it over, or the lease was released")]
    LeaseLost,
    /// Heartbeats got no answer for so long that another run may take over the lease.
    #[error(
        "the run stopped: the catalogue did not answer for 45 seconds, and after 60 seconds another run may \
         take over the backup"
    )]
    CatalogSilent,
    /// An operator cancelled it.
    #[error("the backup was cancelled")]
    Cancelled,
}

impl OperationError {
    pub(crate) fn corrupt(backup_id: &BackupId, problem: impl Into<String>) -> Self {
        Self::Corrupt {
            backup_id: backup_id.clone(),
            problem: problem.into(),
        }
    }

    /// The error of the repository under this error.
    pub(crate) fn into_repository(self) -> Result<RepositoryError, Self> {
        match self {
            Self::NotFound(id) => Ok(RepositoryError::NotFound(id)),
            Self::Store(error) => Ok(RepositoryError::Store(error)),
            Self::Repository(error) => Ok(RepositoryError::File(error)),
            Self::Key(error) => Ok(RepositoryError::Key(error)),
            Self::Corrupt { backup_id, problem } => {
                Ok(RepositoryError::Corrupt { backup_id, problem })
            }
            other => Err(other),
        }
    }

    pub(crate) fn internal(doing: &'static str, cause: &dyn std::fmt::Display) -> Self {
        Self::Internal {
            doing,
            cause: cause.to_string(),
        }
    }

    /// Whether the catalogue did not answer. The state of the job is then unknown, and the caller
    /// must retry.
    #[must_use]
    pub fn is_catalog_away(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_transient(),
            Self::Stopped(reason) => *reason == StopReason::CatalogSilent,
            _ => false,
        }
    }

    /// Whether MongoDB refused the login or a privilege of the user. The secret may have changed.
    #[must_use]
    pub const fn is_login_refused(&self) -> bool {
        matches!(
            self,
            Self::Catalog(CatalogError::Denied { .. }) | Self::Source(DatabaseError::Denied(_))
        )
    }

    /// Whether a retry of the same call may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::AlreadyRunning { .. }
            | Self::Collecting
            | Self::ConcurrencyLimit { .. }
            | Self::Dispatch(_) => true,
            Self::Source(error) | Self::Target(error) => error.is_transient(),
            Self::Store(error) => error.is_transient(),
            Self::Copy(fault) => fault.is_transient(),
            Self::Config(error) => error.is_transient(),
            Self::Queue(error) => error.is_transient,
            Self::Drill { is_transient, .. } => *is_transient,
            Self::Catalog(_) | Self::Stopped(StopReason::CatalogSilent) => self.is_catalog_away(),
            _ => false,
        }
    }

    /// The failure for the job's row.
    #[must_use]
    pub fn failure(&self) -> JobFailure {
        JobFailure::new(self.code(), self.to_string(), self.hint())
    }

    /// The kind of failure.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Config(_)
            | Self::Disabled(_)
            | Self::Engine(_)
            | Self::Store(StoreError::Unsupported { .. }) => FailureCode::ConfigInvalid,
            Self::Source(error) | Self::Target(error) => source_code(error),
            Self::DumpNotWhole(_)
            | Self::ManifestTooLarge { .. }
            | Self::ArchiveTooLarge { .. } => FailureCode::DumpRefused,
            Self::Store(StoreError::Denied { .. }) => FailureCode::StoreDenied,
            Self::Store(StoreError::Full { .. }) => FailureCode::StoreFull,
            Self::Store(StoreError::Corrupt { .. }) | Self::Corrupt { .. } => {
                FailureCode::StoreCorrupt
            }
            Self::Store(_) => FailureCode::StoreUnavailable,
            Self::Copy(fault) => fault.code(),
            Self::Repository(_) | Self::Key(_) => FailureCode::Encryption,
            Self::Stopped(StopReason::Deadline) | Self::TooSlow => FailureCode::Deadline,
            Self::TooManyFailures { .. } => FailureCode::TooManyFailures,
            Self::Stopped(StopReason::LeaseLost) => FailureCode::LeaseLost,
            _ => FailureCode::Internal,
        }
    }
}

fn source_code(error: &DatabaseError) -> FailureCode {
    match error {
        DatabaseError::Unreachable(_) => FailureCode::SourceUnreachable,
        DatabaseError::Denied(_) => FailureCode::SourceDenied,
        DatabaseError::Lost(_) | DatabaseError::Changed(_) => FailureCode::SourceLost,
        DatabaseError::Invalid(_) => FailureCode::ConfigInvalid,
        _ => FailureCode::DumpRefused,
    }
}

impl From<KeyError> for OperationError {
    fn from(error: KeyError) -> Self {
        Self::Key(error.into())
    }
}

impl From<RepositoryError> for OperationError {
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::NotFound(id) => Self::NotFound(id),
            RepositoryError::NoItem(reason) => Self::NoItem(reason),
            RepositoryError::Invalid(reason) => Self::Invalid(reason),
            RepositoryError::Store(error) => Self::Store(error),
            RepositoryError::File(error) => Self::Repository(error),
            RepositoryError::Key(error) => Self::Key(error),
            RepositoryError::Corrupt { backup_id, problem } => Self::Corrupt { backup_id, problem },
            RepositoryError::Internal { doing, cause } => Self::Internal { doing, cause },
        }
    }
}

impl From<RecoveryError> for OperationError {
    fn from(error: RecoveryError) -> Self {
        match error {
            RecoveryError::Repository(error) => error.into(),
            RecoveryError::Target(error) => Self::Target(error),
            RecoveryError::Restore(error) => Self::Restore(error),
            RecoveryError::Drill {
                reason,
                is_transient,
            } => Self::Drill {
                reason,
                is_transient,
            },
            RecoveryError::Unfinished(reason) => Self::Unfinished(reason),
        }
    }
}

fn list(ids: &[BackupId]) -> String {
    ids.iter()
        .map(BackupId::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
