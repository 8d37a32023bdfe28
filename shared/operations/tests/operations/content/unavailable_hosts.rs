//! Many items wait for a host that is down. They wait for an hour, and fail with the host's last
//! fault. Items of other hosts are settled before. A short outage, a busy host and requested pauses
//! fail no item.

use std::time::Duration;

use holdfast_domain::{
    BackupId, DownloadMessage, ItemFailureCode, ItemStatus, JobStatus, Timestamp,
};
use holdfast_operations::{DownloadOutcome, DownloadQueue as _, Downloader, finalize_if_settled};
use holdfast_testing::{Origin, origin::Answer};
use mongodb::bson::{DateTime, doc};

use crate::support::content::{Fixture, file_of, item};

const FILES: usize = 30;
const ATTEMPTS: usize = 3;

/// One round through the queue, as after its visibility time-out. Returns what is to be tried
/// again.
async fn round(f: &Fixture) -> usize {
    let mut again: Vec<DownloadMessage> = Vec::new();
    for message in f.queue.take() {
        if let DownloadOutcome::Retry { .. } = f.download(&message).await {
            again.push(message);
        }
    }
    f.queue.send(&again).await.unwrap();
    again.len()
}

/// Changes the rows of all pending items: they wait for their host since so many minutes.
async fn set_wait(f: &Fixture, id: &BackupId, minutes: i64) {
    let then = DateTime::from_millis(Timestamp::now().as_millisecond() - minutes * 60_000);
    let filter = doc! { "backupId": id.as_str(), "status": ItemStatus::Pending.as_str() };
    f.rows("backup_items")
        .update_many(filter, doc! { "$set": { "putOffSince": then } })
        .await
        .unwrap();
}

/// Number of pending items with a recorded wait for their host.
async fn waiting(f: &Fixture, id: &BackupId) -> u64 {
    let pending = ItemStatus::Pending.as_str();
    let filter =
        doc! { "backupId": id.as_str(), "status": pending, "putOffSince": { "$exists": true } };
    f.rows("backup_items")
        .count_documents(filter)
        .await
        .unwrap()
}

