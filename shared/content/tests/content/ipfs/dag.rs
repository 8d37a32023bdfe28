//! DAGs of files for the tests, built from the specifications, without the tested code.

use blake2::{Blake2b, digest::typenum::U32};
use cid::multihash::Multihash;
use holdfast_content::ipfs::Cid;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256, Sha512};

pub(crate) const RAW: u64 = 0x55;
pub(crate) const DAG_PB: u64 = 0x70;
pub(crate) const IDENTITY: u64 = 0x00;
pub(crate) const SHA2_256: u64 = 0x12;
pub(crate) const SHA2_512: u64 = 0x13;
pub(crate) const BLAKE3: u64 = 0x1e;
pub(crate) const BLAKE2B_256: u64 = 0xb220;

/// A node with all its descendants.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) cid: Cid,
    pub(crate) block: Vec<u8>,
    pub(crate) children: Vec<Node>,
    /// Bytes of the file in it and under it.
    pub(crate) size: u64,
}

impl Node {
    /// A node of a file or a directory, with this message as its data.
    pub(crate) fn new(links: &[(&str, &Node)], unixfs: &[u8], size: u64) -> Self {
        let pairs: Vec<(&str, &Cid)> = links
            .iter()
            .map(|(name, node)| (*name, &node.cid))
            .collect();
        let children = links.iter().map(|(_, node)| (*node).clone()).collect();
        let block = dag_pb(&pairs, Some(unixfs));
        Self {
            cid: v1(DAG_PB, SHA2_256, &block),
            block,
            children,
            size,
        }
    }

    pub(crate) fn raw(bytes: &[u8]) -> Self {
        let cid = v1(RAW, SHA2_256, bytes);
        Self {
            cid,
            block: bytes.to_vec(),
            children: Vec::new(),
            size: bytes.len() as u64,
        }
    }

    /// The same block under another CID.
    pub(crate) fn under(mut self, cid: Cid) -> Self {
        self.cid = cid;
        self
    }

    pub(crate) fn under_v0(self) -> Self {
        let cid =
            Cid::new_v0(Multihash::wrap(SHA2_256, &Sha256::digest(&self.block)).unwrap()).unwrap();
        self.under(cid)
    }

    /// Its blocks depth first, without those inside CIDs.
    pub(crate) fn blocks(&self) -> Vec<(Cid, Vec<u8>)> {
        let own = (self.cid.hash().code() != IDENTITY).then(|| (self.cid, self.block.clone()));
        own.into_iter()
            .chain(self.children.iter().flat_map(Self::blocks))
            .collect()
    }
}

pub(crate) fn v1(codec: u64, hash: u64, block: &[u8]) -> Cid {
    let digest = match hash {
        IDENTITY => block.to_vec(),
        SHA2_256 => Sha256::digest(block).to_vec(),
        SHA2_512 => Sha512::digest(block).to_vec(),
        BLAKE2B_256 => Blake2b::<U32>::digest(block).to_vec(),
        BLAKE3 => blake3::hash(block).as_bytes().to_vec(),
        other => panic!("no hash {other:x}"),
    };
    Cid::new_v1(codec, Multihash::wrap(hash, &digest).unwrap())
}

pub(crate) fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

pub(crate) fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

pub(crate) fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [&varint(field << 3 | 2), &varint(value.len() as u64), value].concat()
}

pub(crate) fn dag_pb(links: &[(&str, &Cid)], data: Option<&[u8]>) -> Vec<u8> {
    let mut block = pb_links(links);
    block.extend(data.map(|data| bytes(1, data)).unwrap_or_default());
    block
}

pub(crate) fn pb_links(links: &[(&str, &Cid)]) -> Vec<u8> {
    let link = |(name, cid): &(&str, &Cid)| {
        bytes(
            2,
            &[
                bytes(1, &cid.to_bytes()),
                bytes(2, name.as_bytes()),
                number(3, 1),
            ]
            .concat(),
        )
    };
    links.iter().flat_map(link).collect()
}

/// The message of a file's node: its kind (0 raw, 2 file), its own bytes, and those of each part.
pub(crate) fn unixfs_file(kind: u64, data: Option<&[u8]>, sizes: &[u64]) -> Vec<u8> {
    let total = data.map_or(0, <[u8]>::len) as u64 + sizes.iter().sum::<u64>();
    let data = data.map(|data| bytes(2, data)).unwrap_or_default();
    let sizes: Vec<u8> = sizes.iter().flat_map(|size| number(4, *size)).collect();
    [number(1, kind), data, number(3, total), sizes].concat()
}

pub(crate) fn directory(entries: &[(&str, &Node)]) -> Node {
    Node::new(entries, &number(1, 1), 0)
}

