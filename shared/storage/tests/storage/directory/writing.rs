//! A written object is complete or missing, for any order of its parts and with any concurrent
//! writer.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use bytes::Bytes;
use holdfast_storage::{PutMode, Store, StoreError, UploadId, UploadedPart, read_all};

use super::{Folder, files_below, key, keys, put};

/// Different bytes for each part.
fn part(number: u32, length: usize) -> Bytes {
    Bytes::from(vec![u8::try_from(number).unwrap(); length])
}

#[tokio::test]
async fn parts_of_any_length_make_one_object_in_whatever_order_they_come() {
    let folder = Folder::new().await;
    let name = key("database/x");
    for lengths in [
        &[10, 10, 3][..],
        &[10, 10, 10],
        &[10, 4, 10, 2],
        &[3, 10, 7],
        &[10, 30, 1],
        &[1],
    ] {
        let expected: Vec<u8> = (1..)
            .zip(lengths)
            .flat_map(|(number, length)| part(number, *length))
            .collect();
        let numbers = 1..=u32::try_from(lengths.len()).unwrap();
        for order in [numbers.clone().collect::<Vec<_>>(), numbers.rev().collect()] {
            let upload = folder.store.begin_upload(&name).await.unwrap();
            let mut parts = Vec::new();
            for number in order.iter().copied().chain([order[0]]) {
                let body = part(number, lengths[number as usize - 1]);
                let sent = folder
                    .store
                    .upload_part(&name, &upload, number, body)
                    .await
                    .unwrap();
                parts.retain(|part: &UploadedPart| part.number != number);
                parts.push(sent);
            }
            parts.sort_by_key(|part| part.number);
            folder
                .store
                .complete_upload(&name, &upload, &parts)
                .await
                .unwrap();
            assert_eq!(
                read_all(&folder.store, &name, 100).await.unwrap(),
                expected,
                "{lengths:?} sent as {order:?}"
            );
            folder.store.delete(&name).await.unwrap();
        }
    }
    assert_eq!(
        files_below(&folder.path("root")),
        [folder.path("root/.holdfast/lock")]
    );
}

#[tokio::test]
async fn another_process_can_continue_an_upload_by_its_id() {
    let folder = Folder::new().await;
    let name = key("database/x");
    let upload = folder.store.begin_upload(&name).await.unwrap();
    let first = folder
        .store
        .upload_part(&name, &upload, 1, part(1, 10))
        .await
        .unwrap();
    let other = folder.again();
    let second = other
        .upload_part(&name, &upload, 2, part(2, 10))
        .await
        .unwrap();
    other
        .complete_upload(&name, &upload, &[first, second])
        .await
        .unwrap();
    assert_eq!(
        read_all(&folder.store, &name, 100).await.unwrap(),
        [vec![1; 10], vec![2; 10]].concat()
    );
}

