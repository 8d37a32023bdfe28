//! What can go wrong with a use case, and what a job's row says of it: a code, a message, and what to do.

use holdfast_catalog::CatalogError;
use holdfast_codec::{ArtifactError, KeyError};
use holdfast_database::{DatabaseError, RestoreError, RestoreFault};
use holdfast_domain::{BackupId, FailureCode, JobFailure, JobStatus, MAX_MANIFEST_BYTES, settings::SettingsError};
use holdfast_storage::StoreError;

use crate::{
    CopyFault,
    backup_database::engine::EngineFault,
    content::queue::QueueError,
    repository::{KeyringError, RepositoryError},
};

/// A use case that did not do what was asked. No text of it holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The source is being backed up already.
    #[error("backup {backup_id} is running: wait for it, or cancel it")]
    AlreadyRunning {
        /// The backup that runs.
        backup_id: BackupId,
    },
    /// Retention holds the content lease.
    #[error("retention removes content objects that no backup refers to: it takes two minutes at most, try again then")]
    Collecting,
    /// As many backups run as are allowed.
    #[error("{} backups run, which is the most that BACKUP_MAX_CONCURRENT allows: {}", running.len(), list(running))]
    ConcurrencyLimit {
        /// The backups that run.
        running: Vec<BackupId>,
    },
    /// A switch is off.
    #[error("backups are switched off by {0}=false")]
    Disabled(&'static str),
    /// This machine's clock is wrong, or that of the catalogue's server.
    #[error(
        "this machine's clock is {seconds} seconds {side} that of the catalogue's server: nothing was deleted; set the clocks by NTP"
    )]
    Clock {
        /// By how much.
        seconds: u64,
        /// `ahead of` or `behind`.
        side: &'static str,
    },
    /// There is no such backup.
    #[error("there is no backup {0}")]
    NotFound(BackupId),
    /// The backup has no such item, or not what was asked for of it.
    #[error("{0}")]
    NoItem(String),
    /// It is too late, or too early, for this change.
    #[error("backup {backup_id} is {status} and cannot be cancelled")]
    NotCancellable {
        /// The backup.
        backup_id: BackupId,
        /// Where it stands.
        status: JobStatus,
    },
    /// There is no finished backup to be verified.
    #[error("backup {backup_id} is {status}: there is nothing to verify")]
    NotVerifiable {
        /// The backup.
        backup_id: BackupId,
        /// Where it stands.
        status: JobStatus,
    },
    /// Another run is verifying it.
    #[error("backup {0} is being verified already: its result will stand in its job")]
    AlreadyVerifying(BackupId),
    /// The server of restore drills.
    #[error("the server of restore drills (BACKUP_DRILL_URI): {0}")]
    Drill(String, bool),
    /// It was stopped before its end, and has no result.
    #[error("{0}")]
    Unfinished(String),
    /// What was asked cannot be done with this backup or file.
    #[error("{0}")]
    Invalid(String),
    /// The store holds so few of the catalogue's backups that it is probably another one.
    #[error("no loss was accepted: {0}")]
    WrongStore(String),
    /// Settings are wrong.
    #[error(transparent)]
    Config(#[from] SettingsError),
    /// The engine that the settings insist on cannot dump.
    #[error("BACKUP_DUMP_ENGINE is mongodump: {0}")]
    Engine(#[from] EngineFault),
    /// The database.
    #[error(transparent)]
    Source(#[from] DatabaseError),
    /// The server that a restore goes to.
    #[error("the target of the restore: {0}")]
    Target(DatabaseError),
    /// The database answered with fewer documents than its dump holds, or the reverse.
    #[error("the dump is not whole: {0}")]
    DumpNotWhole(String),
    /// No reader would accept the manifest.
    #[error(
        "the manifest would have {bytes} bytes or more, for {namespaces} namespaces and {segments} segments of stored data: \
         {MAX_MANIFEST_BYTES} bytes are allowed"
    )]
    ManifestTooLarge {
        /// Bytes, as far as they are known.
        bytes: u64,
        /// Namespaces of the dump.
        namespaces: usize,
        /// Segments of the artifacts.
        segments: usize,
    },
    /// The digests of the archive do not fit into the job's row.
    #[error("the archive has {segments} segments of 8 MiB, and {limit} are allowed")]
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
    /// The second store, or what is in it.
    #[error(transparent)]
    Copy(#[from] CopyFault),
    /// The repository.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The keys.
    #[error(transparent)]
    Key(#[from] KeyringError),
    /// What is stored is not what was written.
    #[error("backup {backup_id} is damaged: {problem}")]
    Corrupt {
        /// The backup.
        backup_id: BackupId,
        /// What is wrong with it.
        problem: String,
    },
    /// A restore did not end well.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The queue of downloads.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The next step of a backup could not be handed on.
    #[error("the backup could not be handed on: {0}")]
    HandOver(String),
    /// Too much of a content backup is missing for it to be one.
    #[error(
        "{failed} of {expected} items could not be backed up, more than the {percent}% that \
         BACKUP_CONTENT_MAX_FAILURE_PERCENT allows"
    )]
    TooManyFailures {
        /// Items that failed.
        failed: u64,
        /// All items.
        expected: u64,
        /// The limit.
        percent: u32,
    },
    /// Two runs in a row had nothing to show for their time.
    #[error("one run's time is not enough to write a single file of the archive, or the list of items")]
    TooSlow,
    /// The run was stopped.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// A fault of Holdfast's own.
    #[error("could not {doing}: {cause}")]
    Internal {
        /// What it was about.
        doing: &'static str,
        /// What happened.
        cause: String,
    },
}

