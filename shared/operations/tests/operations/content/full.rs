//! A full backup: two parts, one parent, settled with the last of them.

use holdfast_domain::{BackupType, FailureCode, Job, JobStatus, Timestamp};
use holdfast_operations::{
    BackupRequest, DiscoveryOutcome, FullTrigger, OperationError, RunLimits, abandon,
    back_up_database, cancel, sweep, trigger, trigger_full,
};
use jiff::SignedDuration;
use mongodb::bson::{Document, doc};

use crate::support::content::Fixture;

async fn trigger_both(f: &Fixture) -> (Job, Job, Job) {
    let FullTrigger {
        job,
        children,
        skipped,
    } = trigger_full(&f.holdfast, Some("ada".to_owned()), Timestamp::now())
        .await
        .unwrap();
    assert_eq!(skipped, Vec::<&str>::new());
    let [database, content] = children.try_into().unwrap();
    assert_eq!(
        (database.backup_type, content.backup_type),
        (BackupType::Database, BackupType::Content)
    );
    (job, database, content)
}

async fn run_database(f: &Fixture, job: &Job) {
    let request = BackupRequest::Triggered {
        backup_id: job.backup_id.clone(),
    };
    back_up_database(&f.holdfast, request, RunLimits::none())
        .await
        .unwrap();
}

