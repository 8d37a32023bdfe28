//! Valid and invalid places of objects: a missing disk is never treated as an empty repository.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use holdfast_domain::settings::Directories;
use holdfast_storage::{DirectoryStore, PutMode, Store, StoreError, read_all};

use super::{Folder, files_below, key, keys, put};

const BODY: Bytes = Bytes::from_static(b"body");

/// The error of each call for a missing place.
async fn every_call(store: &DirectoryStore, name: &str) -> Vec<StoreError> {
    let name = key(name);
    vec![
        store.put(&name, BODY, PutMode::Replace).await.unwrap_err(),
        store.begin_upload(&name).await.unwrap_err(),
        store.get(&name, None).await.map(drop).unwrap_err(),
        store.head(&name).await.unwrap_err(),
        store.delete(&name).await.unwrap_err(),
        store.list(name.as_str()).try_next().await.unwrap_err(),
        store
            .list_unfinished_uploads(name.as_str())
            .await
            .unwrap_err(),
    ]
}

#[tokio::test]
async fn a_directory_that_is_away_is_no_empty_repository() {
    let folder = Folder::with(|top| (Some(top.join("database")), None)).await;
    for (away, name, setting) in [
        ("root", "repository.json", "BACKUP_STORE"),
        ("database", "database/x", "BACKUP_DATABASE_DIR"),
    ] {
        put(&folder.store, name, "body").await;
        fs::rename(folder.path(away), folder.path("unmounted")).unwrap();
        for mount_point_is_there in [false, true] {
            if mount_point_is_there {
                fs::create_dir(folder.path(away)).unwrap();
            }
            for error in every_call(&folder.store, name).await {
                assert!(matches!(error, StoreError::Missing { .. }), "{error}");
                let told = error.to_string();
                assert!(told.contains(folder.path(away).to_str().unwrap()), "{told}");
                assert!(told.contains(setting) && told.contains("mount"), "{told}");
            }
        }
        assert_eq!(
            fs::read_dir(folder.path(away)).unwrap().count(),
            0,
            "and nothing is written there"
        );
        fs::remove_dir(folder.path(away)).unwrap();
        fs::rename(folder.path("unmounted"), folder.path(away)).unwrap();
        assert_eq!(read_all(&folder.store, &key(name), 10).await.unwrap(), BODY);
    }
}

#[tokio::test]
async fn parts_may_lie_anywhere_below_the_repository() {
    let below = |top: &std::path::Path, name: &str| Some(top.join("root/backups").join(name));
    let folder = Folder::with(|top| (below(top, "database"), below(top, "content"))).await;
    let names = ["content/a/x", "database/b/y", "exports/z"];
    for name in names {
        put(&folder.store, name, "body").await;
        assert_eq!(read_all(&folder.store, &key(name), 10).await.unwrap(), BODY);
    }
    assert!(
        folder.path("root/backups/database/b/y").exists()
            && folder.path("root/backups/content/a/x").exists()
    );
    assert_eq!(
        keys(&folder.store, "").await,
        names,
        "each object once, under its key"
    );
    folder.store.prepare().await.unwrap();
}

#[tokio::test]
async fn a_part_that_is_away_is_not_made_a_second_time() {
    let folder = Folder::with(|top| (Some(top.join("database")), None)).await;
    fs::rename(folder.path("database"), folder.path("unmounted")).unwrap();
    let error = folder.store.prepare().await.unwrap_err().to_string();
    assert!(
        error.contains("BACKUP_DATABASE_DIR") && error.contains("mount"),
        "{error}"
    );
    fs::remove_file(folder.path("root/.holdfast/BACKUP_DATABASE_DIR")).unwrap();
    folder.store.prepare().await.unwrap();
}

#[tokio::test]
async fn a_part_that_was_made_elsewhere_is_not_looked_for_in_the_repository() {
    let folder = Folder::with(|top| (Some(top.join("database")), None)).await;
    put(&folder.store, "database/x", "body").await;
    put(&folder.store, "content/x", "body").await;
    assert_eq!(fs::read(folder.path("database/x")).unwrap(), BODY);
    let root = folder.directories.root.clone();
    let forgotten = DirectoryStore::new(Directories {
        root,
        database: None,
        content: None,
    });
    for error in every_call(&forgotten, "database/x").await {
        assert!(
            error.to_string().contains("set BACKUP_DATABASE_DIR"),
            "{error}"
        );
    }
    assert_eq!(keys(&forgotten, "content/").await, ["content/x"]);
}

#[tokio::test]
async fn a_part_is_not_moved_away_from_under_its_backups() {
    let folder = Folder::new().await;
    put(&folder.store, "content/x", "body").await;
    let moved = Directories {
        content: Some(folder.path("content")),
        ..folder.directories.clone()
    };
    let error = DirectoryStore::new(moved)
        .prepare()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("root/content") && error.contains("BACKUP_CONTENT_DIR"),
        "{error}"
    );
    assert!(!folder.path("content").exists());
}

