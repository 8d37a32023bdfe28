//! A full disk: reported before the write if possible. Otherwise the failed write leaves nothing.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use holdfast_domain::settings::Directories;
use holdfast_storage::{
    DirectoryStore, PutMode, Store, StoreError, UploadedPart,
    upload::{self, UploadError},
};

use super::{Folder, files_below, key, keys, put};

const MIB: u64 = 1024 * 1024;
/// Bytes that stay free.
const RESERVE: u64 = 16 * MIB;

/// The same directories on a disk with this much free space, minus their content.
fn on_a_disk_with(folder: &Folder, bytes: u64) -> (DirectoryStore, Arc<AtomicU64>) {
    let free = Arc::new(AtomicU64::new(bytes));
    let (shared, root) = (Arc::clone(&free), folder.directories.root.clone());
    let ask = move |_: &Path| {
        let held: u64 = files_below(&root)
            .iter()
            .map(|path| path.metadata().map_or(0, |found| found.len()))
            .sum();
        Ok::<_, io::Error>(shared.load(Ordering::SeqCst).saturating_sub(held))
    };
    (folder.again().with_free_space(ask), free)
}

#[tokio::test]
async fn what_finds_no_room_is_not_begun() {
    let folder = Folder::new().await;
    let (store, free) = on_a_disk_with(&folder, RESERVE + 99);
    let body = Bytes::from(vec![0; 100]);
    let error = store
        .put(&key("x"), body.clone(), PutMode::Replace)
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Full { .. }) && !error.is_transient(),
        "{error}"
    );
    let told = error.to_string();
    assert!(
        told.contains("100 B needed, 16 MiB free (16 MiB reserved)"),
        "{told}"
    );
    assert!(
        told.contains(folder.path("root").to_str().unwrap()),
        "{told}"
    );
    assert!(matches!(
        store.begin_upload(&key("x")).await.unwrap_err(),
        StoreError::Full { .. }
    ));
    assert_eq!(
        files_below(&folder.path("root")),
        [""; 0].map(std::path::PathBuf::from)
    );
    free.store(RESERVE + 100, Ordering::SeqCst);
    store.put(&key("x"), body, PutMode::Replace).await.unwrap();
}

#[tokio::test]
async fn an_upload_that_fills_the_disk_is_given_up_and_leaves_nothing() {
    let folder = Folder::new().await;
    put(&folder.store, "older", "body").await;
    let (store, _) = on_a_disk_with(&folder, RESERVE + 20 * MIB);
    let store: Arc<dyn Store> = Arc::new(store);
    let (mut sink, source) = upload::channel(8 << 20);
    let writer = std::thread::spawn(move || {
        io::Write::write_all(&mut sink, &vec![7; 30 << 20])?;
        sink.finish()
    });
    let Err(UploadError::Store(error)) = upload::send_all(&store, &key("new"), source).await else {
        panic!("there is no room for all of it");
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    // It may have passed on all bytes before the abort.
    let _ = writer.join().unwrap();
    assert_eq!(keys(&folder.store, "").await, ["older"]);
    assert_eq!(store.list_unfinished_uploads("").await.unwrap(), []);
    let left = files_below(&folder.path("root"));
    assert_eq!(
        left,
        [
            folder.path("root/.holdfast/lock"),
            folder.path("root/older")
        ]
    );
}

#[tokio::test]
async fn a_disk_that_does_not_say_what_is_free_is_written_to() {
    let folder = Folder::new().await;
    let unknown = folder.again().with_free_space(|_| Ok(u64::MAX));
    put(&unknown, "x", "body").await;
    let failing = folder
        .again()
        .with_free_space(|_| Err(io::Error::other("gone")));
    let error = failing
        .put(&key("x"), Bytes::new(), PutMode::Replace)
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error}");
}

/// If memory is another file system than the disk, hard links between the two are impossible.
#[tokio::test]
async fn a_copy_into_another_file_system_is_the_object_again() {
    let Ok(memory) = tempfile::tempdir_in("/dev/shm") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let content = Some(memory.path().join("content"));
    let directories = Directories {
        root: folder.path().join("root"),
        database: None,
        content,
    };
    let store = DirectoryStore::new(directories);
    store.prepare().await.unwrap();
    let (from, to, body) = (
        key("from"),
        key("content/to"),
        Bytes::from(vec![5; 6 << 20]),
    );
    let upload = store.begin_upload(&from).await.unwrap();
    let part = store
        .upload_part(&from, &upload, 1, body.clone())
        .await
        .unwrap();
    store
        .complete_upload(&from, &upload, std::slice::from_ref(&part))
        .await
        .unwrap();
    let stored = store
        .copy(&from, &to, std::slice::from_ref(&part))
        .await
        .unwrap();
    assert_eq!(
        store
            .copy(&from, &to, std::slice::from_ref(&part))
            .await
            .unwrap(),
        stored
    );
    assert_eq!(
        holdfast_storage::read_all(&store, &to, body.len())
            .await
            .unwrap(),
        body
    );
    put(&store, "content/to", "other").await;
    let error = store
        .copy(&from, &to, std::slice::from_ref(&part))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error}");
    let altered = UploadedPart {
        sha256: [7; 32].into(),
        ..part
    };
    let error = store.copy(&from, &to, &[altered]).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert_eq!(store.list_unfinished_uploads("").await.unwrap(), []);
}
