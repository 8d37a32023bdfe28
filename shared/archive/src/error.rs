//! Every fault that a walk can find, by name. All but the visitor's are permanent: the archive is what it is.

use std::fmt;

use crate::{ForeignFile, MAX_DOCUMENT_BYTES, MIN_DOCUMENT_BYTES, VisitError};

/// How many names a message lists before it counts the rest.
const NAMES_LISTED: usize = 10;

/// Why an archive is refused. Offsets are bytes from its beginning.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// There is not one byte.
    #[error("the file is empty: the dump that wrote it failed, or the file was not copied to its end")]
    Empty,
    /// The magic number is not there.
    #[error("this is not a mongodump archive: {file}")]
    NotAnArchive {
        /// What it is.
        file: ForeignFile,
    },
    /// The archive went through a program that translates line endings.
    #[error(
        "the archive is damaged, and a carriage return precedes every line feed. A transfer in text mode or a Windows \
         pipe probably translated its line endings. Copy the original again in binary mode, or undo the translation: \
         perl -pe 's/\\r\\n/\\n/' FILE > repaired.archive. The first fault: {fault}"
    )]
    LineEndingsTranslated {
        /// The first fault that it caused.
        #[source]
        fault: Box<WalkError>,
    },
    /// A header or namespace of the prelude is not what it must be.
    #[error("the archive's prelude is corrupt at byte {offset}: {reason}")]
    BadPrelude {
        /// Where the document begins.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The prelude declares a namespace twice.
    #[error("the archive's prelude declares {namespace} twice")]
    DuplicateNamespace {
        /// Which.
        namespace: String,
    },
    /// The archive is larger than this walker takes.
    #[error("the archive has more {what} than {limit}, the limit")]
    LimitExceeded {
        /// Of what there is too much.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
    /// Where a document or a terminator must begin stands an impossible length.
    #[error(
        "the archive is corrupt at byte {offset}, in {inside}: a document cannot have {length} bytes \
         ({MIN_DOCUMENT_BYTES} to {MAX_DOCUMENT_BYTES})"
    )]
    DocumentLength {
        /// Where the length stands.
        offset: u64,
        /// In which part of the archive.
        inside: String,
        /// The length.
        length: i32,
    },
    /// A document's last byte is not the NUL that it must be.
    #[error("the archive is corrupt at byte {offset}: the document of {namespace} there does not end with a NUL")]
    DocumentEnd {
        /// Where the document begins.
        offset: u64,
        /// Whose document.
        namespace: String,
    },
    /// A block begins with something that is no block header.
    #[error("the archive's block header at byte {offset} is corrupt: {reason}")]
    BadBlockHeader {
        /// Where it begins.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A block of a namespace that the prelude does not name.
    #[error("the archive's block at byte {offset} is of {namespace}, which the prelude does not declare")]
    UndeclaredNamespace {
        /// Where the block begins.
        offset: u64,
        /// Of which namespace it is.
        namespace: String,
    },
    /// A block of a namespace that has ended.
    #[error("the archive has a block of {namespace} at byte {offset}, after that namespace's end")]
    BlockAfterEnd {
        /// Where the block begins.
        offset: u64,
        /// Of which namespace it is.
        namespace: String,
    },
    /// The end of a namespace of which there was no block, not even an empty one.
    #[error("the archive ends {namespace} at byte {offset}, before that namespace has begun")]
    EndBeforeBegin {
        /// Where the block begins.
        offset: u64,
        /// Of which namespace it is.
        namespace: String,
    },
    /// A document where only a terminator may stand.
    #[error("the archive has a document at byte {offset}, inside the block that ends {namespace}")]
    DocumentInEndBlock {
        /// Where the document begins.
        offset: u64,
        /// Which namespace was ending.
        namespace: String,
    },
    /// The documents of a namespace are not those that were written.
    #[error(
        "the {documents} documents of {namespace} do not have the checksum that the archive gives: expected \
         {expected:016x}, found {found:016x}"
    )]
    CrcMismatch {
        /// Whose documents.
        namespace: String,
        /// How many there are.
        documents: u64,
        /// The CRC in the archive.
        expected: u64,
        /// The CRC of the documents.
        found: u64,
    },
    /// The bytes end inside a document or block.
    #[error("the archive is cut short: it ends after {offset} bytes, inside {inside}")]
    CutShort {
        /// How many bytes there are.
        offset: u64,
        /// In which part of the archive it ends.
        inside: String,
    },
    /// The bytes end between two blocks, and namespaces of the prelude are missing.
    #[error("the archive is incomplete{}{}", names("never begun", never_begun), names("never closed", never_closed))]
    Incomplete {
        /// Namespaces of which there is no block.
        never_begun: Vec<String>,
        /// Namespaces that have blocks, but no end.
        never_closed: Vec<String>,
    },
    /// Something follows after all namespaces have ended.
    #[error("the archive is complete after {offset} bytes, but more follow")]
    TrailingData {
        /// How many bytes the archive itself has.
        offset: u64,
    },
    /// The visitor stopped the walk; the archive may be sound.
    #[error("{0}")]
    Visitor(#[source] VisitError),
    /// The walk went on after it had failed.
    #[error("the walk of this archive has failed before")]
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
        write!(f, "; {what}: {first}")?;
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
        let error = WalkError::Incomplete { never_begun: many, never_closed: vec!["d".to_owned()] };
        assert_eq!(
            error.to_string(),
            "the archive is incomplete; never begun: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 2 more; never closed: d"
        );
    }
}
