//! All faults of a walk, by name. All except the visitor's are permanent.

use std::fmt;

use crate::{ForeignFile, MAX_DOCUMENT_BYTES, MIN_DOCUMENT_BYTES, VisitError};

/// Number of names in a message. The others are counted.
const NAMES_LISTED: usize = 10;

/// Why an archive is refused. Offsets are bytes from its beginning.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The file is empty.
    #[error("the file is empty: its dump failed, or the copy is incomplete")]
    Empty,
    /// The magic number is missing.
    #[error("this is not a mongodump archive: {file}")]
    NotAnArchive {
        /// Kind of the file.
        file: ForeignFile,
    },
    /// A program translated the archive's line endings.
    #[error(
        "the archive is damaged, and a carriage return precedes every line feed. A transfer in text mode or a Windows \
         pipe probably translated its line endings. Copy the original again in binary mode, or undo the translation: \
         perl -pe 's/\\r\\n/\\n/' FILE > repaired.archive. The first fault: {fault}"
    )]
    LineEndingsTranslated {
        /// The first fault of the walk.
        #[source]
        fault: Box<WalkError>,
    },
    /// A malformed header or namespace in the prelude.
    #[error("the archive's prelude is corrupt at byte {offset}: {reason}")]
    BadPrelude {
        /// Beginning of the document.
        offset: u64,
        /// Reason.
        reason: String,
    },
    /// The prelude declares a namespace twice.
    #[error("the archive's prelude declares {namespace} twice")]
    DuplicateNamespace {
        /// Name of the namespace.
        namespace: String,
    },
    /// The archive exceeds a limit of the walker.
    #[error("the archive has more {what} than {limit}, the limit")]
    LimitExceeded {
        /// Kind of the limited thing.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// An impossible length at the beginning of a document or terminator.
    #[error(
        "the archive is corrupt at byte {offset}, in {inside}: a document cannot have {length} bytes \
         ({MIN_DOCUMENT_BYTES} to {MAX_DOCUMENT_BYTES})"
    )]
    DocumentLength {
        /// Place of the length.
        offset: u64,
        /// Part of the archive.
        inside: String,
        /// The length.
        length: i32,
    },
    /// A document's last byte is not NUL.
    #[error(
        "the archive is corrupt at byte {offset}: the document of {namespace} there does not end with a NUL"
    )]
    DocumentEnd {
        /// Beginning of the document.
        offset: u64,
        /// Namespace of the document.
        namespace: String,
    },
    /// A block without a valid header.
    #[error("the archive's block header at byte {offset} is corrupt: {reason}")]
    BadBlockHeader {
        /// Beginning of the block.
        offset: u64,
        /// Reason.
        reason: String,
    },
    /// The prelude does not declare the block's namespace.
    #[error("the archive's block at byte {offset} has an undeclared namespace, {namespace}")]
    UndeclaredNamespace {
        /// Beginning of the block.
        offset: u64,
        /// Namespace of the block.
        namespace: String,
    },
    /// A block after the end of its namespace.
    #[error("the archive has a block of {namespace} at byte {offset}, after that namespace's end")]
    BlockAfterEnd {
        /// Beginning of the block.
        offset: u64,
        /// Namespace of the block.
        namespace: String,
    },
    /// The end of a namespace without any block, not even an empty one.
    #[error("the archive ends {namespace} at byte {offset}, before that namespace has begun")]
    EndBeforeBegin {
        /// Beginning of the block.
        offset: u64,
        /// Namespace of the block.
        namespace: String,
    },
    /// A document instead of a terminator.
    #[error("the archive has a document at byte {offset}, inside the last block of {namespace}")]
    DocumentInEndBlock {
        /// Beginning of the document.
        offset: u64,
        /// The ended namespace.
        namespace: String,
    },
    /// The documents of a namespace do not match their checksum.
    #[error(
        "the {documents} documents of {namespace} do not match the archive's checksum: expected \
         {expected:016x}, found {found:016x}"
    )]
    CrcMismatch {
        /// The namespace.
        namespace: String,
        /// Number of documents.
        documents: u64,
        /// The CRC in the archive.
        expected: u64,
        /// The CRC of the documents.
        found: u64,
    },
    /// The bytes end inside a document or block.
    #[error("the archive is cut short: it ends after {offset} bytes, inside {inside}")]
    CutShort {
        /// Number of bytes.
        offset: u64,
        /// Part of the archive at its end.
        inside: String,
    },
    /// The bytes end between two blocks, and namespaces of the prelude are missing.
    #[error(
        "the archive is incomplete{}{}",
        names("never begun", never_begun),
        names("never closed", never_closed)
    )]
    Incomplete {
        /// Namespaces without a block.
        never_begun: Vec<String>,
        /// Namespaces with blocks, but without an end.
        never_closed: Vec<String>,
    },
    /// Bytes follow after the end of all namespaces.
    #[error("the archive is complete after {offset} bytes, but more bytes follow")]
    TrailingData {
        /// Bytes of the archive itself.
        offset: u64,
    },
    /// The visitor stopped the walk. The archive may be sound.
    #[error("{0}")]
    Visitor(#[source] VisitError),
    /// A call after the walk failed.
    #[error("cannot continue the walk of this archive: it failed before")]
    AlreadyFailed,
}

impl WalkError {
    /// Whether damage to the archive's bytes can be the cause.
    pub(crate) fn is_of_the_bytes(&self) -> bool {
        !matches!(
            self,
            Self::Empty
                | Self::NotAnArchive { .. }
                | Self::LineEndingsTranslated { .. }
                | Self::Visitor(_)
                | Self::AlreadyFailed
        )
    }
}

fn names<'a>(what: &'a str, names: &'a [String]) -> impl fmt::Display + 'a {
    fmt::from_fn(move |f| {
        let Some((first, rest)) = names.split_first() else {
            return Ok(());
        };
        write!(f, ", {what}: {first}")?;
        for name in rest.iter().take(NAMES_LISTED - 1) {
            write!(f, ", {name}")?;
        }
        match names.len().saturating_sub(NAMES_LISTED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_lists_ten_names_and_counts_the_rest() {
        let many: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
        let error = WalkError::Incomplete {
            never_begun: many,
            never_closed: vec!["d".to_owned()],
        };
        assert_eq!(
            error.to_string(),
            "the archive is incomplete, never begun: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 2 more, never closed: d"
        );
    }
}
