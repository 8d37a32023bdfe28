//! What a CID proves of a file that came without its blocks: a raw CID is the hash of the file, and the block of a file of
//! one leaf is made of its bytes again. Larger files of dag-pb, and files under a path, stay unproved.

use bytes::Bytes;

use crate::ipfs::{IpfsPath, Walk, WalkLimits, WalkedFile, is_raw, single_leaves};

/// What the CID says of a whole file.
#[derive(Debug)]
pub(super) enum Verdict {
    /// These are the bytes of this very file.
    Proved(Box<WalkedFile>),
    /// They may be.
    Unproved,
    /// They are others.
    Refuted,
}

/// Whether the CID may prove a file of this path by its bytes alone. A path takes the blocks of directories.
pub(super) fn may_prove(path: &IpfsPath) -> bool {
    path.path.is_empty()
}

/// Proves a whole file of at most one block.
pub(super) fn prove(path: &IpfsPath, file: &Bytes) -> Verdict {
    let limits = WalkLimits::of_file(file.len() as u64);
    let Ok((walk, _)) = Walk::begin(path, limits) else { return Verdict::Unproved };
    if is_raw(&path.cid) {
        return walked(walk, file).map_or(Verdict::Refuted, |walked| Verdict::Proved(Box::new(walked)));
    }
    let proved = single_leaves(file).find_map(|block| {
        let (walk, _) = Walk::begin(path, limits).ok()?;
        walked(walk, &block)
    });
    proved.map_or(Verdict::Unproved, |walked| Verdict::Proved(Box::new(walked)))
}

/// The file of a walk that wants one block, where this is it.
fn walked(mut walk: Walk, block: &Bytes) -> Option<WalkedFile> {
    walk.supply(block).ok()?;
    walk.finish().ok()
}
