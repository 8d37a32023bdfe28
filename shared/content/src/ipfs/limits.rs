//! How much of a stranger's DAG is walked.

/// What bounds a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkLimits {
    /// Levels from the root of the path to the deepest leaf.
    pub depth: usize,
    /// Nodes visited; one that comes again counts again.
    pub blocks: u64,
    /// Bytes of blocks beside those of the file, which are what a record holds. Bounds the memory of a walk, to about
    /// five times this.
    pub inner_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// Deeper than importers build (five levels hold terabytes, a trickled DAG has about twenty) and paths go.
const MAX_DEPTH: usize = 128;

/// At 256 KiB a leaf, as importers cut, what rebuilds 100 GB.
const MAX_INNER_BYTES: u64 = 32 * 1024 * 1024;

/// Nodes that a file of no size may have: those of its path among them.
const SPARE_BLOCKS: u64 = 16 * 1024;

/// No importer cuts files into smaller leaves.
const MIN_LEAF_BYTES: u64 = 512;

impl WalkLimits {
    /// The limits for files of up to this many bytes.
    #[must_use]
    pub fn of_file(file_bytes: u64) -> Self {
        let blocks = SPARE_BLOCKS + file_bytes / MIN_LEAF_BYTES;
        Self { depth: MAX_DEPTH, blocks, inner_bytes: MAX_INNER_BYTES, file_bytes }
    }
}
