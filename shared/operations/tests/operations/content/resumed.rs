//! A content backup in one process, killed in any state. The next run resumes it, completes it
//! once, and leaves no remains.

use std::{sync::Arc, time::Duration};

use holdfast_catalog::Source;
use holdfast_domain::{BackupId, BackupType, ItemStatus, Job, JobStatus, ObjectKey, Timestamp};
use holdfast_operations::{
    BackupOutcome, BackupRequest, FullTrigger, Holdfast, RunLimits, back_up_content_in_process,
    is_alive, is_interrupted, sweep, trigger_full,
};
use holdfast_testing::{Fault, FaultStore, Operation, Origin, origin::Answer};
use jiff::SignedDuration;
use mongodb::bson::{DateTime, doc};

use crate::support::content::{Fixture, item, noise};

const DEAD: Duration = Duration::from_mins(2);

async fn here(h: &Holdfast, id: &BackupId) -> BackupOutcome {
    back_up_content_in_process(
        h,
        BackupRequest::Triggered {
            backup_id: id.clone(),
        },
        RunLimits::none(),
    )
    .await
    .unwrap()
}

/// Runs over a store with this call hanging forever, and dies there. Returns `false` if the run
/// ended before it.
async fn dies_at(f: &Fixture, id: &BackupId, operation: Operation, nth: u32) -> bool {
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(operation, nth, Fault::Hang);
    let h = f.over(faults.clone());
    let reached = async {
        while faults.calls(operation) < nth {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    tokio::select! {
        _ = here(&h, id) => false,
        () = reached => true,
    }
}

/// The next run, a minute after the last one died.
async fn resumed(f: &Fixture, id: &BackupId) -> Job {
    f.age_lease(DEAD).await;
    assert!(is_interrupted(&f.holdfast, id).await.unwrap());
    match here(&f.holdfast, id).await {
        BackupOutcome::Completed(job) => *job,
        other => panic!("expected a resumed backup, got {other:?}"),
    }
}

/// Asserts that the backup is completed once, with this many items, without remains, and with free
/// leases.
async fn assert_completed_once(f: &Fixture, job: &Job, items: u64, died: &str) {
    let counts = job.items.unwrap();
    assert_eq!(
        (job.status, counts.expected, counts.failed),
        (JobStatus::Completed, items, 0),
        "{died}"
    );
    assert_eq!(
        f.by_status(&job.backup_id, ItemStatus::Pending).await,
        [""; 0],
        "{died}"
    );
    let manifest = f.manifest(&job.backup_id).await;
    let archived = f.archived(&manifest).await.len();
    assert_eq!(
        archived as u64,
        items + 1,
        "every file and the document of all items: {died}"
    );
    let folder = f
        .keys_under(&ObjectKey::backup_prefix(&job.backup_id))
        .await;
    assert_eq!(
        folder.len(),
        4,
        "archive, list, guide, manifest: {died}: {folder:?}"
    );
    assert_eq!(f.leases().await, 0, "{died}");
    f.assert_nothing_on_its_way().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_at_any_call_of_the_store_is_resumed() {
    // The repository's two files. Objects of files and of blocks, each with its listing. Archive,
    // list, guide, manifest.
    let puts = (1..=16).map(|nth| (Operation::Put, nth));
    let others = [
        (Operation::Get, 1),
        (Operation::Get, 3),
        (Operation::Get, 6),
        (Operation::Copy, 2),
    ];
    let others = others.into_iter().chain([
        (Operation::List, 1),
        (Operation::List, 2),
        (Operation::Head, 2),
    ]);
    let mut deaths = Vec::new();
    for (operation, nth) in puts.chain(others) {
        let f = Fixture::new(&[]).await;
        f.fill(4).await;
        let id = f.trigger().await;
        let died = dies_at(&f, &id, operation, nth).await;
        let status = f.job(&id).await.status;
        if died {
            let job = resumed(&f, &id).await;
            assert_completed_once(&f, &job, 4, &format!("{operation:?} {nth}, {status}")).await;
            deaths.push(status);
        }
        f.remove().await;
    }
    for status in [
        JobStatus::Running,
        JobStatus::Finalizing,
        JobStatus::Committing,
    ] {
        assert!(
            deaths.contains(&status),
            "no run died while it was {status}: {deaths:?}"
        );
    }
    assert!(deaths.len() >= 10, "only {} runs died", deaths.len());
}

/// Puts a job's row and lease into the state after a kill.
async fn leave(f: &Fixture, id: &BackupId, status: &str, fence: i64) {
    f.rewind(id, status).await;
    f.rows("backup_jobs")
        .update_one(
            doc! { "_id": id.as_str() },
            doc! { "$set": { "fence": fence } },
        )
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_between_two_steps_is_resumed() {
    for state in [
        "pending",
        "taken over",
        "waiting for downloads",
        "waiting to be finalized",
        "manifest without row",
    ] {
        let f = Fixture::new(&[]).await;
        f.fill(4).await;
        let id = match state {
            "pending" => f.trigger().await,
            "taken over" => {
                let id = f.trigger().await;
                f.holdfast
                    .catalog
                    .take_over(Source::Content, &id, 0, None, Timestamp::now())
                    .await
                    .unwrap();
                id
            }
            "waiting for downloads" => {
                let id = f.trigger().await;
                f.discover(&id).await;
                id
            }
            "waiting to be finalized" => f.up_to_finalize().await,
            _ => {
                let id = f.back_up().await.backup_id;
                let fence = i64::try_from(f.job(&id).await.fence).unwrap();
                f.holdfast
                    .catalog
                    .acquire(Source::Content, &id, 2, Timestamp::now())
                    .await
                    .unwrap();
                for seen in 0..u64::try_from(fence).unwrap() {
                    f.holdfast
                        .catalog
                        .take_over(Source::Content, &id, seen, None, Timestamp::now())
                        .await
                        .unwrap();
                }
                leave(&f, &id, "committing", fence).await;
                id
            }
        };
        if state.starts_with("waiting") {
            assert!(
                !is_interrupted(&f.holdfast, &id).await.unwrap(),
                "functions may be at work on it: {state}"
            );
            let long_ago =
                DateTime::from_millis(Timestamp::now().as_millisecond() - 31 * 60 * 1000);
            let items = doc! { "$set": { "sentAt": long_ago, "attemptedAt": long_ago, "settledAt": long_ago } };
            f.rows("backup_items")
                .update_many(doc! {}, items)
                .await
                .unwrap();
            f.age_lease(Duration::from_mins(31)).await;
        } else {
            f.age_lease(DEAD).await;
        }
        assert!(is_interrupted(&f.holdfast, &id).await.unwrap(), "{state}");
        let outcome = here(&f.holdfast, &id).await;
        let BackupOutcome::Completed(job) = outcome else {
            panic!("{state}: {outcome:?}")
        };
        assert_completed_once(&f, &job, 4, state).await;
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_without_a_job_blocks_no_backup_after_two_minutes() {
    let f = Fixture::new(&[]).await;
    f.fill(1).await;
    let then = Timestamp::now() - SignedDuration::from_secs(121);
    let id = BackupId::new(BackupType::Content, then, [7; 4]);
    f.holdfast
        .catalog
        .acquire(Source::Content, &id, 2, then)
        .await
        .unwrap();
    assert!(is_interrupted(&f.holdfast, &id).await.unwrap());
    let next = f.trigger().await;
    assert!(matches!(
        here(&f.holdfast, &next).await,
        BackupOutcome::Completed(_)
    ));
    assert_eq!(f.leases().await, 0);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_recent_request_or_a_recent_beat_proves_a_live_backup() {
    let f = Fixture::new(&[]).await;
    let is_alive_after = async |id: &BackupId, silence: Duration| {
        let then = Timestamp::now() - SignedDuration::try_from(silence).unwrap();
        let then = DateTime::from_millis(then.as_millisecond());
        f.rows("backup_leases")
            .update_one(
                doc! { "_id": "content" },
                doc! { "$set": { "takenAt": then, "beatAt": then } },
            )
            .await
            .unwrap();
        is_alive(&f.holdfast, id).await.unwrap()
    };
    let id = f.trigger().await;
    assert!(is_alive_after(&id, Duration::from_secs(50)).await);
    assert!(!is_alive_after(&id, Duration::from_secs(65)).await);

    let now = Timestamp::now();
    f.holdfast
        .catalog
        .take_over(Source::Content, &id, 0, None, now)
        .await
        .unwrap();
    assert!(is_alive_after(&id, Duration::from_secs(20)).await);
    assert!(!is_alive_after(&id, Duration::from_secs(35)).await);

    let other = BackupId::new(BackupType::Content, now, [7; 4]);
    assert!(!is_alive(&f.holdfast, &other).await.unwrap());
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_lives_is_not_interrupted() {
    let origin = Origin::start().await;
    let f = Fixture::new(&[("BACKUP_CONTENT_ALLOWED_ORIGINS", origin.address())]).await;
    let slow = Answer::ok(noise(20 << 20)).dripping(1 << 20, Duration::from_millis(800));
    origin.answer("/file", [slow]);
    f.insert([item(1, "gaia", &origin.url("/file"))]).await;
    let id = f.trigger().await;
    let (outcome, is_interrupted) = tokio::join!(here(&f.holdfast, &id), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        is_interrupted(&f.holdfast, &id).await.unwrap()
    });
    assert!(!is_interrupted);
    assert!(
        matches!(outcome, BackupOutcome::Completed(_)),
        "{outcome:?}"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_a_kill_interrupted_was_no_attempt() {
    let origin = Origin::start().await;
    let settings = [
        ("BACKUP_CONTENT_ALLOWED_ORIGINS", origin.address()),
        ("BACKUP_CONTENT_RETRY_ATTEMPTS", "1"),
    ];
    let f = Fixture::new(&settings).await;
    let file = noise(20 << 20);
    let slow = Answer::ok(file.clone()).dripping(1 << 20, Duration::from_millis(100));
    origin.answer("/file", [slow, Answer::ok(file)]);
    f.insert([item(1, "gaia", &origin.url("/file"))]).await;
    let id = f.trigger().await;
    let asked = async {
        while origin.count("/file") == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        outcome = here(&f.holdfast, &id) => panic!("it ended before it was killed: {outcome:?}"),
        () = asked => {}
    }
    assert_eq!(f.item(&id, "1").await.attempts, 1);
    let begun = std::time::Instant::now();
    let job = resumed(&f, &id).await;
    assert_completed_once(&f, &job, 1, "mid-download").await;
    // A last attempt may still run, so it is awaited for at least five minutes.
    assert!(
        begun.elapsed() < Duration::from_mins(4),
        "{:?}",
        begun.elapsed()
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_functions_left_is_resumed_here_and_what_is_left_here_is_handed_on_to_functions() {
    let f = Fixture::new(&[]).await;
    f.fill(4).await;
    let id = f.trigger().await;
    assert!(dies_at(&f, &id, Operation::Put, 4).await);
    f.age_lease(DEAD).await;
    // The sweep finds no active run, and sends the pending items to the functions' queue.
    let later = Timestamp::now() + SignedDuration::from_mins(31);
    sweep(&f.holdfast, Some(&f.queue), later).await.unwrap();
    f.download_all().await;
    assert!(
        holdfast_operations::finalize_if_settled(&f.holdfast, &id, Timestamp::now())
            .await
            .unwrap()
    );
    let job = f.finish(&id).await;
    assert_completed_once(&f, &job, 4, "here, then by functions").await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_is_completed_by_a_part_that_is_resumed() {
    let f = Fixture::new(&[]).await;
    f.fill(4).await;
    let FullTrigger {
        job: full,
        children,
        ..
    } = trigger_full(&f.holdfast, None, Timestamp::now())
        .await
        .unwrap();
    let [database, content] = children.try_into().unwrap();
    let request = BackupRequest::Triggered {
        backup_id: database.backup_id.clone(),
    };
    holdfast_operations::back_up_database(&f.holdfast, request, RunLimits::none())
        .await
        .unwrap();
    // A large number of puts. The archive is the first put of the finalizer.
    assert!(dies_at(&f, &content.backup_id, Operation::List, 1).await);
    assert_eq!(f.job(&full.backup_id).await.status, JobStatus::Running);
    let job = resumed(&f, &content.backup_id).await;
    assert_completed_once(&f, &job, 4, "a part").await;
    assert_eq!(f.job(&full.backup_id).await.status, JobStatus::Completed);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_that_failed_is_completed_once_its_parts_are() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let FullTrigger {
        job: full,
        children,
        ..
    } = trigger_full(&f.holdfast, None, Timestamp::now())
        .await
        .unwrap();
    let [database, content] = children.try_into().unwrap();
    let request = BackupRequest::Triggered {
        backup_id: database.backup_id.clone(),
    };
    holdfast_operations::back_up_database(&f.holdfast, request, RunLimits::none())
        .await
        .unwrap();
    assert!(matches!(
        here(&f.holdfast, &content.backup_id).await,
        BackupOutcome::Completed(_)
    ));
    let expected = f.job(&full.backup_id).await;
    assert_eq!(expected.status, JobStatus::Completed);
    for (part, whole) in [
        ("failed", "failed"),
        ("cancelled", "cancelled"),
        ("completed", "failed"),
    ] {
        f.rewind(&content.backup_id, part).await;
        f.rewind(&full.backup_id, whole).await;
        let report = sweep(&f.holdfast, None, Timestamp::now()).await.unwrap();
        assert_eq!(report.problems, [""; 0]);
        assert_eq!(
            f.job(&content.backup_id).await.status,
            JobStatus::Completed,
            "{part} of {whole}"
        );
        let job = f.job(&full.backup_id).await;
        assert_eq!(
            (job.status, job.size),
            (JobStatus::Completed, expected.size),
            "{part} of {whole}"
        );
    }
    // A part in state failed leaves the parent unchanged.
    f.store
        .store
        .delete(&ObjectKey::manifest(&content.backup_id))
        .await
        .unwrap();
    f.rewind(&content.backup_id, "failed").await;
    f.rewind(&full.backup_id, "failed").await;
    sweep(&f.holdfast, None, Timestamp::now()).await.unwrap();
    assert_eq!(f.job(&full.backup_id).await.status, JobStatus::Failed);
    f.remove().await;
}
