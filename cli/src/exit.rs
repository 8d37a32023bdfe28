//! The exit codes, their only table, and the exit code of every error of the lower crates.

use std::{fmt::Write as _, io, process::ExitCode};

use holdfast_catalog::CatalogError;
use holdfast_codec::ArtifactError;
use holdfast_database::{DatabaseError, RestoreError, RestoreFault};
use holdfast_domain::FailureCode;
use holdfast_operations::{CopyFault, OperationError};
use holdfast_repository::RepositoryFileError;
use holdfast_storage::StoreError;

/// The kinds of end, as [`TABLE`] documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command succeeded.
    Done = 0,
    /// The command started but did not succeed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The settings are wrong.
    Settings = 3,
    /// A named thing does not exist.
    NotFound = 4,
    /// Not started, because of the current state or because the command is not confirmed.
    Refused = 5,
    /// Stored data are damaged, or not authentic.
    Corrupt = 6,
    /// A required server or store does not answer.
    Unreachable = 7,
    /// Done in part. The output names each missing part.
    Incomplete = 8,
    /// Done, and a person must decide something: a lost manifest, a faulty repository file, a new
    /// or suddenly empty source, a warning in the backup's message.
    Attention = 9,
    /// Stopped from the keyboard.
    Interrupted = 130,
}

/// Every exit code with its JSON word and its meaning. `--help` and docs/operations.md show this
/// table.
pub(crate) const TABLE: [(Exit, &str, &str); 11] = [
    (Exit::Done, "done", "done"),
    (
        Exit::Failed,
        "failed",
        "failed: the command started but did not succeed",
    ),
    (Exit::Usage, "usage", "invalid command line"),
    (
        Exit::Settings,
        "settings",
        "invalid settings, or access denied: wrong key or password, or missing permission",
    ),
    (
        Exit::NotFound,
        "not-found",
        "not found: a backup, collection, item, file or repository",
    ),
    (
        Exit::Refused,
        "refused",
        "refused: a backup is running, the target is not empty, or confirmation is missing",
    ),
    (
        Exit::Corrupt,
        "corrupt",
        "corrupt or not authentic: stored data differ from the data written",
    ),
    (
        Exit::Unreachable,
        "unreachable",
        "unreachable: the store is missing, or a server does not answer",
    ),
    (
        Exit::Incomplete,
        "incomplete",
        "incomplete: some parts are done, and the output names each missing part",
    ),
    (
        Exit::Attention,
        "attention",
        "done, but a person must act: a lost manifest, a faulty repository file, a new or suddenly empty source, or a warning in the backup's message",
    ),
    (
        Exit::Interrupted,
        "interrupted",
        "interrupted from the keyboard",
    ),
];

/// The exit codes, as a part of `--help`.
pub(crate) fn help() -> String {
    TABLE
        .iter()
        .fold("Exit codes:".to_owned(), |mut text, (exit, _, meaning)| {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n  {:<3}  {meaning}", *exit as u8);
            text
        })
}

