//! Errors of the catalogue, by the action open to the caller. The driver's errors are translated
//! here, once.
//!
//! A driver's message may contain hosts and parts of the connection string. Only its kind and its
//! code are used, never its text.

use std::collections::BTreeSet;

use holdfast_domain::JobStatus;
use mongodb::error::{Error, ErrorKind, InsertManyError, WriteFailure};

/// A failed call of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The row does not exist.
    #[error("{id} is not in the catalogue")]
    NotFound {
        /// The backup's id.
        id: String,
    },
    /// The row has an unexpected state: it changed before this call, or the change is illegal.
    #[error("{id} cannot become {to}: it is {status}, under fencing number {fence}")]
    Conflict {
        /// The backup's id.
        id: String,
        /// The requested state.
        to: JobStatus,
        /// The present state.
        status: JobStatus,
        /// The present fencing number.
        fence: u64,
    },
    /// The row exists already.
    #[error("{id} is in the catalogue already")]
    AlreadyExists {
        /// The backup's id.
        id: String,
    },
    /// Transient: the server is away, or was too slow. The change may have been made.
    #[error(
        "the catalogue could not {doing}: {reason}. Check that the MongoDB server is running and reachable, then retry"
    )]
    Unavailable {
        /// The operation.
        doing: &'static str,
        /// The kind of failure.
        reason: String,
    },
    /// The login was refused, or the user lacks the privilege.
    #[error(
        "the catalogue could not {doing}: {reason}. Check user, password and authSource in MONGODB_URI or BACKUP_CATALOG_URI, and the user's role readWrite on the catalogue's database. docs/privileges.md has the smallest role"
    )]
    Denied {
        /// The operation.
        doing: &'static str,
        /// The kind of refusal.
        reason: String,
    },
    /// An input is invalid, for every caller.
    #[error("{what} {problem}")]
    Invalid {
        /// The input.
        what: String,
        /// The problem of the input.
        problem: String,
    },
    /// A stored row is damaged.
    #[error("row {id} of {collection} cannot be read: {problem}. Correct it, or remove it")]
    Corrupt {
        /// The collection.
        collection: &'static str,
        /// The row's `_id`.
        id: String,
        /// The damage.
        problem: String,
    },
    /// The server answered with a permanent error.
    #[error("the catalogue could not {doing}: {reason}")]
    Refused {
        /// The operation.
        doing: &'static str,
        /// The server's code and its name.
        reason: String,
    },
}

impl CatalogError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Translates the driver's error.
    pub(crate) fn from_driver(doing: &'static str, error: &Error) -> Self {
        let (class, reason) = classify(error);
        match class {
            Class::Unavailable => Self::Unavailable { doing, reason },
            Class::Denied => Self::Denied { doing, reason },
            Class::Refused => Self::Refused { doing, reason },
        }
    }
}

const DUPLICATE_KEY: i32 = 11_000;

/// The positions of the duplicate rows in an insert of many. `None` if the insert has any other
/// fault.
pub(crate) fn duplicates(error: &Error) -> Option<BTreeSet<usize>> {
    let ErrorKind::InsertMany(InsertManyError {
        write_errors: Some(errors),
        write_concern_error: None,
        ..
    }) = &*error.kind
    else {
        return None;
    };
    errors
        .iter()
        .map(|error| (error.code == DUPLICATE_KEY).then_some(error.index))
        .collect()
}

/// Whether a row with this `_id` existed already.
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
        ErrorKind::Command(command) => (
            class_of(command.code, error),
            coded(command.code, &command.code_name),
        ),
        ErrorKind::Write(WriteFailure::WriteError(write)) => (
            class_of(write.code, error),
            coded(write.code, write.code_name.as_deref().unwrap_or_default()),
        ),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
            (Class::Unavailable, coded(concern.code, &concern.code_name))
        }
        ErrorKind::InsertMany(failure) => class_of_many(failure, error),
        ErrorKind::ServerSelection { .. } => {
            (Class::Unavailable, "no server answered in time".to_owned())
        }
        ErrorKind::DnsResolve { .. } => (
            Class::Unavailable,
            "the host's name could not be resolved".to_owned(),
        ),
        ErrorKind::Io(cause) => (
            Class::Unavailable,
            format!("the connection broke ({})", cause.kind()),
        ),
        ErrorKind::ConnectionPoolCleared { .. } => {
            (Class::Unavailable, "the connection broke".to_owned())
        }
        ErrorKind::Shutdown => (Class::Unavailable, "the client is shutting down".to_owned()),
        ErrorKind::InvalidTlsConfig { .. } => {
            (Class::Refused, "its TLS options cannot be used".to_owned())
        }
        ErrorKind::IncompatibleServer { .. } => (
            Class::Refused,
            "the server's version is not supported".to_owned(),
        ),
        _ => (
            Class::Refused,
            "the driver or the server failed in an unexpected way".to_owned(),
        ),
    };
    (class, reason)
}

/// The first failure without a duplicate key decides for all rows.
fn class_of_many(failure: &InsertManyError, error: &Error) -> (Class, String) {
    let failed = failure
        .write_errors
        .iter()
        .flatten()
        .find(|failed| failed.code != DUPLICATE_KEY);
    match (failed, &failure.write_concern_error) {
        (Some(failed), _) => (
            class_of(failed.code, error),
            coded(failed.code, failed.code_name.as_deref().unwrap_or_default()),
        ),
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
    /// Missing privilege, failed login, and the refusal of MongoDB Atlas.
    const DENIED: [i32; 3] = [13, 18, 8000];
    /// Changes of primary, shutdowns, time-outs and conflicts, by MongoDB's table of error codes.
    const TRANSIENT: [i32; 16] = [
        6, 7, 24, 50, 64, 89, 91, 112, 189, 262, 9001, 10_107, 11_600, 11_602, 13_435, 13_436,
    ];
    let labelled = error.contains_label("RetryableWriteError")
        || error.contains_label("TransientTransactionError");
    if DENIED.contains(&code) {
        Class::Denied
    } else if labelled || TRANSIENT.contains(&code) {
        Class::Unavailable
    } else {
        Class::Refused
    }
}
