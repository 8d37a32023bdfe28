//! The catalogue does not answer during a content backup. A short outage has no effect. A long one
//! ends in an error, and the next run resumes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use holdfast_catalog::Catalog;
use holdfast_domain::{BackupId, FailureCode, Job, JobStatus, Secret};
use holdfast_operations::{
    BackupOutcome, BackupRequest, DiscoveryOutcome, FinalizeOutcome, Holdfast, OperationError,
    RunLimits, StopReason, back_up_content_in_process, discover_content, download_item,
    finalize_content,
};
use holdfast_testing::{
    Fault, FaultStore, MongoProxy, Operation, Origin, Relay, Rule, long_cases, origin::Answer,
    server_error,
};
use mongodb::bson::Document;
use tokio::time::sleep;

use crate::support::content::{Fixture, item, noise};

const SHORT: Duration = Duration::from_secs(30);

/// The same, with its catalogue behind this relay.
async fn behind(relay: &Relay, f: &Fixture, h: Holdfast) -> Holdfast {
    let uri = Secret::new(relay.mongodb_uri(&f.catalog_database));
    Holdfast {
        catalog: Catalog::connect(&uri, &f.catalog_database).await.unwrap(),
        ..h
    }
}

fn request(id: &BackupId) -> BackupRequest {
    BackupRequest::Triggered {
        backup_id: id.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_continues_after_30_seconds_without_the_catalogue() {
    for is_silent in [true, false] {
        let f = Fixture::new(&[]).await;
        let documents = (1..=20_000).map(|id| item(id, "gaia", &format!("https://h.example/{id}")));
        f.insert(documents).await;
        let relay = Relay::before_mongodb().await;
        let h = behind(&relay, &f, f.holdfast.clone()).await;
        let id = f.trigger().await;
        let discovery = discover_content(&h, &f.queue, request(&id), RunLimits::none());
        let outage = async {
            while f.holdfast.catalog.content_work(&id).await.unwrap().found == 0 {
                sleep(Duration::from_millis(5)).await;
            }
            if is_silent {
                relay.silence();
            } else {
                relay.cut();
            }
            let found = f.holdfast.catalog.content_work(&id).await.unwrap().found;
            assert!(found < 20_000, "the discovery ended before the outage");
            sleep(SHORT).await;
            relay.restore();
        };
        let (outcome, ()) = tokio::join!(discovery, outage);
        let outcome = outcome.unwrap();
        assert!(
            matches!(&outcome, DiscoveryOutcome::Queued { counts, .. } if counts.expected == 20_000),
            "{outcome:?}"
        );
        assert_eq!(f.job(&id).await.fence, 1);
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalizer_continues_after_30_seconds_without_the_catalogue() {
    let f = Fixture::new(&[]).await;
    f.fill(4).await;
    let id = f.up_to_finalize().await;
    let fence = f.job(&id).await.fence;
    let (relay, faults) = (
        Relay::before_mongodb().await,
        FaultStore::new(Arc::clone(&f.store.store)),
    );
    // The archive.
    faults.on(Operation::Put, 1, Fault::Late(Duration::from_secs(5)));
    let h = behind(&relay, &f, f.over(faults.clone())).await;
    let outage = async {
        while faults.calls(Operation::Put) == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        relay.silence();
        sleep(SHORT).await;
        relay.restore();
    };
    let (outcome, ()) = tokio::join!(finalize_content(&h, &id, RunLimits::none()), outage);
    let outcome = outcome.unwrap();
    assert!(
        matches!(&outcome, FinalizeOutcome::Completed(job) if job.fence == fence + 1),
        "{outcome:?}"
    );
    assert_eq!(f.leases().await, 0);
    f.remove().await;
}

/// A discovery whose catalogue is away for so long ends in an error, and the event's next delivery
/// resumes it.
async fn discovery_is_retried_after(seconds: u64) {
    let f = Fixture::new(&[]).await;
    f.insert((1..=20_000).map(|id| item(id, "gaia", &format!("https://h.example/{id}"))))
        .await;
    let relay = Relay::before_mongodb().await;
    let h = behind(&relay, &f, f.holdfast.clone()).await;
    let id = f.trigger().await;
    let outage = async {
        while f.holdfast.catalog.content_work(&id).await.unwrap().found == 0 {
            sleep(Duration::from_millis(5)).await;
        }
        relay.silence();
        sleep(Duration::from_secs(seconds)).await;
        relay.restore();
    };
    let (ended, ()) = tokio::join!(
        discover_content(&h, &f.queue, request(&id), RunLimits::none()),
        outage
    );
    let error = ended.unwrap_err();
    assert!(
        error.is_transient() && error.is_catalog_away(),
        "{seconds}: {error}"
    );
    assert_eq!(
        f.job(&id).await.status,
        JobStatus::Running,
        "the job is neither failed nor given up"
    );
    let outcome = f.discover(&id).await;
    assert!(
        matches!(&outcome, DiscoveryOutcome::Queued { counts, .. } if counts.expected == 20_000),
        "{outcome:?}"
    );
    assert_eq!(f.job(&id).await.fence, 2, "the retry took it over");
    f.remove().await;
}

/// The same of a finalizer.
async fn finalizer_is_retried_after(seconds: u64) {
    let f = Fixture::new(&[]).await;
    f.fill(4).await;
    let id = f.up_to_finalize().await;
    let (relay, faults) = (
        Relay::before_mongodb().await,
        FaultStore::new(Arc::clone(&f.store.store)),
    );
    // The archive.
    faults.on(
        Operation::Put,
        1,
        Fault::Late(Duration::from_secs(seconds + 60)),
    );
    let h = behind(&relay, &f, f.over(faults.clone())).await;
    let outage = async {
        while faults.calls(Operation::Put) == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        relay.silence();
        sleep(Duration::from_secs(seconds)).await;
        relay.restore();
    };
    let (ended, ()) = tokio::join!(finalize_content(&h, &id, RunLimits::none()), outage);
    let error = ended.unwrap_err();
    assert!(
        matches!(error, OperationError::Stopped(StopReason::CatalogSilent)),
        "{seconds}: {error}"
    );
    assert_eq!(
        f.job(&id).await.status,
        JobStatus::Finalizing,
        "the job is neither failed nor given up"
    );
    assert_eq!(
        f.finish(&id).await.status,
        JobStatus::Completed,
        "the retry completes it"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_and_finalizer_end_in_an_error_after_a_minute_or_two_and_are_retried() {
    if !long_cases() {
        println!("not run: it takes minutes; `cargo xtask test --long` runs it");
        return;
    }
    tokio::join!(
        discovery_is_retried_after(60),
        discovery_is_retried_after(120),
        finalizer_is_retried_after(60),
        finalizer_is_retried_after(120),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_without_the_catalogue_is_an_error_that_the_queue_delivers_again() {
    let f = Fixture::new(&[]).await;
    f.add_gaia(1, "a file").await;
    let id = f.trigger().await;
    f.discover(&id).await;
    let relay = Relay::before_mongodb().await;
    let h = behind(&relay, &f, f.holdfast.clone()).await;
    relay.cut();
    let message = Fixture::message(&id, "1");
    let error = download_item(&h, &f.downloader, &message, RunLimits::none())
        .await
        .unwrap_err();
    assert!(error.is_catalog_away() && error.is_transient(), "{error}");
    relay.restore();
    let item = f.item(&id, "1").await;
    assert_eq!(
        (item.attempts, item.error),
        (0, None),
        "it is no fault of the item's"
    );
    download_item(&h, &f.downloader, &message, RunLimits::none())
        .await
        .unwrap();
    f.remove().await;
}

/// A file that takes this long to fetch, while the catalogue is away for this long.
async fn here_through_outage(
    lasts: Duration,
    file_takes: u64,
) -> (Fixture, BackupId, Result<BackupOutcome, OperationError>) {
    let origin = Origin::start().await;
    let f = Fixture::new(&[("BACKUP_CONTENT_ALLOWED_ORIGINS", origin.address())]).await;
    let file = noise(usize::try_from(file_takes).unwrap() << 16);
    let slow = Answer::ok(file.clone()).dripping(1 << 16, Duration::from_secs(1));
    origin.answer("/file", [slow, Answer::ok(file)]);
    f.insert([item(1, "gaia", &origin.url("/file"))]).await;
    let relay = Relay::before_mongodb().await;
    let h = behind(&relay, &f, f.holdfast.clone()).await;
    let id = f.trigger().await;
    let outage = async {
        while origin.count("/file") == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        relay.silence();
        sleep(lasts).await;
        relay.restore();
    };
    let (outcome, ()) = tokio::join!(
        back_up_content_in_process(&h, request(&id), RunLimits::none()),
        outage
    );
    if outcome.is_err() {
        let again = back_up_content_in_process(&f.holdfast, request(&id), RunLimits::none())
            .await
            .unwrap();
        assert!(matches!(again, BackupOutcome::Completed(_)), "{again:?}");
    }
    (f, id, outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_in_one_process_go_on_after_30_seconds_without_the_catalogue() {
    for file_takes in [3, 35] {
        let (f, id, outcome) = here_through_outage(SHORT, file_takes).await;
        let outcome = outcome.unwrap();
        assert!(
            matches!(&outcome, BackupOutcome::Completed(job) if job.fence == 1),
            "{outcome:?}"
        );
        assert_eq!(
            (f.job(&id).await.status, f.leases().await),
            (JobStatus::Completed, 0)
        );
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_in_one_process_end_in_an_error_after_a_minute_or_two_and_the_next_run_resumes_them()
 {
    if !long_cases() {
        println!("not run: it takes minutes; `cargo xtask test --long` runs it");
        return;
    }
    for seconds in [60, 120] {
        let (f, id, outcome) = here_through_outage(Duration::from_secs(seconds), 200).await;
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, OperationError::Stopped(StopReason::CatalogSilent)),
            "{seconds}: {error}"
        );
        let job = f.job(&id).await;
        assert_eq!(
            (job.status, job.fence, f.leases().await),
            (JobStatus::Completed, 2, 0)
        );
        f.remove().await;
    }
}

fn take_one(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    })
    .is_ok()
}

/// A catalogue that answers so many counts of items, and then neither `counts` further ones nor
/// `ends` calls that settle the job as failed.
struct Outage {
    answered: AtomicU32,
    counts: AtomicU32,
    ends: AtomicU32,
    seen: AtomicU32,
}

impl Outage {
    fn new(answered: u32, counts: u32, ends: u32) -> Arc<Self> {
        let [answered, counts, ends, seen] = [answered, counts, ends, 0].map(AtomicU32::new);
        Arc::new(Self {
            answered,
            counts,
            ends,
            seen,
        })
    }

    fn rule(&self, command: &Document) -> Rule {
        let is_count = command
            .get_str("aggregate")
            .is_ok_and(|collection| collection == "backup_items");
        let is_end = command
            .get_str("findAndModify")
            .is_ok_and(|collection| collection == "backup_jobs")
            && command.to_string().contains("failed");
        self.seen.fetch_add(u32::from(is_count), Ordering::SeqCst);
        let is_silent = (is_count && !take_one(&self.answered) && take_one(&self.counts))
            || (is_end && take_one(&self.ends));
        if is_silent {
            return Rule::Answer(server_error(
                91,
                "ShutdownInProgress",
                "The server is in quiesce mode",
            ));
        }
        Rule::Pass
    }
}

/// A backup that fails because a file is missing, with this catalogue. Returns its job.
async fn failed_through(outage: &Arc<Outage>) -> Job {
    let f = Fixture::new(&[("BACKUP_CONTENT_MAX_FAILURE_PERCENT", "24")]).await;
    f.fill(4).await;
    let id = f.up_to_finalize().await;
    let lost = f.item(&id, "1").await.file.unwrap();
    f.store
        .store
        .delete(&lost.object.artifact.key)
        .await
        .unwrap();
    let rules = Arc::clone(outage);
    let proxy = MongoProxy::start(move |command| rules.rule(command)).await;
    let uri = Secret::new(proxy.uri(&f.catalog_database));
    let catalog = Catalog::connect(&uri, &f.catalog_database).await.unwrap();
    let h = Holdfast {
        catalog,
        ..f.holdfast.clone()
    };
    let outcome = finalize_content(&h, &id, RunLimits::none()).await.unwrap();
    assert!(
        matches!(&outcome, FinalizeOutcome::Failed(_)),
        "{outcome:?}"
    );
    let job = f.job(&id).await;
    assert_eq!(f.leases().await, 0);
    f.remove().await;
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_recorded_with_its_counts_after_a_short_outage_of_the_catalogue() {
    let without_outage = Outage::new(u32::MAX, 0, 0);
    failed_through(&without_outage).await;
    // The last count is that of the failure. The driver repeats each call once by itself.
    let last = without_outage.seen.load(Ordering::SeqCst) - 1;
    let outage = Outage::new(last, 4, 4);
    let job = failed_through(&outage).await;
    assert_eq!(
        (
            outage.counts.load(Ordering::SeqCst),
            outage.ends.load(Ordering::SeqCst)
        ),
        (0, 0)
    );
    assert_eq!(job.status, JobStatus::Failed);
    assert_eq!(job.error.unwrap().code, FailureCode::TooManyFailures);
    let items = job.items.unwrap();
    assert_eq!((items.expected, items.failed), (4, 1));
}
