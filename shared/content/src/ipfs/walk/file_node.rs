//! One node of a file: its own bytes of the file, and its parts with their sizes. A node with
//! inconsistent sizes is refused here, before a request for its parts. The expanded size of a DAG
//! is therefore known at its root.

use std::ops::Range;

use super::super::{
    Cid, DagFault,
    cid::{Codec, codec},
    dag_pb::{self, Node},
    protobuf::Span,
    unixfs::{self, Kind, UnixFs},
};

/// A node of a file. The default has no bytes of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FileNode {
    /// Range of the file's bytes in the block.
    pub(super) data: Range<usize>,
    pub(super) parts: Vec<Part>,
    /// Bytes of the file in it and in its parts.
    pub(super) size: u64,
}

/// A link of a file's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Range of the CID in the block.
    pub(super) cid: Span,
    /// Its required size in bytes of the file.
    pub(super) size: u64,
}

/// Position of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    EndOfPath,
    /// Linked from a node that states its size.
    Within {
        stated_bytes: u64,
    },
}

pub(super) fn read(cid: &Cid, block: &[u8], place: Place) -> Result<FileNode, DagFault> {
    let node = match codec(cid)? {
        Codec::Raw => FileNode {
            data: 0..block.len(),
            parts: Vec::new(),
            size: block.len() as u64,
        },
        Codec::DagPb => read_dag_pb(cid, block, place)?,
    };
    match place {
        Place::Within { stated_bytes } => agree(cid, stated_bytes, node.size)?,
        Place::EndOfPath => {}
    }
    Ok(node)
}

fn read_dag_pb(cid: &Cid, block: &[u8], place: Place) -> Result<FileNode, DagFault> {
    let malformed = |reason| DagFault::malformed(cid, reason);
    let node = dag_pb::decode(block).map_err(malformed)?;
    let unixfs = unixfs::decode(block, &node).map_err(malformed)?;
    match (unixfs.kind, place) {
        (Kind::File, _) => {}
        (Kind::Raw, _) if node.links.is_empty() => {}
        (Kind::Raw, _) => return Err(malformed("a raw leaf has links")),
        (other, Place::EndOfPath) => {
            return Err(DagFault::NotAFile {
                cid: cid.to_string(),
                what: other.what(),
            });
        }
        (_, Place::Within { .. }) => {
            return Err(malformed("it is inside a file, but not a part of one"));
        }
    }
    let data = unixfs.data.map_or(0..0, |data| data.start()..data.end());
    let size = total(cid, data.len(), &unixfs)?;
    Ok(FileNode {
        data,
        parts: parts(cid, &node, &unixfs)?,
        size,
    })
}

/// The stated bytes of the node and of its parts.
fn total(cid: &Cid, own_bytes: usize, unixfs: &UnixFs) -> Result<u64, DagFault> {
    let total = unixfs
        .block_sizes
        .iter()
        .try_fold(own_bytes as u64, |sum, size| sum.checked_add(*size));
    let total = total.ok_or_else(|| DagFault::malformed(cid, "its sizes exceed 64 bits"))?;
    agree(cid, unixfs.file_size.unwrap_or(total), total)?;
    Ok(total)
}

fn agree(cid: &Cid, stated_bytes: u64, found_bytes: u64) -> Result<(), DagFault> {
    if stated_bytes == found_bytes {
        return Ok(());
    }
    Err(DagFault::Sizes {
        cid: cid.to_string(),
        stated_bytes,
        found_bytes,
    })
}

fn parts(cid: &Cid, node: &Node, unixfs: &UnixFs) -> Result<Vec<Part>, DagFault> {
    let malformed = |reason| Err(DagFault::malformed(cid, reason));
    if node.links.len() != unixfs.block_sizes.len() {
        return malformed("it does not state the size of each part");
    }
    // Otherwise links of zero bytes could branch forever, and no size would limit them.
    if !node.links.is_empty() && unixfs.block_sizes.iter().all(|size| *size == 0) {
        return malformed("it has parts, and all of them are empty");
    }
    let sizes = unixfs.block_sizes.iter();
    Ok(node
        .links
        .iter()
        .zip(sizes)
        .map(|(link, size)| Part {
            cid: link.cid,
            size: *size,
        })
        .collect())
}
