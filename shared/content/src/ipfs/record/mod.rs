//! What is kept beside a file that came from IPFS: enough to make every block of its DAG again from the file's bytes, and
//! so to bring it back under the same CID. Held in memory as it is stored; bounded by
//! [`WalkLimits::inner_bytes`](super::WalkLimits).

mod entries;
mod rebuild;
mod stored;

pub(super) use self::entries::Recorder;
pub use self::{rebuild::RebuildError, stored::RecordError};
use super::{Cid, IpfsPath};

/// What rebuilds the blocks of one file, those of the path to it among them.
///
/// For each block in the order of the walk: the bytes before those of the file, how many of the file's it holds, and the
/// bytes after. No CID but the root's is kept: each stands in the block before, and every block is proved by its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DagRecord {
    path: IpfsPath,
    file_cid: Cid,
    size: u64,
    blocks: u64,
    /// As [`entries`] has it.
    entries: Vec<u8>,
}

impl DagRecord {
    /// Where the file was found.
    #[must_use]
    pub fn path(&self) -> &IpfsPath {
        &self.path
    }

    /// The file's own CID: the end of the path. The only root whose DAG is complete.
    #[must_use]
    pub fn file_cid(&self) -> &Cid {
        &self.file_cid
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Blocks that are rebuilt, with those that come again.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.blocks
    }
}
