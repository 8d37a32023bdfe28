//! A manifest decides the state of its job: a failed or cancelled job becomes completed after its
//! manifest is found.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{BackupId, FailureCode, JobStatus, ObjectKey, Secret, Timestamp};
use holdfast_operations::{BackupOutcome, SkipReason, cancel, rebuild_catalog, sweep};
use holdfast_testing::{Fault, FaultStore, Operation};
use mongodb::bson::{Document, doc};

use crate::support::database::{Fixture, completed, failed, run};

const PUT_OF_MANIFEST: u32 = 5;

fn rows(f: &Fixture) -> mongodb::Collection<Document> {
    f.client
        .database(&f.catalog_database)
        .collection("backup_jobs")
}

/// Changes a completed job to failed with this code, or to cancelled.
async fn fail(f: &Fixture, id: &BackupId, code: Option<&str>) {
    let cancelled = doc! { "status": "cancelled" };
    let failed =
        |code| doc! { "status": "failed", "error": { "code": code, "message": "it failed" } };
    let set = code.map_or(cancelled, failed);
    rows(f)
        .update_one(doc! { "_id": id.as_str() }, doc! { "$set": set })
        .await
        .unwrap();
}

const CODES: [Option<&str>; 6] = [
    Some("stalled"),
    Some("deadline"),
    Some("source-unreachable"),
    Some("dump-refused"),
    Some("internal"),
    None,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_wakes_up_after_its_successor_failed_completes_the_job() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    for end in ["fails", "is cancelled"] {
        let id = f.trigger().await;
        let faults = FaultStore::new(Arc::clone(&f.store.store));
        let put = if end == "fails" {
            PUT_OF_MANIFEST
        } else {
            PUT_OF_MANIFEST - 2
        };
        faults.on(Operation::Put, put, Fault::Late(Duration::from_secs(9)));
        let paused = tokio::spawn({
            let (h, id) = (f.over(faults.clone()), id.clone());
            async move { run(&h, id).await }
        });
        while faults.calls(Operation::Put) < put {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        f.age_lease(61).await;
        if end == "fails" {
            let unreachable = "mongodb://127.0.0.1:9/platform?directConnection=true";
            let second = f.with(|settings| settings.mongodb_uri = Secret::new(unreachable));
            let job = failed(run(&second, id.clone()).await);
            assert_eq!(
                (job.fence, job.error.unwrap().code),
                (2, FailureCode::SourceUnreachable)
            );
        } else {
            // The second run takes it over and is cancelled before it commits.
            f.rewind(&id, "running").await;
            cancel(&f.holdfast, &id, Timestamp::now()).await.unwrap();
        }
        let job = completed(paused.await.unwrap());
        assert_eq!(
            (job.status, job.fence > 1),
            (JobStatus::Completed, end == "fails"),
            "{end}"
        );
        assert_eq!((f.job(&id).await.error, f.leases().await), (None, 0));
        f.restored(&id).await;
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_completes_every_job_whose_manifest_is_there_however_it_failed() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let mut ids = Vec::new();
    for code in CODES {
        let job = f.back_up().await;
        fail(&f, &job.backup_id, code).await;
        ids.push(job.backup_id);
    }
    // More newer failures than a page of any list.
    let row = rows(&f)
        .find_one(doc! { "_id": ids[0].as_str() })
        .await
        .unwrap()
        .unwrap();
    let newer = (0..120).map(|n| {
        let mut row = row.clone();
        row.insert(
            "_id",
            format!("db_{}_0000{n:04x}", Timestamp::now().as_millisecond() + n),
        );
        row.insert("createdAt", mongodb::bson::DateTime::now());
        row
    });
    rows(&f).insert_many(newer).await.unwrap();
    let report = sweep(&f.holdfast, None, Timestamp::now()).await.unwrap();
    assert_eq!((report.completed, report.problems), (ids.clone(), vec![]));
    for id in &ids {
        let job = f.job(id).await;
        assert_eq!(
            (job.status, job.error),
            (JobStatus::Completed, None),
            "{id}"
        );
        assert!(job.checksum.is_some() && job.key.is_some());
    }
    assert!(
        sweep(&f.holdfast, None, Timestamp::now())
            .await
            .unwrap()
            .completed
            .is_empty()
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_delivered_again_completes_the_job_by_its_manifest() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    for code in CODES {
        let id = f.back_up().await.backup_id;
        fail(&f, &id, code).await;
        let outcome = run(&f.holdfast, id.clone()).await;
        let completed = SkipReason::AlreadyFinished(JobStatus::Completed);
        assert!(
            matches!(&outcome, BackupOutcome::Skipped { reason, .. } if *reason == completed),
            "{outcome:?}"
        );
        assert_eq!(
            (f.job(&id).await.status, f.leases().await),
            (JobStatus::Completed, 0),
            "{code:?}"
        );
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_completes_jobs_whose_manifest_is_there() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let mut ids = Vec::new();
    for code in CODES {
        let id = f.back_up().await.backup_id;
        fail(&f, &id, code).await;
        ids.push(id);
    }
    let plan = holdfast_operations::plan_rebuild(&f.holdfast, &|_| ())
        .await
        .unwrap();
    assert_eq!(
        (plan.completed.len(), f.job(&ids[0]).await.status),
        (ids.len(), JobStatus::Failed)
    );
    let mut report = rebuild_catalog(&f.holdfast, &|_| ()).await.unwrap();
    report.completed.sort();
    assert_eq!((report.completed, report.stood), (ids.clone(), 0));
    for id in &ids {
        assert_eq!(
            (f.job(id).await.status, f.job(id).await.error),
            (JobStatus::Completed, None)
        );
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_whose_dump_is_gone_completes_nothing_and_is_reported() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let job = f.back_up().await;
    fail(&f, &job.backup_id, Some("stalled")).await;
    f.store.store.delete(&job.key.unwrap()).await.unwrap();
    let report = sweep(&f.holdfast, None, Timestamp::now()).await.unwrap();
    assert!(
        report.completed.is_empty() && report.problems[0].contains("is missing"),
        "{report:?}"
    );
    assert_eq!(f.job(&job.backup_id).await.status, JobStatus::Failed);
    let rebuilt = rebuild_catalog(&f.holdfast, &|_| ()).await.unwrap();
    assert_eq!((rebuilt.completed.len(), rebuilt.damaged.len()), (0, 1));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_run_never_overwrites_the_guide_of_the_run_that_committed() {
    const PUT_OF_GUIDE: u32 = 4;
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let id = f.trigger().await;
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(
        Operation::Put,
        PUT_OF_GUIDE,
        Fault::Late(Duration::from_secs(6)),
    );
    let paused = tokio::spawn({
        let (h, id) = (f.over(faults.clone()), id.clone());
        async move { run(&h, id).await }
    });
    while faults.calls(Operation::Put) < PUT_OF_GUIDE {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    f.age_lease(61).await;
    let job = completed(run(&f.holdfast, id.clone()).await);
    // The paused run writes its guide, and is killed before it can remove it again.
    faults.on_every(Operation::Get, Fault::Hang);
    let withdrawing = faults.calls(Operation::Get);
    while faults.calls(Operation::Get) == withdrawing {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    paused.abort();
    let guide = holdfast_storage::read_all(
        f.store.store.as_ref(),
        &ObjectKey::restore_guide(&id),
        1 << 20,
    )
    .await
    .unwrap();
    let named = job.key.unwrap();
    assert!(
        String::from_utf8_lossy(&guide).contains(named.file_name()),
        "it names another dump than {named}"
    );
    f.remove().await;
}
