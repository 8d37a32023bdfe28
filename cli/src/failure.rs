//! How a command ends: the exit codes, and what is said when it did not do what was asked. Every error of the crates
//! below is given its exit code here and nowhere else.

use std::{io, process::ExitCode};

use holdfast_catalog::CatalogError;
use holdfast_codec::ArtifactError;
use holdfast_database::{DatabaseError, RestoreFault};
use holdfast_domain::{BackupId, FailureCode, JobFailure, settings::SettingsError};
use holdfast_operations::{CopyFault, OperationError, RepositoryError, StopReason};
use holdfast_storage::StoreError;
use serde_json::json;

/// The kinds of end, as `--help` documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked is done.
    Done = 0,
    /// It was begun and failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The settings are wrong.
    Settings = 3,
    /// There is no such thing.
    NotFound = 4,
    /// It was not begun, because of what is there or because nobody confirmed it.
    Refused = 5,
    /// What was read is damaged, or not authentic.
    Corrupt = 6,
    /// Something needed did not answer.
    Unreachable = 7,
    /// Done in part: each part that is missing is named.
    Incomplete = 8,
    /// Done, and a person must decide something: a lost manifest, a new or suddenly empty source.
    Attention = 9,
    /// Stopped from the keyboard.
    Interrupted = 130,
}

/// The part of `--help` that documents the exit codes.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed
  2    the command line is wrong
  3    the settings, or a key or connection string in them, are wrong
  4    not found: the backup, the file, the repository
  5    refused: a backup is running, the target is not empty, not confirmed
  6    corrupt or not authentic: what was read is not what was written
  7    unreachable: the store, the database server or the catalogue did not answer
  8    incomplete: a part is done, and each part that is not is named
  9    done, but a person must act: a lost manifest, a new or suddenly empty source
  130  interrupted by a second Ctrl-C, or where there was nothing to undo";

impl Exit {
    /// The word that stands for it in JSON.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Settings => "settings",
            Self::NotFound => "not-found",
            Self::Refused => "refused",
            Self::Corrupt => "corrupt",
            Self::Unreachable => "unreachable",
            Self::Incomplete => "incomplete",
            Self::Attention => "attention",
            Self::Interrupted => "interrupted",
        }
    }

    /// How a backup ends whose job failed with this code.
    const fn of_job(code: FailureCode) -> Self {
        match code {
            FailureCode::ConfigInvalid | FailureCode::Encryption => Self::Settings,
            FailureCode::SourceUnreachable | FailureCode::SourceLost | FailureCode::StoreUnavailable => {
                Self::Unreachable
            }
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

/// Why a command did not do what was asked, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, message)
    }

    /// A file of this machine that could not be used.
    pub(crate) fn file(doing: &str, path: &std::path::Path, error: &io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Self::new(exit, format!("could not {doing} {}: {error}", path.display()))
    }

    /// A backup whose job failed.
    pub(crate) fn of_job(failure: &JobFailure) -> Self {
        Self {
            exit: Exit::of_job(failure.code),
            message: format!("{} ({})", failure.message, failure.code),
            hint: failure.hint.clone(),
        }
    }

    /// A whole of which these parts failed: what they have in common is its exit.
    pub(crate) fn of_parts(failed: Vec<(&BackupId, Self)>) -> Option<Self> {
        let named = failed.into_iter().map(|(id, failure)| {
            let told = failure.message.contains(id.as_str());
            let message = if told { failure.message } else { format!("{id}: {}", failure.message) };
            Self { message, ..failure }
        });
        named.reduce(|first, second| Self {
            exit: if first.exit == second.exit { first.exit } else { Exit::Failed },
            message: format!("{}\n{}", first.message, second.message),
            hint: [first.hint, second.hint]
                .into_iter()
                .flatten()
                .reduce(|first, second| if first == second { first } else { format!("{first}; {second}") }),
        })
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn to_text(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("\n  what to do: {hint}")).unwrap_or_default();
        format!("holdfast: {}{hint}", self.message)
    }

    pub(crate) fn to_json(&self) -> String {
        let mut error = json!({ "code": self.exit.as_str(), "exitCode": self.exit as u8, "message": self.message });
        if let Some(hint) = &self.hint {
            error["hint"] = hint.as_str().into();
        }
        json!({ "error": error }).to_string()
    }
}

impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        if let OperationError::Config(settings) = error {
            return settings.into();
        }
        let JobFailure { message, hint, .. } = error.failure();
        let hint = own_hint(&error).map(str::to_owned).or(hint);
        Self { exit: exit_of(&error), message, hint }
    }
}

/// What to do, where a terminal can do more about it than a function.
fn own_hint(error: &OperationError) -> Option<&'static str> {
    Some(match error {
        OperationError::AlreadyRunning { .. } => "`--wait` waits for its end, `holdfast cancel` stops it",
        OperationError::NotFound(_) => "`holdfast list` shows what is there",
        OperationError::Stopped(StopReason::CatalogSilent) => {
            "check that the catalogue's server is up and reachable, then run the command again: a content backup resumes, \
             and a database backup begins from the start"
        }
        OperationError::Source(DatabaseError::Unreachable(_)) => {
            "check that the server is up, and that the connection string names it"
        }
        OperationError::Store(StoreError::Denied { .. }) => {
            "check which AWS credentials are in use here, and that they may read and write the bucket; of a directory, \
             whose it is and whether its disk is read-only"
        }
        OperationError::Store(StoreError::Full { .. }) => {
            "make room, or let older backups go: `holdfast policy` says which, `holdfast cleanup` deletes them"
        }
        OperationError::Store(StoreError::NotFound { .. } | StoreError::Unavailable { .. }) => {
            "check that the bucket exists, its region, and that it can be reached from here; of a directory, that its \
             disk is there and well"
        }
        _ => return None,
    })
}

fn exit_of(error: &OperationError) -> Exit {
    match error {
        OperationError::AlreadyRunning { .. }
        | OperationError::Collecting
        | OperationError::ConcurrencyLimit { .. }
        | OperationError::Disabled(_)
        | OperationError::NotCancellable { .. }
        | OperationError::NotVerifiable { .. }
        | OperationError::AlreadyVerifying(_)
        | OperationError::Invalid(_)
        | OperationError::Copy(CopyFault::AnotherRepository { .. }) => Exit::Refused,
        OperationError::NotFound(_) | OperationError::NoItem(_) => Exit::NotFound,
        OperationError::Config(_) | OperationError::Key(_) => Exit::Settings,
        OperationError::Drill(_, is_transient) => {
            if *is_transient {
                Exit::Unreachable
            } else {
                Exit::Settings
            }
        }
        OperationError::Corrupt { .. }
        | OperationError::Copy(CopyFault::Differs { .. } | CopyFault::RepositoryFile { .. }) => Exit::Corrupt,
        OperationError::Source(error) | OperationError::Target(error) => of_database(error),
        OperationError::Store(error) | OperationError::Copy(CopyFault::Store { cause: error, .. }) => of_store(error),
        OperationError::Catalog(error) => of_catalog(error),
        OperationError::Stopped(StopReason::CatalogSilent) => Exit::Unreachable,
        OperationError::Repository(error) => of_repository(error),
        OperationError::Restore(error) => of_restore(&error.cause),
        _ => Exit::Failed,
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::NotFound { .. } => Exit::NotFound,
        StoreError::AlreadyExists { .. } => Exit::Refused,
        StoreError::Corrupt { .. } => Exit::Corrupt,
        StoreError::Unavailable { .. } => Exit::Unreachable,
        _ => Exit::Failed,
    }
}

fn of_catalog(error: &CatalogError) -> Exit {
    match error {
        CatalogError::NotFound { .. } => Exit::NotFound,
        CatalogError::Conflict { .. } | CatalogError::AlreadyExists { .. } => Exit::Refused,
        CatalogError::Invalid { .. } => Exit::Settings,
        CatalogError::Corrupt { .. } => Exit::Corrupt,
        CatalogError::Unavailable { .. } => Exit::Unreachable,
        _ => Exit::Failed,
    }
}

