//! A complete content backup in one process, as on the operator's machine.

use std::time::{Duration, Instant};

use holdfast_domain::{BackupId, ItemStatus, JobStatus, Timestamp};
use holdfast_operations::{
    BackupOutcome, BackupRequest, RunLimits, SkipReason, back_up_content_in_process, cancel,
};
use holdfast_testing::{Origin, origin::Answer};

use crate::support::content::{Fixture, item, noise};

async fn here(f: &Fixture, backup_id: &BackupId) -> BackupOutcome {
    let request = BackupRequest::Triggered {
        backup_id: backup_id.clone(),
    };
    back_up_content_in_process(&f.holdfast, request, RunLimits::none())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_in_one_process_is_whole_and_the_next_downloads_nothing() {
    let f = Fixture::new(&[("BACKUP_CONTENT_CONCURRENCY", "8")]).await;
    f.fill(1200).await;
    let begun = Instant::now();
    let id = f.trigger().await;
    let outcome = here(&f, &id).await;
    let BackupOutcome::Completed(job) = outcome else {
        panic!("{outcome:?}")
    };
    let items = job.items.unwrap();
    assert_eq!((items.expected, items.done, items.failed), (1200, 1200, 0));
    println!("1,200 items in {:.1} s", begun.elapsed().as_secs_f64());
    f.node.reset_requests().await;
    let id = f.trigger().await;
    let outcome = here(&f, &id).await;
    assert!(
        matches!(&outcome, BackupOutcome::Completed(job) if job.items.unwrap().unchanged == 1200),
        "{outcome:?}"
    );
    let requests = f.node.requests().await;
    assert_eq!((requests.gateway.car, requests.gaia.full), (0, 0));
    assert_eq!(f.leases().await, 0);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_the_moment_is_tried_again() {
    let origin = Origin::start().await;
    let f = Fixture::new(&[("BACKUP_CONTENT_ALLOWED_ORIGINS", origin.address())]).await;
    origin.answer("/file", [Answer::status(500), Answer::ok("file")]);
    f.insert([item(1, "gaia", &origin.url("/file"))]).await;
    let id = f.trigger().await;
    let outcome = here(&f, &id).await;
    assert!(
        matches!(&outcome, BackupOutcome::Completed(job) if job.items.unwrap().done == 1),
        "{outcome:?}"
    );
    assert_eq!(f.item(&id, "1").await.attempts, 2);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_backup_stops_its_downloads_and_leaves_nothing_on_its_way() {
    let origin = Origin::start().await;
    let f = Fixture::new(&[("BACKUP_CONTENT_ALLOWED_ORIGINS", origin.address())]).await;
    origin.answer(
        "/file",
        [Answer::ok(noise(50 << 20)).dripping(1 << 20, Duration::from_millis(500))],
    );
    f.insert([item(1, "gaia", &origin.url("/file"))]).await;
    let id = f.trigger().await;
    let begun = Instant::now();
    let cancelling = async {
        tokio::time::sleep(Duration::from_secs(6)).await;
        cancel(&f.holdfast, &id, Timestamp::now()).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(here(&f, &id), cancelling);
    let cancelled = SkipReason::AlreadyFinished(JobStatus::Cancelled);
    assert!(
        matches!(&outcome, BackupOutcome::Skipped { reason, .. } if *reason == cancelled),
        "{outcome:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(15));
    assert_eq!(f.by_status(&id, ItemStatus::Pending).await, ["1"]);
    f.assert_nothing_on_its_way().await;
    f.remove().await;
}
