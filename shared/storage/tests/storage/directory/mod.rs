//! The directory store passes the conformance suite of all stores, and the tests of a directory's
//! own faults.

mod places;
mod reading;
mod room;
mod writing;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use holdfast_domain::{ObjectKey, settings::Directories};
use holdfast_storage::{DirectoryStore, PutMode, Store};
use holdfast_testing::{FaultStore, conformance};
use tempfile::TempDir;

/// A prepared repository in a new folder.
struct Folder {
    top: TempDir,
    directories: Directories,
    store: DirectoryStore,
}

impl Folder {
    async fn new() -> Self {
        Self::with(|_| (None, None)).await
    }

    /// The same, with parts elsewhere.
    async fn with(parts: impl FnOnce(&Path) -> (Option<PathBuf>, Option<PathBuf>)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (database, content) = parts(folder.path());
        let directories = Directories {
            root: folder.path().join("root"),
            database,
            content,
        };
        let store = DirectoryStore::new(directories.clone());
        store.prepare().await.unwrap();
        Self {
            top: folder,
            directories,
            store,
        }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.top.path().join(below)
    }

    /// A second store in the same directories, like another process.
    fn again(&self) -> DirectoryStore {
        DirectoryStore::new(self.directories.clone())
    }
}

#[tokio::test]
async fn the_store_in_a_directory_conforms() {
    let folder = Folder::new().await;
    conformance::store(&folder.store).await;
    assert_eq!(
        files_below(folder.top.path()),
        [folder.path("root/.holdfast/lock")],
        "nothing else is left"
    );
}

#[tokio::test]
async fn it_conforms_on_a_path_with_spaces_and_letters_of_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("Ünïcode büro/%2F it's \"here\" 備份\n");
    fs::create_dir_all(root.parent().unwrap()).unwrap();
    let store = DirectoryStore::new(Directories {
        root,
        database: None,
        content: None,
    });
    store.prepare().await.unwrap();
    conformance::store(&store).await;
}

#[tokio::test]
async fn it_conforms_with_parts_elsewhere_and_behind_a_link() {
    let folder = Folder::with(|top| {
        fs::create_dir(top.join("disk")).unwrap();
        std::os::unix::fs::symlink(top.join("disk"), top.join("linked")).unwrap();
        (
            Some(top.join("linked")),
            Some(top.join("root/content-here")),
        )
    })
    .await;
    conformance::store(&folder.store).await;
    conformance::store(&*FaultStore::new(std::sync::Arc::new(folder.again()))).await;
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

async fn put(store: &DirectoryStore, name: &str, body: &str) {
    store
        .put(&key(name), Bytes::from(body.to_owned()), PutMode::Replace)
        .await
        .unwrap();
}

async fn keys(store: &DirectoryStore, prefix: &str) -> Vec<String> {
    store
        .list(prefix)
        .map_ok(|info| info.key.to_string())
        .try_collect()
        .await
        .unwrap()
}

/// Every file, in order.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
