//! A run dies at any await, or is paused past its lease. The next run converges, and no record is
//! false.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{
    BackupId, BackupType, Encoding, FailureCode, JobStatus, ObjectKey, Timestamp,
};
use holdfast_operations::{
    BackupOutcome, BackupRequest, RunLimits, SkipReason, back_up_database, sweep,
};
use holdfast_testing::{Fault, FaultStore, Operation};
use tokio::task::JoinHandle;

use crate::support::database::{Fixture, completed, run};

/// The invariants without an active run: a job is completed if and only if its manifest exists, and
/// every artifact of a manifest exists.
async fn the_catalogue_tells_the_truth(f: &Fixture) {
    let listed = f.holdfast.repository.list().await.unwrap();
    for backup in &listed {
        assert_eq!(f.job(&backup.backup_id).await.status, JobStatus::Completed);
        for artifact in &backup.manifest.as_ref().unwrap().artifacts {
            f.store.store.head(&artifact.key).await.unwrap();
        }
    }
    let completed = holdfast_catalog::JobFilter {
        backup_type: None,
        status: Some(JobStatus::Completed),
    };
    assert_eq!(
        f.holdfast.catalog.list(completed, 1, 100).await.unwrap().1,
        listed.len() as u64
    );
    assert!(f.holdfast.catalog.active(None).await.unwrap().is_empty());
    assert_eq!(f.leases().await, 0);
    assert_eq!(f.store.unfinished_uploads().await, 0);
}

// The put of the dump in the first run of a repository, after the repository's file and its copy.
const PUT_OF_DUMP: u32 = 3;
const PUT_OF_GUIDE: u32 = 4;
const PUT_OF_MANIFEST: u32 = 5;