/// Why a run stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// The function's time ran out.
    #[error("the function's time ran out before the dump was stored")]
    Deadline,
    /// The lease is no longer this run's.
    #[error("the run lost its lease: another run took it over, or the lease was freed")]
    LeaseLost,
    /// No beat was answered for so long that another run may take the lease over.
    #[error(
        "the run stopped: the catalogue did not answer for 45 seconds, and after 60 another run may take the backup over"
    )]
    CatalogSilent,
    /// An operator cancelled it.
    #[error("the backup was cancelled")]
    Cancelled,
}

impl OperationError {
    pub(crate) fn corrupt(backup_id: &BackupId, problem: impl Into<String>) -> Self {
        Self::Corrupt { backup_id: backup_id.clone(), problem: problem.into() }
    }

    pub(crate) fn internal(doing: &'static str, cause: &dyn std::fmt::Display) -> Self {
        Self::Internal { doing, cause: cause.to_string() }
    }

    /// Whether the catalogue did not answer: what became of the job is not known, and the call is to be repeated.
    #[must_use]
    pub fn is_catalog_away(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_transient(),
            Self::Stopped(reason) => *reason == StopReason::CatalogSilent,
            _ => false,
        }
    }

    /// Whether the same call may succeed later, with nothing changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::AlreadyRunning { .. } | Self::Collecting | Self::ConcurrencyLimit { .. } | Self::HandOver(_) => true,
            Self::Source(error) | Self::Target(error) => error.is_transient(),
            Self::Store(error) => error.is_transient(),
            Self::Copy(fault) => fault.is_transient(),
            Self::Config(error) => error.is_transient(),
            Self::Queue(error) => error.is_transient,
            Self::Drill(_, is_transient) => *is_transient,
            Self::Catalog(_) | Self::Stopped(StopReason::CatalogSilent) => self.is_catalog_away(),
            _ => false,
        }
    }

    /// What the job's row says.
    #[must_use]
    pub fn failure(&self) -> JobFailure {
        JobFailure::new(self.code(), self.to_string(), self.hint())
    }

    /// The kind of failure.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Config(_) | Self::Disabled(_) | Self::Engine(_) | Self::Store(StoreError::Unsupported { .. }) => {
                FailureCode::ConfigInvalid
            }
            Self::Source(error) | Self::Target(error) => source_code(error),
            Self::DumpNotWhole(_) | Self::ManifestTooLarge { .. } | Self::ArchiveTooLarge { .. } => {
                FailureCode::DumpRefused
            }
            Self::Store(StoreError::Denied { .. }) => FailureCode::StoreDenied,
            Self::Store(StoreError::Full { .. }) => FailureCode::StoreFull,
            Self::Store(StoreError::Corrupt { .. }) | Self::Corrupt { .. } => FailureCode::StoreCorrupt,
            Self::Store(_) => FailureCode::StoreUnavailable,
            Self::Copy(fault) => fault.code(),
            Self::Repository(_) | Self::Key(_) => FailureCode::Encryption,
            Self::Stopped(StopReason::Deadline) | Self::TooSlow => FailureCode::Deadline,
            Self::TooManyFailures { .. } => FailureCode::TooManyFailures,
            Self::Stopped(StopReason::LeaseLost) => FailureCode::LeaseLost,
            _ => FailureCode::Internal,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Target(DatabaseError::Denied(_)) => {
                return Some(
                    "check user, password and authSource of the target's connection string, and that the user has the roles `restore` and `readAnyDatabase`",
                );
            }
            Self::Target(_) => {
                return Some("check that the target's server is up, and that its connection string names it");
            }
            Self::ManifestTooLarge { namespaces: 0, .. } | Self::ArchiveTooLarge { .. } => {
                return Some("set BACKUP_CONTENT_ARCHIVE=false");
            }
            Self::ManifestTooLarge { .. } => return Some(MANY_NAMESPACES),
            Self::Disabled(_) => return Some("set it to true"),
            Self::WrongStore(_) => return Some(WRONG_STORE),
            Self::Stopped(StopReason::CatalogSilent) => {
                return Some(
                    "check that the catalogue's server is up and reachable; the next run of this backup takes it over",
                );
            }
            Self::TooSlow => {
                return Some(
                    "run `holdfast run content` from a machine, which has no deadline, or set BACKUP_CONTENT_ARCHIVE=false",
                );
            }
            Self::TooManyFailures { .. } => {
                return Some(
                    "the items' rows say why each failed; what was fetched is kept, and the next run goes on from there",
                );
            }
            _ => {}
        }
        match self {
            Self::Engine(EngineFault::Tool(_)) => return Some(NO_TOOL),
            Self::Engine(EngineFault::Unfit(_)) => return Some(NOT_FOR_THE_TOOL),
            Self::Copy(fault) => return fault.hint(),
            Self::Store(StoreError::Unsupported { .. }) => return Some(NO_CHECKSUMS),
            Self::Store(StoreError::WrongClock { .. }) => return Some(WRONG_CLOCK),
            _ => {}
        }
        Some(match self.code() {
            FailureCode::ConfigInvalid => "correct the settings; GET /api/backups/config names each fault",
            FailureCode::SourceUnreachable => {
                "check that the server is up, that MONGODB_URI names it, and that the function's subnets and security \
                 groups reach it"
            }
            FailureCode::SourceDenied => {
                "check user, password and authSource in MONGODB_URI, and that the user has the role `backup` (`read` \
                 suffices where there are no time series)"
            }
            FailureCode::SourceLost => "the next scheduled run tries again; see the server's log for why it went away",
            FailureCode::StoreDenied => {
                "check the function's role and the bucket's policy; of a directory, whose it is and whether its disk is \
                 read-only"
            }
            FailureCode::StoreFull => {
                "free some space, or delete expired backups: `holdfast cleanup --dry-run` lists them. Files of a content \
                 backup that are stored already stay for the next run"
            }
            FailureCode::StoreUnavailable => {
                "check that the bucket exists and its region, or that the directory's disk is there; the next run tries \
                 again"
            }
            FailureCode::Deadline => {
                "run `holdfast run database` from a machine, which has no deadline, or give the function more memory"
            }
            _ => return None,
        })
    }
}

