use holdfast_catalog::Catalog;
use holdfast_domain::{BackupType, FailureCode, JobStatus, Secret, Timestamp};
use holdfast_operations::{
    BackupOutcome, BackupRequest, Holdfast, OperationError, RunLimits, SkipReason, abandon,
    back_up_database, cancel, sweep, trigger, trigger_full,
};
use holdfast_testing::UnsureWrites;
use jiff::SignedDuration;

use crate::support::database::{Fixture, completed, run};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_tick_twice_is_one_backup() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let request = BackupRequest::Scheduled {
        kind: BackupType::Database,
        tick: Timestamp::now(),
        by: Some("schedule".to_owned()),
    };
    let first = back_up_database(&f.holdfast, request.clone(), RunLimits::none())
        .await
        .unwrap();
    let job = completed(first);
    let second = back_up_database(&f.holdfast, request, RunLimits::none())
        .await
        .unwrap();
    assert!(
        matches!(
            second,
            BackupOutcome::Skipped {
                reason: SkipReason::AlreadyFinished(JobStatus::Completed),
                ..
            }
        ),
        "{second:?}"
    );
    assert_eq!(
        f.keys()
            .await
            .iter()
            .filter(|key| key.contains("manifest"))
            .count(),
        1
    );
    assert_eq!(f.job(&job.backup_id).await, job);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_tick_at_once_is_one_backup() {
    let f = Fixture::new(&[]).await;
    f.fill(500).await;
    let request = BackupRequest::Scheduled {
        kind: BackupType::Database,
        tick: Timestamp::now(),
        by: None,
    };
    let runs = (0..4).map(|_| back_up_database(&f.holdfast, request.clone(), RunLimits::none()));
    let outcomes = futures_util::future::join_all(runs).await;
    let completed = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(BackupOutcome::Completed(_))))
        .count();
    assert_eq!(completed, 1, "{outcomes:?}");
    assert_eq!(
        f.keys()
            .await
            .iter()
            .filter(|key| key.contains("dump."))
            .count(),
        1
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_triggers_gets_the_running_backup() {
    let f = Fixture::new(&[]).await;
    let first = f.trigger().await;
    let second = trigger(&f.holdfast, BackupType::Database, None, Timestamp::now())
        .await
        .unwrap_err();
    assert!(
        matches!(&second, OperationError::AlreadyRunning { backup_id } if *backup_id == first),
        "{second}"
    );
    completed(run(&f.holdfast, first).await);
    f.back_up().await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_finds_its_source_leased_fails_and_leaves_no_job() {
    let f = Fixture::new(&[]).await;
    f.trigger().await;
    let request = BackupRequest::Scheduled {
        kind: BackupType::Database,
        tick: Timestamp::now(),
        by: None,
    };
    let error = back_up_database(&f.holdfast, request.clone(), RunLimits::none())
        .await
        .unwrap_err();
    assert!(
        error.is_transient() && matches!(error, OperationError::AlreadyRunning { .. }),
        "{error}"
    );
    assert!(f.holdfast.catalog.get(&request.backup_id()).await.is_err());
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_trigger_is_swept() {
    let f = Fixture::new(&[]).await;
    let id = f.trigger().await;
    let soon = sweep(&f.holdfast, None, Timestamp::now()).await.unwrap();
    assert!(soon.not_started.is_empty());
    let later = sweep(
        &f.holdfast,
        None,
        Timestamp::now() + SignedDuration::from_mins(11),
    )
    .await
    .unwrap();
    assert_eq!(later.not_started, std::slice::from_ref(&id));
    assert_eq!(
        f.job(&id).await.error.unwrap().code,
        FailureCode::NotStarted
    );
    assert_eq!(f.leases().await, 0);
    f.back_up().await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_trigger_frees_its_lease() {
    let f = Fixture::new(&[]).await;
    let job = trigger(&f.holdfast, BackupType::Database, None, Timestamp::now())
        .await
        .unwrap();
    abandon(&f.holdfast, &job, "the bus refused the event")
        .await
        .unwrap();
    assert_eq!(
        f.job(&job.backup_id).await.error.unwrap().code,
        FailureCode::NotStarted
    );
    assert_eq!(f.leases().await, 0);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_backup_is_never_run() {
    let f = Fixture::new(&[]).await;
    let id = f.trigger().await;
    assert_eq!(
        cancel(&f.holdfast, &id, Timestamp::now())
            .await
            .unwrap()
            .status,
        JobStatus::Cancelled
    );
    let outcome = run(&f.holdfast, id.clone()).await;
    assert!(
        matches!(
            outcome,
            BackupOutcome::Skipped {
                reason: SkipReason::AlreadyFinished(JobStatus::Cancelled),
                ..
            }
        ),
        "{outcome:?}"
    );
    let again = cancel(&f.holdfast, &id, Timestamp::now())
        .await
        .unwrap_err();
    assert!(
        matches!(
            again,
            OperationError::NotCancellable {
                status: JobStatus::Cancelled,
                ..
            }
        ),
        "{again}"
    );
    f.store.assert_empty().await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_overdue_an_interval_after_the_last_good_one() {
    let f = Fixture::new(&[("BACKUP_DATABASE_INTERVAL_HOURS", "6")]).await;
    let hours = async |after| {
        sweep(&f.holdfast, None, Timestamp::now() + after)
            .await
            .unwrap()
            .database_hours_overdue
    };
    assert!(
        (hours(SignedDuration::ZERO).await - 6.0).abs() < 0.01,
        "nothing was ever backed up"
    );
    f.back_up().await;
    assert!(
        hours(SignedDuration::from_mins(7 * 60 + 50)).await.abs() < 0.01,
        "the next run may take an hour, also after a night with one hour more"
    );
    assert!((hours(SignedDuration::from_hours(10)).await - 2.0).abs() < 0.01);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_overdue_until_its_first_good_backup() {
    let f = Fixture::new(&[("BACKUP_DATABASE_INTERVAL_HOURS", "6")]).await;
    let hours = async |after| {
        let now = Timestamp::now() + after;
        let swept = sweep(&f.holdfast, None, now)
            .await
            .unwrap()
            .database_hours_overdue;
        let shown = holdfast_operations::status(&f.holdfast, now)
            .await
            .unwrap()
            .status
            .database
            .hours_overdue;
        assert!(
            (swept - shown).abs() < 0.01,
            "the alarm and the API agree: {swept}, {shown}"
        );
        swept
    };
    let id = f.trigger().await;
    assert!(
        (hours(SignedDuration::ZERO).await - 6.0).abs() < 0.01,
        "a run that may still fail is no backup"
    );
    cancel(&f.holdfast, &id, Timestamp::now()).await.unwrap();
    assert!(
        (hours(SignedDuration::ZERO).await - 6.0).abs() < 0.01,
        "after a run that was cancelled"
    );
    assert!(
        (hours(SignedDuration::from_hours(2)).await - 8.0).abs() < 0.01,
        "and it gets later"
    );
    f.back_up().await;
    assert!(hours(SignedDuration::ZERO).await.abs() < 0.01);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_taken_and_reported_as_failed_is_given_back() {
    let f = Fixture::new(&[]).await;
    let relay = UnsureWrites::before_mongodb().await;
    let uri = Secret::new(relay.mongodb_uri(&f.catalog_database));
    let catalog = Catalog::connect(&uri, &f.catalog_database).await.unwrap();
    let h = Holdfast {
        catalog,
        ..f.holdfast.clone()
    };
    relay.doubt_next_insert("backup_leases");
    let error = trigger(&h, BackupType::Database, None, Timestamp::now())
        .await
        .unwrap_err();
    assert!(
        error.is_catalog_away() && error.to_string().contains("64"),
        "{error}"
    );
    assert_eq!(f.leases().await, 0);
    relay.doubt_next_insert("backup_leases");
    let error = trigger_full(&h, None, Timestamp::now()).await.unwrap_err();
    assert!(error.is_catalog_away(), "{error}");
    assert_eq!(
        (
            f.leases().await,
            f.holdfast.catalog.active(None).await.unwrap().len()
        ),
        (0, 0)
    );
    completed(run(&f.holdfast, f.trigger().await).await);
    f.remove().await;
}