#[tokio::test]
async fn two_parts_in_one_directory_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let same = Some(folder.path().join("same"));
    let directories = Directories {
        root: folder.path().join("root"),
        database: same.clone(),
        content: same,
    };
    let error = DirectoryStore::new(directories)
        .prepare()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("BACKUP_DATABASE_DIR") && error.contains("BACKUP_CONTENT_DIR"),
        "{error}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn only_the_last_directory_is_made_and_only_for_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let at = |below: &str| {
        DirectoryStore::new(Directories {
            root: folder.path().join(below),
            database: None,
            content: None,
        })
    };
    let error = at("no/such").prepare().await.unwrap_err().to_string();
    assert!(
        error.contains("mkdir -p") && !folder.path().join("no").exists(),
        "{error}"
    );
    at("made").prepare().await.unwrap();
    let mode = fs::metadata(folder.path().join("made"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    fs::write(folder.path().join("file"), "").unwrap();
    let error = at("file").prepare().await.unwrap_err().to_string();
    assert!(
        error.contains("file (BACKUP_STORE) is not a directory"),
        "{error}"
    );
    let in_its_place = at("file");
    for error in every_call(&in_its_place, "x").await {
        assert!(error.to_string().contains("not a directory"), "{error}");
    }
    assert!(
        at("file/below")
            .prepare()
            .await
            .unwrap_err()
            .to_string()
            .contains("not a directory")
    );
}

#[tokio::test]
async fn a_copy_without_its_mark_is_read_and_not_written() {
    let folder = Folder::new().await;
    put(&folder.store, "database/x", "body").await;
    fs::rename(folder.path("root/.holdfast"), folder.path("aside")).unwrap();
    assert_eq!(keys(&folder.store, "").await, ["database/x"]);
    assert_eq!(
        read_all(&folder.store, &key("database/x"), 10)
            .await
            .unwrap(),
        BODY
    );
    let error = folder
        .store
        .put(&key("database/y"), BODY, PutMode::IfAbsent)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("holdfast init"), "{error}");
    folder.store.prepare().await.unwrap();
    put(&folder.store, "database/y", "body").await;
}

#[tokio::test]
async fn foreign_names_are_passed_over() {
    let folder =
        Folder::with(|top| (Some(top.join("database")), Some(top.join("root/inside")))).await;
    for name in ["own", "content/own", "database/own"] {
        put(&folder.store, name, "body").await;
    }
    let root = folder.path("root");
    fs::write(root.join("ünï"), "").unwrap();
    fs::create_dir_all(root.join("lost+found/x")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    symlink(folder.path("database"), root.join("linked")).unwrap();
    symlink("own", root.join("link")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(root.join("pipe"))
            .status()
            .unwrap()
            .success()
    );
    folder.store.begin_upload(&key("unfinished")).await.unwrap();
    assert_eq!(
        keys(&folder.store, "").await,
        ["content/own", "database/own", "own"]
    );
    assert!(
        folder
            .store
            .head(&key("pipe"))
            .await
            .unwrap_err()
            .is_not_found(),
        "a pipe would never end"
    );
    assert!(
        folder
            .store
            .get(&key("empty"), None)
            .await
            .map(drop)
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn no_key_leads_out_by_a_link_or_into_what_is_unfinished() {
    let folder = Folder::new().await;
    fs::create_dir(folder.path("outside")).unwrap();
    fs::write(folder.path("outside/x"), "secret").unwrap();
    symlink(folder.path("outside"), folder.path("root/content")).unwrap();
    for name in ["content/x", ".holdfast/lock", ".holdfast/unfinished/x"] {
        for error in [
            folder
                .store
                .put(&key(name), BODY, PutMode::Replace)
                .await
                .unwrap_err(),
            folder
                .store
                .get(&key(name), None)
                .await
                .map(drop)
                .unwrap_err(),
            folder.store.delete(&key(name)).await.unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
        }
    }
    assert_eq!(fs::read(folder.path("outside/x")).unwrap(), b"secret");
}

#[tokio::test]
async fn the_order_is_that_of_the_keys_and_not_of_the_names() {
    let folder = Folder::new().await;
    let mut expected = [
        "a/b",
        "a-b",
        "a/b.c",
        "a0",
        "a/b/c/d".replace("a/b/", "a/b-/").as_str(),
        "a b",
        "b",
    ]
    .map(ToOwned::to_owned);
    for name in &expected {
        put(&folder.store, name, "").await;
    }
    expected.sort();
    assert_eq!(keys(&folder.store, "").await, expected);
}

#[tokio::test]
async fn a_list_longer_than_a_page_is_complete() {
    let folder = Folder::new().await;
    for number in 0..2500 {
        let path = folder.path(&format!("root/content/{:02}", number % 7));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(format!("{number:04}")), "").unwrap();
    }
    let found = keys(&folder.store, "content/").await;
    assert_eq!(found.len(), 2500);
    assert!(found.is_sorted());
    assert_eq!(keys(&folder.store, "content/03/").await.len(), 357);
}

#[tokio::test]
async fn directories_that_are_empty_go_with_their_last_object() {
    let folder = Folder::new().await;
    for name in ["database/db_1_a/dump", "database/db_1_a/manifest.json"] {
        put(&folder.store, name, "").await;
    }
    folder
        .store
        .delete(&key("database/db_1_a/dump"))
        .await
        .unwrap();
    assert!(folder.path("root/database/db_1_a").exists());
    folder.store.delete(&key("database/db_1_a")).await.unwrap();
    folder
        .store
        .delete(&key("database/db_1_a/manifest.json"))
        .await
        .unwrap();
    assert!(!folder.path("root/database").exists());
    assert_eq!(
        files_below(&folder.path("root")),
        [folder.path("root/.holdfast/lock")]
    );
}
