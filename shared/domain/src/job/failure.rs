//! The failure of a job.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of failure, by their remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// Settings are wrong or missing.
    ConfigInvalid,
    /// The database server could not be reached.
    SourceUnreachable,
    /// The database server denied the login or the permission to read.
    SourceDenied,
    /// The connection to the database server was lost during the dump.
    SourceLost,
    /// The database could not be dumped faithfully.
    DumpRefused,
    /// The store denied access.
    StoreDenied,
    /// The store could not be reached, or kept failing.
    StoreUnavailable,
    /// The store is full.
    StoreFull,
    /// Stored data differ from the data sent.
    StoreCorrupt,
    /// The repository's keys are missing, or do not open it.
    Encryption,
    /// The function's time ran out.
    Deadline,
    /// The run stopped sending heartbeats.
    Stalled,
    /// No run started the job.
    NotStarted,
    /// Another run holds the lease now.
    LeaseLost,
    /// More items failed than `BACKUP_CONTENT_MAX_FAILURE_PERCENT` allows.
    TooManyFailures,
    /// A part of a full backup failed.
    PartFailed,
    /// An internal fault of Holdfast.
    Internal,
}

impl FailureCode {
    /// The word used in the API and the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfigInvalid => "config-invalid",
            Self::SourceUnreachable => "source-unreachable",
            Self::SourceDenied => "source-denied",
            Self::SourceLost => "source-lost",
            Self::DumpRefused => "dump-refused",
            Self::StoreDenied => "store-denied",
            Self::StoreUnavailable => "store-unavailable",
            Self::StoreFull => "store-full",
            Self::StoreCorrupt => "store-corrupt",
            Self::Encryption => "encryption",
            Self::Deadline => "deadline",
            Self::Stalled => "stalled",
            Self::NotStarted => "not-started",
            Self::LeaseLost => "lease-lost",
            Self::TooManyFailures => "too-many-failures",
            Self::PartFailed => "part-failed",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a job failed. Contains no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobFailure {
    /// The kind of failure.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: FailureCode,
    /// The failure, its object and its cause.
    pub message: String,
    /// The remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl JobFailure {
    /// Maximum length of a message in characters. Rows, events and answers contain many messages.
    pub const MAX_MESSAGE: usize = 4000;

    /// Creates a failure and truncates the message to [`JobFailure::MAX_MESSAGE`].
    #[must_use]
    pub fn new(code: FailureCode, mut message: String, hint: Option<&str>) -> Self {
        if let Some((end, _)) = message.char_indices().nth(Self::MAX_MESSAGE) {
            message.truncate(end);
            message.push('…');
        }
        Self {
            code,
            message,
            hint: hint.map(str::to_owned),
        }
    }
}