/// Opens a store that has S3's calls and not its checksums.
const NO_CHECKSUMS: &str = "open the store by its S3 calls alone: BACKUP_STORE=gs://bucket/prefix with \
                            BACKUP_CLOUD_PROVIDER=gcp, BACKUP_CLOUD_ENDPOINT, BACKUP_CLOUD_ACCESS_KEY and \
                            BACKUP_CLOUD_SECRET_KEY";

/// Of this machine.
pub(crate) const WRONG_CLOCK: &str = "set this machine's clock, by NTP: `timedatectl set-ntp true`";

const WRONG_STORE: &str = "correct BACKUP_STORE, its prefix or the disk. If the store was emptied or replaced on purpose, \
                           give it a catalogue of its own, and run `holdfast catalog rebuild`";

const MANY_NAMESPACES: &str = "exclude collections by BACKUP_DATABASE_EXCLUDE_COLLECTIONS, or back up one database at a \
                               time: name it in MONGODB_URI, with a repository of its own";

const NO_TOOL: &str = "attach the mongodump layer of the function's architecture, or name the tool in MONGODUMP; or set \
                       BACKUP_DUMP_ENGINE to auto or native";

const NOT_FOR_THE_TOOL: &str = "set BACKUP_DUMP_ENGINE to auto or native, or change what is to be dumped";

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

/// What lies under an `io::Error` of the reading stages: the store's fault, or the artifact's.
pub(crate) fn of_reading(backup_id: &BackupId, error: &std::io::Error) -> OperationError {
    let store = error.get_ref().and_then(|inner| inner.downcast_ref::<StoreError>());
    match (ArtifactError::of(error), store) {
        (None, Some(store)) => store.clone().into(),
        // Not of the bytes: the disk or the pipe that they were being written to.
        (None, None) if error.kind() != std::io::ErrorKind::InvalidData => {
            OperationError::internal("read the backup or hand it on", error)
        }
        _ => OperationError::corrupt(backup_id, error.to_string()),
    }
}

/// As [`of_reading`], for a restore whose archive could not be read.
pub(crate) fn of_restore(backup_id: &BackupId, error: RestoreError) -> OperationError {
    match &error.cause {
        RestoreFault::Source(source) if error.incomplete.is_empty() => of_reading(backup_id, source),
        _ => error.into(),
    }
}

fn list(ids: &[BackupId]) -> String {
    ids.iter().map(BackupId::as_str).collect::<Vec<_>>().join(", ")
}
