//! Why a file could not be fetched, as what is recorded of it.

use std::time::Duration;

use holdfast_domain::ItemFailureCode;

use crate::Unsupported;

/// A fetch that failed. The message says what failed, where and why, and holds no path or query of
/// a URL; a file on IPFS is named, by its CID and its path under it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// What can be done about it.
    pub code: ItemFailureCode,
    /// What failed, where and why.
    pub message: String,
    /// How long the origin asked to wait, or how long it is left alone after what it did.
    pub retry_after: Option<Duration>,
    /// Whether anybody was asked at all: `false` where the origin was left alone, or the time ran out before its turn.
    pub was_asked: bool,
    /// Of an origin that was not asked: whether it counts as down, since it failed again each time it was tried. Of several
    /// gateways, whether all of them do.
    pub is_down: bool,
    /// Whether the same request gets the same answer tomorrow, although errors of this code often pass.
    pub is_lasting: bool,
}

impl FetchError {
    /// An error of an origin that was asked, without a time to try again.
    pub fn new(code: ItemFailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None, was_asked: true, is_down: false, is_lasting: false }
    }

    /// The same, with when to try again.
    pub(crate) fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// The same, of an origin that was not asked.
    pub(crate) fn unasked(self) -> Self {
        Self { was_asked: false, ..self }
    }

    /// The same, of an origin that counts as down, or does not.
    pub(crate) fn down_if(self, is_down: bool) -> Self {
        Self { is_down, ..self }
    }

    /// The same, where the origin was asked before.
    pub(crate) fn asked(self) -> Self {
        Self { was_asked: true, is_down: false, ..self }
    }

    /// The same, of an answer that does not change by itself.
    pub(crate) fn lasting(self) -> Self {
        Self { is_lasting: true, ..self }
    }

    /// Nobody takes the file's bytes any more.
    pub(crate) fn stopped() -> Self {
        Self::new(ItemFailureCode::Stopped, "the file's bytes were no longer wanted")
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