/// The form of a file as blocks.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Leaves have from 1 to so many bytes, after one another in this pattern.
    pub(crate) leaf_bytes: Vec<usize>,
    pub(crate) leaf_kinds: Vec<LeafKind>,
    pub(crate) most_links: usize,
    /// Bytes of the file in an inner node itself, before those of its parts.
    pub(crate) bytes_in_nodes: usize,
    pub(crate) packed_sizes: bool,
    pub(crate) data_first: bool,
    pub(crate) hash: u64,
    pub(crate) v0: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeafKind {
    Raw,
    PbRaw,
    PbFile,
    /// In the CID itself, if it is short enough.
    Inline,
}

pub(crate) fn shapes() -> impl Strategy<Value = Shape> {
    let kinds: &'static [LeafKind] = &[
        LeafKind::Raw,
        LeafKind::PbRaw,
        LeafKind::PbFile,
        LeafKind::Inline,
    ];
    (
        prop::collection::vec(1_usize..400, 1..4),
        prop::collection::vec(prop::sample::select(kinds), 1..4),
        2_usize..9,
        prop_oneof![Just(0_usize), 0_usize..50],
        any::<(bool, bool, bool)>(),
        prop::sample::select(&[SHA2_256, SHA2_256, SHA2_512, BLAKE2B_256, BLAKE3][..]),
    )
        .prop_map(
            |(
                leaf_bytes,
                leaf_kinds,
                most_links,
                bytes_in_nodes,
                (packed_sizes, data_first, v0),
                hash,
            )| {
                Shape {
                    leaf_bytes,
                    leaf_kinds,
                    most_links,
                    bytes_in_nodes,
                    packed_sizes,
                    data_first,
                    hash,
                    v0: v0 && hash == SHA2_256,
                }
            },
        )
}

impl Shape {
    /// The file as a DAG, and its bytes: those given, with those of inner nodes among them.
    pub(crate) fn build(&self, file: &[u8]) -> (Node, Vec<u8>) {
        let mut leaves = Vec::new();
        let mut rest = file;
        while leaves.is_empty() || !rest.is_empty() {
            let turn = leaves.len();
            let (leaf, more) =
                rest.split_at(self.leaf_bytes[turn % self.leaf_bytes.len()].min(rest.len()));
            leaves.push((
                self.leaf(leaf, self.leaf_kinds[turn % self.leaf_kinds.len()]),
                leaf.to_vec(),
            ));
            rest = more;
        }
        while leaves.len() > 1 {
            leaves = leaves
                .chunks(self.most_links)
                .map(|parts| self.inner(parts))
                .collect();
        }
        leaves.pop().unwrap()
    }

    fn leaf(&self, leaf: &[u8], kind: LeafKind) -> Node {
        let node = match kind {
            LeafKind::Raw => return Node::raw(leaf).under(v1(RAW, self.hash, leaf)),
            LeafKind::Inline if leaf.len() <= 128 => {
                return Node::raw(leaf).under(v1(RAW, IDENTITY, leaf));
            }
            LeafKind::PbRaw => Node::new(&[], &unixfs_file(0, Some(leaf), &[]), leaf.len() as u64),
            LeafKind::PbFile | LeafKind::Inline => {
                Node::new(&[], &unixfs_file(2, Some(leaf), &[]), leaf.len() as u64)
            }
        };
        self.named(node)
    }

    fn inner(&self, parts: &[(Node, Vec<u8>)]) -> (Node, Vec<u8>) {
        let own = vec![b'n'; self.bytes_in_nodes];
        let file = [
            own.clone(),
            parts.iter().flat_map(|(_, bytes)| bytes.clone()).collect(),
        ]
        .concat();
        let sizes: Vec<u64> = parts.iter().map(|(node, _)| node.size).collect();
        let data = (!own.is_empty()).then_some(&own[..]);
        let unixfs = if self.packed_sizes {
            let packed: Vec<u8> = sizes.iter().flat_map(|size| varint(*size)).collect();
            let own = data.map(|data| bytes(2, data)).unwrap_or_default();
            [number(1, 2), own, bytes(4, &packed)].concat()
        } else {
            unixfs_file(2, data, &sizes)
        };
        let links: Vec<(&str, &Node)> = parts.iter().map(|(node, _)| ("", node)).collect();
        let mut node = Node::new(&links, &unixfs, file.len() as u64);
        if self.data_first {
            let pairs: Vec<(&str, &Cid)> = links
                .iter()
                .map(|(name, node)| (*name, &node.cid))
                .collect();
            node.block = [bytes(1, &unixfs), pb_links(&pairs)].concat();
        }
        (self.named(node), file)
    }

    fn named(&self, node: Node) -> Node {
        if self.v0 {
            return node.under_v0();
        }
        let cid = v1(DAG_PB, self.hash, &node.block);
        node.under(cid)
    }
}
