//! Failures of copies. The job names the store and the reason, damaged data are not sent, and the
//! backup stays as good as it was. The next attempt completes the copy.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{BackupId, CopyStatus, JobStatus, ObjectKey, Timestamp, VerificationLevel};
use holdfast_operations::{CopyMode, CopyStep, Holdfast, OperationError, RunLimits, copy_backup};
use holdfast_recovery::verify;
use holdfast_storage::{PutMode, S3Store, Store};
use holdfast_testing::{
    Fault, FaultStore, Operation, aws_config_at, fresh_bucket,
    proxy::{FaultProxy, WireFault},
    unique,
};

use super::fixture::{Second, copied, over, read, step, told};
use crate::support::{
    content::{self, KEY, noise},
    database::Fixture,
};

const WRITES: [Operation; 4] = [
    Operation::Put,
    Operation::BeginUpload,
    Operation::UploadPart,
    Operation::CompleteUpload,
];
const ALL: [Operation; 8] = [
    Operation::Put,
    Operation::BeginUpload,
    Operation::UploadPart,
    Operation::CompleteUpload,
    Operation::Get,
    Operation::Head,
    Operation::List,
    Operation::Delete,
];

/// The copy fails with this code. Without the fault, the next attempt completes it.
async fn fails_and_is_made_up_for(operations: &[Operation], fault: Fault, code: &str) {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(10).await;
    let (id, second) = (f.back_up().await.backup_id, Second::new());
    let faults = FaultStore::new(second.memory.clone());
    for operation in operations {
        faults.on_every(*operation, fault);
    }
    let failed = step(&f.holdfast, &over(faults.clone()), &id)
        .await
        .unwrap_err();
    assert!(
        failed.to_string().contains("the second store s3://second/"),
        "{failed}"
    );
    assert_eq!(
        told(&f.holdfast, &id).await,
        (CopyStatus::Failed, Some(code.to_owned()))
    );
    let hint = f.job(&id).await.copy.unwrap().error.unwrap().hint.unwrap();
    assert!(hint.contains("BACKUP_CLOUD_"), "{hint}");
    assert!(!second.has(&ObjectKey::manifest(&id)).await);
    faults.heal();
    copied(&f.holdfast, &over(faults), &id).await;
    assert_eq!(told(&f.holdfast, &id).await, (CopyStatus::Completed, None));
    second.assert_good(&id).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_store_that_is_away_is_made_up_for() {
    fails_and_is_made_up_for(&ALL, Fault::Unavailable, "store-unavailable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_reported() {
    fails_and_is_made_up_for(&ALL, Fault::Denied, "store-denied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_second_store_is_reported_as_read_only() {
    fails_and_is_made_up_for(&WRITES, Fault::Denied, "store-denied").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_second_store_is_reported_as_full() {
    fails_and_is_made_up_for(&WRITES, Fault::Full, "store-full").await;
    fails_and_is_made_up_for(&[Operation::UploadPart], Fault::Full, "store-full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_unreachable_bucket_is_named() {
    let f = Fixture::new(&[]).await;
    f.fill(3).await;
    let id = f.back_up().await.backup_id;
    let endpoint = &holdfast_testing::parts().aws_endpoint;
    let at = |endpoint: &str, bucket: &str| {
        let client = holdfast_storage::s3_client(&aws_config_at(endpoint));
        let store = S3Store::new(client, bucket, "").with_retry(quick());
        over(Arc::new(store))
    };
    let missing = step(&f.holdfast, &at(endpoint, &unique("no-such")), &id)
        .await
        .unwrap_err();
    assert!(
        matches!(missing, OperationError::Copy(_)) && !missing.is_transient(),
        "{missing}"
    );
    let nobody = step(&f.holdfast, &at("http://127.0.0.1:9", "any"), &id)
        .await
        .unwrap_err();
    assert!(
        matches!(nobody, OperationError::Copy(_)) && nobody.is_transient(),
        "{nobody}"
    );
    // A real bucket behind a store with faults.
    let bucket = fresh_bucket().await;
    let proxy = FaultProxy::start().await;
    proxy.fail("PUT", &bucket, 2, WireFault::slow_down());
    let store = at(proxy.endpoint(), &bucket);
    copied(&f.holdfast, &store, &id).await;
    let level = VerificationLevel::Structure;
    assert_eq!(
        verify(&store, &id, level, Timestamp::now(), |_, _| ())
            .await
            .unwrap()
            .problems,
        [""; 0]
    );
    f.remove().await;
}

fn quick() -> holdfast_storage::RetryPolicy {
    let milliseconds = Duration::from_millis;
    holdfast_storage::RetryPolicy {
        attempts: 4,
        first_wait: milliseconds(5),
        longest_wait: milliseconds(50),
    }
}

async fn damage(store: &dyn Store, key: &ObjectKey, at: usize) {
    let mut bytes = read(store, key).await;
    bytes[at] ^= 1;
    store
        .put(key, bytes.into(), PutMode::Replace)
        .await
        .unwrap();
}

/// Asserts that the damaged object is named, and that the copy does not contain it.
async fn is_named_and_not_sent(h: &Holdfast, id: &BackupId, key: &ObjectKey) {
    let second = Second::new();
    let failed = step(h, &second.repository, id).await.unwrap_err();
    assert!(
        matches!(&failed, OperationError::Corrupt { .. }),
        "{key}: {failed}"
    );
    assert!(
        failed.to_string().contains(key.as_str()),
        "{failed} does not name {key}"
    );
    assert!(
        !second.has(key).await && !second.has(&ObjectKey::manifest(id)).await,
        "{key}"
    );
    assert_eq!(
        told(h, id).await,
        (CopyStatus::Failed, Some("store-corrupt".to_owned()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupted_dump_is_never_spread() {
    for settings in [
        &[][..],
        &[
            ("BACKUP_DATABASE_ENCRYPTION", "true"),
            ("BACKUP_ENCRYPTION_KEY", KEY),
        ],
    ] {
        let f = Fixture::new(settings).await;
        f.fill_with_noise(10).await;
        let job = f.back_up().await;
        let (id, key, store) = (job.backup_id, job.key.unwrap(), f.store.store.as_ref());
        let whole = read(store, &key).await;
        for at in [0, 1_000, 9 << 20, whole.len() - 1] {
            damage(store, &key, at).await;
            is_named_and_not_sent(&f.holdfast, &id, &key).await;
            store
                .put(&key, whole.clone().into(), PutMode::Replace)
                .await
                .unwrap();
        }
        let longer = [&whole[..], b"x"].concat();
        for other in [whole[..whole.len() - 1].to_vec(), longer, Vec::new()] {
            store
                .put(&key, other.into(), PutMode::Replace)
                .await
                .unwrap();
            is_named_and_not_sent(&f.holdfast, &id, &key).await;
        }
        store.delete(&key).await.unwrap();
        is_named_and_not_sent(&f.holdfast, &id, &key).await;
        store
            .put(&key, whole.into(), PutMode::Replace)
            .await
            .unwrap();
        copied(&f.holdfast, &Second::new().repository, &id).await;
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupted_content_is_never_spread() {
    let f = content::Fixture::new(&[]).await;
    f.fill(2).await;
    f.add_ipfs(3, noise(9 << 20)).await;
    let id = f.back_up().await.backup_id;
    let store = f.store.store.as_ref();
    let content = f.manifest(&id).await.content.unwrap();
    let (small, large) = (
        f.item(&id, "2").await.file.unwrap(),
        f.item(&id, "3").await.file.unwrap(),
    );
    let dag = large.dag.unwrap().artifact.key;
    for key in [
        content.item_list,
        content.archive[0].clone(),
        small.object.artifact.key,
        large.object.artifact.key,
        dag,
    ] {
        let whole = read(store, &key).await;
        damage(store, &key, whole.len() / 2).await;
        is_named_and_not_sent(&f.holdfast, &id, &key).await;
        store
            .put(&key, whole.into(), PutMode::Replace)
            .await
            .unwrap();
    }
    f.remove().await;
}

/// Pauses a copy at this call, and runs `meanwhile`.
async fn held_up(
    f: &Fixture,
    second: &Second,
    id: &BackupId,
    (operation, nth): (Operation, u32),
    meanwhile: impl AsyncFnOnce(),
) -> Result<CopyStep, OperationError> {
    let faults = FaultStore::new(second.memory.clone());
    faults.on(operation, nth, Fault::Late(Duration::from_secs(3)));
    let (h, through, id) = (f.holdfast.clone(), over(faults.clone()), id.clone());
    let copying = tokio::spawn(async move { step(&h, &through, &id).await });
    while faults.calls(operation) < nth {
        assert!(
            !copying.is_finished(),
            "{operation:?} was never called {nth} times"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    meanwhile().await;
    copying.await.unwrap()
}

async fn delete(f: &Fixture, id: &BackupId) {
    let change = holdfast_catalog::JobChange::default();
    f.holdfast
        .catalog
        .transition(id, JobStatus::Deleted, change, None)
        .await
        .unwrap();
    f.store
        .store
        .delete(&ObjectKey::manifest(id))
        .await
        .unwrap();
}

fn left_of(second: &Second, id: &BackupId) -> usize {
    second
        .memory
        .keys()
        .iter()
        .filter(|key| key.backup().as_ref() == Some(id))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_retention_deletes_while_it_is_copied_leaves_nothing() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(18).await;
    // Before a part is read, and before the manifest is put.
    for call in [(Operation::UploadPart, 2), (Operation::Put, 3)] {
        let (id, second) = (f.back_up().await.backup_id, Second::new());
        let ended = held_up(&f, &second, &id, call, async || delete(&f, &id).await).await;
        assert_eq!(ended.unwrap(), CopyStep::Gone, "{call:?}");
        assert_eq!(left_of(&second, &id), 0, "{call:?}");
        assert!(
            second
                .memory
                .list_unfinished_uploads("")
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(f.job(&id).await.copy.unwrap().status, CopyStatus::Deleted);
        // A copy of a deleted job does not begin either.
        assert_eq!(
            step(&f.holdfast, &second.repository, &id).await.unwrap(),
            CopyStep::Gone
        );
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_lost_during_its_copy_is_reported_and_its_copy_stays() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(10).await;
    let (id, second) = (f.back_up().await.backup_id, Second::new());
    let manifest = ObjectKey::manifest(&id);
    let by_hand = async || f.store.store.delete(&manifest).await.unwrap();
    let lost = held_up(&f, &second, &id, (Operation::Put, 3), by_hand)
        .await
        .unwrap_err();
    assert!(lost.to_string().contains("not retention"), "{lost}");
    assert_eq!(
        told(&f.holdfast, &id).await,
        (CopyStatus::Failed, Some("store-corrupt".to_owned()))
    );
    assert_eq!(left_of(&second, &id), 2, "the dump may be the last copy");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copier_hears_of_the_deletion_even_where_the_second_store_is_slow() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(10).await;
    let (id, second) = (f.back_up().await.backup_id, Second::new());
    let faults = FaultStore::new(second.memory.clone());
    faults.on(Operation::UploadPart, 1, Fault::Hang);
    let (h, through, copied_id) = (f.holdfast.clone(), over(faults.clone()), id.clone());
    let copying = tokio::spawn(async move {
        copy_backup(
            &h,
            &through,
            &copied_id,
            CopyMode::Missing,
            RunLimits::none(),
            &|_, _| (),
        )
        .await
    });
    while faults.calls(Operation::UploadPart) < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    f.holdfast
        .catalog
        .transition(
            &id,
            JobStatus::Deleted,
            holdfast_catalog::JobChange::default(),
            None,
        )
        .await
        .unwrap();
    // Its next beat.
    assert_eq!(copying.await.unwrap().unwrap(), CopyStep::Gone);
    f.remove().await;
}
