//! Changes of the keys that open the master keys: none of them locks the repository, and a dropped
//! key opens nothing.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_kms::Client as Kms;
use bytes::Bytes;
use holdfast_codec::KeyEncryptionKey;
use holdfast_domain::{
    KeyEpoch, ObjectKey, RepositoryFile, Secret, Timestamp, WrappedKey, settings::StoreLocation,
};
use holdfast_recovery::RecoveryError;
use holdfast_repository::{
    EncryptionMode, KeyChange, Keyring, KeyringError, Openers, Repository, RepositoryError,
    RepositoryFileError, RewrapReport,
};
use holdfast_storage::{PutMode, Store, read_all};
use holdfast_testing::{Fault, FaultStore, Operation, TestStore, aws_config};

use crate::support::database::{Fixture, KEY};

pub(crate) const NEW: &str = "a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0";
const NEWER: &str = "passphrase:correct horse battery staple";

pub(crate) fn key(text: &str) -> KeyEncryptionKey {
    KeyEncryptionKey::parse(&Secret::new(text)).unwrap()
}

pub(crate) fn repository(store: Arc<dyn Store>, keyring: Keyring) -> Repository {
    let location = StoreLocation::S3 {
        bucket: "bucket".to_owned(),
        prefix: String::new(),
    };
    Repository::new(store, location, keyring)
}

/// With this present key and these earlier keys.
fn with_keys(store: &Arc<dyn Store>, now: &str, before: &[&str]) -> Repository {
    let previous_keys = before.iter().map(|text| key(text)).collect();
    let openers = Openers {
        previous_keys,
        ..Openers::default()
    };
    repository(
        Arc::clone(store),
        Keyring::new(Some(key(now)), None).opening_with(openers),
    )
}

/// A repository with its master key wrapped under [`KEY`].
async fn made() -> TestStore {
    let test = TestStore::new().await;
    with_keys(&test.store, KEY, &[])
        .init(EncryptionMode::On, Timestamp::now())
        .await
        .unwrap();
    test
}

pub(crate) async fn rewrap(
    repository: &Repository,
    change: KeyChange,
) -> Result<RewrapReport, RepositoryError> {
    repository
        .rewrap(repository.prepare_rewrap(&change).await?)
        .await
}

pub(crate) async fn file(store: &Arc<dyn Store>, key: &ObjectKey) -> RepositoryFile {
    serde_json::from_slice(&read_all(store.as_ref(), key, 1 << 20).await.unwrap()).unwrap()
}

/// The two files. The second is a copy of the first by now.
pub(crate) async fn files(store: &Arc<dyn Store>) -> RepositoryFile {
    let first = file(store, &ObjectKey::repository()).await;
    assert_eq!(first, file(store, &ObjectKey::repository_copy()).await);
    first
}

pub(crate) async fn put(store: &Arc<dyn Store>, key: &ObjectKey, file: &RepositoryFile) {
    store
        .put(
            key,
            Bytes::from(serde_json::to_vec(file).unwrap()),
            PutMode::Replace,
        )
        .await
        .unwrap();
}

pub(crate) async fn opens(repository: &Repository) -> bool {
    match repository.master_key(1).await {
        Ok(_) => true,
        Err(RepositoryError::Key(KeyringError::DoesNotOpen { .. })) => false,
        Err(other) => panic!("{other}"),
    }
}

fn changed<T>(result: &Result<T, RepositoryError>) -> bool {
    matches!(
        result,
        Err(RepositoryError::File(RepositoryFileError::Changed(_)))
    )
}

