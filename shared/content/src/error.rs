//! Why a file could not be fetched, as what is recorded of it.

use std::time::Duration;

use holdfast_domain::ItemFailureCode;

use crate::Unsupported;

/// A fetch that failed. The message says what failed, where and why, and holds no path or query of a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// What can be done about it.
    pub code: ItemFailureCode,
    /// What failed, where and why.
    pub message: String,
    /// How long the origin asked to wait, or how long it is left alone after what it did.
    pub retry_after: Option<Duration>,
}

impl FetchError {
    /// An error that says nothing of when to try again.
    pub(crate) fn new(code: ItemFailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The same, with when to try again.
    pub(crate) fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Nobody takes the file's bytes any more.
    pub(crate) fn stopped() -> Self {
        Self::new(ItemFailureCode::Stopped, "the file's bytes were no longer wanted")
    }

    /// Whether the same fetch may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        !self.code.is_permanent()
    }
}

impl From<Unsupported> for FetchError {
    fn from(unsupported: Unsupported) -> Self {
        Self::new(unsupported.code, unsupported.reason)
    }
}
