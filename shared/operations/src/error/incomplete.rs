//! Dumps and verifications without a complete result.

use std::io;

use holdfast_archive::MAX_NAMESPACES;
use holdfast_database::DumpError;
use holdfast_domain::{BackupId, VerificationLevel};

/// Why a dump is not complete.
#[derive(Debug, thiserror::Error)]
pub enum IncompleteDump {
    /// The engine failed.
    #[error(transparent)]
    Engine(DumpError),
    /// The archive is not whole, or a stage failed.
    #[error(transparent)]
    Stages(io::Error),
    /// Two counts of the documents differ.
    #[error("the engine sent {sent} documents, the archive holds {archived}")]
    DocumentCount {
        /// By the engine.
        sent: u64,
        /// By the archive.
        archived: u64,
    },
    /// The metadata of a collection are not readable.
    #[error("the metadata of {collection} cannot be read: {cause}")]
    Metadata {
        /// The collection.
        collection: String,
        /// The cause.
        cause: String,
    },
    /// More namespaces than an archive holds.
    #[error(
        "{count} namespaces are to be dumped, and an archive holds {MAX_NAMESPACES}: exclude collections by \
         BACKUP_DATABASE_EXCLUDE_COLLECTIONS, or back up one database at a time"
    )]
    TooManyNamespaces {
        /// Namespaces of the plan.
        count: usize,
    },
}

/// Why an operation has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    /// A drill was stopped.
    #[error(
        "the drill of backup {0} was stopped before its end, and its scratch databases were dropped"
    )]
    Drill(BackupId),
    /// The function's time is too short for a level that cannot be resumed.
    #[error(
        "the function's time is too short to verify backup {backup_id} at level {level}: \
         run `holdfast verify {backup_id} --level {level}` on a machine, without a time limit",
        level = level.as_str()
    )]
    Verification {
        /// The backup.
        backup_id: BackupId,
        /// The level.
        level: VerificationLevel,
    },
    /// Discovery was begun too often.
    #[error(
        "discovery was begun {rounds} times, found {found} items, and did not complete: run `holdfast run content` on a \
         machine without a time limit"
    )]
    Discovery {
        /// The limit of its runs.
        rounds: u32,
        /// Items found by all of them.
        found: u64,
    },
}