async fn objects(f: &Fixture) -> BTreeMap<String, Bytes> {
    let mut objects = BTreeMap::new();
    for name in f.keys().await {
        let key: ObjectKey = name.parse().unwrap();
        objects.insert(
            name,
            read_all(f.store.store.as_ref(), &key, 64 << 20)
                .await
                .unwrap(),
        );
    }
    objects
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_opens_every_backup_and_no_data_are_touched() {
    let f = Fixture::new(&[
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    f.fill(100).await;
    let backup = f.back_up().await.backup_id;
    let before = objects(&f).await;
    let h = f.with(|settings| {
        settings.encryption_key = Some(Secret::new(NEW));
        settings.encryption_key_previous = Some(Secret::new(KEY));
    });
    let report = rewrap(&h.repository, KeyChange::Rotate).await.unwrap();
    assert_eq!((report.revision, report.epochs.len()), (1, 1));
    let after = objects(&f).await;
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    let differing: Vec<&String> = before
        .keys()
        .filter(|name| before[*name] != after[*name])
        .collect();
    assert_eq!(differing, ["repository.copy.json", "repository.json"]);

    let (old, new) = (
        f.with(|_| {}),
        f.with(|settings| settings.encryption_key = Some(Secret::new(NEW))),
    );
    assert!(!opens(&old.repository).await);
    let (target, _) = f.target();
    let error = holdfast_recovery::restore_database(&old.repository, &backup, &target, &|_| {})
        .await
        .unwrap_err();
    assert!(
        matches!(error, RecoveryError::Repository(RepositoryError::Key(_))),
        "{error}"
    );
    let (target, _) = f.target();
    assert!(
        holdfast_recovery::restore_database(&new.repository, &backup, &target, &|_| {})
            .await
            .unwrap()
            .is_faithful()
    );
    let next = holdfast_operations::trigger(
        &new,
        holdfast_domain::BackupType::Database,
        None,
        Timestamp::now(),
    );
    crate::support::database::completed(
        crate::support::database::run(&new, next.await.unwrap().backup_id).await,
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_be_rotated_again_and_again_and_only_the_last_opens() {
    let test = made().await;
    let master = with_keys(&test.store, KEY, &[])
        .master_key(1)
        .await
        .unwrap();
    rewrap(&with_keys(&test.store, NEW, &[KEY]), KeyChange::Rotate)
        .await
        .unwrap();
    rewrap(
        &with_keys(&test.store, NEWER, &[KEY, NEW]),
        KeyChange::Rotate,
    )
    .await
    .unwrap();
    rewrap(&with_keys(&test.store, NEWER, &[]), KeyChange::Rotate)
        .await
        .unwrap();
    let now = files(&test.store).await;
    assert_eq!((now.revision, now.epochs[0].keys.len()), (3, 1));
    assert_eq!(now.epochs[0].fingerprint, Some(master.fingerprint()));
    for (text, is_key) in [(KEY, false), (NEW, false), (NEWER, true)] {
        assert_eq!(
            opens(&with_keys(&test.store, text, &[])).await,
            is_key,
            "{text}"
        );
    }
    let reopened = with_keys(&test.store, NEWER, &[])
        .master_key(1)
        .await
        .unwrap();
    assert_eq!(reopened.expose(), master.expose());
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_old_key_changes_nothing() {
    let test = made().await;
    let before = files(&test.store).await;
    for wrong in [&[][..], &[NEWER], &["ff".repeat(32).as_str()]] {
        let error = rewrap(&with_keys(&test.store, NEW, wrong), KeyChange::Rotate)
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                RepositoryError::Key(KeyringError::DoesNotOpen { .. })
            ),
            "{error}"
        );
    }
    // An opener without a wrapping key must not leave the repository without a key.
    let openers = Openers {
        previous_keys: vec![key(KEY)],
        ..Openers::default()
    };
    let nothing_set = repository(
        Arc::clone(&test.store),
        Keyring::none().opening_with(openers),
    );
    let error = rewrap(&nothing_set, KeyChange::Rotate).await.unwrap_err();
    assert!(
        matches!(error, RepositoryError::Key(KeyringError::Empty)),
        "{error}"
    );
    assert_eq!(files(&test.store).await, before);
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_two_files_it_opens_and_the_next_run_brings_the_copy_up() {
    let test = made().await;
    let old = files(&test.store).await;
    let faulty = FaultStore::new(Arc::clone(&test.store));
    faulty.on(Operation::Put, 2, Fault::Hang);
    let rotating = with_keys(&(faulty.clone() as Arc<dyn Store>), NEW, &[KEY]);
    let killed = tokio::time::timeout(
        std::time::Duration::from_secs(5),
        rewrap(&rotating, KeyChange::Rotate),
    )
    .await;
    assert!(killed.is_err(), "it hangs before the copy");
    assert_eq!(faulty.calls(Operation::Put), 2);
    assert_eq!(
        file(&test.store, &ObjectKey::repository()).await.revision,
        1
    );
    assert_eq!(file(&test.store, &ObjectKey::repository_copy()).await, old);

    // A process without a key cannot compare the files, so it continues and leaves the copy
    // unchanged. A process with the old key finds that it opens nothing any more.
    repository(Arc::clone(&test.store), Keyring::none())
        .init(EncryptionMode::Off, Timestamp::now())
        .await
        .unwrap();
    assert!(
        with_keys(&test.store, KEY, &[])
            .init(EncryptionMode::On, Timestamp::now())
            .await
            .is_err()
    );
    assert_eq!(file(&test.store, &ObjectKey::repository_copy()).await, old);
    assert!(opens(&with_keys(&test.store, NEW, &[])).await);

    with_keys(&test.store, NEW, &[])
        .init(EncryptionMode::On, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(files(&test.store).await.revision, 1);
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_first_file_or_with_its_answer_lost_the_same_again_converges() {
    for (fault, written) in [(Fault::Unavailable, 0), (Fault::LostAnswer, 1)] {
        let test = made().await;
        let faulty = FaultStore::new(Arc::clone(&test.store));
        faulty.on(Operation::Put, 1, fault);
        let rotating = with_keys(&(faulty.clone() as Arc<dyn Store>), NEW, &[KEY]);
        let error = rewrap(&rotating, KeyChange::Rotate).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert_eq!(
            file(&test.store, &ObjectKey::repository()).await.revision,
            written
        );
        rewrap(&rotating, KeyChange::Rotate).await.unwrap();
        assert_eq!(files(&test.store).await.revision, written + 1);
        assert!(
            opens(&with_keys(&test.store, NEW, &[])).await
                && !opens(&with_keys(&test.store, KEY, &[])).await
        );
        test.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_made_from_a_file_that_changed_meanwhile_is_refused() {
    let test = made().await;
    let (one, other) = (
        with_keys(&test.store, NEW, &[KEY]),
        with_keys(&test.store, NEWER, &[KEY]),
    );
    let prepared = one.prepare_rewrap(&KeyChange::Rotate).await.unwrap();
    rewrap(&other, KeyChange::Rotate).await.unwrap();
    let before = files(&test.store).await;
    assert!(changed(&one.rewrap(prepared).await));
    assert_eq!(
        files(&test.store).await,
        before,
        "the other's key is not lost"
    );
    assert!(opens(&with_keys(&test.store, NEWER, &[])).await);
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_each_is_done_or_refused_and_the_copy_is_the_file() {
    let test = made().await;
    let keys: Vec<String> = (1..=6).map(|n| format!("{n:02x}").repeat(32)).collect();
    let all: Vec<&str> = keys.iter().map(String::as_str).chain([KEY]).collect();
    let rotations = keys.iter().map(|now| {
        let repository = with_keys(&test.store, now, &all);
        async move { rewrap(&repository, KeyChange::Rotate).await }
    });
    let ends = futures_util::future::join_all(rotations).await;
    let done = ends.iter().filter(|end| end.is_ok()).count();
    assert!(done >= 1);
    assert!(ends.iter().all(|end| end.is_ok() || changed(end)));
    let now = files(&test.store).await;
    assert_eq!(now.revision, u64::try_from(done).unwrap());
    let mut opening = 0;
    for text in &all {
        opening += usize::from(opens(&with_keys(&test.store, text, &[])).await);
    }
    assert_eq!(opening, 1, "one key and no other");
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_rolled_back_to_before_a_rotation_stops_every_run_and_the_copy_is_kept() {
    let test = made().await;
    let old = files(&test.store).await;
    rewrap(&with_keys(&test.store, NEW, &[KEY]), KeyChange::Rotate)
        .await
        .unwrap();
    let rotated = files(&test.store).await;
    put(&test.store, &ObjectKey::repository(), &old).await;
    for repository in [
        with_keys(&test.store, KEY, &[]),
        with_keys(&test.store, NEW, &[KEY]),
    ] {
        let ends = [
            repository
                .init(EncryptionMode::On, Timestamp::now())
                .await
                .err(),
            rewrap(&repository, KeyChange::Rotate).await.err(),
        ];
        for end in ends {
            let differs = matches!(
                end,
                Some(RepositoryError::File(RepositoryFileError::CopyDiffers(_)))
            );
            assert!(differs, "{end:?}");
        }
    }
    assert_eq!(
        file(&test.store, &ObjectKey::repository_copy()).await,
        rotated
    );
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_pretends_to_be_rotated_never_takes_the_place_of_the_copy() {
    let test = made().await;
    let right = files(&test.store).await;
    let strangers = with_keys(&test.store, NEW, &[]);
    let garbage = WrappedKey::Key {
        wrapped: "00".repeat(40),
    };
    let other = TestStore::new().await;
    with_keys(&other.store, KEY, &[])
        .init(EncryptionMode::On, Timestamp::now())
        .await
        .unwrap();
    // The stranger's own master key, once under its own name and once under the right name.
    let theirs: KeyEpoch = files(&other.store).await.epochs.remove(0);
    let disguised = KeyEpoch {
        fingerprint: right.epochs[0].fingerprint,
        ..theirs.clone()
    };
    let unreadable = KeyEpoch {
        keys: vec![garbage],
        ..right.epochs[0].clone()
    };
    for epoch in [theirs, disguised, unreadable] {
        let forged = RepositoryFile {
            revision: right.revision + 1,
            epochs: vec![epoch],
            ..right.clone()
        };
        put(&test.store, &ObjectKey::repository(), &forged).await;
        for repository in [&strangers, &with_keys(&test.store, KEY, &[])] {
            assert!(
                repository
                    .init(EncryptionMode::On, Timestamp::now())
                    .await
                    .is_err()
            );
        }
        let _ = repository(Arc::clone(&test.store), Keyring::none())
            .init(EncryptionMode::Off, Timestamp::now())
            .await;
        assert_eq!(
            file(&test.store, &ObjectKey::repository_copy()).await,
            right
        );
    }
    other.remove().await;
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kms_takes_the_place_of_a_key_and_a_key_that_of_kms() {
    let test = made().await;
    let kms = Kms::new(&aws_config());
    let made = kms.create_key().send().await.unwrap().key_metadata.unwrap();
    let arn = made.arn.unwrap();
    let previous = || Openers {
        previous_keys: vec![key(KEY)],
        ..Openers::default()
    };
    let by_kms = Keyring::new(None, Some((kms.clone(), arn.clone()))).opening_with(previous());
    let report = rewrap(
        &repository(Arc::clone(&test.store), by_kms),
        KeyChange::Rotate,
    )
    .await
    .unwrap();
    let methods = |keys: &[holdfast_repository::WrappedUnder]| {
        keys.iter().map(|key| key.method).collect::<Vec<_>>()
    };
    assert_eq!(
        (
            methods(&report.epochs[0].before),
            methods(&report.epochs[0].after)
        ),
        (vec!["key"], vec!["kms"])
    );
    assert!(!opens(&with_keys(&test.store, KEY, &[])).await);
    let by_kms = || {
        repository(
            Arc::clone(&test.store),
            Keyring::new(None, Some((kms.clone(), arn.clone()))),
        )
    };
    assert!(opens(&by_kms()).await);

    // A change back, with BACKUP_KMS_KEY_ID unset already: KMS still unwraps its keys.
    let openers = Openers {
        kms: Some(kms.clone()),
        ..Openers::default()
    };
    let back = Keyring::new(Some(key(NEW)), None).opening_with(openers);
    rewrap(
        &repository(Arc::clone(&test.store), back),
        KeyChange::Rotate,
    )
    .await
    .unwrap();
    assert!(opens(&with_keys(&test.store, NEW, &[])).await && !opens(&by_kms()).await);
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_again_is_never_written() {
    let test = made().await;
    let before = files(&test.store).await;
    let nowhere = Kms::new(&holdfast_testing::aws_config_at("http://127.0.0.1:9"));
    let openers = Openers {
        previous_keys: vec![key(KEY)],
        ..Openers::default()
    };
    let keyring = Keyring::new(Some(key(NEW)), Some((nowhere, "alias/nothing".to_owned())))
        .opening_with(openers);
    let error = rewrap(
        &repository(Arc::clone(&test.store), keyring),
        KeyChange::Rotate,
    )
    .await
    .unwrap_err();
    assert!(
        matches!(error, RepositoryError::Key(KeyringError::Kms { .. })),
        "{error}"
    );
    assert_eq!(files(&test.store).await, before);
    test.remove().await;
}
