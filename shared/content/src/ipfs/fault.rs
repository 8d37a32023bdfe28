//! What can be wrong with a DAG, which no other gateway can mend, and with a walk through it.

use super::Cid;

/// A DAG that is not one file within the limits. Permanent: its CID promises just this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DagFault {
    /// A directory has no entry of that name.
    #[error("path not found: the directory {cid} has no entry {name:?}")]
    NoEntry {
        /// The directory.
        cid: String,
        /// The entry that the path asks for.
        name: String,
    },
    /// The path goes on where there is nothing to go on through.
    #[error("path not found: it goes on with {name:?} through {cid}, which is {what}")]
    NoDirectory {
        /// What stands where a directory should.
        cid: String,
        /// The entry that the path asks for.
        name: String,
        /// What it is.
        what: &'static str,
    },
    /// The path ends at something else.
    #[error("not a file: {cid} is {what}; only files are backed up, each by its own path")]
    NotAFile {
        /// The end of the path.
        cid: String,
        /// What it is.
        what: &'static str,
    },
    /// Content of another kind than files.
    #[error("unsupported: {cid} is of the codec {codec}; files are dag-pb or raw")]
    Codec {
        /// The CID.
        cid: String,
        /// Its codec, by name where it has a known one.
        codec: String,
    },
    /// A block that cannot be proved.
    #[error(
        "unsupported: the block {cid} is hashed by {hash} to {bits} bits; sha2-256, sha2-512, blake2b-256 and blake3 in \
         their full length can be checked"
    )]
    Hash {
        /// The CID.
        cid: String,
        /// Its hash, by name where it has a known one.
        hash: String,
        /// Length of its digest.
        bits: usize,
    },
    /// A directory sharded in a way that is not IPFS's.
    #[error("unsupported: the directory {cid} is sharded by the hash 0x{hash:x}; only murmur3-x64-64 (0x22) is known")]
    Sharding {
        /// The directory.
        cid: String,
        /// The hash that it names.
        hash: u64,
    },
    /// More than is allowed, by its own word.
    #[error("too large: the file {cid} has {size_bytes} bytes, and {limit_bytes} are allowed")]
    TooLarge {
        /// The file.
        cid: String,
        /// The size that its root states.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// A block larger than IPFS passes on.
    #[error("the block {cid} has {size_bytes} bytes; {} are allowed", super::MAX_BLOCK_BYTES)]
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
    #[error("the DAG has more than the {limit_bytes} bytes allowed beside those of the file")]
    TooMuchStructure {
        /// The limit.
        limit_bytes: u64,
    },
    /// A node that says another size than its parent, its parts or its bytes.
    #[error("the sizes of the DAG do not add up at {cid}: {stated_bytes} bytes are stated, {found_bytes} found")]
    Sizes {
        /// The node.
        cid: String,
        /// What is stated of it.
        stated_bytes: u64,
        /// What its bytes and its parts come to.
        found_bytes: u64,
    },
    /// A block that is what its CID promises, and no node of a file or a directory.
    #[error("the block {cid} is malformed: {reason}")]
    Malformed {
        /// The block.
        cid: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
}

/// What a [`DagFault`] comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DagFaultKind {
    /// Nothing is at that path.
    NotFound,
    /// A directory, a symbolic link or the like is there.
    NotAFile,
    /// Of a codec or a hash that is not known here.
    Unsupported,
    /// A file larger than the limit.
    TooLarge,
    /// Not well-formed, or out of all proportion.
    Malformed,
}

impl DagFault {
    pub(super) fn malformed(cid: &Cid, reason: &'static str) -> Self {
        Self::Malformed { cid: cid.to_string(), reason }
    }

    /// What it comes to.
    #[must_use]
    pub fn kind(&self) -> DagFaultKind {
        match self {
            Self::NoEntry { .. } | Self::NoDirectory { .. } => DagFaultKind::NotFound,
            Self::NotAFile { .. } => DagFaultKind::NotAFile,
            Self::Codec { .. } | Self::Hash { .. } | Self::Sharding { .. } => DagFaultKind::Unsupported,
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

/// Why a walk does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// The source's fault, not the DAG's: the walk stands where it stood, and takes the right block from another.
    #[error("another block was delivered than {cid}: its hash does not match")]
    WrongBlock {
        /// The block that is wanted.
        cid: String,
    },
    /// The walk was finished too early.
    #[error("the DAG is incomplete: the block {cid} is missing")]
    Incomplete {
        /// The block that is wanted.
        cid: String,
    },
    /// A block was supplied to a walk that wants none, or one that had failed was finished.
    #[error("the walk has ended, and takes nothing more")]
    Ended,
    /// The DAG's fault. The walk is over.
    #[error(transparent)]
    Dag(#[from] DagFault),
}
