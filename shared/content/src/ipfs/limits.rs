//! The limits of a walk through an untrusted DAG.

/// Limits of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkLimits {
    /// Levels from the root of the path to the deepest leaf.
    pub depth: usize,
    /// Visited nodes. Repeated ones count again.
    pub blocks: u64,
    /// Bytes of blocks in addition to those of the file: the size of a record. Limits the memory
    /// of a walk to about five times this.
    pub inner_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// Deeper than importers build (five levels hold terabytes, a trickled DAG has about twenty) and
/// paths go.
const MAX_DEPTH: usize = 128;

/// Enough for a file of 100 GB with the usual leaves of 256 KiB.
const MAX_INNER_BYTES: u64 = 32 * 1024 * 1024;

/// Allowed nodes of an empty file, including those of its path.
const SPARE_BLOCKS: u64 = 16 * 1024;

/// No importer cuts files into smaller leaves.
const MIN_LEAF_BYTES: u64 = 512;

impl WalkLimits {
    /// The limits for files of up to this many bytes.
    #[must_use]
    pub fn for_file(file_bytes: u64) -> Self {
        let blocks = SPARE_BLOCKS + file_bytes / MIN_LEAF_BYTES;
        Self {
            depth: MAX_DEPTH,
            blocks,
            inner_bytes: MAX_INNER_BYTES,
            file_bytes,
        }
    }
}
