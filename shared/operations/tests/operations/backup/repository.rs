use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use holdfast_domain::{BackupType, Encoding, ObjectKey, Secret, Timestamp};
use holdfast_operations::trigger;
use holdfast_repository::{EncryptionMode, RepositoryError, RepositoryFileError, export_keys};
use holdfast_storage::{PutMode, read_all};
use holdfast_testing::{Fault, FaultStore, Operation};

use crate::support::database::{Fixture, KEY, failed, run};

const ENCRYPTED: &[(&str, &str)] = &[
    ("BACKUP_DATABASE_ENCRYPTION", "true"),
    ("BACKUP_ENCRYPTION_KEY", KEY),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_never_made_beside_old_backups() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(10).await;
    f.back_up().await;
    let file = read_all(f.store.store.as_ref(), &ObjectKey::repository(), 1 << 20)
        .await
        .unwrap();
    f.store
        .store
        .delete(&ObjectKey::repository())
        .await
        .unwrap();
    let error = f.holdfast.repository.open().await.unwrap_err();
    assert!(
        matches!(
            error,
            RepositoryError::File(RepositoryFileError::LostButCopied(_))
        ),
        "{error}"
    );
    f.store
        .store
        .delete(&ObjectKey::repository_copy())
        .await
        .unwrap();
    let fresh = f.with(|_| {});
    for error in [
        fresh.repository.open().await.unwrap_err(),
        fresh
            .repository
            .init(EncryptionMode::On, Timestamp::now())
            .await
            .unwrap_err(),
    ] {
        assert!(
            matches!(error, RepositoryError::File(RepositoryFileError::Lost(_))),
            "{error}"
        );
    }
    let job = trigger(&fresh, BackupType::Database, None, Timestamp::now())
        .await
        .unwrap();
    let job = failed(run(&fresh, job.backup_id).await);
    assert!(
        job.error
            .unwrap()
            .message
            .contains("never creates a new key")
    );
    assert!(!f.keys().await.contains(&"repository.json".to_owned()));
    f.store
        .store
        .put(&ObjectKey::repository_copy(), file, PutMode::IfAbsent)
        .await
        .unwrap();
    let report = fresh
        .repository
        .init(EncryptionMode::On, Timestamp::now())
        .await
        .unwrap();
    assert!(report.restored_from_copy && !report.created && !report.key_created);
    f.back_up().await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_make_one_repository_with_one_key() {
    let f = Fixture::new(ENCRYPTED).await;
    let inits = (0..8).map(|_| async {
        f.with(|_| {})
            .repository
            .init(EncryptionMode::On, Timestamp::now())
            .await
            .unwrap()
    });
    let reports = futures_util::future::join_all(inits).await;
    let exported = export_keys(&f.holdfast.repository).await.unwrap();
    assert_eq!(exported.len(), 1);
    assert!(
        reports
            .iter()
            .all(|report| report.repository_id == exported[0].repository)
    );
    let file = f.holdfast.repository.open().await.unwrap();
    assert_eq!(file.epochs.len(), 1);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_run_makes_meanwhile_is_not_taken_for_lost() {
    for nth in 1..=8 {
        let f = Fixture::new(ENCRYPTED).await;
        let faults = FaultStore::new(Arc::clone(&f.store.store));
        faults.on(Operation::Get, nth, Fault::Late(Duration::from_millis(400)));
        let slow = f.over(faults);
        let theirs = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            f.holdfast
                .repository
                .init(EncryptionMode::On, Timestamp::now())
                .await
                .unwrap()
        };
        let (ours, theirs) = tokio::join!(
            slow.repository.init(EncryptionMode::On, Timestamp::now()),
            theirs
        );
        let ours = ours.unwrap_or_else(|error| panic!("with a slow read {nth}: {error}"));
        assert_eq!(ours.repository_id, theirs.repository_id);
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_may_be_turned_on_later() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let plain = f.back_up().await;
    let h = f.with(|settings| {
        settings.database.encryption = true;
        settings.encryption_key = Some(Secret::new("passphrase:correct horse battery staple"));
    });
    let job = trigger(&h, BackupType::Database, None, Timestamp::now())
        .await
        .unwrap();
    let encrypted = crate::support::database::completed(run(&h, job.backup_id).await);
    assert!(!plain.encrypted && encrypted.encrypted);
    for id in [&plain.backup_id, &encrypted.backup_id] {
        let (target, _) = f.target();
        holdfast_recovery::restore_database(&h.repository, id, &target, &|_| {})
            .await
            .unwrap();
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_cannot_be_read_blocks_encryption_only_beside_encrypted_artifacts() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    let key = ObjectKey::manifest(&id);
    f.store
        .store
        .put(&key, Bytes::from_static(b"{"), PutMode::Replace)
        .await
        .unwrap();
    let h = f.with(|settings| settings.encryption_key = Some(Secret::new(KEY)));
    let artifact = ObjectKey::database_dump(&id, 9, Encoding::GZIP_ENCRYPTED);
    f.store
        .store
        .put(&artifact, Bytes::from_static(b"x"), PutMode::Replace)
        .await
        .unwrap();
    let error = h
        .repository
        .init(EncryptionMode::On, Timestamp::now())
        .await
        .unwrap_err();
    assert!(error.to_string().contains(id.as_str()), "{error}");
    f.store.store.delete(&artifact).await.unwrap();
    assert!(
        h.repository
            .init(EncryptionMode::On, Timestamp::now())
            .await
            .unwrap()
            .key_created
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_file_that_is_not_one_is_said() {
    let f = Fixture::new(&[]).await;
    f.holdfast
        .repository
        .init(EncryptionMode::Off, Timestamp::now())
        .await
        .unwrap();
    f.store
        .store
        .put(
            &ObjectKey::repository(),
            Bytes::from_static(b"{}"),
            PutMode::Replace,
        )
        .await
        .unwrap();
    let error = f.holdfast.repository.open().await.unwrap_err();
    assert!(
        matches!(
            error,
            RepositoryError::File(RepositoryFileError::Malformed { .. })
        ),
        "{error}"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_repository_file_gets_no_new_key_and_keeps_its_copy() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    let file = read_all(f.store.store.as_ref(), &ObjectKey::repository(), 1 << 20)
        .await
        .unwrap();
    let mut rolled_back = f.holdfast.repository.open().await.unwrap();
    rolled_back.epochs.clear();
    let rolled_back = Bytes::from(serde_json::to_vec(&rolled_back).unwrap());
    f.store
        .store
        .put(&ObjectKey::repository(), rolled_back, PutMode::Replace)
        .await
        .unwrap();
    let fresh = f.with(|_| {});
    let error = fresh
        .repository
        .init(EncryptionMode::On, Timestamp::now())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            RepositoryError::File(RepositoryFileError::CopyDiffers(_))
        ),
        "{error}"
    );
    let copy = read_all(
        f.store.store.as_ref(),
        &ObjectKey::repository_copy(),
        1 << 20,
    )
    .await
    .unwrap();
    assert_eq!(copy, file, "the last wrapped key is still there");
    f.store
        .store
        .delete(&ObjectKey::repository_copy())
        .await
        .unwrap();
    let error = fresh
        .repository
        .init(EncryptionMode::On, Timestamp::now())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            RepositoryError::File(RepositoryFileError::KeyLost(..))
        ),
        "{error}"
    );
    f.store
        .store
        .put(&ObjectKey::repository(), copy, PutMode::Replace)
        .await
        .unwrap();
    f.restored(&id).await;
    f.remove().await;
}
