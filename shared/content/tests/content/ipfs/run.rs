//! A walk from its beginning to its end.

use bytes::Bytes;
use cid::multihash::Multihash;
use holdfast_content::ipfs::{Cid, DagFault, IpfsPath, Walk, WalkError, WalkLimits, WalkedFile};

use super::dag::Node;

pub(crate) type Blocks = Vec<(Cid, Vec<u8>)>;

pub(crate) const LIMITS: WalkLimits = WalkLimits {
    depth: 40,
    blocks: 20_000,
    inner_bytes: 4 << 20,
    file_bytes: 1 << 20,
};

pub(crate) fn path(cid: Cid, names: &[&str]) -> IpfsPath {
    IpfsPath {
        cid,
        path: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// Supplies these blocks in order. Returns the bytes and the result of the walk.
pub(crate) fn walk(path: &IpfsPath, blocks: &Blocks) -> Result<(Vec<u8>, WalkedFile), WalkError> {
    walk_within(LIMITS, path, blocks)
}

pub(crate) fn walk_within(
    limits: WalkLimits,
    path: &IpfsPath,
    blocks: &Blocks,
) -> Result<(Vec<u8>, WalkedFile), WalkError> {
    let (mut walk, first) = Walk::begin(path, limits)?;
    let mut out = first.concat();
    for (_, block) in blocks {
        out.extend(walk.supply(&Bytes::copy_from_slice(block))?.concat());
    }
    Ok((out, walk.finish()?))
}

/// The fault of a walk through this DAG. The blocks are supplied as requested.
pub(crate) fn fault_of(root: &Node, names: &[&str]) -> DagFault {
    fault_within(LIMITS, root, names)
}

pub(crate) fn fault_within(limits: WalkLimits, root: &Node, names: &[&str]) -> DagFault {
    let (mut walk, _) = match Walk::begin(&path(root.cid, names), limits) {
        Ok(begun) => begun,
        Err(fault) => return fault,
    };
    while let Some(wanted) = walk.wanted().copied() {
        let block = find(root, &wanted).unwrap_or_else(|| panic!("{wanted} is not in the DAG"));
        match walk.supply(&Bytes::copy_from_slice(block)) {
            Ok(_) => {}
            Err(WalkError::Dag(fault)) => {
                assert_eq!(walk.wanted(), None, "a walk that has failed wants nothing");
                assert_eq!(walk.supply(&Bytes::new()), Err(WalkError::Ended));
                assert_eq!(walk.finish(), Err(WalkError::Ended));
                return fault;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the walk came to its end")
}

fn find<'a>(node: &'a Node, wanted: &Cid) -> Option<&'a [u8]> {
    if node.cid == *wanted {
        return Some(&node.block);
    }
    node.children.iter().find_map(|child| find(child, wanted))
}

/// A CID of any codec and hash, with a digest of so many zeros.
pub(crate) fn cid_of(codec: u64, hash: u64, digest_bytes: usize) -> Cid {
    Cid::new_v1(
        codec,
        Multihash::wrap(hash, &vec![0; digest_bytes]).unwrap(),
    )
}
