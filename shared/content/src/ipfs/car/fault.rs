//! What can be wrong with a CAR. Always the fault of who sent it: another gateway may do better.

/// A CAR that cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarFault {
    /// It ended within its header or a block.
    #[error("the CAR is cut: it ends at byte {offset}, within {inside}")]
    Cut {
        /// Bytes that came.
        offset: u64,
        /// Within what.
        inside: &'static str,
    },
    /// Another version than 1.
    #[error("the CAR is of version {0}; version 1 was asked for, and only that is read")]
    Version(u64),
    /// No header of a CAR.
    #[error("not a CAR: {0}")]
    Header(&'static str),
    /// A header or a block past the limits.
    #[error("the CAR has {what} of {size_bytes} bytes at byte {offset}; {limit_bytes} are allowed")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// Its size, as the CAR states it.
        size_bytes: u64,
        /// The limit.
        limit_bytes: usize,
    },
    /// A section that is none.
    #[error("the CAR is malformed at byte {offset}: {reason}")]
    Malformed {
        /// Where the section begins.
        offset: u64,
        /// Which rule it breaks.
        reason: &'static str,
    },
}
