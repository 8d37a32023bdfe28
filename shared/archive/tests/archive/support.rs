//! The golden archives of the real mongodump, and recording visitors.

use std::{collections::BTreeMap, fs, io::Read, path::PathBuf};

use holdfast_archive::{
    NamespaceSummary, Prelude, Summary, VisitError, Visitor, WalkError, Walker,
};
use sha2::{Digest, Sha256};

/// All sound archives.
pub(crate) const SOUND: [&str; 8] = [
    "platform",
    "platform-parallel",
    "platform-gzip",
    "platform-one",
    "platform-excluded",
    "shapes",
    "nothing",
    "oplog",
];

/// All archives with a readable prelude. The rest may be incomplete.
pub(crate) const ALL: [&str; 12] = [
    "platform",
    "platform-parallel",
    "platform-gzip",
    "platform-one",
    "platform-excluded",
    "shapes",
    "nothing",
    "oplog",
    "cut-700k",
    "cut-1500k",
    "cut-but-whole",
    "oplog-overflow",
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testing/golden")
}

/// A golden archive, unzipped. One was itself written with `--gzip`.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    let mut bytes = fs::read(folder().join(format!("{name}.archive.gz"))).unwrap();
    while bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unzipped = Vec::new();
        flate2::bufread::MultiGzDecoder::new(bytes.as_slice())
            .read_to_end(&mut unzipped)
            .unwrap();
        bytes = unzipped;
    }
    bytes
}

/// The content of the golden archives, by the name of the archive and the database.
pub(crate) fn expected() -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder().join("expected.json")).unwrap()).unwrap()
}

/// Walks an archive in pieces of this many bytes.
pub(crate) fn walk<V: Visitor>(
    archive: &[u8],
    piece: usize,
    visitor: V,
) -> Result<(Summary, V), WalkError> {
    let mut walker = Walker::new(visitor);
    for chunk in archive.chunks(piece) {
        walker.feed(chunk)?;
    }
    walker.finish()
}

/// Only the summary of an archive, walked in one piece.
pub(crate) fn summary(archive: &[u8]) -> Result<Summary, WalkError> {
    walk(archive, usize::MAX, ()).map(|(summary, ())| summary)
}

/// Keeps the SHA-256 of every document.
#[derive(Default)]
pub(crate) struct Hashes {
    by_namespace: BTreeMap<usize, Vec<[u8; 32]>>,
}

impl Visitor for Hashes {
    fn document(&mut self, namespace: usize, document: &[u8]) -> Result<(), VisitError> {
        self.by_namespace
            .entry(namespace)
            .or_default()
            .push(Sha256::digest(document).into());
        Ok(())
    }
}

impl Hashes {
    /// SHA-256 over the sorted SHA-256 of a namespace's documents.
    pub(crate) fn sorted(&self, namespace: usize) -> String {
        let mut hashes = self
            .by_namespace
            .get(&namespace)
            .cloned()
            .unwrap_or_default();
        hashes.sort_unstable();
        hex::encode(Sha256::digest(hashes.concat()))
    }
}

/// Keeps everything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Everything {
    pub(crate) prelude: Option<Prelude>,
    pub(crate) begun: Vec<usize>,
    pub(crate) documents: Vec<(usize, Vec<u8>)>,
    pub(crate) ended: Vec<(usize, NamespaceSummary)>,
}

impl Visitor for Everything {
    fn prelude(&mut self, prelude: &Prelude) -> Result<(), VisitError> {
        assert!(self.prelude.replace(prelude.clone()).is_none());
        Ok(())
    }

    fn begin(&mut self, namespace: usize) -> Result<(), VisitError> {
        self.begun.push(namespace);
        Ok(())
    }

    fn document(&mut self, namespace: usize, document: &[u8]) -> Result<(), VisitError> {
        self.documents.push((namespace, document.to_vec()));
        Ok(())
    }

    fn end(&mut self, namespace: usize, summary: &NamespaceSummary) -> Result<(), VisitError> {
        self.ended.push((namespace, summary.clone()));
        Ok(())
    }
}
