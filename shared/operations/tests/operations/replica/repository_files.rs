//! The repository's own files in the second store. They equal those of the first store, and are
//! renewed after its keys were wrapped again. They replace neither another repository's files nor
//! newer ones.

use holdfast_codec::KeyEncryptionKey;
use holdfast_domain::{
    BackupType, ObjectKey, RepositoryFile, RepositoryId, Secret, Timestamp, WrappedKey,
    settings::StoreLocation,
};
use holdfast_operations::{CopyFault, OperationError, RunLimits, remove_copies, trigger};
use holdfast_repository::{KeyChange, Keyring, Openers, Repository};
use holdfast_storage::PutMode;

use super::fixture::{Second, copied, read, repaired, step};
use crate::support::{
    content::KEY,
    database::{Fixture, completed, run},
};

const NEW: &str = "a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0";
const ENCRYPTED: &[(&str, &str)] = &[
    ("BACKUP_DATABASE_ENCRYPTION", "true"),
    ("BACKUP_ENCRYPTION_KEY", KEY),
];

fn key(text: &str) -> KeyEncryptionKey {
    KeyEncryptionKey::parse(&Secret::new(text)).unwrap()
}

/// Wraps the master key of the first store under another key.
async fn rotate(f: &Fixture) {
    let openers = Openers {
        previous_keys: vec![key(KEY)],
        ..Openers::default()
    };
    let keyring = Keyring::new(Some(key(NEW)), None).opening_with(openers);
    let location = StoreLocation::S3 {
        bucket: f.store.bucket.clone(),
        prefix: String::new(),
    };
    let repository = Repository::new(f.store.store.clone(), location, keyring);
    let change = repository.prepare_rewrap(&KeyChange::Rotate).await.unwrap();
    repository.rewrap(change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_wrapped_again_are_updated_in_the_copy_too() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(5).await;
    let (id, second) = (f.back_up().await.backup_id, Second::new());
    copied(&f.holdfast, &second.repository, &id).await;
    let before = second.object(&ObjectKey::repository()).await;
    rotate(&f).await;
    let h = f.with(|settings| settings.encryption_key = Some(Secret::new(NEW)));
    copied(&h, &second.repository, &id).await;
    for file in [ObjectKey::repository(), ObjectKey::repository_copy()] {
        assert!(
            second.object(&file).await == read(f.store.store.as_ref(), &file).await,
            "{file}"
        );
    }
    assert!(second.object(&ObjectKey::repository()).await != before);
    // The first store returns to its old files, and the copy keeps its newer keys.
    for file in [ObjectKey::repository(), ObjectKey::repository_copy()] {
        f.store
            .store
            .put(&file, before.clone().into(), PutMode::Replace)
            .await
            .unwrap();
    }
    copied(&f.holdfast, &second.repository, &id).await;
    repaired(&f.holdfast, &second.repository, &id)
        .await
        .unwrap();
    assert!(
        second.object(&ObjectKey::repository()).await != before,
        "an older file never replaces it"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_do_not_open_never_take_the_place_of_those_that_do() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(3).await;
    let (id, second) = (f.back_up().await.backup_id, Second::new());
    copied(&f.holdfast, &second.repository, &id).await;
    let good = second.object(&ObjectKey::repository()).await;
    // An attacker with write access to the first store claims a new wrapping. An unencrypted backup
    // needs no key.
    let mut bad: RepositoryFile = serde_json::from_slice(&good).unwrap();
    bad.revision += 1;
    bad.epochs[0].keys = vec![WrappedKey::Key {
        wrapped: "00".repeat(40),
    }];
    let bad = serde_json::to_vec(&bad).unwrap();
    let h = f.with(|settings| settings.database.encryption = false);
    let plain = trigger(&h, BackupType::Database, None, Timestamp::now())
        .await
        .unwrap()
        .backup_id;
    completed(run(&h, plain.clone()).await);
    for file in [ObjectKey::repository(), ObjectKey::repository_copy()] {
        f.store
            .store
            .put(&file, bad.clone().into(), PutMode::Replace)
            .await
            .unwrap();
    }
    assert!(matches!(
        step(&h, &second.repository, &plain).await,
        Err(OperationError::Key(_))
    ));
    assert!(repaired(&h, &second.repository, &plain).await.is_err());
    for file in [ObjectKey::repository(), ObjectKey::repository_copy()] {
        assert!(second.object(&file).await == good, "{file}");
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_repository_is_never_written_to() {
    let f = Fixture::new(&[]).await;
    f.fill(3).await;
    let (id, ours) = (
        f.back_up().await.backup_id,
        f.holdfast.repository.open().await.unwrap(),
    );
    let theirs = RepositoryFile::new(RepositoryId::new([9; 16]), Timestamp::UNIX_EPOCH);
    let body = serde_json::to_vec(&theirs).unwrap();
    // By its file, by the copy of this file, and without both by its backups.
    for file in [
        Some(ObjectKey::repository()),
        Some(ObjectKey::repository_copy()),
        None,
    ] {
        let second = Second::new();
        if let Some(file) = &file {
            second.replace(file, body.clone()).await;
        } else {
            let manifest = read(f.store.store.as_ref(), &ObjectKey::manifest(&id)).await;
            let text = String::from_utf8(manifest)
                .unwrap()
                .replace(&ours.id.to_string(), &theirs.id.to_string());
            second
                .replace(&ObjectKey::manifest(&id), text.into_bytes())
                .await;
        }
        let before = second.memory.keys();
        let refused = step(&f.holdfast, &second.repository, &id)
            .await
            .unwrap_err();
        let told = refused.to_string();
        assert!(
            matches!(
                refused,
                OperationError::Copy(CopyFault::AnotherRepository { .. })
            ),
            "{told}"
        );
        assert!(
            told.contains(&theirs.id.to_string()) && told.contains("Nothing was written"),
            "{told}"
        );
        assert!(
            repaired(&f.holdfast, &second.repository, &id)
                .await
                .is_err(),
            "not even to mend it"
        );
        assert_eq!(second.memory.keys(), before);
        if file == Some(ObjectKey::repository()) {
            let removing = remove_copies(
                &f.holdfast,
                &second.repository,
                RunLimits::none(),
                Timestamp::now(),
            )
            .await;
            assert!(
                matches!(removing, Err(OperationError::Copy(_))),
                "nor is anything deleted there"
            );
        }
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_file_is_named_and_repaired_on_request() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(3).await;
    let (id, second) = (f.back_up().await.backup_id, Second::new());
    copied(&f.holdfast, &second.repository, &id).await;
    let good = second.object(&ObjectKey::repository()).await;
    let mut other_key: RepositoryFile = serde_json::from_slice(&good).unwrap();
    other_key.epochs[0].keys = vec![WrappedKey::Key {
        wrapped: "00".to_owned(),
    }];
    let other_key = serde_json::to_vec(&other_key).unwrap();
    for file in [ObjectKey::repository(), ObjectKey::repository_copy()] {
        for bad in [b"{".to_vec(), other_key.clone()] {
            second.replace(&file, bad.clone()).await;
            let refused = step(&f.holdfast, &second.repository, &id)
                .await
                .unwrap_err()
                .to_string();
            assert!(
                refused.contains(file.as_str()) && refused.contains("--repair"),
                "{refused}"
            );
            assert!(second.object(&file).await == bad);
            repaired(&f.holdfast, &second.repository, &id)
                .await
                .unwrap();
            assert!(second.object(&file).await == good);
        }
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_only_the_second_store_lists_is_never_replaced() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(3).await;
    let (id, second) = (f.back_up().await.backup_id, Second::new());
    copied(&f.holdfast, &second.repository, &id).await;
    let mut longer: RepositoryFile =
        serde_json::from_slice(&second.object(&ObjectKey::repository()).await).unwrap();
    let mut newer = longer.epochs[0].clone();
    newer.epoch = 2;
    longer.epochs = vec![newer];
    let longer = serde_json::to_vec(&longer).unwrap();
    second
        .replace(&ObjectKey::repository(), longer.clone())
        .await;
    let refused = repaired(&f.holdfast, &second.repository, &id)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("epoch 2") && refused.contains("Nothing was written"),
        "{refused}"
    );
    assert!(second.object(&ObjectKey::repository()).await == longer);
    f.remove().await;
}
