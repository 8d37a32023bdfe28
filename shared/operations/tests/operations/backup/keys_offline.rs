//! Keys kept offline open everything after all else is lost: an age identity, and exported master
//! keys.

use std::sync::Arc;

use holdfast_codec::{AgeIdentity, AgeRecipient, MasterKey};
use holdfast_domain::{ObjectKey, Secret, Timestamp, WrappedKey};
use holdfast_recovery::{RestoreTarget, restore_database, verify};
use holdfast_repository::{
    EncryptionMode, ExportedKey, KeyChange, Keyring, KeyringError, Openers, Repository,
    RepositoryError, export_keys,
};
use holdfast_storage::Store;
use holdfast_testing::TestStore;

use super::keys::{NEW, file, files, key, opens, put, repository, rewrap};
use crate::support::database::{Fixture, KEY};

/// Made by age-keygen, only for tests.
pub(crate) const IDENTITY: &str =
    "AGE-SECRET-KEY-1HAV5UXUL2GP87X96EGRF9P0K38N9TN7FTNKQC5A66SHY2QTQU6MQN69NGD";
pub(crate) const RECIPIENT: &str = "age1a2e5rfhv6c430dtzye3gmcuu6cauzne0s5kfmuhp3p4qpf86j9pq2e573v";
const STRANGERS: &str =
    "AGE-SECRET-KEY-1QURSWPC8QURSWPC8QURSWPC8QURSWPC8QURSWPC8QURSWPC8QURSKMP32K";

fn identity() -> Vec<AgeIdentity> {
    AgeIdentity::read_file(&Secret::new(IDENTITY)).unwrap()
}

/// With the identity as the only key.
fn by_identity(store: &Arc<dyn Store>) -> Repository {
    let openers = Openers {
        identities: identity(),
        ..Openers::default()
    };
    repository(Arc::clone(store), Keyring::none().opening_with(openers))
}

/// With exported keys only.
fn by_export(store: &Arc<dyn Store>, exported: &[ExportedKey]) -> Repository {
    let exported = exported
        .iter()
        .map(|key| (key.epoch, key.master().unwrap()))
        .collect();
    repository(
        Arc::clone(store),
        Keyring::none().opening_with(Openers {
            exported,
            ..Openers::default()
        }),
    )
}

fn recipient(text: &str) -> AgeRecipient {
    AgeRecipient::parse(text).unwrap()
}

/// A stranger with a known identity.
fn stranger() -> AgeIdentity {
    AgeIdentity::read_file(&Secret::new(STRANGERS))
        .unwrap()
        .remove(0)
}

const ENCRYPTED: &[(&str, &str)] = &[
    ("BACKUP_DATABASE_ENCRYPTION", "true"),
    ("BACKUP_ENCRYPTION_KEY", KEY),
    ("BACKUP_BREAK_GLASS_RECIPIENT", RECIPIENT),
];

async fn restores(f: &Fixture, repository: &Repository, id: &holdfast_domain::BackupId) {
    let (target, _): (RestoreTarget, String) = f.target();
    assert!(
        restore_database(repository, id, &target, &|_| {})
            .await
            .unwrap()
            .is_faithful()
    );
}

