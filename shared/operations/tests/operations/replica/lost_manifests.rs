//! A missing manifest in the first store protects all its data in the second store too.

use std::time::Duration;

use holdfast_domain::{BackupId, BackupType, CopyStatus, Encoding, JobStatus, ObjectKey};
use holdfast_operations::{CopyStep, OperationError};
use holdfast_storage::{PutMode, Store as _};
use holdfast_testing::{Fault, FaultStore, Operation};
use tokio::task::JoinHandle;

use super::{
    fixture::{over, step},
    retention::Copies,
};
use crate::support::simulation::{NO_FILE, object_of};

/// Two content backups with copies, and an unreferenced object in the second store.
async fn copied() -> (Copies, [BackupId; 2], ObjectKey) {
    let copies = Copies::new().await;
    let first = copies.world.back_up_content(&["a", "b"]).await.unwrap();
    copies.copy(&first).await;
    let next = copies.world.back_up_content(&["b", "c"]).await.unwrap();
    copies.copy(&next).await;
    let stray = ObjectKey::content_object(&NO_FILE, Encoding::PLAIN);
    copies
        .second
        .memory
        .put(&stray, "x".into(), PutMode::IfAbsent)
        .await
        .unwrap();
    copies.pass_days(2);
    (copies, [first, next], stray)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_collected_in_the_second_store_while_a_manifest_is_missing_in_the_first() {
    let (copies, [first, next], stray) = copied().await;
    // Even if the copy is lost too, so that no list names its files.
    copies
        .world
        .store
        .delete(&ObjectKey::manifest(&first))
        .await
        .unwrap();
    copies
        .second
        .memory
        .delete(&ObjectKey::manifest(&first))
        .await
        .unwrap();
    for is_marked in [false, true, true] {
        let report = copies.remove_copies().await;
        let why = report.collection.suspended.clone().unwrap_or_default();
        assert!(
            why.contains(first.as_str()),
            "marked {is_marked}: {report:?}"
        );
        assert_eq!(
            (report.collection.deleted, report.deleted.len()),
            (0, 0),
            "marked {is_marked}"
        );
        assert!(copies.second.has(&object_of("a")).await && copies.second.has(&stray).await);
        assert!(copies.world.retain().await.needs_attention());
    }
    copies.world.accept(&first).await.unwrap();
    assert!(!copies.world.retain().await.needs_attention());
    let report = copies.remove_copies().await;
    assert_eq!(
        (report.deleted.len(), report.collection.deleted),
        (1, 3),
        "file, blocks, stray object: {report:?}"
    );
    assert_eq!(copies.left_of(&first), 0);
    copies.second.assert_whole(&next).await;
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_in_the_second_store_while_the_first_looks_like_the_wrong_one() {
    let (copies, ids, stray) = copied().await;
    copies.keep_newest(BackupType::Content).await;
    assert_eq!(copies.world.retain().await.content.deleted.len(), 1);
    let keys = copies.second.memory.keys();
    let elsewhere = copies.world.through(holdfast_testing::MemoryStore::new());
    super::fixture::put_files(elsewhere.repository.store().as_ref()).await;
    let now = copies.world.now();
    let second = &copies.second.repository;
    let report = holdfast_operations::remove_copies(
        &elsewhere,
        second,
        holdfast_operations::RunLimits::none(),
        now,
    );
    let report = report.await.unwrap();
    assert!(
        report
            .suspended
            .as_ref()
            .is_some_and(|why| why.contains("0 of the 1")),
        "{report:?}"
    );
    assert_eq!(copies.second.memory.keys(), keys);
    let report = copies.remove_copies().await;
    assert_eq!((report.suspended, report.deleted.len()), (None, 1));
    assert!(!copies.second.has(&stray).await && copies.left_of(&ids[0]) == 0);
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_of_a_lost_backup_is_not_discarded_and_is_made_once_it_is_back() {
    let copies = Copies::new().await;
    let ids = copies.world.back_up_daily(2).await;
    let key = ObjectKey::manifest(&ids[0]);
    let manifest = holdfast_storage::read_all(&*copies.world.store, &key, 1 << 20)
        .await
        .unwrap();
    copies.world.store.delete(&key).await.unwrap();
    copies.world.retain().await;
    let error = step(&copies.world.h, &copies.second.repository, &ids[0])
        .await
        .unwrap_err();
    assert!(matches!(error, OperationError::Corrupt { .. }), "{error}");
    copies
        .world
        .store
        .put(&key, manifest, PutMode::IfAbsent)
        .await
        .unwrap();
    assert_eq!(copies.world.retain().await.database.returned, ids[..1]);
    copies.copy(&ids[0]).await;
    let job = copies.world.h.catalog.get(&ids[0]).await.unwrap();
    assert_eq!(
        (job.status, job.copy.unwrap().status),
        (JobStatus::Completed, CopyStatus::Completed)
    );
    copies.second.assert_whole(&ids[0]).await;
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_that_was_accepted_in_the_wrong_store_costs_no_copy() {
    let (copies, ids, _) = copied().await;
    for id in &ids {
        copies.world.accept_elsewhere(id).await;
    }
    assert_eq!(copies.remove_copies().await.deleted.len(), 0);
    assert_eq!(copies.world.retain().await.content.returned.len(), 2);
    assert_eq!(copies.remove_copies().await.deleted.len(), 0);
    for id in &ids {
        copies.second.assert_whole(id).await;
        assert_eq!(copies.world.status(id).await, JobStatus::Completed);
    }
    copies.world.remove().await;
}

/// A copy that has sent the dump, and is sending the guide until after its next beat.
async fn copying_until_the_guide(
    copies: &Copies,
    id: &BackupId,
) -> JoinHandle<Result<CopyStep, OperationError>> {
    /// The guide's, after the repository's file, its copy and the dump.
    const PUT_OF_GUIDE: u32 = 4;
    let faults = FaultStore::new(copies.second.memory.clone());
    faults.on(
        Operation::Put,
        PUT_OF_GUIDE,
        Fault::Late(Duration::from_secs(15)),
    );
    let (h, second, backup) = (copies.world.h.clone(), over(faults.clone()), id.clone());
    let copying = tokio::spawn(async move { step(&h, &second, &backup).await });
    while faults.calls(Operation::Put) < PUT_OF_GUIDE {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    copying
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_progress_is_not_discarded_if_the_manifest_of_an_accepted_loss_is_in_the_store() {
    let copies = Copies::new().await;
    let id = copies.world.back_up_daily(2).await.remove(0);
    let copying = copying_until_the_guide(&copies, &id).await;
    let sent = copies.left_of(&id);
    assert!(sent > 0);
    copies.world.accept_elsewhere(&id).await;
    // The next beat finds the decision.
    let outcome = copying.await.unwrap().unwrap();
    assert!(
        matches!(&outcome, CopyStep::Busy(why) if why.contains("its manifest is back")),
        "{outcome:?}"
    );
    assert!(copies.left_of(&id) >= sent, "what was sent is kept");
    assert_eq!(
        copies.world.retain().await.database.returned,
        std::slice::from_ref(&id)
    );
    copies.copy(&id).await;
    copies.second.assert_whole(&id).await;
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_progress_is_discarded_once_its_loss_is_accepted() {
    let copies = Copies::new().await;
    let id = copies.world.back_up_daily(2).await.remove(0);
    let copying = copying_until_the_guide(&copies, &id).await;
    copies
        .world
        .store
        .delete(&ObjectKey::manifest(&id))
        .await
        .unwrap();
    copies.world.accept(&id).await.unwrap();
    assert_eq!(copying.await.unwrap().unwrap(), CopyStep::Gone);
    assert_eq!(copies.left_of(&id), 0);
    copies.world.remove().await;
}
