//! The file system view of a dag-pb node, from the protobuf message in its data
//! (<https://specs.ipfs.tech/unixfs/>).

use super::{
    dag_pb::Node,
    protobuf::{Fields, Span, Value, set_once},
    varint,
};

/// Kind of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Raw,
    Directory,
    File,
    Metadata,
    Symlink,
    Shard,
}

impl Kind {
    fn of(number: u64) -> Option<Self> {
        [
            Self::Raw,
            Self::Directory,
            Self::File,
            Self::Metadata,
            Self::Symlink,
            Self::Shard,
        ]
        .get(usize::try_from(number).ok()?)
        .copied()
    }

    /// In the words of a sentence.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Raw | Self::File => "a file",
            Self::Directory => "a directory",
            Self::Metadata => "metadata of a file",
            Self::Symlink => "a symbolic link, and those are not followed",
            Self::Shard => "a sharded directory",
        }
    }
}

/// Properties of a node. Permissions and times are not read: the block keeps them.
#[derive(Debug)]
pub(super) struct UnixFs {
    pub(super) kind: Kind,
    /// Range of the node's own bytes in the block. In a file node, bytes of the file.
    pub(super) data: Option<Span>,
    pub(super) file_size: Option<u64>,
    /// Bytes of the file under each link.
    pub(super) block_sizes: Vec<u64>,
    pub(super) hash: Option<u64>,
    pub(super) fanout: Option<u64>,
}

/// Reads the message of a node. It may have no more sizes than the node has links, so allocations
/// are bounded.
pub(super) fn decode(block: &[u8], node: &Node) -> Result<UnixFs, &'static str> {
    let message = node
        .data
        .ok_or("it has no data, so it is not a UnixFS node")?;
    let (mut kind, mut data, mut file_size, mut hash, mut fanout) = (None, None, None, None, None);
    let mut sizes = Sizes {
        values: Vec::new(),
        most: node.links.len(),
    };
    for field in Fields::new(block, message) {
        match field? {
            (1, value) => set_once(&mut kind, value.number()?)?,
            (2, value) => set_once(&mut data, value.bytes()?)?,
            (3, value) => set_once(&mut file_size, value.number()?)?,
            (4, Value::Varint(size)) => sizes.add(size)?,
            (4, value) => sizes.add_packed(value.bytes()?.of(block))?,
            (5, value) => set_once(&mut hash, value.number()?)?,
            (6, value) => set_once(&mut fanout, value.number()?)?,
            // Mode, time, and future fields of UnixFS: they do not affect a file's bytes.
            _ => {}
        }
    }
    let kind = kind
        .and_then(Kind::of)
        .ok_or("its UnixFS type is unknown")?;
    Ok(UnixFs {
        kind,
        data,
        file_size,
        block_sizes: sizes.values,
        hash,
        fanout,
    })
}

struct Sizes {
    values: Vec<u64>,
    most: usize,
}

impl Sizes {
    fn add(&mut self, size: u64) -> Result<(), &'static str> {
        if self.values.len() == self.most {
            return Err("it states sizes of more parts than it links to");
        }
        self.values.push(size);
        Ok(())
    }

    fn add_packed(&mut self, mut packed: &[u8]) -> Result<(), &'static str> {
        while !packed.is_empty() {
            let Ok(Some((size, bytes))) = varint::read(packed) else {
                return Err("its list of sizes is malformed");
            };
            self.add(size)?;
            packed = &packed[bytes..];
        }
        Ok(())
    }
}
