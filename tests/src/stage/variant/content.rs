//! Content of a stack: published, and brought back.

use holdfast_testing::{IpfsNode, Origin};
use mongodb::bson::Document;
use serde_json::Value;
use tempfile::TempDir;

use super::{Deployment, Variant};
use crate::stage::{Piece, files};

const GATEWAYS: &str = "IpfsGateways";
const ORIGINS: &str = "ContentAllowedOrigins";

impl Deployment {
    /// Downloads from this node. It is the only gateway and an origin.
    pub(crate) fn fetching_from(self, node: &IpfsNode) -> Self {
        self.with(GATEWAYS, node.address())
            .with(ORIGINS, node.address())
    }

    /// Fetches from this origin too.
    pub(crate) fn and_from(self, origin: &Origin) -> Self {
        let origins = format!("{},{}", self.parameters[ORIGINS], origin.address());
        self.with(ORIGINS, &origins)
    }

    /// Encrypts files too, under the key of the database's backups.
    pub(crate) fn files_too(self) -> Self {
        self.with("ContentEncryption", "true")
    }

    pub(super) fn content_settings(&self) -> [(String, String); 2] {
        [
            ("BACKUP_IPFS_GATEWAYS", GATEWAYS),
            ("BACKUP_CONTENT_ALLOWED_ORIGINS", ORIGINS),
        ]
        .map(|(variable, parameter)| (variable.to_owned(), self.parameters[parameter].clone()))
    }
}

impl Variant {
    /// Adds these pieces to the platform's content.
    pub(crate) async fn publish(&self, pieces: &[Piece]) {
        let contents = self
            .server
            .client
            .database(&self.source)
            .collection::<Document>("contents");
        contents
            .insert_many(pieces.iter().map(Piece::document))
            .await
            .unwrap();
    }

    /// A content backup, restored into a folder.
    pub(crate) async fn restored_content(&self, id: &str) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        self.operator(&[
            "restore",
            "content",
            id,
            "--to",
            folder.path().to_str().unwrap(),
        ])
        .await
        .expect(0);
        folder
    }

    /// Asserts that a content backup has exactly these pieces' files. Returns the folder of the
    /// restore.
    pub(crate) async fn content_comes_back(&self, id: &str, pieces: &[Piece]) -> TempDir {
        let folder = self.restored_content(id).await;
        let mut expected = files(pieces);
        for item in restored_items(&folder) {
            let Some(name) = item["fileName"]
                .as_str()
                .filter(|_| item["file"].is_object())
            else {
                continue;
            };
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_.~".contains(&byte)),
                "{name}"
            );
            let id = item["contentId"].as_str().unwrap();
            let published = expected
                .remove(id)
                .unwrap_or_else(|| panic!("nobody published {item}"));
            assert!(
                std::fs::read(folder.path().join(name)).unwrap() == published,
                "it is another file: {item}"
            );
        }
        assert!(expected.is_empty(), "not restored: {:?}", expected.keys());
        let restored = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(restored, pieces.len() + 1, "the files and their manifest");
        folder
    }

    /// The contents of a backup's manifest, without its seal.
    pub(crate) async fn content_manifest(&self, id: &str) -> Value {
        let manifest = self.object(&format!("content/{id}/manifest.json")).await;
        let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
        manifest["manifest"].take()
    }
}

/// The items in the manifest of a restored backup.
pub(crate) fn restored_items(folder: &TempDir) -> Vec<Value> {
    let manifest = std::fs::read(folder.path().join("manifest.json")).unwrap();
    let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let Value::Array(items) = manifest["items"].take() else {
        panic!("a manifest without items: {manifest}")
    };
    items
}
