//! Faults of a DAG, the same at every gateway, and faults of a walk through it.

use std::fmt;

/// A DAG that is not one file within the limits. Permanent, because its CID fixes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DagFault {
    /// A directory has no entry of that name.
    #[error("path not found: the directory {cid} has no entry {name:?}")]
    NoEntry {
        /// The directory.
        cid: String,
        /// The entry of the path.
        name: String,
    },
    /// The path continues under an entry that is not a directory.
    #[error("path not found: it continues with {name:?} under {cid}, which is {what}")]
    NoDirectory {
        /// The entry in the place of a directory.
        cid: String,
        /// The next name of the path.
        name: String,
        /// Its kind.
        what: &'static str,
    },
    /// The path ends at something else.
    #[error("not a file: {cid} is {what}. Only files are backed up, each by its own path")]
    NotAFile {
        /// The end of the path.
        cid: String,
        /// Its kind.
        what: &'static str,
    },
    /// Content of another kind than files.
    #[error("unsupported codec {codec} of {cid}: expected dag-pb or raw")]
    Codec {
        /// The CID.
        cid: String,
        /// Its codec, by name if it is known.
        codec: String,
    },
    /// A block without a proof.
    #[error(
        "unsupported hash {hash} with {bits} bits of the block {cid}: expected sha2-256, sha2-512, blake2b-256 or \
         blake3 in full length"
    )]
    Hash {
        /// The CID.
        cid: String,
        /// Its hash, by name if it is known.
        hash: String,
        /// Length of its digest.
        bits: usize,
    },
    /// A directory with a sharding unknown to IPFS.
    #[error(
        "unsupported shard hash 0x{hash:x} of the directory {cid}: expected murmur3-x64-64 (0x22)"
    )]
    Sharding {
        /// The directory.
        cid: String,
        /// Its hash.
        hash: u64,
    },
    /// More than is allowed, by its own word.
    #[error("too large: the file {cid} has {size_bytes} bytes, and {limit_bytes} are allowed")]
    TooLarge {
        /// The file.
        cid: String,
        /// The size in its root.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// A block larger than IPFS passes on.
    #[error(
        "the block {cid} has {size_bytes} bytes, and the limit is {}",
        super::MAX_BLOCK_BYTES
    )]
    LargeBlock {
        /// The block.
        cid: String,
        /// Its size.
        size_bytes: usize,
    },
    /// More levels than any file has.
    #[error("the DAG is more than {limit} levels deep at {cid}")]
    TooDeep {
        /// The first block past the limit.
        cid: String,
        /// The limit.
        limit: usize,
    },
    /// More blocks than its size can explain.
    #[error("the DAG has more than the {limit} blocks allowed")]
    TooManyBlocks {
        /// The limit.
        limit: u64,
    },
    /// More structure than its size can explain.
    #[error("the DAG has more than the {limit_bytes} allowed bytes in addition to the file")]
    TooMuchStructure {
        /// The limit.
        limit_bytes: u64,
    },
    /// A node with another size than in its parent, its parts or its bytes.
    #[error(
        "the sizes of the DAG do not add up at {cid}: {stated_bytes} bytes are stated, {found_bytes} found"
    )]
    Sizes {
        /// The node.
        cid: String,
        /// Its stated size.
        stated_bytes: u64,
        /// The size of its bytes and its parts.
        found_bytes: u64,
    },
    /// A block that matches its CID, but is not a node of a file or a directory.
    #[error("the block {cid} is malformed: {reason}")]
    Malformed {
        /// The block.
        cid: String,
        /// The broken rule.
        reason: &'static str,
    },
}

/// The class of a [`DagFault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DagFaultKind {
    /// The path does not exist.
    NotFound,
    /// The path leads to a directory, a symbolic link or the like.
    NotAFile,
    /// An unsupported codec or hash.
    Unsupported,
    /// A file larger than the limit.
    TooLarge,
    /// Not well-formed, or out of all proportion.
    Malformed,
}

impl DagFault {
    pub(super) fn malformed(cid: &impl fmt::Display, reason: &'static str) -> Self {
        Self::Malformed {
            cid: cid.to_string(),
            reason,
        }
    }

    /// Its class.
    #[must_use]
    pub fn kind(&self) -> DagFaultKind {
        match self {
            Self::NoEntry { .. } | Self::NoDirectory { .. } => DagFaultKind::NotFound,
            Self::NotAFile { .. } => DagFaultKind::NotAFile,
            Self::Codec { .. } | Self::Hash { .. } | Self::Sharding { .. } => {
                DagFaultKind::Unsupported
            }
            Self::TooLarge { .. } => DagFaultKind::TooLarge,
            Self::LargeBlock { .. }
            | Self::TooDeep { .. }
            | Self::TooManyBlocks { .. }
            | Self::TooMuchStructure { .. }
            | Self::Sizes { .. }
            | Self::Malformed { .. } => DagFaultKind::Malformed,
        }
    }
}

/// Why a walk stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// A fault of the source, not of the DAG: the walk is unchanged, and accepts the right block
    /// from another source.
    #[error("wrong block for {cid}: its hash does not match")]
    WrongBlock {
        /// The wanted block.
        cid: String,
    },
    /// The walk was finished too early.
    #[error("the DAG is incomplete: the block {cid} is missing")]
    Incomplete {
        /// The wanted block.
        cid: String,
    },
    /// A block was supplied after the end of the walk, or a failed walk was finished.
    #[error("the walk has ended, and accepts no more blocks")]
    Ended,
    /// The DAG's fault. The walk is over.
    #[error(transparent)]
    Dag(#[from] DagFault),
}
