//! The sweep of content backups: it repeats lost events and messages, settles overdue items, and
//! removes abandoned remains.

use std::time::Duration;

use bytes::Bytes;
use holdfast_catalog::Source;
use holdfast_domain::{FailureCode, ItemFailureCode, ItemStatus, JobStatus, ObjectKey, Timestamp};
use holdfast_operations::{
    BackupRequest, DiscoveryOutcome, NextStep, RunLimits, Step, SweepReport, discover_content,
    sweep,
};
use holdfast_storage::PutMode;
use jiff::SignedDuration;

use crate::support::content::{Fixture, item};

async fn sweep_in(f: &Fixture, after: SignedDuration) -> SweepReport {
    let report = sweep(&f.holdfast, Some(&f.queue), Timestamp::now() + after)
        .await
        .unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    report
}

const NOW: SignedDuration = SignedDuration::ZERO;
const HALF_AN_HOUR: SignedDuration = SignedDuration::from_mins(31);

fn handed_on(id: &holdfast_domain::BackupId, step: Step) -> Vec<NextStep> {
    vec![NextStep {
        backup_id: id.clone(),
        step,
    }]
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_the_queue_lost_are_sent_again_after_a_while() {
    let f = Fixture::new(&[]).await;
    f.fill(6).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let lost = f.queue.take();
    f.download(&lost[0]).await;
    let soon = sweep_in(&f, NOW).await;
    assert_eq!((soon.items_resent, soon.to_continue), (0, vec![]));
    assert!(f.queue.take().is_empty());
    let later = sweep_in(&f, HALF_AN_HOUR).await;
    assert_eq!(later.items_resent, 5);
    f.download_all().await;
    // The worker of the last settled item died before its check.
    assert_eq!(
        sweep_in(&f, NOW).await.to_continue,
        handed_on(&id, Step::Finalize)
    );
    assert_eq!(f.finish(&id).await.status, JobStatus::Completed);
    assert_eq!(
        sweep_in(&f, SignedDuration::from_hours(50))
            .await
            .to_continue,
        vec![]
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_queue_nothing_is_sent_and_everything_else_is_done() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let report = sweep(&f.holdfast, None, Timestamp::now() + HALF_AN_HOUR)
        .await
        .unwrap();
    assert_eq!((report.items_resent, report.to_continue), (0, vec![]));
    f.download_all().await;
    let report = sweep(&f.holdfast, None, Timestamp::now()).await.unwrap();
    assert_eq!(report.to_continue, handed_on(&id, Step::Finalize));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_whose_event_was_lost_is_handed_on_again() {
    let f = Fixture::new(&[]).await;
    f.insert((1..=1500).map(|content_id| item(content_id, "gaia", "https://h.example/x")))
        .await;
    let id = f.trigger().await;
    let request = BackupRequest::Triggered {
        backup_id: id.clone(),
    };
    let limits = RunLimits {
        deadline: Some(Timestamp::now() + Duration::from_secs(50)),
    };
    let outcome = discover_content(&f.holdfast, &f.queue, request, limits)
        .await
        .unwrap();
    assert!(matches!(outcome, DiscoveryOutcome::Continue { .. }));
    assert_eq!(sweep_in(&f, NOW).await.to_continue, vec![]);
    let report = sweep_in(&f, SignedDuration::from_mins(11)).await;
    assert_eq!(
        (report.to_continue, report.stalled),
        (handed_on(&id, Step::Discover), vec![])
    );
    assert!(matches!(
        f.discover(&id).await,
        DiscoveryOutcome::Queued { .. }
    ));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_that_died_is_handed_on_again_and_not_failed() {
    let f = Fixture::new(&[]).await;
    f.insert((1..=1500).map(|content_id| item(content_id, "gaia", "https://h.example/x")))
        .await;
    let id = f.trigger().await;
    let request = BackupRequest::Triggered {
        backup_id: id.clone(),
    };
    let discovery = discover_content(&f.holdfast, &f.queue, request, RunLimits::none());
    assert!(
        tokio::time::timeout(Duration::from_millis(100), discovery)
            .await
            .is_err()
    );
    assert_eq!(
        sweep_in(&f, NOW).await.to_continue,
        vec![],
        "it may only be slow"
    );
    f.age_lease(Duration::from_secs(61)).await;
    assert_eq!(
        sweep_in(&f, NOW).await.to_continue,
        handed_on(&id, Step::Discover)
    );
    // A trigger that finds this backup running leaves it unchanged.
    let refused = holdfast_operations::trigger(
        &f.holdfast,
        holdfast_domain::BackupType::Content,
        None,
        Timestamp::now(),
    );
    assert!(matches!(
        refused.await,
        Err(holdfast_operations::OperationError::AlreadyRunning { .. })
    ));
    assert!(matches!(
        f.discover(&id).await,
        DiscoveryOutcome::Queued { .. }
    ));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_that_died_before_its_lease_waited_is_made_to_wait() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let at_work = mongodb::bson::doc! { "$set": { "waitsUntil": null } };
    f.rows("backup_leases")
        .update_one(mongodb::bson::doc! { "_id": "content" }, at_work)
        .await
        .unwrap();
    f.age_lease(Duration::from_secs(61)).await;
    let report = sweep_in(&f, NOW).await;
    assert_eq!((report.stalled, report.to_continue), (vec![], vec![]));
    let lease = f
        .holdfast
        .catalog
        .get_lease(Source::Content)
        .await
        .unwrap()
        .unwrap();
    assert!(lease.waits_until.is_some() && lease.holder == id);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalizer_that_never_came_is_handed_on_to_again() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.up_to_finalize().await;
    assert_eq!(sweep_in(&f, NOW).await.to_continue, vec![]);
    assert_eq!(
        sweep_in(&f, SignedDuration::from_mins(11))
            .await
            .to_continue,
        handed_on(&id, Step::Finalize)
    );
    assert_eq!(f.finish(&id).await.status, JobStatus::Completed);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_settled_in_a_day_has_failed_so_that_the_backup_ends() {
    let f = Fixture::new(&[("BACKUP_CONTENT_MAX_FAILURE_PERCENT", "60")]).await;
    f.fill(4).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    for message in f.queue.take().into_iter().take(2) {
        f.download(&message).await;
    }
    let report = sweep_in(&f, SignedDuration::from_hours(25)).await;
    assert_eq!(
        (report.items_given_up, report.to_continue),
        (2, handed_on(&id, Step::Finalize))
    );
    assert_eq!(f.by_status(&id, ItemStatus::Failed).await, ["3", "4"]);
    assert_eq!(
        f.item(&id, "3").await.error.unwrap().code,
        ItemFailureCode::NotDelivered
    );
    let job = f.finish(&id).await;
    assert_eq!(
        (job.status, job.items.unwrap().failed),
        (JobStatus::Completed, 2)
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_backup_is_stalled_in_the_end() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.up_to_finalize().await;
    let report = sweep_in(&f, SignedDuration::from_hours(49)).await;
    assert_eq!(report.stalled, std::slice::from_ref(&id));
    assert_eq!(f.job(&id).await.error.unwrap().code, FailureCode::Stalled);
    assert_eq!(f.leases().await, 0);
    assert_eq!(f.back_up().await.status, JobStatus::Completed);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_trigger_is_swept() {
    let f = Fixture::new(&[]).await;
    let id = f.trigger().await;
    assert!(sweep_in(&f, NOW).await.not_started.is_empty());
    let report = sweep_in(&f, SignedDuration::from_mins(11)).await;
    assert_eq!((report.not_started, report.to_continue), (vec![id], vec![]));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_on_its_way_is_removed_after_a_day_and_what_is_kept_never() {
    let f = Fixture::new(&[]).await;
    f.fill(4).await;
    f.back_up().await;
    let kept = f.keys_under("content/").await;
    let store = &f.store.store;
    store
        .put(
            &ObjectKey::content_incoming([1; 16]),
            Bytes::from_static(b"x"),
            PutMode::Replace,
        )
        .await
        .unwrap();
    store
        .begin_upload(&ObjectKey::content_incoming([2; 16]))
        .await
        .unwrap();
    let report = sweep_in(&f, SignedDuration::from_hours(23)).await;
    assert_eq!((report.objects_removed, report.uploads_aborted), (0, 0));
    let report = sweep_in(&f, SignedDuration::from_hours(25)).await;
    assert_eq!((report.objects_removed, report.uploads_aborted), (1, 1));
    assert_eq!(f.keys_under("content/").await, kept);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_backup_is_overdue_by_its_own_interval() {
    let f = Fixture::new(&[("BACKUP_CONTENT_INTERVAL_HOURS", "6")]).await;
    assert!((sweep_in(&f, NOW).await.content_hours_overdue - 6.0).abs() < 0.01);
    f.fill(1).await;
    f.back_up().await;
    assert!(
        (sweep_in(&f, SignedDuration::from_hours(10))
            .await
            .content_hours_overdue
            - 2.0)
            .abs()
            < 0.01
    );
    let status = holdfast_operations::status(&f.holdfast, Timestamp::now())
        .await
        .unwrap()
        .status
        .content;
    assert!(status.enabled && status.hours_overdue.abs() < 0.01 && status.last_backup.is_some());
    f.remove().await;
}
