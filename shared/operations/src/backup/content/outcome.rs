//! The outcome of a download.

use std::time::Duration;

/// The outcome of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownloadOutcome {
    /// This call settled the item: its file is stored, or the item failed.
    Settled,
    /// The item was settled, or its backup has ended.
    AlreadySettled,
    /// The attempt failed. Another one may succeed.
    Retry {
        /// Wait before the next attempt.
        after: Duration,
        /// The failure.
        reason: String,
    },
    /// Nothing was begun: the function has too little time left.
    NoTime,
}
