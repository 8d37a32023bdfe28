//! Failures: each ends in a failed job with a reason, without remains in the store and without a
//! secret in its message.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{BackupType, FailureCode, Job, JobStatus, Secret, Timestamp};
use holdfast_operations::{BackupRequest, Holdfast, RunLimits, back_up_database, trigger};
use holdfast_testing::{Fault, FaultStore, MongoServer, Operation};
use jiff::SignedDuration;

use crate::support::database::{Fixture, KEY, completed, failed, run};

async fn fails(f: &Fixture, h: &Holdfast) -> Job {
    let job = trigger(h, BackupType::Database, None, Timestamp::now())
        .await
        .unwrap();
    let job = failed(run(h, job.backup_id).await);
    assert_eq!(job.status, JobStatus::Failed);
    assert!(job.completed_at.is_some());
    assert_eq!(f.leases().await, 0);
    job
}

async fn no_backup_is_left(f: &Fixture) {
    let left: Vec<String> = f
        .keys()
        .await
        .into_iter()
        .filter(|key| key.starts_with("database/"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(f.store.unfinished_uploads().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_said_in_seconds() {
    let f = Fixture::new(&[]).await;
    let uri = "mongodb://ada:hunter2@127.0.0.1:9/web3platform?directConnection=true";
    let h = f.with(|settings| settings.mongodb_uri = Secret::new(uri));
    let begun = std::time::Instant::now();
    let job = fails(&f, &h).await;
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        job.error.as_ref().unwrap().code,
        FailureCode::SourceUnreachable
    );
    assert!(!format!("{job:?}").contains("hunter2"));
    assert!(job.error.unwrap().hint.unwrap().contains("MONGODB_URI"));
    no_backup_is_left(&f).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_uri_is_said_without_showing_it() {
    let f = Fixture::new(&[]).await;
    let h = f.with(|settings| {
        settings.mongodb_uri = Secret::new("mongodb://ada:hunter2@@host:port:9/x?nonsense");
    });
    let job = fails(&f, &h).await;
    assert_eq!(job.error.as_ref().unwrap().code, FailureCode::ConfigInvalid);
    assert!(!format!("{job:?}").contains("hunter2"));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_is_not_there_is_no_empty_backup() {
    let f = Fixture::new(&[("BACKUP_DATABASE_COLLECTIONS", "users,tpyo")]).await;
    f.fill(10).await;
    let job = fails(&f, &f.holdfast).await;
    assert!(job.error.unwrap().message.contains("tpyo"));
    no_backup_is_left(&f).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_is_said_and_nothing_is_left() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(20).await;
    for operation in [
        Operation::BeginUpload,
        Operation::UploadPart,
        Operation::CompleteUpload,
    ] {
        let faults = FaultStore::new(Arc::clone(&f.store.store));
        faults.on_every(operation, Fault::Denied);
        let job = fails(&f, &f.over(faults)).await;
        assert_eq!(
            job.error.unwrap().code,
            FailureCode::StoreDenied,
            "{operation:?}"
        );
        no_backup_is_left(&f).await;
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_away_is_said_and_nothing_is_left() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(20).await;
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(Operation::UploadPart, 2, Fault::Unavailable);
    let job = fails(&f, &f.over(faults)).await;
    assert_eq!(job.error.unwrap().code, FailureCode::StoreUnavailable);
    no_backup_is_left(&f).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_altered_on_its_way_is_never_a_backup() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(20).await;
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(Operation::UploadPart, 1, Fault::Alter);
    let job = fails(&f, &f.over(faults)).await;
    assert_eq!(job.error.unwrap().code, FailureCode::StoreCorrupt);
    no_backup_is_left(&f).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_whose_answer_was_lost_is_a_backup() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(Operation::Put, 5, Fault::LostAnswer);
    let h = f.over(faults.clone());
    let id = f.trigger().await;
    let job = completed(run(&h, id).await);
    assert_eq!(faults.calls(Operation::Put), 5);
    f.restored(&job.backup_id).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_manifest_is_no_backup_and_leaves_no_dump() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(Operation::Put, 5, Fault::Denied);
    let job = fails(&f, &f.over(faults)).await;
    assert_eq!(job.error.unwrap().code, FailureCode::StoreDenied);
    assert!(
        f.keys()
            .await
            .iter()
            .all(|key| !key.contains("dump.") && !key.contains("manifest"))
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_would_pass_its_deadline_stops_and_says_what_to_do() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(20).await;
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(Operation::UploadPart, 2, Fault::Hang);
    let h = f.over(faults);
    let id = f.trigger().await;
    let limits = RunLimits {
        deadline: Some(Timestamp::now() + SignedDuration::from_secs(23)),
    };
    let begun = std::time::Instant::now();
    let job = failed(
        back_up_database(&h, BackupRequest::Triggered { backup_id: id }, limits)
            .await
            .unwrap(),
    );
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    let error = job.error.unwrap();
    assert_eq!(error.code, FailureCode::Deadline);
    assert!(error.hint.unwrap().contains("holdfast run database"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    no_backup_is_left(&f).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_that_is_not_possible_is_a_failed_job() {
    let f = Fixture::new(&[
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    f.fill(10).await;
    f.back_up().await;
    let keys = f.keys().await;
    let other = f.with(|settings| settings.encryption_key = Some(Secret::new("f".repeat(64))));
    let job = fails(&f, &other).await;
    let error = job.error.unwrap();
    assert_eq!(error.code, FailureCode::Encryption);
    assert!(error.message.contains("epoch 1"), "{}", error.message);
    assert_eq!(f.keys().await, keys);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_in_the_middle_fails_the_job_and_leaves_nothing() {
    let f = Fixture::new(&[]).await;
    let mut server = MongoServer::start(&[]).await;
    let uri = server.uri("", "platform");
    let client = mongodb::Client::with_uri_str(&uri).await.unwrap();
    crate::support::database::fill_with_noise(&client.database("platform"), 40).await;
    let h = f.with(|settings| settings.mongodb_uri = Secret::new(&uri));
    // The first part takes a while to store, so the rest is still unread when the server stops.
    let faults = FaultStore::new(Arc::clone(&f.store.store));
    faults.on(
        Operation::UploadPart,
        1,
        Fault::Late(Duration::from_secs(2)),
    );
    let h = Holdfast {
        repository: f.over(faults.clone()).repository,
        ..h
    };
    let job = trigger(&h, BackupType::Database, None, Timestamp::now())
        .await
        .unwrap();
    let running = tokio::spawn(async move { run(&h, job.backup_id).await });
    while faults.calls(Operation::UploadPart) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.kill();
    let job = failed(running.await.unwrap());
    assert_eq!(
        job.error.as_ref().unwrap().code,
        FailureCode::SourceLost,
        "{:?}",
        job.error
    );
    assert_eq!(f.leases().await, 0);
    no_backup_is_left(&f).await;
    f.remove().await;
}