#[tokio::test]
async fn what_a_killed_process_left_is_found_and_swept() {
    let folder = Folder::with(|top| (None, Some(top.join("content")))).await;
    for name in [
        "database/db_1_a/dump",
        "content/incoming/ab",
        "content/incoming/cd",
    ] {
        let upload = folder.store.begin_upload(&key(name)).await.unwrap();
        // The second store does not know the place of the first part.
        folder
            .again()
            .upload_part(&key(name), &upload, 2, part(2, 10))
            .await
            .unwrap();
    }
    assert_eq!(keys(&folder.store, "").await, [""; 0]);
    let store = folder.again();
    assert_eq!(
        store
            .list_unfinished_uploads("database/")
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(store.list_unfinished_uploads("").await.unwrap().len(), 3);
    for left in store.list_unfinished_uploads("content/").await.unwrap() {
        assert!(left.key.as_str().starts_with("content/incoming/"));
        store
            .abort_upload(&left.key, &left.upload_id)
            .await
            .unwrap();
    }
    assert_eq!(
        files_below(&folder.path("content")),
        [""; 0].map(std::path::PathBuf::from)
    );
}

#[tokio::test]
async fn bytes_that_were_altered_on_the_disk_are_refused_when_the_upload_is_completed() {
    let folder = Folder::new().await;
    let name = key("database/x");
    let upload = folder.store.begin_upload(&name).await.unwrap();
    let sent = folder
        .store
        .upload_part(&name, &upload, 1, part(1, 1000))
        .await
        .unwrap();
    let [data] = &files_below(&folder.path("root/.holdfast/unfinished"))[..] else {
        panic!("one file")
    };
    let mut bytes = fs::read(data).unwrap();
    bytes[500] ^= 1;
    fs::write(data, bytes).unwrap();
    let error = folder
        .store
        .complete_upload(&name, &upload, std::slice::from_ref(&sent))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(folder.store.head(&name).await.unwrap_err().is_not_found());
    let foreign = UploadedPart {
        etag: "\"d41d8cd9\"".to_owned(),
        ..sent
    };
    let error = folder
        .store
        .complete_upload(&name, &upload, &[foreign])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_part_of_an_unknown_upload_is_refused() {
    let folder = Folder::new().await;
    let name = key("database/x");
    let upload = folder.store.begin_upload(&name).await.unwrap();
    for (name, upload) in [
        (&key("database/y"), &upload),
        (&name, &UploadId("../../../x".to_owned())),
        (&name, &UploadId("0".repeat(28))),
    ] {
        let error = folder
            .store
            .upload_part(name, upload, 1, part(1, 10))
            .await
            .unwrap_err();
        assert!(error.is_not_found(), "{error}");
        folder.store.abort_upload(name, upload).await.unwrap();
    }
    for number in [0, 10_001] {
        let error = folder
            .store
            .upload_part(&name, &upload, number, part(1, 10))
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Limit { .. }), "{error}");
    }
    assert!(
        folder
            .store
            .complete_upload(&name, &upload, &[])
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_write_at_once_one_wins() {
    let folder = Folder::new().await;
    for round in 0..20 {
        let name = key(&format!("deep/{round}/er/x"));
        let writers = (0..8).map(|number| {
            let (store, name) = (folder.again(), name.clone());
            tokio::spawn(async move { store.put(&name, part(number, 10), PutMode::IfAbsent).await })
        });
        let outcomes = futures_util::future::join_all(writers).await;
        let won: Vec<_> = (0..8_u32)
            .zip(&outcomes)
            .filter(|(_, outcome)| outcome.as_ref().unwrap().is_ok())
            .collect();
        assert_eq!(won.len(), 1);
        assert_eq!(
            read_all(&folder.store, &name, 10).await.unwrap(),
            part(won[0].0, 10)
        );

        let seen = folder.store.head(&name).await.unwrap().etag;
        let writers = (10..18).map(|number| {
            let (store, name, seen) = (folder.again(), name.clone(), seen.clone());
            tokio::spawn(async move {
                store
                    .put(&name, part(number, 10), PutMode::IfUnchanged(seen))
                    .await
            })
        });
        let outcomes = futures_util::future::join_all(writers).await;
        assert_eq!(
            outcomes
                .iter()
                .filter(|outcome| outcome.as_ref().unwrap().is_ok())
                .count(),
            1
        );
        let lost = |outcome: &Result<_, StoreError>| {
            matches!(outcome, Err(StoreError::AlreadyExists { .. }))
        };
        assert_eq!(
            outcomes
                .iter()
                .filter(|outcome| lost(outcome.as_ref().unwrap()))
                .count(),
            7
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deletes_takes_no_directory_from_who_writes() {
    let folder = Folder::new().await;
    let tasks = (0..4_u32).map(|number| {
        let (store, name) = (folder.again(), key(&format!("same/directory/{number}")));
        tokio::spawn(async move {
            for _ in 0..50 {
                store
                    .put(&name, part(number, 10), PutMode::IfAbsent)
                    .await
                    .unwrap();
                store.delete(&name).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn files_and_directories_are_their_owners_alone() {
    let folder = Folder::new().await;
    put(&folder.store, "database/db_1_a/manifest.json", "body").await;
    let name = key("database/db_1_a/dump");
    let upload = folder.store.begin_upload(&name).await.unwrap();
    let sent = folder
        .store
        .upload_part(&name, &upload, 2, part(1, 10))
        .await
        .unwrap();
    folder
        .store
        .complete_upload(&name, &upload, &[sent])
        .await
        .unwrap();
    assert_private(&folder.path("root"));
}

fn assert_private(path: &Path) {
    let found = fs::metadata(path).unwrap();
    let expected = if found.is_dir() { 0o700 } else { 0o600 };
    assert_eq!(
        found.permissions().mode() & 0o777,
        expected,
        "{}",
        path.display()
    );
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            assert_private(&entry.unwrap().path());
        }
    }
}

#[tokio::test]
async fn what_a_directory_cannot_name_is_refused() {
    let folder = Folder::new().await;
    put(&folder.store, "a", "body").await;
    let error = folder
        .store
        .put(&key("a/b"), Bytes::new(), PutMode::Replace)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
    assert!(
        folder
            .store
            .head(&key("a/b"))
            .await
            .unwrap_err()
            .is_not_found()
    );
    put(&folder.store, "d/e", "body").await;
    for mode in [PutMode::Replace, PutMode::IfAbsent] {
        assert!(
            folder
                .store
                .put(&key("d"), Bytes::new(), mode)
                .await
                .is_err()
        );
    }
    let long = key(&"x".repeat(300));
    assert!(matches!(
        folder
            .store
            .put(&long, Bytes::new(), PutMode::Replace)
            .await,
        Err(StoreError::Limit { .. })
    ));
    assert_eq!(keys(&folder.store, "").await, ["a", "d/e"]);
    assert_eq!(folder.store.list_unfinished_uploads("").await.unwrap(), []);
}
