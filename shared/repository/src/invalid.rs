//! Requests that a repository refuses. The caller must change the request.

use std::fmt;

use holdfast_domain::{BackupId, ObjectKey, settings::StoreLocation};

/// The requested operation is not possible with this backup or file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// A content backup was expected.
    #[error("backup {0} is not a content backup")]
    NotContent(BackupId),
    /// A database backup was expected.
    #[error("backup {0} is not a database backup")]
    NotDatabase(BackupId),
    /// An exported master key has another form.
    #[error("the master key of epoch {epoch} is not 64 hex digits")]
    MasterKeyForm {
        /// Its epoch.
        epoch: u32,
    },
    /// An artifact was expected.
    #[error("{0} is not the key of a backup's artifact")]
    NotAnArtifact(ObjectKey),
    /// The backup has no such artifact.
    #[error("the manifest of {backup_id} does not name {key}")]
    NotNamed {
        /// The backup.
        backup_id: BackupId,
        /// The artifact.
        key: ObjectKey,
    },
    /// A downloaded copy of an artifact cannot be decrypted.
    #[error("the copy given for {key} cannot be decrypted: {cause}")]
    Undecryptable {
        /// The artifact.
        key: ObjectKey,
        /// The cause.
        cause: String,
    },
    /// The recipient has no wrapped key.
    #[error(
        "the master key is not wrapped for that recipient: list the recipients with `holdfast key show`"
    )]
    UnknownRecipient,
    /// Only offline recipients would remain.
    #[error(
        "no key or KMS key would open the repository any more: set one and run `holdfast key rotate`"
    )]
    LastKey,
    /// The repository has its own file, and needs no import.
    #[error("{0} has a repository.json: change its keys with `holdfast key rotate`")]
    NothingToImport(StoreLocation),
    /// An export of keys has a wrong form.
    #[error(transparent)]
    Export(#[from] InvalidExport),
    /// Exported keys do not belong to the backups of the store.
    #[error("{mismatch} backup {backup_id}: nothing was written")]
    ForeignKeys {
        /// The difference.
        mismatch: KeyMismatch,
        /// The first backup with it.
        backup_id: BackupId,
    },
    /// A target file cannot be written.
    #[error("{target} could not be written: {cause}")]
    Unwritable {
        /// The file.
        target: String,
        /// The cause.
        cause: String,
    },
    /// A drill needs a server.
    #[error("a drill needs a server to restore to")]
    NoDrillServer,
    /// Content has no drill.
    #[error(
        "a drill restores a database. The deepest level of a content backup is structure: it \
         reads every file completely, and rebuilds the blocks of its CID"
    )]
    DrillOfContent,
    /// Names of databases cannot be mapped.
    #[error("{cause}")]
    NamespaceMap {
        /// The cause.
        cause: String,
    },
}

/// An export of keys has a wrong form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExport {
    /// It is empty.
    #[error("the export contains no master key")]
    Empty,
    /// It has keys of several repositories.
    #[error("the master keys belong to several repositories")]
    SeveralRepositories,
    /// An epoch has two keys.
    #[error("the export contains a key epoch twice")]
    RepeatedEpoch,
}

/// A difference between exported keys and a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMismatch {
    /// Of another repository.
    Repository,
    /// Without the epoch of the backup.
    Epoch,
    /// Another key than the one of the backup.
    Key,
}

impl fmt::Display for KeyMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repository => "the exported keys belong to another repository than",
            Self::Epoch => "the exported keys do not contain the key epoch of",
            Self::Key => "the exported key is not the master key of",
        })
    }
}
