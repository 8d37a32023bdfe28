//! A failed command: the message, the remedy and the exit code.

use std::io;

use holdfast_catalog::CatalogError;
use holdfast_database::DatabaseError;
use holdfast_domain::{BackupId, JobFailure, settings::SettingsError};
use holdfast_operations::{OperationError, StopReason};
use holdfast_recovery::RecoveryError;
use holdfast_repository::RepositoryError;
use holdfast_storage::StoreError;
use serde_json::json;

pub(crate) use crate::exit::Exit;
use crate::exit::exit_of;

/// A failed command, with its remedy.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
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

    /// This machine cannot use a file.
    pub(crate) fn file(doing: &str, path: &std::path::Path, error: &io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::NotFound {
            Exit::NotFound
        } else {
            Exit::Failed
        };
        Self::new(
            exit,
            format!("could not {doing} {}: {error}", path.display()),
        )
    }

    /// A backup with a failed job.
    pub(crate) fn from_job(failure: &JobFailure) -> Self {
        Self {
            exit: Exit::from_job(failure.code),
            message: format!("{} ({})", failure.message, failure.code),
            hint: failure.hint.clone(),
        }
    }

    /// A full backup with these failed parts. The exit depends on their common cause.
    pub(crate) fn from_parts(failed: Vec<(&BackupId, Self)>) -> Option<Self> {
        let named = failed.into_iter().map(|(id, failure)| {
            let is_named = failure.message.contains(id.as_str());
            let message = if is_named {
                failure.message
            } else {
                format!("{id}: {}", failure.message)
            };
            Self { message, ..failure }
        });
        named.reduce(|first, second| Self {
            exit: if first.exit == second.exit {
                first.exit
            } else {
                Exit::Failed
            },
            message: format!("{}\n{}", first.message, second.message),
            hint: [first.hint, second.hint]
                .into_iter()
                .flatten()
                .reduce(|first, second| {
                    if first == second {
                        first
                    } else {
                        format!("{first}; {second}")
                    }
                }),
        })
    }

    /// Adds the remedy.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn to_text(&self) -> String {
        let hint = self
            .hint
            .as_ref()
            .map(|hint| format!("\n  remedy: {hint}"))
            .unwrap_or_default();
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

impl From<RepositoryError> for Failure {
    fn from(error: RepositoryError) -> Self {
        OperationError::from(error).into()
    }
}

impl From<RecoveryError> for Failure {
    fn from(error: RecoveryError) -> Self {
        OperationError::from(error).into()
    }
}

impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        if let OperationError::Config(settings) = error {
            return settings.into();
        }
        let JobFailure { message, hint, .. } = error.failure();
        let hint = own_hint(&error).or(hint);
        Self {
            exit: exit_of(&error),
            message,
            hint,
        }
    }
}

/// The remedy, if a terminal offers more than a function.
fn own_hint(error: &OperationError) -> Option<String> {
    let hint = match error {
        OperationError::AlreadyRunning { backup_id } => {
            return Some(format!(
                "wait for its end by `--wait`, or stop it by `holdfast cancel {backup_id}`"
            ));
        }
        OperationError::NotFound(_) => "list all backups by `holdfast list`",
        OperationError::Stopped(StopReason::CatalogSilent) => {
            "check that the catalogue's server is running and reachable, then repeat the command. A content backup \
             resumes. A database backup starts from the beginning"
        }
        OperationError::Source(DatabaseError::Unreachable(_)) => {
            "check that the server is running, and that the connection string is correct"
        }
        OperationError::Store(StoreError::Denied { .. }) => {
            "check the AWS credentials and their permission to read and write the bucket. For a directory, check its \
             owner and that its disk is writable"
        }
        OperationError::Store(StoreError::Missing { .. }) => {
            "check BACKUP_STORE or --store, and the region. For a directory, check that its disk is mounted"
        }
        OperationError::Store(StoreError::NotFound { .. } | StoreError::Unavailable { .. }) => {
            "check the bucket, its region, and the network connection to it. For a directory, check its disk"
        }
        _ => return None,
    };
    Some(hint.to_owned())
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
        Self::new(
            Exit::Settings,
            format!("the settings are wrong:{}", faults.concat()),
        )
        .hint("correct the environment variables named above: docs/settings.md lists them all")
    }
}

#[cfg(test)]
mod tests {
    use holdfast_database::RestoreFault;

    use super::*;

    #[test]
    fn a_failure_says_what_to_do_about_it() {
        let failure = Failure::refused("no").hint("ask");
        assert_eq!(failure.to_text(), "holdfast: no\n  remedy: ask");
        assert_eq!(
            failure.to_json(),
            r#"{"error":{"code":"refused","exitCode":5,"message":"no","hint":"ask"}}"#
        );
    }

    #[test]
    fn a_full_backup_fails_as_its_parts_do() {
        let (database, content): (BackupId, BackupId) =
            ("db_1_aa".parse().unwrap(), "content_1_aa".parse().unwrap());
        let failed = |exit| Failure::new(exit, "no").hint("ask");
        assert!(Failure::from_parts(Vec::new()).is_none());
        let one = Failure::from_parts(vec![(&database, failed(Exit::Unreachable))]).unwrap();
        assert_eq!(
            (one.exit, one.message()),
            (Exit::Unreachable, "db_1_aa: no")
        );
        let both = |other| {
            Failure::from_parts(vec![
                (&database, failed(Exit::Unreachable)),
                (&content, failed(other)),
            ])
        };
        assert_eq!(both(Exit::Unreachable).unwrap().exit, Exit::Unreachable);
        let differing = both(Exit::Corrupt).unwrap();
        assert_eq!(differing.exit, Exit::Failed);
        assert_eq!(
            differing.to_text(),
            "holdfast: db_1_aa: no\ncontent_1_aa: no\n  remedy: ask"
        );
    }

    #[test]
    fn a_target_that_is_not_empty_is_a_refusal() {
        let cause = RestoreFault::NotEmpty(vec!["db.c (3 documents)".to_owned()]);
        let failure: Failure =
            OperationError::from(holdfast_database::RestoreError::from(cause)).into();
        assert_eq!(failure.exit, Exit::Refused);
        assert!(
            failure.to_text().contains("--merge"),
            "{}",
            failure.to_text()
        );
    }
}