fn of_database(error: &DatabaseError) -> Exit {
    match error {
        DatabaseError::Invalid(_) => Exit::Settings,
        DatabaseError::Unreachable(_) | DatabaseError::Lost(_) => Exit::Unreachable,
        _ => Exit::Failed,
    }
}

fn of_repository(error: &RepositoryError) -> Exit {
    match error {
        RepositoryError::NotInitialised(_) | RepositoryError::LostButCopied(_) | RepositoryError::Lost(_) => {
            Exit::NotFound
        }
        RepositoryError::NoKey(_) => Exit::Settings,
        RepositoryError::Changed(_) => Exit::Refused,
        _ => Exit::Corrupt,
    }
}

fn of_restore(fault: &RestoreFault) -> Exit {
    match fault {
        RestoreFault::NotEmpty(_) | RestoreFault::Invalid(_) => Exit::Refused,
        RestoreFault::Archive(_) => Exit::Corrupt,
        RestoreFault::Source(error) => of_reading(error),
        RestoreFault::Database(error) => of_database(error),
        _ => Exit::Failed,
    }
}

/// What lies under an `io::Error` of the reading stages: the artifact's fault, the store's, or this machine's.
fn of_reading(error: &io::Error) -> Exit {
    let store = error.get_ref().and_then(|inner| inner.downcast_ref::<StoreError>());
    match (ArtifactError::of(error), store) {
        (Some(_), _) => Exit::Corrupt,
        (None, Some(store)) => of_store(store),
        (None, None) => Exit::Failed,
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        OperationError::from(error).into()
    }
}

impl From<CatalogError> for Failure {
    fn from(error: CatalogError) -> Self {
        OperationError::from(error).into()
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let faults: Vec<String> = error.0.iter().map(|fault| format!("\n  {fault}")).collect();
        Self::new(Exit::Settings, format!("the settings are wrong:{}", faults.concat()))
            .hint("correct the environment variables named above; the README lists them all")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_documented() {
        let exits = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Settings,
            Exit::NotFound,
            Exit::Refused,
            Exit::Corrupt,
            Exit::Unreachable,
            Exit::Interrupted,
        ];
        for exit in exits {
            assert!(EXIT_CODES.contains(&format!("\n  {:<3}  ", exit as u8)), "{exit:?}");
        }
    }

    #[test]
    fn a_failure_says_what_to_do_about_it() {
        let failure = Failure::refused("no").hint("ask");
        assert_eq!(failure.to_text(), "holdfast: no\n  what to do: ask");
        assert_eq!(failure.to_json(), r#"{"error":{"code":"refused","exitCode":5,"message":"no","hint":"ask"}}"#);
    }

    #[test]
    fn a_whole_fails_as_its_parts_do() {
        let (database, content): (BackupId, BackupId) = ("db_1_aa".parse().unwrap(), "content_1_aa".parse().unwrap());
        let failed = |exit| Failure::new(exit, "no").hint("ask");
        assert!(Failure::of_parts(Vec::new()).is_none());
        let one = Failure::of_parts(vec![(&database, failed(Exit::Unreachable))]).unwrap();
        assert_eq!((one.exit, one.message()), (Exit::Unreachable, "db_1_aa: no"));
        let both = |other| Failure::of_parts(vec![(&database, failed(Exit::Unreachable)), (&content, failed(other))]);
        assert_eq!(both(Exit::Unreachable).unwrap().exit, Exit::Unreachable);
        let differing = both(Exit::Corrupt).unwrap();
        assert_eq!(differing.exit, Exit::Failed);
        assert_eq!(differing.to_text(), "holdfast: db_1_aa: no\ncontent_1_aa: no\n  what to do: ask");
    }

    #[test]
    fn a_target_that_is_not_empty_is_a_refusal() {
        let cause = RestoreFault::NotEmpty(vec!["db.c (3 documents)".to_owned()]);
        let failure: Failure = OperationError::from(holdfast_database::RestoreError::from(cause)).into();
        assert_eq!(failure.exit, Exit::Refused);
        assert!(failure.to_text().contains("--merge"), "{}", failure.to_text());
    }
}