/// A repository with its master key wrapped under [`KEY`] and for these recipients.
async fn made(recipients: &[&str]) -> (TestStore, Repository) {
    let test = TestStore::new().await;
    let made = repository(Arc::clone(&test.store), Keyring::new(Some(key(KEY)), None));
    made.init(EncryptionMode::On, Timestamp::now())
        .await
        .unwrap();
    for text in recipients {
        rewrap(&made, KeyChange::AddRecipient(recipient(text)))
            .await
            .unwrap();
    }
    (test, made)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_identity_opens_everything_once_key_and_kms_are_gone() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(100).await;
    let id = f.back_up().await.backup_id;
    let offline = by_identity(&f.store.store);
    restores(&f, &offline, &id).await;
    let level = holdfast_domain::VerificationLevel::Structure;
    let verified = verify(&offline, &id, level, Timestamp::now(), |_, _| {})
        .await
        .unwrap();
    assert_eq!(
        verified.status,
        holdfast_domain::VerificationStatus::Passed,
        "{:?}",
        verified.problems
    );
    assert_eq!(export_keys(&offline).await.unwrap().len(), 1);

    // Gives the repository a new key, used by all later backups.
    let openers = Openers {
        identities: identity(),
        ..Openers::default()
    };
    let recovering = Keyring::new(Some(key(NEW)), None).opening_with(openers);
    rewrap(
        &repository(Arc::clone(&f.store.store), recovering),
        KeyChange::Rotate,
    )
    .await
    .unwrap();
    assert!(!opens(&f.with(|_| {}).repository).await);
    restores(
        &f,
        &f.with(|settings| settings.encryption_key = Some(Secret::new(NEW)))
            .repository,
        &id,
    )
    .await;
    restores(&f, &by_identity(&f.store.store), &id).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_identity_opens_nothing_and_a_missing_one_is_named() {
    let (test, _) = made(&[RECIPIENT]).await;
    let openers = Openers {
        identities: vec![stranger()],
        ..Openers::default()
    };
    let error = repository(
        Arc::clone(&test.store),
        Keyring::none().opening_with(openers),
    )
    .master_key(1)
    .await;
    assert!(error.unwrap_err().to_string().contains("no given identity"));
    let error = repository(Arc::clone(&test.store), Keyring::none())
        .master_key(1)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("--identity") && error.to_string().contains(RECIPIENT),
        "{error}"
    );
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_is_set_later_is_missed_until_it_is_added() {
    let (test, _) = made(&[]).await;
    let keyring = || Keyring::new(Some(key(KEY)), None).wrapping_for(Some(recipient(RECIPIENT)));
    let with_recipient = repository(Arc::clone(&test.store), keyring());
    assert!(
        with_recipient
            .init(EncryptionMode::On, Timestamp::now())
            .await
            .unwrap()
            .lacks_recipient
    );
    rewrap(
        &with_recipient,
        KeyChange::AddRecipient(recipient(RECIPIENT)),
    )
    .await
    .unwrap();
    assert!(
        !with_recipient
            .init(EncryptionMode::On, Timestamp::now())
            .await
            .unwrap()
            .lacks_recipient
    );
    assert!(opens(&by_identity(&test.store)).await);
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_added_twice_is_there_once_and_removed_opens_nothing() {
    let (test, made) = made(&[RECIPIENT, RECIPIENT]).await;
    let strangers = stranger().recipient().clone();
    rewrap(&made, KeyChange::AddRecipient(strangers.clone()))
        .await
        .unwrap();
    let methods = |file: &holdfast_domain::RepositoryFile| {
        file.epochs[0]
            .keys
            .iter()
            .map(WrappedKey::method)
            .collect::<Vec<_>>()
    };
    assert_eq!(methods(&files(&test.store).await), ["key", "age", "age"]);
    rewrap(&made, KeyChange::RemoveRecipient(RECIPIENT.to_owned()))
        .await
        .unwrap();
    assert!(!opens(&by_identity(&test.store)).await && opens(&made).await);
    let again = rewrap(&made, KeyChange::RemoveRecipient(RECIPIENT.to_owned())).await;
    assert!(matches!(again, Err(RepositoryError::Invalid(_))));

    let mut alone = files(&test.store).await;
    alone.revision += 1;
    alone.epochs[0]
        .keys
        .retain(|key| matches!(key, WrappedKey::Age { .. }));
    let openers = Openers {
        identities: vec![stranger()],
        ..Openers::default()
    };
    put(&test.store, &ObjectKey::repository(), &alone).await;
    let theirs = repository(
        Arc::clone(&test.store),
        Keyring::none().opening_with(openers),
    );
    let last = rewrap(&theirs, KeyChange::RemoveRecipient(strangers.to_string())).await;
    assert!(
        matches!(last, Err(RepositoryError::Invalid(_))),
        "nothing would open it any more"
    );
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_gives_the_key_to_the_settings_recipient_alone_and_leaves_the_others_as_they_are()
 {
    let (test, _) = made(&[RECIPIENT]).await;
    let mut planted = files(&test.store).await;
    let strangers = stranger().recipient().clone();
    // A writer of the file can add a recipient, but has no key to wrap for it.
    let nothing = hex::encode(strangers.wrap(&MasterKey::new([0; 32])).unwrap());
    planted.epochs[0].keys.push(WrappedKey::Age {
        recipient: strangers.to_string(),
        file: nothing,
    });
    let hostile = WrappedKey::Age {
        recipient: "`; rm -rf ~\n```bash\n\u{1b}[2J".to_owned(),
        file: "zz".to_owned(),
    };
    planted.epochs[0].keys.push(hostile.clone());
    for name in [ObjectKey::repository(), ObjectKey::repository_copy()] {
        put(&test.store, &name, &planted).await;
    }
    let openers = Openers {
        previous_keys: vec![key(KEY)],
        ..Openers::default()
    };
    let keyring = Keyring::new(Some(key(NEW)), None)
        .wrapping_for(Some(recipient(RECIPIENT)))
        .opening_with(openers);
    rewrap(
        &repository(Arc::clone(&test.store), keyring),
        KeyChange::Rotate,
    )
    .await
    .unwrap();
    let now = files(&test.store).await;
    assert_eq!(
        now.epochs[0]
            .keys
            .iter()
            .map(WrappedKey::method)
            .collect::<Vec<_>>(),
        ["key", "age", "age", "age"]
    );
    assert_ne!(
        now.epochs[0].keys[1], planted.epochs[0].keys[1],
        "wrapped anew"
    );
    assert_eq!(now.epochs[0].keys[2..], planted.epochs[0].keys[2..]);
    let openers = Openers {
        identities: vec![stranger()],
        ..Openers::default()
    };
    let theirs = repository(
        Arc::clone(&test.store),
        Keyring::none().opening_with(openers),
    );
    let error = theirs.master_key(1).await.unwrap_err();
    assert!(
        error.to_string().contains("is not its master key")
            && !error.to_string().contains("rm -rf"),
        "{error}"
    );
    assert!(opens(&by_identity(&test.store)).await);
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_key_that_was_put_in_the_place_of_the_right_one_is_refused_by_identity_too() {
    let (test, made) = made(&[RECIPIENT]).await;
    let right = made.master_key(1).await.unwrap();
    let mut forged = files(&test.store).await;
    let theirs = hex::encode(recipient(RECIPIENT).wrap(&MasterKey::new([7; 32])).unwrap());
    forged.epochs[0].keys = vec![WrappedKey::Age {
        recipient: RECIPIENT.to_owned(),
        file: theirs,
    }];
    put(&test.store, &ObjectKey::repository(), &forged).await;
    let error = by_identity(&test.store).master_key(1).await.unwrap_err();
    assert!(
        matches!(
            error,
            RepositoryError::Key(KeyringError::DoesNotOpen { .. })
        ),
        "{error}"
    );
    assert_eq!(
        file(&test.store, &ObjectKey::repository()).await.epochs[0].fingerprint,
        Some(right.fingerprint())
    );
    test.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exported_keys_open_backups_with_both_files_lost_and_make_them_again() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(100).await;
    let id = f.back_up().await.backup_id;
    let exported = export_keys(&f.holdfast.repository).await.unwrap();
    for lost in [ObjectKey::repository(), ObjectKey::repository_copy()] {
        f.store.store.delete(&lost).await.unwrap();
    }
    restores(&f, &by_export(&f.store.store, &exported), &id).await;

    let fresh = || {
        f.with(|settings| settings.encryption_key = Some(Secret::new(NEW)))
            .repository
    };
    let wrong = [ExportedKey {
        master_key: Secret::new("ab".repeat(32)),
        ..copied(&exported[0])
    }];
    let other = [ExportedKey {
        repository: holdfast_domain::RepositoryId::new([1; 16]),
        ..copied(&exported[0])
    }];
    let epoch = [ExportedKey {
        epoch: 2,
        ..copied(&exported[0])
    }];
    let twice = [copied(&exported[0]), copied(&exported[0])];
    for refused in [&wrong[..], &other, &epoch, &twice, &[]] {
        let error = fresh().import(refused, Timestamp::now()).await.unwrap_err();
        assert!(matches!(error, RepositoryError::Invalid(_)), "{error}");
    }
    assert!(
        !f.keys()
            .await
            .iter()
            .any(|key| key.starts_with("repository."))
    );

    let report = fresh().import(&exported, Timestamp::now()).await.unwrap();
    assert_eq!(report.repository_id, exported[0].repository);
    files(&f.store.store).await;
    restores(&f, &fresh(), &id).await;
    restores(&f, &by_identity(&f.store.store), &id).await;
    let again = fresh().import(&exported, Timestamp::now()).await;
    assert!(
        matches!(again, Err(RepositoryError::Invalid(_))),
        "never over what is there"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_exported_key_is_refused() {
    let (test, made) = made(&[]).await;
    let mut exported = export_keys(&made).await.unwrap();
    assert!(opens(&by_export(&test.store, &exported)).await);
    exported[0].master_key = Secret::new("ab".repeat(32));
    let error = by_export(&test.store, &exported)
        .master_key(1)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("mistyped"), "{error}");
    test.remove().await;
}

fn copied(key: &ExportedKey) -> ExportedKey {
    let ExportedKey {
        repository,
        epoch,
        master_key,
    } = key;
    ExportedKey {
        repository: repository.clone(),
        epoch: *epoch,
        master_key: master_key.clone(),
    }
}
