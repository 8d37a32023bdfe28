//! Runs and workers that die at any await. The next run resumes, and nothing is lost, repeated or
//! left over.

use std::{collections::BTreeSet, time::Duration};

use holdfast_domain::{ItemFailureCode, ItemStatus, JobStatus, Timestamp};
use holdfast_operations::{
    BackupRequest, DiscoveryOutcome, DownloadOutcome, RunLimits, discover_content, download_item,
    finalize_if_settled,
};
use holdfast_testing::{Origin, origin::Answer};
use mongodb::bson::{DateTime, doc};

use crate::support::content::{Fixture, item, noise};

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_killed_anywhere_is_resumed_and_finds_every_item_once() {
    let f = Fixture::new(&[]).await;
    let documents = (1..=2500).map(|content_id| {
        item(
            content_id,
            "gaia",
            &format!("https://h.example/{content_id}"),
        )
    });
    f.insert(documents).await;
    let id = f.trigger().await;
    let request = BackupRequest::Triggered {
        backup_id: id.clone(),
    };
    for cut in 0..6_u32 {
        let discovery = discover_content(&f.holdfast, &f.queue, request.clone(), RunLimits::none());
        if tokio::time::timeout(Duration::from_millis(10 + u64::from(60 * cut)), discovery)
            .await
            .is_ok()
        {
            break;
        }
        f.age_lease(Duration::from_secs(61)).await;
    }
    let outcome = f.discover(&id).await;
    assert!(
        matches!(&outcome, DiscoveryOutcome::Queued { counts, .. } if counts.expected == 2500),
        "{outcome:?}"
    );
    let sent = f.queue.take();
    let distinct: BTreeSet<String> = sent.into_iter().map(|message| message.content_id).collect();
    assert_eq!(distinct.len(), 2500);
    f.remove().await;
}

/// An item from a slow origin, so that a worker can be killed during its fetch.
async fn dripping(attempts: &str, origin: &Origin) -> Fixture {
    let settings = [
        ("BACKUP_CONTENT_ALLOWED_ORIGINS", origin.address()),
        ("BACKUP_CONTENT_RETRY_ATTEMPTS", attempts),
    ];
    let f = Fixture::new(&settings).await;
    let file = noise(20 << 20);
    let slow = Answer::ok(file.clone()).dripping(1 << 20, Duration::from_millis(100));
    origin.answer("/file", [slow, Answer::ok(file)]);
    f.insert([item(1, "gaia", &origin.url("/file"))]).await;
    f
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_mid_download_leaves_nothing_and_the_next_attempt_succeeds() {
    let origin = Origin::start().await;
    let f = dripping("3", &origin).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let message = Fixture::message(&id, "1");
    let download = download_item(&f.holdfast, &f.downloader, &message, RunLimits::none());
    assert!(
        tokio::time::timeout(Duration::from_millis(1500), download)
            .await
            .is_err()
    );
    f.assert_nothing_on_its_way().await;
    assert_eq!(
        (
            f.item(&id, "1").await.status,
            f.item(&id, "1").await.attempts
        ),
        (ItemStatus::Pending, 1)
    );
    assert_eq!(f.download(&message).await, DownloadOutcome::Settled);
    assert_eq!(f.item(&id, "1").await.attempts, 2);
    assert_eq!(f.keys_under("content/objects/").await.len(), 1);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_attempt_that_was_killed_is_waited_for_and_then_settled() {
    let origin = Origin::start().await;
    let f = dripping("1", &origin).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let message = Fixture::message(&id, "1");
    let download = download_item(&f.holdfast, &f.downloader, &message, RunLimits::none());
    assert!(
        tokio::time::timeout(Duration::from_millis(1500), download)
            .await
            .is_err()
    );
    // It may only be slow.
    assert!(matches!(
        f.download(&message).await,
        DownloadOutcome::Retry { .. }
    ));
    let long_ago = DateTime::from_millis(Timestamp::now().as_millisecond() - 21 * 60 * 1000);
    f.rows("backup_items")
        .update_many(doc! {}, doc! { "$set": { "attemptedAt": long_ago } })
        .await
        .unwrap();
    assert_eq!(f.download(&message).await, DownloadOutcome::Settled);
    assert_eq!(
        f.item(&id, "1").await.error.unwrap().code,
        ItemFailureCode::Stopped
    );
    assert!(
        finalize_if_settled(&f.holdfast, &id, Timestamp::now())
            .await
            .unwrap()
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_anywhere_lose_nothing() {
    let f = Fixture::new(&[("BACKUP_CONTENT_RETRY_ATTEMPTS", "10")]).await;
    for content_id in 1..=4 {
        f.add_ipfs(content_id, noise(12 << 20)).await;
    }
    let id = f.trigger().await;
    f.discover(&id).await;
    for (message, cuts) in f.queue.take().into_iter().zip([5, 40, 120, 300]) {
        for cut in 1..=4_u64 {
            let download = download_item(&f.holdfast, &f.downloader, &message, RunLimits::none());
            if tokio::time::timeout(Duration::from_millis(cuts * cut), download)
                .await
                .is_ok()
            {
                break;
            }
        }
        let outcome = f.download(&message).await;
        assert!(
            matches!(
                outcome,
                DownloadOutcome::Settled | DownloadOutcome::AlreadySettled
            ),
            "{outcome:?}"
        );
    }
    assert_eq!(f.by_status(&id, ItemStatus::Done).await.len(), 4);
    assert_eq!(
        (
            f.keys_under("content/objects/").await.len(),
            f.keys_under("content/dags/").await.len()
        ),
        (4, 4)
    );
    assert!(
        finalize_if_settled(&f.holdfast, &id, Timestamp::now())
            .await
            .unwrap()
    );
    assert_eq!(f.finish(&id).await.status, JobStatus::Completed);
    f.remove().await;
}
