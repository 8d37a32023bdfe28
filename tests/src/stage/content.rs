//! The platform's content: items of its database with known files.

use std::collections::BTreeMap;

use holdfast_testing::{FileShape, IpfsNode};
use mongodb::bson::{DateTime, Document, doc};

/// A content item, and its file.
#[derive(Clone)]
pub(crate) struct Piece {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) url: String,
    storage_type: &'static str,
    pub(crate) file: Vec<u8>,
}

impl Piece {
    pub(crate) fn on_ipfs(id: i64, url: impl Into<String>, file: impl Into<Vec<u8>>) -> Self {
        Self {
            id,
            title: format!("Piece {id}"),
            url: url.into(),
            storage_type: "ipfs",
            file: file.into(),
        }
    }

    pub(crate) fn on_gaia(id: i64, url: impl Into<String>, file: impl Into<Vec<u8>>) -> Self {
        Self {
            storage_type: "gaia",
            ..Self::on_ipfs(id, url, file)
        }
    }

    pub(crate) fn titled(mut self, title: &str) -> Self {
        title.clone_into(&mut self.title);
        self
    }

    /// On a storage type without backups.
    pub(crate) fn stored_on(mut self, storage_type: &'static str) -> Self {
        self.storage_type = storage_type;
        self
    }

    pub(crate) fn is_on_gaia(&self) -> bool {
        self.storage_type == "gaia"
    }

    /// As the platform's database has it.
    pub(crate) fn document(&self) -> Document {
        doc! {
            "contentId": self.id, "title": &self.title, "description": "a piece of the tests", "url": &self.url,
            "storageType": self.storage_type, "creator": "ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG",
            "price": 1_000_000_i64, "isRemoved": false, "createdAt": DateTime::now(),
        }
    }
}

/// The files of these pieces by their ids, as a backup has them.
pub(crate) fn files(pieces: &[Piece]) -> BTreeMap<String, &[u8]> {
    pieces
        .iter()
        .map(|piece| (piece.id.to_string(), piece.file.as_slice()))
        .collect()
}

/// This number of pieces on IPFS, with ids from 0, each with its own short file.
pub(crate) async fn small_pieces(node: &IpfsNode, count: i64) -> Vec<Piece> {
    let files: Vec<Vec<u8>> = (0..count).map(small_file).collect();
    let cids = node.add_many(&files, &FileShape::v1()).await;
    (0..)
        .zip(files.into_iter().zip(cids))
        .map(|(id, (file, cid))| Piece::on_ipfs(id, cid, file))
        .collect()
}

/// A short file, different from every other piece.
pub(crate) fn small_file(id: i64) -> Vec<u8> {
    format!("This is the file of piece {id}, and of no other.\n")
        .repeat(8)
        .into_bytes()
}

/// Incompressible bytes of this number.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut file = vec![0; bytes];
    getrandom::fill(&mut file).unwrap();
    file
}