impl Exit {
    /// The code in JSON output.
    pub(crate) fn as_str(self) -> &'static str {
        TABLE
            .iter()
            .find(|(exit, ..)| *exit == self)
            .map_or("failed", |(_, word, _)| word)
    }

    /// Exit of a failed job with this code.
    pub(crate) const fn from_job(code: FailureCode) -> Self {
        match code {
            FailureCode::ConfigInvalid
            | FailureCode::Encryption
            | FailureCode::SourceDenied
            | FailureCode::StoreDenied => Self::Settings,
            FailureCode::SourceUnreachable
            | FailureCode::SourceLost
            | FailureCode::StoreUnavailable => Self::Unreachable,
            FailureCode::StoreCorrupt => Self::Corrupt,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The exit code of a use case's error.
pub(crate) fn exit_of(error: &OperationError) -> Exit {
    match error {
        OperationError::AlreadyRunning { .. }
        | OperationError::Collecting
        | OperationError::ConcurrencyLimit { .. }
        | OperationError::Disabled(_)
        | OperationError::NotCancellable { .. }
        | OperationError::NotVerifiable { .. }
        | OperationError::AlreadyVerifying(_)
        | OperationError::Invalid(_)
        | OperationError::WrongStore(_)
        | OperationError::Copy(CopyFault::AnotherRepository { .. }) => Exit::Refused,
        OperationError::NotFound(_) | OperationError::NoItem(_) => Exit::NotFound,
        OperationError::Config(_) | OperationError::Key(_) => Exit::Settings,
        OperationError::Drill { is_transient, .. } => {
            if *is_transient {
                Exit::Unreachable
            } else {
                Exit::Settings
            }
        }
        OperationError::Corrupt { .. }
        | OperationError::Copy(CopyFault::Differs { .. } | CopyFault::RepositoryFile { .. }) => {
            Exit::Corrupt
        }
        OperationError::Source(error) | OperationError::Target(error) => from_database(error),
        OperationError::Store(error)
        | OperationError::Copy(CopyFault::Store { cause: error, .. }) => from_store(error),
        OperationError::Catalog(error) => from_catalog(error),
        OperationError::Repository(error) => from_repository(error),
        OperationError::Restore(error) => from_restore(error),
        _ => Exit::Failed,
    }
}

fn from_store(error: &StoreError) -> Exit {
    match error {
        StoreError::NotFound { .. } => Exit::NotFound,
        StoreError::AlreadyExists { .. } => Exit::Refused,
        StoreError::Corrupt { .. } => Exit::Corrupt,
        // As a job's row has them: `list` and `run` end alike.
        StoreError::Denied { .. } | StoreError::Unsupported { .. } => Exit::Settings,
        StoreError::Full { .. } => Exit::Failed,
        _ => Exit::Unreachable,
    }
}

fn from_catalog(error: &CatalogError) -> Exit {
    match error {
        CatalogError::NotFound { .. } => Exit::NotFound,
        CatalogError::Conflict { .. } | CatalogError::AlreadyExists { .. } => Exit::Refused,
        CatalogError::Invalid { .. } | CatalogError::Denied { .. } => Exit::Settings,
        CatalogError::Corrupt { .. } => Exit::Corrupt,
        CatalogError::Unavailable { .. } => Exit::Unreachable,
        CatalogError::Refused { .. } => Exit::Failed,
    }
}

fn from_database(error: &DatabaseError) -> Exit {
    match error {
        DatabaseError::Invalid(_) | DatabaseError::Denied(_) => Exit::Settings,
        DatabaseError::Unreachable(_) | DatabaseError::Lost(_) => Exit::Unreachable,
        _ => Exit::Failed,
    }
}

fn from_repository(error: &RepositoryFileError) -> Exit {
    match error {
        RepositoryFileError::NotInitialised(_)
        | RepositoryFileError::LostButCopied(_)
        | RepositoryFileError::Lost(_) => Exit::NotFound,
        RepositoryFileError::NoKey(_) => Exit::Settings,
        RepositoryFileError::Changed(_) => Exit::Refused,
        _ => Exit::Corrupt,
    }
}

fn from_restore(error: &RestoreError) -> Exit {
    match &error.cause {
        RestoreFault::Absent(_) => Exit::NotFound,
        // Not a refusal after the first write: a target may be dropped already.
        RestoreFault::NotEmpty(_) | RestoreFault::Invalid(_) | RestoreFault::Unprotected(_)
            if error.incomplete.is_empty() =>
        {
            Exit::Refused
        }
        RestoreFault::Archive(_) => Exit::Corrupt,
        RestoreFault::Source(error) => from_reading(error),
        RestoreFault::Database(error) => from_database(error),
        _ => Exit::Failed,
    }
}

/// The cause under an `io::Error` of the reading stages: the artifact, the store, or this machine.
fn from_reading(error: &io::Error) -> Exit {
    let store = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<StoreError>());
    match (ArtifactError::of(error), store) {
        (Some(_), _) => Exit::Corrupt,
        (None, Some(store)) => from_store(store),
        (None, None) => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATIONS: &str = include_str!("../../docs/operations.md");

    #[test]
    fn the_documents_have_the_table_of_exit_codes() {
        for (exit, word, meaning) in TABLE {
            let row = format!("| {} | `{word}` | {meaning} |", exit as u8);
            assert!(OPERATIONS.contains(&row), "docs/operations.md lacks: {row}");
            assert!(
                help().contains(&format!("\n  {:<3}  {meaning}", exit as u8)),
                "{exit:?}"
            );
        }
        let rows = OPERATIONS
            .split("\n## Exit codes\n")
            .nth(1)
            .and_then(|rest| rest.split("\n## ").next());
        let rows = rows
            .unwrap_or_default()
            .lines()
            .filter(|line| line.starts_with("| ") && line.contains("| `"));
        assert_eq!(rows.count(), TABLE.len(), "no row without a code");
    }

    #[test]
    fn a_restore_that_changed_a_target_failed_and_one_that_changed_none_was_refused() {
        let of = |cause: RestoreFault, incomplete: &[&str]| {
            let incomplete = incomplete.iter().map(|name| (*name).to_owned()).collect();
            exit_of(&OperationError::Restore(RestoreError { cause, incomplete }))
        };
        for cause in [RestoreFault::Unprotected, RestoreFault::Invalid] {
            assert_eq!(of(cause("no".to_owned()), &[]), Exit::Refused);
            assert_eq!(of(cause("no".to_owned()), &["shop.orders"]), Exit::Failed);
        }
    }

    #[test]
    fn a_command_that_reads_and_a_backup_end_alike() {
        let (key, cause) = (|| "k".to_owned(), String::new);
        for error in [
            StoreError::Denied {
                key: key(),
                cause: cause(),
            },
            StoreError::Unavailable {
                key: key(),
                cause: cause(),
            },
            StoreError::Missing {
                key: key(),
                cause: cause(),
            },
            StoreError::Unsupported {
                key: key(),
                cause: cause(),
            },
            StoreError::WrongClock {
                key: key(),
                cause: cause(),
            },
            StoreError::Invalid {
                key: key(),
                cause: cause(),
            },
            StoreError::Corrupt {
                key: key(),
                cause: cause(),
            },
            StoreError::Full {
                key: key(),
                cause: cause(),
            },
        ] {
            let error = OperationError::from(error);
            assert_eq!(exit_of(&error), Exit::from_job(error.code()), "{error}");
        }
        for error in [
            DatabaseError::Invalid(cause()),
            DatabaseError::Denied(cause()),
            DatabaseError::Unreachable(cause()),
            DatabaseError::Lost(cause()),
        ] {
            let error = OperationError::from(error);
            assert_eq!(exit_of(&error), Exit::from_job(error.code()), "{error}");
        }
    }
}
