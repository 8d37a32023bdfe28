//! The proof of a file without its blocks. A raw CID is the hash of the file. The block of a
//! one-leaf file can be rebuilt from its bytes. Larger dag-pb files, and files under a path, stay
//! unproved.

use bytes::Bytes;

use crate::ipfs::{IpfsPath, Walk, WalkLimits, WalkedFile, is_raw, single_leaves};

/// The statement of the CID about a complete file.
#[derive(Debug)]
pub(super) enum Verdict {
    /// These are the bytes of this very file.
    Proved(Box<WalkedFile>),
    /// They may be.
    Unproved,
    /// The bytes differ.
    Refuted,
}

/// Whether the CID may prove a file of this path by its bytes alone. A path takes the blocks of
/// directories.
pub(super) fn may_prove(path: &IpfsPath) -> bool {
    path.path.is_empty()
}

/// Proves a complete file of at most one block.
pub(super) fn prove(path: &IpfsPath, file: &Bytes) -> Verdict {
    let limits = WalkLimits::for_file(file.len() as u64);
    let Ok((walk, _)) = Walk::begin(path, limits) else {
        return Verdict::Unproved;
    };
    if is_raw(&path.cid) {
        return walked(walk, file)
            .map_or(Verdict::Refuted, |walked| Verdict::Proved(Box::new(walked)));
    }
    let proved = single_leaves(file).find_map(|block| {
        let (walk, _) = Walk::begin(path, limits).ok()?;
        walked(walk, &block)
    });
    proved.map_or(Verdict::Unproved, |walked| {
        Verdict::Proved(Box::new(walked))
    })
}

/// The file of a walk for one block, if this is the block.
fn walked(mut walk: Walk, block: &Bytes) -> Option<WalkedFile> {
    walk.supply(block).ok()?;
    walk.finish().ok()
}
