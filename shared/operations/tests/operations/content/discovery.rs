//! Discovery in pages, by runs that end early, are repeated or die. Also items without a need for a
//! download.

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use async_trait::async_trait;
use holdfast_catalog::Source;
use holdfast_domain::{
    DownloadMessage, FailureCode, ItemFailureCode, ItemStatus, JobStatus, Timestamp,
};
use holdfast_operations::{
    BackupRequest, DiscoveryOutcome, DownloadQueue, QueueError, RefusedMessage, RunLimits,
    SkipReason, cancel, discover_content,
};
use holdfast_testing::FileShape;
use mongodb::bson::{Bson, doc};

use crate::support::content::{Fixture, KEY, file_of, item};

fn failed(outcome: DiscoveryOutcome) -> holdfast_domain::Job {
    match outcome {
        DiscoveryOutcome::Failed(job) => *job,
        other => panic!("expected a failed discovery, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_that_is_not_removed_becomes_a_row_and_a_message() {
    let f = Fixture::new(&[]).await;
    f.fill(6).await;
    f.insert([
        item(7, "arweave", "https://x"),
        doc! { "contentId": 8, "storageType": "ipfs", "isRemoved": true },
    ])
    .await;
    let id = f.trigger().await;
    let outcome = f.discover(&id).await;
    assert!(
        matches!(&outcome, DiscoveryOutcome::Queued { counts, .. } if counts.expected == 6),
        "{outcome:?}"
    );
    let sent: Vec<String> = f
        .queue
        .take()
        .into_iter()
        .map(|message| message.content_id)
        .collect();
    assert_eq!(sent, ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(f.by_status(&id, ItemStatus::Pending).await.len(), 6);
    let lease = f
        .holdfast
        .catalog
        .get_lease(Source::Content)
        .await
        .unwrap()
        .unwrap();
    let created_at = f.job(&id).await.created_at;
    assert_eq!(
        lease
            .waits_until
            .unwrap()
            .duration_since(created_at)
            .as_hours(),
        24
    );
    assert_eq!(f.heard.states(), [JobStatus::Pending, JobStatus::Running]);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_known_to_fail_has_failed_without_a_message() {
    let f = Fixture::new(&[]).await;
    let mut untold = item(5, "ipfs", "");
    untold.remove("url");
    f.insert([
        item(1, "ipfs", "https://example.org/picture.png"),
        item(2, "ipfs", "ipfs://not-a-cid"),
        item(3, "gaia", "ftp://example.org/file"),
        item(
            4,
            "gaia",
            &format!("https://example.org/{}", "x".repeat(10_000)),
        ),
        untold,
    ])
    .await;
    let id = f.trigger().await;
    assert!(matches!(
        f.discover(&id).await,
        DiscoveryOutcome::Finalize { .. }
    ));
    assert!(f.queue.take().is_empty());
    for record in f.items(&id).await {
        let error = record.error.unwrap();
        assert!(
            matches!(
                error.code,
                ItemFailureCode::Unsupported | ItemFailureCode::BadCid
            ),
            "{error:?}"
        );
        assert!(!error.message.is_empty() && record.status == ItemStatus::Failed);
    }
    assert_eq!(
        f.item(&id, "2").await.error.unwrap().code,
        ItemFailureCode::BadCid
    );
    assert!(
        f.item(&id, "4")
            .await
            .error
            .unwrap()
            .message
            .contains("10020 bytes")
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_content_at_all_is_ready_to_be_finalized() {
    let f = Fixture::new(&[]).await;
    let id = f.trigger().await;
    assert!(matches!(
        f.discover(&id).await,
        DiscoveryOutcome::Finalize { .. }
    ));
    assert_eq!(f.job(&id).await.status, JobStatus::Finalizing);
    let job = f.finish(&id).await;
    assert_eq!(
        (job.status, job.items.unwrap().expected),
        (JobStatus::Completed, 0),
        "{:?}",
        job.error
    );
    assert!(job.message.unwrap().contains("nothing to back up"));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_titles_are_kept_as_they_are_and_name_one_plain_file() {
    let f = Fixture::new(&[]).await;
    let cid = f.node.add(file_of(1), &FileShape::v1()).await;
    let titles = [
        "../../x",
        "a\0b",
        "\u{202e}gpj.exe",
        "",
        &"ü".repeat(10_000),
    ];
    let documents = titles.iter().zip(1..).map(|(title, content_id)| {
        let mut document = item(
            content_id,
            "ipfs",
            &format!("ipfs://{cid}/../../etc/passwd"),
        );
        document.insert("url", format!("ipfs://{cid}"));
        document.insert("title", *title);
        document
    });
    f.insert(documents).await;
    let id = f.up_to_finalize().await;
    for (record, title) in f.items(&id).await.into_iter().zip(titles) {
        assert!(title.starts_with(&record.item.title) && record.item.title.chars().count() <= 4096);
        let name = record.file_name.unwrap();
        assert!(
            name.len() < 70
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            "{name}"
        );
    }
    assert_eq!(f.finish(&id).await.status, JobStatus::Completed);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_documents_with_one_content_id_are_two_items() {
    let f = Fixture::new(&[]).await;
    let url = f.node.put_gaia("a", "a").await;
    f.insert([item(1, "gaia", &url), item(1, "gaia", &url)])
        .await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let ids: BTreeSet<String> = f
        .queue
        .take()
        .into_iter()
        .map(|message| message.content_id)
        .collect();
    assert!(
        ids.len() == 2 && ids.iter().all(|id| id.starts_with('1')),
        "{ids:?}"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_and_unchanged_is_settled_without_a_download() {
    let f = Fixture::new(&[]).await;
    f.fill(10).await;
    assert_eq!(f.back_up().await.status, JobStatus::Completed);
    f.node.reset_requests().await;
    let changed = f.add_ipfs(11, "new").await;
    f.node.put_gaia("2.txt", "changed").await;
    let id = f.up_to_finalize().await;
    assert_eq!(f.by_status(&id, ItemStatus::Done).await, ["11", "2"]);
    assert_eq!(f.by_status(&id, ItemStatus::Unchanged).await.len(), 9);
    let requests = f.node.requests().await;
    assert_eq!(
        (
            requests.gateway.car + requests.gateway.raw,
            requests.gateway.plain
        ),
        (1, 0),
        "{requests:?} {changed}"
    );
    assert_eq!(
        (requests.gaia.full, requests.gaia.not_modified),
        (1, 4),
        "{requests:?}"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_file_whose_object_is_gone_is_fetched_again() {
    let f = Fixture::new(&[]).await;
    f.fill(4).await;
    let first = f.back_up().await;
    let (ipfs, gaia) = (
        f.item(&first.backup_id, "1").await.file.unwrap(),
        f.item(&first.backup_id, "2").await.file.unwrap(),
    );
    for key in [ipfs.dag.as_ref().unwrap(), &gaia.object].map(|object| &object.artifact.key) {
        f.store.store.delete(key).await.unwrap();
    }
    let id = f.up_to_finalize().await;
    assert_eq!(f.by_status(&id, ItemStatus::Done).await, ["1", "2"]);
    assert_eq!(f.by_status(&id, ItemStatus::Unchanged).await, ["3", "4"]);
    assert_eq!(
        f.content_of(&f.item(&id, "2").await.file.unwrap()).await,
        file_of(2)
    );
    f.remove().await;
}

/// Time for one page.
fn short() -> RunLimits {
    RunLimits {
        deadline: Some(Timestamp::now() + Duration::from_secs(50)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_whose_time_runs_out_hands_on_and_finds_every_item_once() {
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
    for round in 1..=2_u64 {
        let outcome = discover_content(&f.holdfast, &f.queue, request.clone(), short())
            .await
            .unwrap();
        assert!(
            matches!(outcome, DiscoveryOutcome::Continue { .. }),
            "{round}: {outcome:?}"
        );
        let lease = f
            .holdfast
            .catalog
            .get_lease(Source::Content)
            .await
            .unwrap()
            .unwrap();
        assert!(lease.waits_until.is_some() && lease.fence == round);
        assert_eq!(
            f.holdfast.catalog.content_work(&id).await.unwrap().found,
            round * 1000
        );
    }
    let outcome = f.discover(&id).await;
    assert!(
        matches!(&outcome, DiscoveryOutcome::Queued { counts, .. } if counts.expected == 2500),
        "{outcome:?}"
    );
    let sent = f.queue.take();
    let distinct: BTreeSet<&str> = sent
        .iter()
        .map(|message| message.content_id.as_str())
        .collect();
    assert_eq!((sent.len(), distinct.len()), (2500, 2500));
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_that_never_comes_to_its_end_is_given_up() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.trigger().await;
    let update =
        doc! { "$set": { "work": { "rounds": Bson::Int64(100), "found": Bson::Int64(7) } } };
    f.rows("backup_jobs")
        .update_one(doc! { "_id": id.as_str() }, update)
        .await
        .unwrap();
    let job = failed(f.discover(&id).await);
    assert!(job.error.unwrap().message.contains("100 times"));
    assert_eq!(f.leases().await, 0);
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_that_comes_again_sends_nothing_again() {
    let f = Fixture::new(&[]).await;
    f.fill(3).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let messages = f.queue.take();
    assert!(matches!(
        f.discover(&id).await,
        DiscoveryOutcome::Queued { .. }
    ));
    assert!(f.queue.take().is_empty());
    for message in &messages {
        f.download(message).await;
    }
    // The same event again, when every item is settled and the backup has not advanced yet.
    assert!(matches!(
        f.discover(&id).await,
        DiscoveryOutcome::Finalize { .. }
    ));
    let outcome = f.discover(&id).await;
    let elsewhere = matches!(
        &outcome,
        DiscoveryOutcome::Skipped {
            reason: SkipReason::RunningElsewhere,
            ..
        }
    );
    assert!(elsewhere, "{outcome:?}");
    assert_eq!(f.finish(&id).await.status, JobStatus::Completed);
    let outcome = f.discover(&id).await;
    let settled = SkipReason::AlreadyFinished(JobStatus::Completed);
    assert!(
        matches!(&outcome, DiscoveryOutcome::Skipped { reason, .. } if *reason == settled),
        "{outcome:?}"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_backup_is_not_discovered() {
    let f = Fixture::new(&[]).await;
    f.fill(2).await;
    let id = f.trigger().await;
    cancel(&f.holdfast, &id, Timestamp::now()).await.unwrap();
    assert!(matches!(
        f.discover(&id).await,
        DiscoveryOutcome::Skipped { .. }
    ));
    assert!(f.queue.take().is_empty());
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_that_is_not_possible_fails_before_anything_is_sent() {
    let mut f = Fixture::new(&[]).await;
    f.set(|settings| settings.content.encryption = true);
    f.fill(2).await;
    let id = f.trigger().await;
    assert_eq!(
        failed(f.discover(&id).await).error.unwrap().code,
        FailureCode::Encryption
    );
    assert!(f.queue.take().is_empty());
    assert!(f.keys_under("content/").await.is_empty());
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_string_without_a_database_is_a_failure_that_says_so() {
    let mut f = Fixture::new(&[]).await;
    let server = holdfast_domain::Secret::new(&holdfast_testing::parts().mongodb_uri);
    f.set(|settings| settings.mongodb_uri = server);
    let id = f.trigger().await;
    let error = failed(f.discover(&id).await).error.unwrap();
    assert_eq!(error.code, FailureCode::ConfigInvalid);
    assert!(
        error.message.contains("MONGODB_URI") && error.message.contains("names no database"),
        "{}",
        error.message
    );
    f.remove().await;
}

/// Accepts some messages, then no more.
#[derive(Default)]
struct Refusing(std::sync::atomic::AtomicUsize);

#[async_trait]
impl DownloadQueue for Refusing {
    async fn send(&self, _: &[DownloadMessage]) -> Result<Vec<RefusedMessage>, QueueError> {
        if self.0.fetch_add(1, Ordering::SeqCst) == 0 {
            return Ok(Vec::new());
        }
        Err(QueueError {
            message: "AccessDenied".to_owned(),
            is_transient: false,
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_refuses_fails_the_backup_and_frees_its_lease() {
    let f = Fixture::new(&[]).await;
    f.insert((1..=1500).map(|content_id| item(content_id, "gaia", "https://h.example/x")))
        .await;
    let id = f.trigger().await;
    let request = BackupRequest::Triggered {
        backup_id: id.clone(),
    };
    let outcome = discover_content(
        &f.holdfast,
        &Refusing::default(),
        request,
        RunLimits::none(),
    )
    .await
    .unwrap();
    let job = failed(outcome);
    assert!(job.error.unwrap().message.contains("AccessDenied"));
    assert_eq!(f.leases().await, 0);
    // The message already sent has no effect.
    let message = Fixture::message(&id, "1");
    assert_eq!(
        f.download(&message).await,
        holdfast_operations::DownloadOutcome::AlreadySettled
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_turned_on_over_content_kept_plain_fetches_it_again() {
    let mut f = Fixture::new(&[("BACKUP_ENCRYPTION_KEY", KEY)]).await;
    f.fill(4).await;
    let plain = f.back_up().await;
    f.set(|settings| settings.content.encryption = true);
    let id = f.up_to_finalize().await;
    assert_eq!(
        f.by_status(&id, ItemStatus::Done).await,
        ["1", "2", "3", "4"]
    );
    for (record, content_id) in f.items(&id).await.into_iter().zip(1..) {
        let file = record.file.unwrap();
        assert!(
            std::iter::once(&file.object)
                .chain(&file.dag)
                .all(|dag| dag.encryption.is_some())
        );
        assert!(
            !file
                .object
                .artifact
                .key
                .as_str()
                .contains(&file.file_sha256.to_string()),
            "its address reveals nothing"
        );
        assert_eq!(f.content_of(&file).await, file_of(content_id));
    }
    f.finish(&id).await;
    // The plain backup is unchanged, and encrypted content is good enough after encryption is off
    // again.
    assert_eq!(
        f.content_of(&f.item(&plain.backup_id, "1").await.file.unwrap())
            .await,
        file_of(1)
    );
    f.set(|settings| settings.content.encryption = false);
    let id = f.up_to_finalize().await;
    assert_eq!(f.by_status(&id, ItemStatus::Unchanged).await.len(), 4);
    f.finish(&id).await;
    // Without the key it is unreadable, so it is fetched again.
    f.set(|settings| settings.encryption_key = None);
    let id = f.up_to_finalize().await;
    assert_eq!(f.by_status(&id, ItemStatus::Done).await.len(), 4);
    f.remove().await;
}
