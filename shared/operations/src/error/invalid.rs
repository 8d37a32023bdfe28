//! Operations that are refused as requested. The caller must change the request.

use std::fmt;

use holdfast_domain::{BackupId, JobStatus, settings::StoreLocation};
use holdfast_repository::InvalidRequest;

/// The requested operation is not possible with this backup or file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOperation {
    /// The repository refuses the request.
    #[error(transparent)]
    Repository(#[from] InvalidRequest),
    /// A full backup has no source, and so no lease.
    #[error("backup {0} reads no source of its own")]
    NoSource(BackupId),
    /// A content backup was expected.
    #[error("{0} is not a content backup")]
    NotContent(BackupId),
    /// A full backup cannot be verified.
    #[error("{0} is a full backup: verify the backups it is made of")]
    VerifyFull(BackupId),
    /// A full backup cannot be copied.
    #[error(
        "{0} is a full backup, and has no copy of its own: name its database and content backups"
    )]
    CopyFull(BackupId),
    /// An unfinished backup cannot be copied.
    #[error("backup {backup_id} is {status}: there is nothing to copy yet")]
    NothingToCopy {
        /// The backup.
        backup_id: BackupId,
        /// State of the job.
        status: JobStatus,
    },
    /// Only the loss of a lost backup can be accepted.
    #[error("backup {backup_id} {reason}")]
    NotLost {
        /// The backup.
        backup_id: BackupId,
        /// Its state.
        reason: NotLost,
    },
}

/// Why a backup is not lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotLost {
    /// A full backup has no manifest.
    Full,
    /// The manifest of a lost backup returned.
    Returned,
    /// Its deletion was decided.
    Deleted,
    /// Its manifest is in this store.
    Present(StoreLocation),
    /// Its job was never completed.
    NeverCompleted(JobStatus),
}

impl fmt::Display for NotLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("is a full backup: name its parts"),
            Self::Returned => f.write_str(
                "is not lost any more: its manifest is back. Run `holdfast cleanup` to make it \
                 completed again",
            ),
            Self::Deleted => f.write_str("is not lost: its deletion was decided before"),
            Self::Present(location) => {
                write!(f, "is not lost: its manifest is in {location}")
            }
            Self::NeverCompleted(status) => {
                write!(f, "is not lost: it is {status}, and was never completed")
            }
        }
    }
}
