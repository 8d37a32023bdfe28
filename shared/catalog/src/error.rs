//! What can go wrong with the catalogue, by what the caller can do. The driver's errors are translated here, once.
//!
//! A driver's message may hold hosts and parts of the connection string: its kind and its code are told, never its text.

use std::collections::BTreeSet;

use holdfast_domain::JobStatus;
use mongodb::error::{Error, ErrorKind, InsertManyError, WriteFailure};

/// A call of the catalogue that did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// There is no such row.
    #[error("{id} is not in the catalogue")]
    NotFound {
        /// The backup's id.
        id: String,
    },
    /// The row does not stand where it had to: somebody else changed it first, or the change is not a legal one.
    #[error("{id} cannot become {to}: it is {status}, under fencing number {fence}")]
    Conflict {
        /// The backup's id.
        id: String,
        /// What it should have become.
        to: JobStatus,
        /// What it is.
        status: JobStatus,
        /// Fencing number it has.
        fence: u64,
    },
    /// The row is there already.
    #[error("{id} is in the catalogue already")]
    AlreadyExists {
        /// The backup's id.
        id: String,
    },
    /// Transient: the server is away, or was too slow. The change may have been made.
    #[error("the catalogue could not {doing}: {reason}; check that the MongoDB server is up and reachable, then retry")]
    Unavailable {
        /// What was tried.
        doing: &'static str,
        /// The kind of failure.
        reason: String,
    },
    /// The login, or the right to do this, was refused.
    #[error(
        "the catalogue could not {doing}: {reason}; check user, password and authSource in MONGODB_URI or BACKUP_CATALOG_URI, and that the user has readWrite on the catalogue's database. docs/privileges.md has the smallest role"
    )]
    Denied {
        /// What was tried.
        doing: &'static str,
        /// The kind of refusal.
        reason: String,
    },
    /// What was given cannot be used, whoever tries.
    #[error("{what} {problem}")]
    Invalid {
        /// What was given.
        what: String,
        /// Why it cannot be used.
        problem: String,
    },
    /// A stored row is not what Holdfast writes.
    #[error("row {id} of {collection} cannot be read: {problem}; correct it, or remove it")]
    Corrupt {
        /// The collection.
        collection: &'static str,
        /// The row's `_id`.
        id: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The server answered with an error that a retry does not mend.
    #[error("the catalogue could not {doing}: {reason}")]
    Refused {
        /// What was tried.
        doing: &'static str,
        /// The server's code and its name.
        reason: String,
    },
}

impl CatalogError {
    /// Whether the same call may well succeed a little later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Translates the driver's error.
    pub(crate) fn of_driver(doing: &'static str, error: &Error) -> Self {
        let (class, reason) = classify(error);
        match class {
            Class::Unavailable => Self::Unavailable { doing, reason },
            Class::Denied => Self::Denied { doing, reason },
            Class::Refused => Self::Refused { doing, reason },
        }
    }
}

const DUPLICATE_KEY: i32 = 11_000;

/// The positions of those of many rows whose `_id` was there already; `None` where that is not all that went wrong.
pub(crate) fn duplicates(error: &Error) -> Option<BTreeSet<usize>> {
    let ErrorKind::InsertMany(InsertManyError { write_errors: Some(errors), write_concern_error: None, .. }) =
        &*error.kind
    else {
        return None;
    };
    errors.iter().map(|error| (error.code == DUPLICATE_KEY).then_some(error.index)).collect()
}

/// Whether a row with this `_id` was there already.
pub(crate) fn is_duplicate(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE_KEY)
}

#[derive(Clone, Copy)]
enum Class {
    Unavailable,
    Denied,
    Refused,
}

fn classify(error: &Error) -> (Class, String) {
    let (class, reason) = match &*error.kind {
        ErrorKind::Authentication { .. } => (Class::Denied, "the login was refused".to_owned()),
        ErrorKind::Command(command) => (class_of(command.code, error), coded(command.code, &command.code_name)),
        ErrorKind::Write(WriteFailure::WriteError(write)) => {
            (class_of(write.code, error), coded(write.code, write.code_name.as_deref().unwrap_or_default()))
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
            (Class::Unavailable, coded(concern.code, &concern.code_name))
        }
        ErrorKind::InsertMany(failure) => class_of_many(failure, error),
        ErrorKind::ServerSelection { .. } => (Class::Unavailable, "no server answered in time".to_owned()),
        ErrorKind::DnsResolve { .. } => (Class::Unavailable, "the host's name could not be resolved".to_owned()),
        ErrorKind::Io(cause) => (Class::Unavailable, format!("the connection broke ({})", cause.kind())),
        ErrorKind::ConnectionPoolCleared { .. } => (Class::Unavailable, "the connection broke".to_owned()),
        ErrorKind::Shutdown => (Class::Unavailable, "the client is shutting down".to_owned()),
        ErrorKind::InvalidTlsConfig { .. } => (Class::Refused, "its TLS options cannot be used".to_owned()),
        ErrorKind::IncompatibleServer { .. } => (Class::Refused, "the server's version is not supported".to_owned()),
        _ => (Class::Refused, "the driver or the server failed in an unexpected way".to_owned()),
    };
    (class, reason)
}

/// Of several rows that failed, the first that was not a duplicate speaks for all.
fn class_of_many(failure: &InsertManyError, error: &Error) -> (Class, String) {
    let failed = failure.write_errors.iter().flatten().find(|failed| failed.code != DUPLICATE_KEY);
    match (failed, &failure.write_concern_error) {
        (Some(failed), _) => {
            (class_of(failed.code, error), coded(failed.code, failed.code_name.as_deref().unwrap_or_default()))
        }
        (None, Some(concern)) => (Class::Unavailable, coded(concern.code, &concern.code_name)),
        (None, None) => (Class::Refused, coded(DUPLICATE_KEY, "DuplicateKey")),
    }
}

fn coded(code: i32, name: &str) -> String {
    if name.is_empty() {
        format!("the server answered code {code}")
    } else {
        format!("the server answered code {code}, {name}")
    }
}

fn class_of(code: i32, error: &Error) -> Class {
    /// No right, no login, and MongoDB Atlas' own refusal.
    const DENIED: [i32; 3] = [13, 18, 8000];
    /// Changes of primary, shutdowns, time-outs and conflicts, by MongoDB's table of error codes.
    const TRANSIENT: [i32; 16] =
        [6, 7, 24, 50, 64, 89, 91, 112, 189, 262, 9001, 10_107, 11_600, 11_602, 13_435, 13_436];
    let labelled = error.contains_label("RetryableWriteError") || error.contains_label("TransientTransactionError");
    if DENIED.contains(&code) {
        Class::Denied
    } else if labelled || TRANSIENT.contains(&code) {
        Class::Unavailable
    } else {
        Class::Refused
    }
}
