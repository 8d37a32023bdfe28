//! Every change in a stored backup is found, named, and never restored.

use bytes::Bytes;
use holdfast_domain::{BackupId, Job, ObjectKey, Secret, VerificationLevel, VerificationStatus};
use holdfast_recovery::{RecoveryError, restore_database, verify};
use holdfast_repository::RepositoryError;
use holdfast_storage::{PutMode, read_all};

use crate::support::database::{Fixture, KEY};

const ENCRYPTED: &[(&str, &str)] = &[
    ("BACKUP_DATABASE_ENCRYPTION", "true"),
    ("BACKUP_ENCRYPTION_KEY", KEY),
];
const MIB: usize = 1 << 20;

async fn object(f: &Fixture, key: &ObjectKey) -> Vec<u8> {
    read_all(f.store.store.as_ref(), key, 256 * MIB)
        .await
        .unwrap()
        .to_vec()
}

async fn put(f: &Fixture, key: &ObjectKey, bytes: Vec<u8>) {
    f.store
        .store
        .put(key, Bytes::from(bytes), PutMode::Replace)
        .await
        .unwrap();
}

/// Verification names the change, and a restore is refused before it writes anything.
async fn is_found(f: &Fixture, id: &BackupId, what: &str) {
    let now = holdfast_domain::Timestamp::now();
    // Boxed, here and below: the futures of entire use cases are too deep types for the compiler's
    // layout.
    let seen = Box::pin(verify(
        &f.holdfast.repository,
        id,
        VerificationLevel::Checksum,
        now,
        |_, _| {},
    ));
    let seen = seen.await.unwrap();
    assert_eq!(seen.status, VerificationStatus::Failed, "{what}");
    assert!(!seen.problems.is_empty(), "{what}");
    let (target, to) = f.target();
    let restored = Box::pin(restore_database(
        &f.holdfast.repository,
        id,
        &target,
        &|_| {},
    ));
    let error = restored.await.unwrap_err();
    assert!(
        matches!(
            error,
            RecoveryError::Repository(RepositoryError::Corrupt { .. } | RepositoryError::Store(_))
        ),
        "{what}: {error}"
    );
    assert!(
        f.client
            .database(&to)
            .list_collection_names()
            .await
            .unwrap()
            .is_empty(),
        "{what}"
    );
}

async fn every_change_is_found(f: &Fixture, job: &Job) {
    let key = job.key.clone().unwrap();
    let whole = object(f, &key).await;
    let len = whole.len();
    for at in [
        0,
        9,
        500,
        1024,
        len / 3,
        8 * MIB - 1,
        8 * MIB,
        len - 33,
        len - 1,
    ] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        put(f, &key, flipped).await;
        is_found(f, &job.backup_id, &format!("flipped at {at}")).await;
    }
    for cut in [0, 1, 1024, 8 * MIB, 16 * MIB, len - 32, len - 1] {
        put(f, &key, whole[..cut].to_vec()).await;
        is_found(f, &job.backup_id, &format!("cut at {cut}")).await;
    }
    put(f, &key, [&whole[..], b"x"].concat()).await;
    is_found(f, &job.backup_id, "extended").await;
    let mut swapped = whole.clone();
    swapped[..16 * MIB].rotate_left(8 * MIB);
    put(f, &key, swapped).await;
    is_found(f, &job.backup_id, "segments swapped").await;
    f.store.store.delete(&key).await.unwrap();
    is_found(f, &job.backup_id, "deleted").await;
    put(f, &key, whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_plain_artifact_is_found() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(18).await;
    let job = f.back_up().await;
    every_change_is_found(&f, &job).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_an_encrypted_artifact_is_found() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill_with_noise(18).await;
    let job = f.back_up().await;
    every_change_is_found(&f, &job).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_an_encrypted_manifest_is_found() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    let key = ObjectKey::manifest(&id);
    let whole = object(&f, &key).await;
    let text = String::from_utf8(whole.clone()).unwrap();
    let other_count = text.replacen(r#""documents":10"#, r#""documents":11"#, 1);
    let no_hmac = text[..text.rfind(r#","hmac""#).unwrap()].to_owned() + "}";
    for (what, changed) in [
        ("another count", other_count),
        ("no HMAC", no_hmac),
        ("cut", text[..100].to_owned()),
    ] {
        assert_ne!(changed, text, "{what}");
        put(&f, &key, changed.into_bytes()).await;
        is_found(&f, &id, what).await;
    }
    put(&f, &key, whole).await;
    f.restored(&id).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_put_in_anothers_place_is_found() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(10).await;
    let (one, other) = (f.back_up().await, f.back_up().await);
    put(
        &f,
        &ObjectKey::manifest(&one.backup_id),
        object(&f, &ObjectKey::manifest(&other.backup_id)).await,
    )
    .await;
    is_found(&f, &one.backup_id, "another's manifest").await;
    put(
        &f,
        other.key.as_ref().unwrap(),
        object(&f, one.key.as_ref().unwrap()).await,
    )
    .await;
    is_found(&f, &other.backup_id, "another's artifact").await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_with_other_documents_than_its_manifest_says_is_found_by_structure() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    let key = ObjectKey::manifest(&id);
    let text = String::from_utf8(object(&f, &key).await).unwrap();
    put(
        &f,
        &key,
        text.replacen(r#""documents":10"#, r#""documents":11"#, 1)
            .into_bytes(),
    )
    .await;
    let seen = verify(
        &f.holdfast.repository,
        &id,
        VerificationLevel::Structure,
        holdfast_domain::Timestamp::now(),
        |_, _| {},
    );
    let seen = seen.await.unwrap();
    assert_eq!(seen.status, VerificationStatus::Failed);
    assert!(
        seen.problems[0].contains("users has 10 documents, but its manifest declares 11"),
        "{:?}",
        seen.problems
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_wrong_key_is_refused_by_its_epoch() {
    let f = Fixture::new(ENCRYPTED).await;
    f.fill(10).await;
    let id = f.back_up().await.backup_id;
    for key in [
        None,
        Some(Secret::new("f".repeat(64))),
        Some(Secret::new("passphrase:correct horse battery")),
    ] {
        let h = f.with(|settings| settings.encryption_key = key);
        let (target, to) = f.target();
        let error = restore_database(&h.repository, &id, &target, &|_| {})
            .await
            .unwrap_err();
        assert!(error.to_string().contains("epoch 1"), "{error}");
        assert!(
            f.client
                .database(&to)
                .list_collection_names()
                .await
                .unwrap()
                .is_empty()
        );
    }
    f.remove().await;
}
