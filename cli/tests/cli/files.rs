//! Content items with files on a real IPFS node and a Gaia origin, one of each kind.

use std::{collections::BTreeMap, fs, path::Path};

use bson::{Document, doc};
use holdfast_testing::{DirectoryShape, FileShape, IpfsNode};
use serde_json::Value;

use super::place::Place;

pub(crate) struct Files {
    pub(crate) place: Place,
    pub(crate) node: IpfsNode,
    /// Contents of each item's file, by content id.
    pub(crate) held: BTreeMap<String, Vec<u8>>,
    /// `<cid>[/<path>]` of those on IPFS, by content id.
    pub(crate) paths: BTreeMap<String, String>,
}

impl Files {
    /// Seven items on IPFS, two of them with the same CID, and three on Gaia. The repository
    /// exists.
    pub(crate) async fn new() -> Self {
        Self::none().await.filled().await
    }

    /// The same in this place.
    pub(crate) async fn in_place(place: Place) -> Self {
        Self::none_in(place).filled().await
    }

    async fn filled(self) -> Self {
        let mut files = self;
        files.place.holdfast(&["init"]).expect(0);
        files.add_ipfs().await;
        for n in 0..3 {
            let (path, file) = (format!("hub/{n}.txt"), bytes(2_000 + n, n));
            let url = files.node.put_gaia(&path, file.clone()).await;
            files
                .add("gaia", &url, "../../etc/passwd\u{202e}", file)
                .await;
        }
        files
    }

    /// No item, and no repository.
    pub(crate) async fn none() -> Self {
        Self::none_in(Place::new().await)
    }

    pub(crate) fn none_in(mut place: Place) -> Self {
        let node = IpfsNode::start();
        place
            .env
            .insert("BACKUP_IPFS_GATEWAYS", node.address().to_owned());
        place
            .env
            .insert("BACKUP_CONTENT_ALLOWED_ORIGINS", node.address().to_owned());
        place
            .env
            .insert("BACKUP_CONTENT_RETRY_ATTEMPTS", "1".to_owned());
        Self {
            place,
            node,
            held: BTreeMap::new(),
            paths: BTreeMap::new(),
        }
    }

    pub(crate) async fn add_ipfs(&mut self) {
        let deep = FileShape::v0().chunk(1000).max_links(3);
        let small = FileShape::v1().raw_leaves();
        let [a, b] = [bytes(20_000, 1), bytes(300, 2)];
        let cid = self.node.add(a.clone(), &deep).await;
        let other = self.node.add(b.clone(), &small).await;
        self.add_at(&cid, "Deep", a.clone()).await;
        self.add_at(&cid, "The same again", a.clone()).await;
        self.add_at(&other, "Small", b.clone()).await;
        self.add_at(
            &self.node.add(Vec::new(), &small).await,
            "Empty",
            Vec::new(),
        )
        .await;
        let entries = [("a file.bin", cid.as_str()), ("b.txt", other.as_str())];
        let plain = self
            .node
            .add_directory(entries, &DirectoryShape::plain())
            .await;
        self.add_at(&format!("{plain}/b.txt"), "In a directory", b.clone())
            .await;
        let sharded = self
            .node
            .add_directory(entries, &DirectoryShape::sharded(8).v1())
            .await;
        self.add_at(
            &format!("{sharded}/a%20file.bin"),
            "In a sharded directory",
            a,
        )
        .await;
        self.add_at(
            &self
                .node
                .add(bytes(5_000, 3), &FileShape::v1().chunk(700).trickle())
                .await,
            "",
            bytes(5_000, 3),
        )
        .await;
    }

    async fn add_at(&mut self, path: &str, title: &str, file: Vec<u8>) {
        let id = self
            .add("ipfs", &format!("ipfs://{path}"), title, file)
            .await;
        self.paths.insert(id, path.to_owned());
    }

    /// Adds an item with this file. Returns its content id.
    pub(crate) async fn add(
        &mut self,
        storage_type: &str,
        url: &str,
        title: &str,
        file: Vec<u8>,
    ) -> String {
        let number = i32::try_from(self.held.len()).unwrap() + 1;
        self.add_document(
            doc! { "contentId": number, "storageType": storage_type, "url": url, "title": title },
        )
        .await;
        self.held.insert(number.to_string(), file);
        number.to_string()
    }

    /// Adds an item without a file.
    pub(crate) async fn add_missing(&self, content_id: &str) {
        let url = format!("{}/gaia/nothing/{content_id}", self.node.address());
        let item =
            doc! { "contentId": content_id, "storageType": "gaia", "url": url, "title": "lost" };
        self.add_document(item).await;
    }

    pub(crate) async fn add_document(&self, mut item: Document) {
        item.insert("isRemoved", false);
        let contents = self
            .place
            .client
            .database(&self.place.database)
            .collection("contents");
        contents.insert_one(item).await.unwrap();
    }

    /// Backs up the files. Returns the job.
    pub(crate) fn back_up(&self) -> Value {
        let job = self.place.json(&["run", "content"]).remove(0);
        assert_eq!(job["status"], "completed", "{job}");
        job
    }

    /// Asserts that the directory contains every file unchanged, each under a name that begins with
    /// its content id. The only other file is the list of them.
    pub(crate) fn assert_restored_in(&self, directory: &Path) {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(directory).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let Some((id, _)) = name.split_once('_') {
                found.insert(id.to_owned(), fs::read(directory.join(&name)).unwrap());
            } else {
                assert_eq!(name, "manifest.json");
            }
        }
        assert!(
            found == self.held,
            "{:?} are there, of {:?}",
            found.keys(),
            self.held.keys()
        );
    }

    pub(crate) async fn remove(self) {
        self.place.remove().await;
    }
}

/// Incompressible bytes, different for each seed.
pub(crate) fn bytes(length: usize, seed: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (seed as u64 + 1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}
