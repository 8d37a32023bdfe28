//! The life of a copy on a real server of each kind: interrupted inside an object, resumed, read
//! completely, repaired, deleted.

use holdfast_catalog::JobChange;
use holdfast_codec::KeyEncryptionKey;
use holdfast_domain::{
    BackupId, JobStatus, ObjectKey, Secret, Timestamp, VerificationLevel, VerificationStatus,
};
use holdfast_operations::{RunLimits, remove_copies};
use holdfast_recovery::verify;
use holdfast_repository::{Keyring, Repository};
use holdfast_testing::{Fault, FaultStore, Operation, SecondStore};

use super::fixture::{copied, read, repaired, step};
use crate::support::content::{Fixture, KEY, noise};

async fn lives(second: SecondStore) {
    let f = Fixture::new(&[
        ("BACKUP_CONTENT_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    f.fill(4).await;
    f.add_gaia(5, noise(18 << 20)).await;
    let id = f.back_up().await.backup_id;
    let faults = FaultStore::new(second.store.clone());
    let key = KeyEncryptionKey::parse(&Secret::new(KEY)).unwrap();
    let copy = Repository::new(
        faults.clone(),
        second.location.clone(),
        Keyring::new(Some(key), None),
    );
    faults.on(Operation::UploadPart, 2, Fault::Unavailable);
    assert!(
        step(&f.holdfast, &copy, &id)
            .await
            .unwrap_err()
            .is_transient()
    );
    copied(&f.holdfast, &copy, &id).await;
    assert_eq!(
        second.all_keys().await,
        f.keys().await,
        "{}",
        second.location
    );
    assert_eq!(
        found(&copy, &id, VerificationLevel::Structure).await,
        [""; 0]
    );
    assert_eq!(copied(&f.holdfast, &copy, &id).await.copied, 0);

    let large = f.item(&id, "5").await.file.unwrap().object.artifact.key;
    let good = read(f.store.store.as_ref(), &large).await;
    let mut bad = good.clone();
    bad[9 << 20] ^= 1;
    second.store.delete(&large).await.unwrap();
    put_in_parts(&second, &large, &bad).await;
    let named = found(&copy, &id, VerificationLevel::Checksum).await;
    assert!(
        named.iter().any(|problem| problem.contains(large.as_str())),
        "{}: {named:?}",
        second.location
    );
    assert_eq!(
        repaired(&f.holdfast, &copy, &id)
            .await
            .unwrap()
            .mended
            .len(),
        1
    );
    assert!(read(second.store.as_ref(), &large).await == good);

    f.holdfast
        .catalog
        .transition(&id, JobStatus::Deleted, JobChange::default(), None)
        .await
        .unwrap();
    f.store
        .store
        .delete(&ObjectKey::manifest(&id))
        .await
        .unwrap();
    let later = Timestamp::now() + jiff::SignedDuration::from_hours(48);
    let removed = remove_copies(&f.holdfast, &copy, RunLimits::none(), later)
        .await
        .unwrap();
    assert_eq!(
        removed.all_problems().count(),
        0,
        "{}: {removed:?}",
        second.location
    );
    assert_eq!((removed.deleted.len(), removed.retained), (1, 0));
    assert_eq!(
        second.all_keys().await,
        ["repository.copy.json", "repository.json"],
        "{removed:?}"
    );
    second.remove().await;
    f.remove().await;
}

async fn found(copy: &Repository, id: &BackupId, level: VerificationLevel) -> Vec<String> {
    let found = verify(copy, id, level, Timestamp::now(), |_, _| ())
        .await
        .unwrap();
    assert_eq!(
        found.problems.is_empty(),
        found.status == VerificationStatus::Passed
    );
    found.problems
}

/// As another user with write access would do it.
async fn put_in_parts(second: &SecondStore, key: &ObjectKey, bytes: &[u8]) {
    let upload = second.store.begin_upload(key).await.unwrap();
    let mut parts = Vec::new();
    for (number, part) in (1..).zip(bytes.chunks(8 << 20)) {
        parts.push(
            second
                .store
                .upload_part(key, &upload, number, part.to_vec().into())
                .await
                .unwrap(),
        );
    }
    second
        .store
        .complete_upload(key, &upload, &parts)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_lives_in_another_region() {
    lives(SecondStore::in_another_region().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_lives_in_azure() {
    lives(SecondStore::azure().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_lives_in_what_has_s3s_calls_alone() {
    lives(SecondStore::interoperable().await).await;
}
