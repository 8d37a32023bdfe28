//! Finalizing runs that die, or lose the store, at any point. The next run converges, and no record
//! is false.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{FailureCode, JobStatus, ObjectKey};
use holdfast_operations::{FinalizeOutcome, RunLimits, finalize_content};
use holdfast_testing::{Fault, FaultStore, Operation};

use crate::support::{
    content::finalized::{completed, failed, finalize},
    content::{Fixture, noise},
};

const DEAD: Duration = Duration::from_mins(2);

/// Runs until the store's `nth` call of this operation, and dies there.
async fn die_at(
    f: &Fixture,
    id: &holdfast_domain::BackupId,
    operation: Operation,
    nth: u32,
    fault: Fault,
) -> bool {
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(operation, nth, fault);
    let h = f.over(faults.clone());
    let died = tokio::select! {
        _ = finalize_content(&h, id, RunLimits::none()) => false,
        () = reached(&faults, operation, nth) => true,
    };
    assert!(
        died || faults.calls(operation) < nth,
        "{operation:?} {nth} was survived"
    );
    died
}

/// Waits until a run has reached this call.
async fn reached(faults: &FaultStore, operation: Operation, nth: u32) {
    while faults.calls(operation) < nth {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_at_any_write_is_followed_by_one_that_ends_it() {
    let mut deaths = 0;
    for (operation, nth) in [1, 2, 3, 4]
        .map(|nth| (Operation::Put, nth))
        .into_iter()
        .chain([
            (Operation::List, 1),
            (Operation::List, 2),
            (Operation::Get, 3),
            (Operation::Get, 5),
        ])
    {
        let f = Fixture::new(&[]).await;
        f.fill(4).await;
        let id = f.up_to_finalize().await;
        deaths += u32::from(die_at(&f, &id, operation, nth, Fault::Hang).await);
        f.age_lease(DEAD).await;
        match finalize(&f.holdfast, &id).await {
            FinalizeOutcome::Completed(_) | FinalizeOutcome::Skipped { .. } => {}
            outcome => panic!("{operation:?} {nth}: {outcome:?}"),
        }
        assert_eq!(
            f.job(&id).await.status,
            JobStatus::Completed,
            "{operation:?} {nth}"
        );
        let manifest = f.manifest(&id).await;
        assert_eq!(f.archived(&manifest).await.len(), 5, "{operation:?} {nth}");
        assert_eq!(
            f.keys_under(&ObjectKey::backup_prefix(&id)).await.len(),
            4,
            "{operation:?} {nth}"
        );
        f.remove().await;
    }
    assert!(deaths >= 6, "only {deaths} runs died");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_had_stored_is_used_and_not_made_again() {
    let f = Fixture::new(&[]).await;
    f.fill(4).await;
    let id = f.up_to_finalize().await;
    // The archive is the first object put, the list the second.
    assert!(die_at(&f, &id, Operation::Put, 2, Fault::Hang).await);
    let volume = f.keys_under(&ObjectKey::backup_prefix(&id)).await;
    assert_eq!(volume.len(), 1);
    f.age_lease(DEAD).await;
    completed(finalize(&f.holdfast, &id).await);
    let archive = f.manifest(&id).await.content.unwrap().archive;
    assert_eq!(
        archive.iter().map(ObjectKey::as_str).collect::<Vec<_>>(),
        [volume[0].as_str()]
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_paused_before_its_manifest_is_not_the_second_to_commit() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.up_to_finalize().await;
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    // The guide is written again before the manifest.
    faults.on(Operation::Put, 3, Fault::Late(Duration::from_secs(10)));
    let h = f.over(faults.clone());
    let paused = tokio::spawn({
        let id = id.clone();
        async move { finalize_content(&h, &id, RunLimits::none()).await }
    });
    reached(&faults, Operation::Put, 3).await;
    f.age_lease(DEAD).await;
    let second = completed(finalize(&f.holdfast, &id).await);
    let late = paused.await.unwrap().unwrap();
    assert!(matches!(late, FinalizeOutcome::Skipped { .. }), "{late:?}");
    let manifest = f.manifest(&id).await;
    assert_eq!(manifest.fence, f.job(&id).await.fence);
    assert_eq!(second.status, JobStatus::Completed);
    assert_eq!(f.archived(&manifest).await.len(), 3);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_fails_the_backup_and_leaves_no_artifact() {
    for operation in [Operation::Put, Operation::Get] {
        let f = Fixture::new(&[]).await;
        f.fill(2).await;
        let id = f.up_to_finalize().await;
        let faults = FaultStore::new(Arc::clone(&f.store.store));
        // Not the first read, because it reads the repository.
        faults.on(operation, 2, Fault::Denied);
        faults.on(operation, 4, Fault::Denied);
        let job = failed(finalize(&f.over(faults), &id).await);
        assert_eq!(
            job.error.unwrap().code,
            FailureCode::StoreDenied,
            "{operation:?}"
        );
        assert!(
            f.keys_under(&ObjectKey::backup_prefix(&id))
                .await
                .is_empty(),
            "{operation:?}"
        );
        assert_eq!(f.leases().await, 0);
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_manifest_is_no_failure() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.up_to_finalize().await;
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(Operation::Put, 4, Fault::LostAnswer);
    completed(finalize(&f.over(faults), &id).await);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_read_is_the_stores_fault_and_no_items() {
    let f = Fixture::new(&[]).await;
    f.add_gaia(1, noise(3 << 20)).await;
    let mut broken = 0;
    for nth in 2..=6 {
        let id = f.up_to_finalize().await;
        let faults = FaultStore::new(Arc::clone(&f.store.store));
        faults.on(Operation::Get, nth, Fault::Cut);
        match finalize(&f.over(faults), &id).await {
            FinalizeOutcome::Failed(job) => {
                assert_eq!(job.error.unwrap().code, FailureCode::StoreUnavailable);
                broken += 1;
            }
            outcome => drop(completed(outcome)),
        }
        assert!(f.item(&id, "1").await.error.is_none());
    }
    assert!(broken >= 2, "{broken}");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_leaves_what_a_paused_run_is_about_to_name() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.up_to_finalize().await;
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(Operation::Put, 4, Fault::Late(Duration::from_secs(8)));
    let h = f.over(faults.clone());
    let paused = tokio::spawn({
        let id = id.clone();
        async move { finalize_content(&h, &id, RunLimits::none()).await }
    });
    reached(&faults, Operation::Put, 4).await;
    let stored = f.keys_under(&ObjectKey::backup_prefix(&id)).await;
    f.age_lease(DEAD).await;
    let refused = FaultStore::new(Arc::clone(&f.store.store));
    refused.on_every(Operation::Put, Fault::Denied);
    let job = failed(finalize(&f.over(refused), &id).await);
    assert_eq!(job.error.unwrap().code, FailureCode::StoreDenied);
    let left = f.keys_under(&ObjectKey::backup_prefix(&id)).await;
    for key in stored.iter().filter(|key| !key.ends_with("RESTORE.md")) {
        assert!(left.contains(key), "{key} was removed");
    }
    paused.await.unwrap().unwrap();
    let manifest = f.manifest(&id).await;
    assert_eq!(
        f.archived(&manifest).await.len(),
        3,
        "the paused run committed a whole backup"
    );
    assert_eq!(f.listed(&manifest).await.len(), 2);
    f.remove().await;
}
