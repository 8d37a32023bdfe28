//! The forms of files and directories as blocks: every one that IPFS ever used.

use std::{collections::BTreeMap, fmt::Display};

type Parameters = BTreeMap<&'static str, String>;

/// The form of a file as blocks. The defaults are those of `ipfs add`: chunks of 256 KiB, 174 links
/// in a block.
#[derive(Debug, Clone)]
pub struct FileShape(Parameters);

impl FileShape {
    /// CIDs of version 0: every block is dag-pb.
    #[must_use]
    pub fn v0() -> Self {
        Self(Parameters::from([("cid-version", "0".into())]))
    }

    /// CIDs of version 1, with raw leaves.
    #[must_use]
    pub fn v1() -> Self {
        Self(Parameters::from([("cid-version", "1".into())]))
    }

    /// Leaves contain only the file's bytes. Under version 0, only they have CIDs of version 1.
    #[must_use]
    pub fn raw_leaves(self) -> Self {
        self.with("raw-leaves", "true")
    }

    /// Leaves are dag-pb: bytes of the file with something before and after.
    #[must_use]
    pub fn wrapped_leaves(self) -> Self {
        self.with("raw-leaves", "false")
    }

    /// Bytes of the file in a leaf.
    #[must_use]
    pub fn chunk(self, bytes: u32) -> Self {
        self.with("chunk", bytes)
    }

    /// Links in an inner block, 2 or more: few make a small file's DAG deep.
    #[must_use]
    pub fn max_links(self, links: u32) -> Self {
        self.with("max-links", links)
    }

    /// Leaves at several depths, instead of a balanced tree.
    #[must_use]
    pub fn trickle(self) -> Self {
        self.with("layout", "trickle")
    }

    /// Blocks up to this number of bytes (128 at most) are in their CID.
    #[must_use]
    pub fn inline(self, bytes: u32) -> Self {
        self.with("inline", bytes)
    }

    /// The root has the file's modification time, in seconds since 1970.
    #[must_use]
    pub fn modified(self, seconds: u32) -> Self {
        self.with("mtime", seconds)
    }

    /// Blocks are named by another hash than SHA-256, by its name as a multihash: `blake3`,
    /// `sha2-512`, ….
    #[must_use]
    pub fn hash(self, name: &str) -> Self {
        self.with("hash", name)
    }

    pub(super) fn query(&self) -> String {
        query(&self.0)
    }

    fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.0.insert(name, value.to_string());
        self
    }
}

/// The form of a directory as blocks.
#[derive(Debug, Clone)]
pub struct DirectoryShape(Parameters);

impl DirectoryShape {
    /// One block, for any number of entries.
    #[must_use]
    pub fn plain() -> Self {
        Self(Parameters::from([("sharded", "false".into())]))
    }

    /// A hash array mapped trie, as `ipfs add` builds it for large directories. `fanout` is a power
    /// of two from 8 to 1024, usually 256. A small one makes a deep tree with few entries.
    #[must_use]
    pub fn sharded(fanout: u32) -> Self {
        Self(Parameters::from([
            ("sharded", "true".into()),
            ("fanout", fanout.to_string()),
        ]))
    }

    /// CIDs of version 1, instead of 0.
    #[must_use]
    pub fn v1(mut self) -> Self {
        self.0.insert("cid-version", "1".into());
        self
    }

    pub(super) fn query(&self) -> String {
        query(&self.0)
    }
}

/// Nothing here needs escaping.
fn query(parameters: &Parameters) -> String {
    let pairs: Vec<_> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}
