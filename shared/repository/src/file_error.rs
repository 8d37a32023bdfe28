//! Errors of `repository.json` and its copy.

use holdfast_domain::{BackupId, FORMAT_VERSION, ObjectKey, settings::StoreLocation};

/// A fault of the repository itself.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryFileError {
    /// The place is empty.
    #[error("{0} holds no repository: run `holdfast init` first")]
    NotInitialised(StoreLocation),
    /// `repository.json` is missing, but its copy exists.
    #[error(
        "{0} has lost its repository.json, but its copy exists. Nothing was written: \
         run `holdfast init` to restore it from the copy"
    )]
    LostButCopied(StoreLocation),
    /// Both files are missing, but backups exist.
    #[error(
        "{0} holds backups, but neither repository.json nor repository.copy.json. Nothing was written. Holdfast never \
         creates a new key for old backups: restore an older version of one of the two files. Without an older \
         version, recreate both with `holdfast key import FILE`, where FILE holds the output of `holdfast key export`"
    )]
    Lost(StoreLocation),
    /// Invalid JSON.
    #[error(
        "repository.json in {location} is not readable: {cause}. Its copy is repository.copy.json"
    )]
    Malformed {
        /// The place.
        location: StoreLocation,
        /// The cause.
        cause: String,
    },
    /// Written by a newer Holdfast.
    #[error(
        "the repository has format version {0}, but this Holdfast reads versions up to {FORMAT_VERSION}: use a newer \
         Holdfast"
    )]
    TooNew(u32),
    /// The copy does not match the file.
    #[error(
        "repository.json and repository.copy.json in {0} contradict each other: the ids differ, or a master key in the \
         copy is missing in the file or was wrapped later. Nothing was written. One of the two was replaced or rolled \
         back: replace that file with the other one"
    )]
    CopyDiffers(StoreLocation),
    /// Backups are encrypted under a key that the repository does not list.
    #[error(
        "{0} holds encrypted backups, such as {1}, but its repository.json lists no master key: it was replaced or \
         rolled back. Nothing was written. Holdfast never creates a new key for old backups: restore the file"
    )]
    KeyLost(StoreLocation, BackupId),
    /// The first master key was not created, because a manifest is not readable with these
    /// credentials. Its backup may be encrypted under a lost key.
    #[error(
        "cannot create the first master key in {location}: the store denied access to {manifest}, so the backup may be \
         encrypted under a lost key ({cause}). Nothing was written. Grant these credentials read access to the \
         manifests of both backup types, or run `holdfast init` with credentials that have it"
    )]
    MayNotRead {
        /// The place.
        location: StoreLocation,
        /// The manifest.
        manifest: ObjectKey,
        /// The store's reason.
        cause: String,
    },
    /// An artifact names an unlisted epoch.
    #[error("repository.json in {location} does not list key epoch {epoch}")]
    UnknownEpoch {
        /// The place.
        location: StoreLocation,
        /// The epoch.
        epoch: u32,
    },
    /// The repository's files are faulty, and the check of a backup needs them.
    #[error("the backup cannot be checked, because the repository's files are faulty: {0}")]
    Faulty(String),
    /// Another writer was faster.
    #[error(
        "repository.json in {0} was changed by another run. Nothing was written: run the command again"
    )]
    Changed(StoreLocation),
    /// Encryption was requested, but the repository has no master key yet.
    #[error("{0} has no master key yet: run `holdfast init` with a key set")]
    NoKey(StoreLocation),
}
