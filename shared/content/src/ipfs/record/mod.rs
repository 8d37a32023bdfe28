//! The record of blocks of an IPFS file: with the file's bytes it rebuilds every block of its DAG
//! under the same CID. In memory it has its stored form, bounded by
//! [`WalkLimits::inner_bytes`](super::WalkLimits).

mod entries;
mod error;
mod stored;

pub(super) use self::entries::{Entries, Entry, Recorder};
pub use self::error::RecordError;
use super::{Cid, IpfsPath};

/// Rebuilds the blocks of one file, including those of its path.
///
/// For each block in the order of the walk it has: the bytes before those of the file, their
/// number, and the bytes after. Only the root's CID is stored. Each other CID is in an earlier
/// block, and proves its own block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DagRecord {
    path: IpfsPath,
    file_cid: Cid,
    size: u64,
    blocks: u64,
    /// As [`entries`] has it.
    pub(super) entries: Vec<u8>,
}

impl DagRecord {
    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &IpfsPath {
        &self.path
    }

    /// The file's own CID: the end of the path. The only root with a complete DAG.
    #[must_use]
    pub fn file_cid(&self) -> &Cid {
        &self.file_cid
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Number of rebuilt blocks, including repeated ones.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.blocks
    }
}
