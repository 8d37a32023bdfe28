//! Faults of a CAR. The sender is always at fault: another gateway may work.

/// An unreadable CAR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarFault {
    /// It ended within its header or a block.
    #[error("the CAR is truncated: it ends at byte {offset}, inside {inside}")]
    Cut {
        /// Received bytes.
        offset: u64,
        /// The unfinished part.
        inside: &'static str,
    },
    /// Another version than 1.
    #[error("the CAR has version {0}: expected the requested version 1")]
    Version(u64),
    /// An invalid header of a CAR.
    #[error("not a CAR: {0}")]
    Header(&'static str),
    /// A header or a block past the limits.
    #[error(
        "the CAR has {what} of {size_bytes} bytes at byte {offset}, and the limit is {limit_bytes}"
    )]
    TooLarge {
        /// The part that is too large.
        what: &'static str,
        /// Its offset.
        offset: u64,
        /// Its size, as the CAR states it.
        size_bytes: u64,
        /// The limit.
        limit_bytes: usize,
    },
    /// An invalid section.
    #[error("the CAR is malformed at byte {offset}: {reason}")]
    Malformed {
        /// Offset of the section.
        offset: u64,
        /// The broken rule.
        reason: &'static str,
    },
}