async fn run_content(f: &Fixture, job: &Job) -> Job {
    match f.discover(&job.backup_id).await {
        DiscoveryOutcome::Finalize { .. } => {}
        DiscoveryOutcome::Queued { .. } => {
            f.download_all().await;
            holdfast_operations::finalize_if_settled(&f.holdfast, &job.backup_id, Timestamp::now())
                .await
                .unwrap();
        }
        other => panic!("{other:?}"),
    }
    f.finish(&job.backup_id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_is_completed_when_both_its_parts_are() {
    let f = Fixture::new(&[]).await;
    f.fill(4).await;
    let (full, database, content) = trigger_both(&f).await;
    assert_eq!((full.status, f.leases().await), (JobStatus::Running, 4));
    run_database(&f, &database).await;
    assert_eq!(f.job(&full.backup_id).await.status, JobStatus::Running);
    let content = run_content(&f, &content).await;
    assert_eq!(content.parent_id.as_ref(), Some(&full.backup_id));
    let full = f.job(&full.backup_id).await;
    assert_eq!(full.status, JobStatus::Completed);
    assert_eq!(
        full.size.unwrap(),
        content.size.unwrap() + f.job(&database.backup_id).await.size.unwrap()
    );
    assert_eq!(f.leases().await, 0);
    let manifest = f
        .holdfast
        .repository
        .manifest(&content.backup_id)
        .await
        .unwrap();
    assert_eq!(manifest.parent_id, Some(full.backup_id));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_is_failed_when_a_part_is_and_says_which() {
    let f = Fixture::new(&[]).await;
    f.fill(1).await;
    let (full, database, content) = trigger_both(&f).await;
    abandon(&f.holdfast, &database, "the bus refused the event")
        .await
        .unwrap();
    assert_eq!(
        f.job(&full.backup_id).await.status,
        JobStatus::Running,
        "the other part goes on"
    );
    run_content(&f, &content).await;
    let error = f.job(&full.backup_id).await.error.unwrap();
    assert_eq!(error.code, FailureCode::PartFailed);
    assert!(
        error.message.contains(database.backup_id.as_str()) && error.message.contains("bus"),
        "{}",
        error.message
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_that_finds_either_part_running_begins_nothing() {
    for kind in [BackupType::Database, BackupType::Content] {
        let f = Fixture::new(&[("BACKUP_MAX_CONCURRENT", "3")]).await;
        let running = trigger(&f.holdfast, kind, None, Timestamp::now())
            .await
            .unwrap();
        let error = trigger_full(&f.holdfast, None, Timestamp::now())
            .await
            .unwrap_err();
        let it_is = matches!(&error, OperationError::AlreadyRunning { backup_id } if *backup_id == running.backup_id);
        assert!(it_is, "{error}");
        assert_eq!(
            (
                f.leases().await,
                f.holdfast.catalog.active(None).await.unwrap().len()
            ),
            (2, 1)
        );
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_that_never_finds_room_for_both_says_which_setting_is_in_the_way() {
    let mut f = Fixture::new(&[("BACKUP_MAX_CONCURRENT", "1")]).await;
    let error = trigger_full(&f.holdfast, None, Timestamp::now())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, OperationError::Config(_))
            && error.to_string().contains("BACKUP_MAX_CONCURRENT"),
        "{error}"
    );
    assert_eq!(f.leases().await, 0);
    f.set(|settings| settings.database.enabled = false);
    let FullTrigger {
        job,
        children,
        skipped,
    } = trigger_full(&f.holdfast, None, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(
        (children.len(), skipped),
        (1, vec!["BACKUP_DATABASE_ENABLED"])
    );
    assert!(
        job.message
            .unwrap()
            .contains("BACKUP_DATABASE_ENABLED=false")
    );
    run_content(&f, &children[0]).await;
    assert_eq!(f.job(&job.backup_id).await.status, JobStatus::Completed);
    f.set(|settings| settings.content.enabled = false);
    let error = trigger_full(&f.holdfast, None, Timestamp::now())
        .await
        .unwrap_err();
    assert!(matches!(error, OperationError::Disabled(_)), "{error}");
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_full_backup_cancels_its_parts() {
    let f = Fixture::new(&[]).await;
    let (full, database, content) = trigger_both(&f).await;
    assert_eq!(
        cancel(&f.holdfast, &full.backup_id, Timestamp::now())
            .await
            .unwrap()
            .status,
        JobStatus::Cancelled
    );
    for id in [&full.backup_id, &database.backup_id, &content.backup_id] {
        assert_eq!(f.job(id).await.status, JobStatus::Cancelled);
    }
    assert_eq!(f.leases().await, 0);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_part_fails_the_whole_once_the_other_is_through() {
    let f = Fixture::new(&[]).await;
    let (full, database, content) = trigger_both(&f).await;
    cancel(&f.holdfast, &content.backup_id, Timestamp::now())
        .await
        .unwrap();
    run_database(&f, &database).await;
    let error = f.job(&full.backup_id).await.error.unwrap();
    assert!(error.message.contains("cancelled"), "{}", error.message);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_whose_last_part_died_is_settled_by_the_sweep() {
    let f = Fixture::new(&[]).await;
    let (full, _, _) = trigger_both(&f).await;
    let sweep_in = async |after| {
        sweep(&f.holdfast, None, Timestamp::now() + after)
            .await
            .unwrap()
    };
    assert_eq!(
        sweep_in(SignedDuration::ZERO).await.stalled,
        vec![],
        "a job without a lease is not a dead one"
    );
    assert_eq!(f.job(&full.backup_id).await.status, JobStatus::Running);
    assert_eq!(
        sweep_in(SignedDuration::from_mins(11))
            .await
            .not_started
            .len(),
        2
    );
    assert_eq!(
        f.job(&full.backup_id).await.error.unwrap().code,
        FailureCode::PartFailed
    );
    f.rewind(&full.backup_id, "running").await;
    assert_eq!(
        sweep_in(SignedDuration::ZERO).await.full_settled,
        [full.backup_id]
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_whose_trigger_died_between_its_parts_is_never_completed_by_one_part() {
    let f = Fixture::new(&[]).await;
    f.fill(1).await;
    let (full, database, content) = trigger_both(&f).await;
    // The trigger was killed before it inserted the second part and before it started the parent.
    let rows = f
        .client
        .database(&f.catalog_database)
        .collection::<Document>("backup_jobs");
    rows.delete_one(doc! { "_id": content.backup_id.as_str() })
        .await
        .unwrap();
    let pending = doc! { "$set": { "status": "pending" }, "$unset": { "startedAt": "" } };
    rows.update_one(doc! { "_id": full.backup_id.as_str() }, pending)
        .await
        .unwrap();
    run_database(&f, &database).await;
    assert_eq!(
        f.job(&database.backup_id).await.status,
        JobStatus::Completed
    );
    for _ in 0..2 {
        sweep(
            &f.holdfast,
            None,
            Timestamp::now() + SignedDuration::from_mins(11),
        )
        .await
        .unwrap();
        let job = f.job(&full.backup_id).await;
        assert_eq!(
            (job.status, job.error.map(|it| it.code)),
            (JobStatus::Failed, Some(FailureCode::NotStarted))
        );
    }
    f.remove().await;
}
