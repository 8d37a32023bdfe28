//! Changes of keys that are killed, concurrent or forged: the repository stays readable, and the
//! next run converges.

use std::sync::Arc;

use holdfast_domain::{KeyEpoch, ObjectKey, RepositoryFile, Timestamp, WrappedKey};
use holdfast_repository::{
    EncryptionMode, KeyChange, Keyring, RepositoryError, RepositoryFileError,
};
use holdfast_storage::Store;
use holdfast_testing::{Fault, FaultStore, Operation, TestStore};

use super::keys::{NEW, NEWER, file, files, made, opens, put, repository, rewrap, with_keys};
use crate::support::holdfast::KEY;

fn changed<T>(result: &Result<T, RepositoryError>) -> bool {
    matches!(
        result,
        Err(RepositoryError::File(RepositoryFileError::Changed(_)))
    )
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
