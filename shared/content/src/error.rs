//! The failure of a fetch, in the form of its record.

use std::time::Duration;

use holdfast_domain::{HostState, ItemFailureCode};

use crate::Unsupported;

/// A failed fetch. The message has the failure, its place and its cause, but no path or query of a
/// URL. A file on IPFS is named by its CID and its path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// Class of the failure, by its remedy.
    pub code: ItemFailureCode,
    /// The failure, its place and its cause.
    pub message: String,
    /// The wait requested by the origin, or imposed after its failure.
    pub retry_after: Option<Duration>,
    /// Whether any request was sent. `false` if the origin was paused, or the time ended before
    /// its turn.
    pub was_asked: bool,
    /// The state of an origin without a request. Of several gateways, the best state. After a
    /// request it is `Working`.
    pub host: HostState,
    /// Whether a later request gets the same response, although errors of this code are often
    /// temporary.
    pub is_lasting: bool,
}

impl FetchError {
    /// An error of a contacted origin, without a time for a retry.
    pub fn new(code: ItemFailureCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
            was_asked: true,
            host: HostState::Working,
            is_lasting: false,
        }
    }

    /// The same, with the time of a retry.
    pub(crate) fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// The same error, without a request to the origin.
    pub(crate) fn unasked(self) -> Self {
        Self {
            was_asked: false,
            ..self
        }
    }

    /// The same error, of an origin in this state.
    pub(crate) fn with_host(self, host: HostState) -> Self {
        Self { host, ..self }
    }

    /// The same error, after a request to the origin.
    pub(crate) fn asked(self) -> Self {
        Self {
            was_asked: true,
            host: HostState::Working,
            ..self
        }
    }

    /// The same error, as a permanent one.
    pub(crate) fn lasting(self) -> Self {
        Self {
            is_lasting: true,
            ..self
        }
    }

    /// The receiver of the file's bytes has stopped.
    pub(crate) fn stopped() -> Self {
        Self::new(ItemFailureCode::Stopped, "the download was stopped")
    }

    /// Whether the same fetch may succeed later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        !self.is_lasting && !self.code.is_permanent()
    }
}

impl From<Unsupported> for FetchError {
    fn from(unsupported: Unsupported) -> Self {
        Self::new(unsupported.code, unsupported.reason)
    }
}