/// Rounds until this holds.
async fn rounds_until(f: &Fixture, holds: impl AsyncFn() -> bool) {
    for _ in 0..60 {
        if holds().await {
            return;
        }
        round(f).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("60 rounds were not enough");
}

async fn two_hosts(sick: &Origin, well: &Origin) -> Fixture {
    let allowed = format!("{},{}", sick.address(), well.address());
    let settings = [
        ("BACKUP_CONTENT_ALLOWED_ORIGINS", allowed.as_str()),
        ("BACKUP_CONTENT_MAX_FAILURE_PERCENT", "60"),
    ];
    let f = Fixture::new(&settings).await;
    well.answer("/", [Answer::ok(file_of(1))]);
    for number in (1..).take(2 * FILES) {
        let path = format!("/{number}");
        let host = if number % 2 == 0 { sick } else { well };
        f.insert([item(number, "gaia", &host.url(&path))]).await;
    }
    f
}

/// Items of one host, with more attempts than an outage costs.
async fn one_host(host: &Origin) -> Fixture {
    let settings = [
        ("BACKUP_CONTENT_ALLOWED_ORIGINS", host.address()),
        ("BACKUP_CONTENT_RETRY_ATTEMPTS", "10"),
    ];
    let f = Fixture::new(&settings).await;
    for number in (1..).take(FILES) {
        f.insert([item(number, "gaia", &host.url(&format!("/{number}")))])
            .await;
    }
    f
}

#[tokio::test(flavor = "multi_thread")]
async fn items_of_a_host_that_is_down_wait_for_an_hour_and_the_next_backup_requests_them_again() {
    let (sick, well) = (Origin::start().await, Origin::start().await);
    let mut f = two_hosts(&sick, &well).await;
    sick.answer("/", [Answer::status(503)]);
    let id = f.trigger().await;
    f.discover(&id).await;
    round(&f).await;
    assert_eq!(
        f.by_status(&id, ItemStatus::Done).await.len(),
        FILES,
        "the other host's items are settled at once"
    );
    assert_eq!(
        waiting(&f, &id).await,
        0,
        "the host failed five times and may work again in a moment"
    );
    // After two failed probes the host counts as down.
    rounds_until(&f, async || sick.requests().len() >= 7).await;
    round(&f).await;
    assert!(
        waiting(&f, &id).await >= (FILES - ATTEMPTS) as u64,
        "the wait of the items begins"
    );
    set_wait(&f, &id, 59).await;
    round(&f).await;
    assert!(
        f.by_status(&id, ItemStatus::Pending).await.len() >= FILES - ATTEMPTS,
        "the hour is not over"
    );
    let hour_is_over = async || {
        set_wait(&f, &id, 61).await;
        f.by_status(&id, ItemStatus::Pending).await.is_empty()
    };
    rounds_until(&f, hour_is_over).await;
    let requests = sick.requests().len();
    assert!(
        requests <= FILES,
        "a host that is down gets few requests: {requests}"
    );
    for record in f
        .items(&id)
        .await
        .iter()
        .filter(|record| record.status == ItemStatus::Failed)
    {
        let error = record.error.as_ref().unwrap();
        assert_eq!(error.code, ItemFailureCode::Unavailable);
        assert!(
            error.message.contains(sick.address()) && error.message.contains("answered 503"),
            "{}",
            error.message
        );
    }
    assert!(
        finalize_if_settled(&f.holdfast, &id, Timestamp::now())
            .await
            .unwrap()
    );
    let job = f.finish(&id).await;
    assert_eq!(
        (job.status, job.items.unwrap().failed),
        (JobStatus::Completed, FILES as u64),
        "{:?}",
        job.error
    );

    sick.answer("/", [Answer::ok(file_of(0))]);
    f.downloader = Downloader::new(&f.holdfast.settings).unwrap();
    let next = f.up_to_finalize().await;
    assert_eq!(
        sick.requests().len(),
        requests + FILES,
        "each of them is requested again, once"
    );
    let job = f.finish(&next).await;
    assert_eq!(
        (job.status, job.items.unwrap().failed),
        (JobStatus::Completed, 0),
        "{:?}",
        job.error
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_asks_to_wait_and_then_answers_loses_no_item_after_an_hour() {
    let (busy, well) = (Origin::start().await, Origin::start().await);
    let f = two_hosts(&busy, &well).await;
    let throttled = || Answer::status(429).with_header("Retry-After", 1);
    let answers = (1..=10).flat_map(|number| [throttled(), Answer::ok(file_of(number))]);
    busy.answer("/", answers);
    let id = f.trigger().await;
    f.discover(&id).await;
    set_wait(&f, &id, 300).await;
    round(&f).await;
    assert_eq!(waiting(&f, &id).await, 0, "a requested pause is no outage");
    rounds_until(&f, async || {
        f.by_status(&id, ItemStatus::Pending).await.is_empty()
    })
    .await;
    assert_eq!(f.by_status(&id, ItemStatus::Done).await.len(), 2 * FILES);
    assert_eq!(
        busy.requests().len(),
        FILES + 10,
        "ten of them were asked to wait"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_requests_to_wait_fail_no_item_of_a_host_that_then_answers() {
    let busy = Origin::start().await;
    let f = one_host(&busy).await;
    let throttled = || Answer::status(429).with_header("Retry-After", 1);
    busy.answer(
        "/",
        (0..3).map(|_| throttled()).chain([Answer::ok(file_of(1))]),
    );
    let id = f.trigger().await;
    f.discover(&id).await;
    let all_are_done = async || {
        // Even items with a long wait for their host do not fail during a requested pause.
        set_wait(&f, &id, 300).await;
        f.by_status(&id, ItemStatus::Pending).await.is_empty()
    };
    rounds_until(&f, all_are_done).await;
    assert_eq!(f.by_status(&id, ItemStatus::Done).await.len(), FILES);
    assert_eq!(busy.requests().len(), FILES + 3);
    f.remove().await;
}