/// A run paused for three seconds before a put.
async fn paused_at(f: &Fixture, id: &BackupId, put: u32) -> JoinHandle<BackupOutcome> {
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(Operation::Put, put, Fault::Late(Duration::from_secs(3)));
    let (h, id) = (f.over(faults.clone()), id.clone());
    let paused = tokio::spawn(async move { run(&h, id).await });
    while faults.calls(Operation::Put) < put {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    paused
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_anywhere_is_taken_over_by_its_second_invocation() {
    let f = Fixture::new(&[]).await;
    f.fill(400).await;
    // The duration of a complete run here decides when the others are killed.
    let begun = std::time::Instant::now();
    f.back_up().await;
    let whole = begun.elapsed();
    let mut taken_over = 0;
    for cut in 1..=12 {
        let id = f.trigger().await;
        let task = tokio::spawn({
            let (h, id) = (f.holdfast.clone(), id.clone());
            async move { run(&h, id).await }
        });
        tokio::time::sleep(whole * cut / 12).await;
        task.abort();
        let _ = task.await;
        f.age_lease(61).await;
        match run(&f.holdfast, id.clone()).await {
            BackupOutcome::Completed(job) => taken_over += u32::from(job.fence > 1),
            BackupOutcome::Skipped {
                reason: SkipReason::AlreadyFinished(JobStatus::Completed),
                ..
            } => {}
            other => panic!("cut {cut}: {other:?}"),
        }
        // The sweep removes the remains of the killed run's upload.
        sweep(&f.holdfast, None, Timestamp::now()).await.unwrap();
        the_catalogue_tells_the_truth(&f).await;
    }
    assert!(taken_over > 0, "no cut hit a run that had begun");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_is_settled_as_stalled_and_the_next_backup_works() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(Operation::Put, PUT_OF_DUMP, Fault::Hang);
    let id = f.trigger().await;
    let hanging = tokio::spawn({
        let (h, id) = (f.over(faults.clone()), id.clone());
        async move { run(&h, id).await }
    });
    tokio::time::timeout(Duration::from_secs(30), async {
        while faults.calls(Operation::Put) < PUT_OF_DUMP {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    hanging.abort();
    let report = sweep(&f.holdfast, None, Timestamp::now()).await.unwrap();
    assert!(report.stalled.is_empty(), "it may only be slow");
    f.age_lease(61).await;
    let report = sweep(&f.holdfast, None, Timestamp::now()).await.unwrap();
    assert_eq!(report.stalled, std::slice::from_ref(&id));
    assert_eq!(f.job(&id).await.error.unwrap().code, FailureCode::Stalled);
    f.back_up().await;
    the_catalogue_tells_the_truth(&f).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_after_its_manifest_is_completed_by_the_sweep() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let job = f.back_up().await;
    f.rewind(&job.backup_id, "committing").await;
    f.lease_of_a_dead_run(&job.backup_id).await;
    let report = sweep(&f.holdfast, None, Timestamp::now()).await.unwrap();
    assert_eq!(report.completed, std::slice::from_ref(&job.backup_id));
    assert_eq!(f.job(&job.backup_id).await.checksum, job.checksum);
    the_catalogue_tells_the_truth(&f).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_comes_after_its_job_was_given_up_wins() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.trigger().await;
    let paused = paused_at(&f, &id, PUT_OF_MANIFEST).await;
    f.age_lease(61).await;
    assert_eq!(
        sweep(&f.holdfast, None, Timestamp::now())
            .await
            .unwrap()
            .stalled,
        std::slice::from_ref(&id)
    );
    // The run itself corrects the settled job's row, because the manifest exists and decides.
    completed(paused.await.unwrap());
    assert_eq!(f.job(&id).await.status, JobStatus::Completed);
    the_catalogue_tells_the_truth(&f).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_run_that_was_taken_over_writes_no_manifest() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.trigger().await;
    let paused = paused_at(&f, &id, PUT_OF_DUMP).await;
    f.age_lease(61).await;
    let job = completed(run(&f.holdfast, id.clone()).await);
    assert_eq!(job.fence, 2);
    let outcome = paused.await.unwrap();
    let completed_elsewhere = SkipReason::AlreadyFinished(JobStatus::Completed);
    assert!(
        matches!(&outcome, BackupOutcome::Skipped { reason, .. } if *reason == completed_elsewhere),
        "{outcome:?}"
    );
    let manifest = f.holdfast.repository.manifest(&id).await.unwrap();
    assert_eq!(
        manifest.artifacts[0].key,
        ObjectKey::database_dump(&id, 2, Encoding::GZIP)
    );
    assert_eq!(
        f.keys()
            .await
            .iter()
            .filter(|key| key.contains("dump."))
            .count(),
        1,
        "its own dump it removed"
    );
    the_catalogue_tells_the_truth(&f).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_of_a_killed_run_are_removed_once_no_manifest_can_name_them() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let good = f.back_up().await;
    let lost = f.back_up().await;
    let (manifest, dump) = (
        ObjectKey::manifest(&lost.backup_id),
        lost.key.clone().unwrap(),
    );
    // A run of another catalogue, and an earlier run of the good backup.
    let foreign = ObjectKey::database_dump(&"db_1_ab".parse().unwrap(), 1, Encoding::GZIP);
    let earlier = ObjectKey::database_dump(&good.backup_id, 7, Encoding::GZIP);
    for key in [&foreign, &earlier] {
        f.store
            .store
            .put(
                key,
                bytes::Bytes::from_static(b"x"),
                holdfast_storage::PutMode::Replace,
            )
            .await
            .unwrap();
    }
    f.store.store.delete(&manifest).await.unwrap();
    f.rewind(&lost.backup_id, "failed").await;
    let sweep_in = async |hours| {
        sweep(
            &f.holdfast,
            None,
            Timestamp::now() + jiff::SignedDuration::from_hours(hours),
        )
        .await
        .unwrap()
    };
    assert_eq!(
        sweep_in(23).await.objects_removed,
        0,
        "its run may only be paused"
    );
    let report = sweep_in(25).await;
    assert_eq!((report.objects_removed, report.problems), (3, vec![]));
    let keys = f.keys().await;
    assert!(!keys.contains(&dump.to_string()) && !keys.contains(&earlier.to_string()));
    assert!(
        keys.contains(&foreign.to_string()),
        "another catalogue may know it"
    );
    f.restored(&good.backup_id).await;
    // A deleted manifest may come back.
    f.store
        .store
        .delete(&ObjectKey::manifest(&good.backup_id))
        .await
        .unwrap();
    let report = sweep_in(26).await;
    assert_eq!(report.objects_removed, 0);
    assert!(
        report.problems[0].contains("its manifest is missing"),
        "{:?}",
        report.problems
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_of_a_run_that_was_taken_over_is_put_right() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.trigger().await;
    let paused = paused_at(&f, &id, PUT_OF_GUIDE).await;
    f.age_lease(61).await;
    let job = completed(run(&f.holdfast, id.clone()).await);
    paused.await.unwrap();
    let guide = holdfast_storage::read_all(
        f.store.store.as_ref(),
        &ObjectKey::restore_guide(&id),
        1 << 20,
    )
    .await
    .unwrap();
    assert!(String::from_utf8_lossy(&guide).contains(job.key.unwrap().file_name()));
    f.restored(&id).await;
    the_catalogue_tells_the_truth(&f).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_tick_under_a_new_catalogue_leaves_the_backup_alone() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let request = BackupRequest::Scheduled {
        kind: BackupType::Database,
        tick: Timestamp::now(),
        by: None,
    };
    let job = completed(
        back_up_database(&f.holdfast, request.clone(), RunLimits::none())
            .await
            .unwrap(),
    );
    f.client.database(&f.catalog_database).drop().await.unwrap();
    let again = back_up_database(&f.holdfast, request, RunLimits::none())
        .await
        .unwrap();
    assert!(
        matches!(
            again,
            BackupOutcome::Skipped {
                reason: SkipReason::AlreadyFinished(JobStatus::Completed),
                ..
            }
        ),
        "{again:?}"
    );
    assert_eq!(f.job(&job.backup_id).await.checksum, job.checksum);
    f.restored(&job.backup_id).await;
    the_catalogue_tells_the_truth(&f).await;
    f.remove().await;
}
