//! Discovery by runs that end early, are repeated or never end.

use std::{collections::BTreeSet, time::Duration};

use holdfast_catalog::Source;
use holdfast_domain::{JobStatus, Timestamp};
use holdfast_operations::{
    BackupRequest, DiscoveryOutcome, RunLimits, SkipReason, cancel, discover_content,
};
use mongodb::bson::{Bson, doc};

use super::discovery::failed;
use crate::support::content::{Fixture, item};

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
