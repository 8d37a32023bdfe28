//! Faulty origins and gateways. Transient faults are retried with growing waits, permanent ones
//! settle at once, and no partial file is stored.

use std::time::Duration;

use holdfast_domain::{BackupId, ItemFailureCode, ItemStatus, Timestamp};
use holdfast_operations::{DownloadOutcome, finalize_if_settled};
use holdfast_recovery::content_items;
use holdfast_testing::{Origin, TestStore, origin::Answer};

use crate::support::content::{Fixture, file_of, item, noise};

/// A platform with Gaia content on a scripted origin.
struct Stage {
    f: Fixture,
    origin: Origin,
    id: BackupId,
}

impl Stage {
    async fn new(settings: &[(&str, &str)], answers: impl IntoIterator<Item = Answer>) -> Self {
        let origin = Origin::start().await;
        let mut settings = settings.to_vec();
        let address = origin.address().to_owned();
        settings.extend([
            ("BACKUP_CONTENT_ALLOWED_ORIGINS", address.as_str()),
            ("BACKUP_CONTENT_TIMEOUT_MS", "500"),
        ]);
        let f = Fixture::with_store(&settings, TestStore::new().await).await;
        origin.answer("/file", answers);
        f.insert([item(1, "gaia", &origin.url("/file"))]).await;
        let id = f.trigger().await;
        f.discover(&id).await;
        Self { f, origin, id }
    }

    async fn attempt(&self) -> DownloadOutcome {
        self.f.download(&Fixture::message(&self.id, "1")).await
    }

    async fn fails_at_once_as(self, code: ItemFailureCode) {
        assert_eq!(self.attempt().await, DownloadOutcome::Settled);
        let record = self.f.item(&self.id, "1").await;
        assert_eq!((record.status, record.attempts), (ItemStatus::Failed, 1));
        let error = record.error.unwrap();
        assert_eq!(error.code, code, "{}", error.message);
        self.nothing_is_left().await;
    }

    /// After the maximum number of attempts, with growing waits.
    async fn fails_in_the_end_as(self, code: ItemFailureCode) {
        let mut waits = Vec::new();
        while let DownloadOutcome::Retry { after, .. } = self.attempt().await {
            assert_eq!(self.f.item(&self.id, "1").await.status, ItemStatus::Pending);
            waits.push(after);
        }
        assert!(waits.len() == 2 && waits[1] > waits[0], "{waits:?}");
        let record = self.f.item(&self.id, "1").await;
        assert_eq!((record.status, record.attempts), (ItemStatus::Failed, 3));
        let error = record.error.unwrap();
        assert!(
            error.code == code && error.message.contains("attempt 3 of 3"),
            "{error:?}"
        );
        self.nothing_is_left().await;
    }

    async fn nothing_is_left(self) {
        self.f.assert_nothing_on_its_way().await;
        assert!(self.f.keys_under("content/objects/").await.is_empty());
        self.f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_retry_can_mend_settles_at_once() {
    use ItemFailureCode::{Blocked, Gone, NotFound, Refused, TooLarge};
    Stage::new(&[], [Answer::status(404)])
        .await
        .fails_at_once_as(NotFound)
        .await;
    Stage::new(&[], [Answer::status(410)])
        .await
        .fails_at_once_as(Gone)
        .await;
    Stage::new(&[], [Answer::status(403)])
        .await
        .fails_at_once_as(Refused)
        .await;
    let small = [("BACKUP_MAX_FILE_SIZE", "10000")];
    Stage::new(&small, [Answer::ok(noise(20_000))])
        .await
        .fails_at_once_as(TooLarge)
        .await;
    Stage::new(&small, [Answer::ok(noise(20_000)).chunked()])
        .await
        .fails_at_once_as(TooLarge)
        .await;
    Stage::new(&small, [Answer::ok(noise(1000)).endless()])
        .await
        .fails_at_once_as(TooLarge)
        .await;
    let another = Origin::start().await;
    Stage::new(&[], [Answer::redirect(&another.url("/"))])
        .await
        .fails_at_once_as(Blocked)
        .await;
    let metadata = "http://169.254.169.254/latest/meta-data/";
    Stage::new(&[], [Answer::redirect(metadata)])
        .await
        .fails_at_once_as(Blocked)
        .await;
    assert!(another.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_as_often_as_set_with_growing_waits() {
    use ItemFailureCode::{InvalidAnswer, TimedOut, Unavailable};
    Stage::new(&[], [Answer::status(500)])
        .await
        .fails_in_the_end_as(Unavailable)
        .await;
    Stage::new(&[], [Answer::silence()])
        .await
        .fails_in_the_end_as(TimedOut)
        .await;
    let large = noise(20 << 20);
    Stage::new(&[], [Answer::ok(large.clone()).cut_after(15 << 20)])
        .await
        .fails_in_the_end_as(InvalidAnswer)
        .await;
    Stage::new(&[], [Answer::ok(large.clone()).stall_after(15 << 20)])
        .await
        .fails_in_the_end_as(TimedOut)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_passes_costs_an_attempt_and_nothing_else() {
    let file = file_of(1);
    let answers = [
        Answer::status(503),
        Answer::ok(file.clone()).cut_after(10),
        Answer::ok(file.clone()),
    ];
    let stage = Stage::new(&[], answers).await;
    assert!(matches!(
        stage.attempt().await,
        DownloadOutcome::Retry { .. }
    ));
    assert!(matches!(
        stage.attempt().await,
        DownloadOutcome::Retry { .. }
    ));
    assert_eq!(stage.attempt().await, DownloadOutcome::Settled);
    let record = stage.f.item(&stage.id, "1").await;
    assert_eq!((record.status, record.attempts), (ItemStatus::Done, 3));
    let kept = record.file.unwrap();
    assert_eq!(kept.served_by, stage.origin.address());
    assert_eq!(stage.f.content_of(&kept).await, file);
    stage.f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_asks_to_wait_is_given_its_time() {
    let throttled = Answer::status(429).with_header("Retry-After", 100);
    let stage = Stage::new(&[], [throttled]).await;
    let outcome = stage.attempt().await;
    assert!(
        matches!(&outcome, DownloadOutcome::Retry { after, .. } if *after >= Duration::from_secs(95)),
        "{outcome:?}"
    );
    stage.f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_file_replaces_a_file_missing_at_its_origin() {
    use ItemFailureCode::{Gone, NotFound, Refused, Unavailable};
    let file = file_of(1);
    for (status, code) in [
        (404, NotFound),
        (410, Gone),
        (403, Refused),
        (500, Unavailable),
    ] {
        let Stage {
            f,
            origin,
            id: first,
        } = Stage::new(&[], [Answer::ok(file.clone())]).await;
        f.download_all().await;
        assert!(
            finalize_if_settled(&f.holdfast, &first, Timestamp::now())
                .await
                .unwrap()
        );
        f.finish(&first).await;
        origin.answer("/file", [Answer::status(status)]);
        let id = f.up_to_finalize().await;
        let (old, new) = (f.item(&first, "1").await, f.item(&id, "1").await);
        assert_eq!(
            (new.status, new.file.as_ref()),
            (ItemStatus::Unchanged, old.file.as_ref()),
            "{status}"
        );
        assert_eq!(new.error.unwrap().code, code);
        let job = f.finish(&id).await;
        assert_eq!(
            job.status,
            holdfast_domain::JobStatus::Completed,
            "{:?}",
            job.error
        );
        let items = job.items.unwrap();
        assert_eq!((items.expected, items.unchanged, items.failed), (1, 1, 0));
        // By the store alone, as retention sees it.
        let mut listed = Vec::new();
        content_items(&f.holdfast.repository, &id, |item| listed.push(item))
            .await
            .unwrap();
        assert_eq!(listed[0].file, old.file);
        assert_eq!(listed[0].error.as_ref().unwrap().code, code);
        assert_eq!(f.content_of(&old.file.unwrap()).await, file);
        f.assert_nothing_on_its_way().await;
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_left_alone_costs_no_attempts_and_fails_nothing() {
    let throttled = Answer::status(429).with_header("Retry-After", 100);
    let stage = Stage::new(&[], [throttled]).await;
    stage.attempt().await;
    for _ in 0..5 {
        let outcome = stage.attempt().await;
        let waits = |after: Duration| after >= Duration::from_secs(90);
        assert!(
            matches!(&outcome, DownloadOutcome::Retry { after, .. } if waits(*after)),
            "{outcome:?}"
        );
        let record = stage.f.item(&stage.id, "1").await;
        assert_eq!((record.status, record.attempts), (ItemStatus::Pending, 1));
    }
    assert_eq!(stage.origin.requests().len(), 1);
    stage.f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_items_are_reported_and_the_others_are_stored() {
    let f = Fixture::new(&[]).await;
    f.fill(40).await;
    f.insert([item(
        41,
        "gaia",
        &format!("{}/gaia/nowhere", f.node.address()),
    )])
    .await;
    let id = f.up_to_finalize().await;
    assert_eq!(f.by_status(&id, ItemStatus::Failed).await, ["41"]);
    let job = f.finish(&id).await;
    assert_eq!(
        job.status,
        holdfast_domain::JobStatus::Completed,
        "{:?}",
        job.error
    );
    assert_eq!(job.items.unwrap().failed, 1);
    f.insert((50..62).map(|content_id| {
        item(
            content_id,
            "gaia",
            &format!("{}/gaia/nowhere", f.node.address()),
        )
    }))
    .await;
    let id = f.up_to_finalize().await;
    let job = f.finish(&id).await;
    assert_eq!(
        job.error.unwrap().code,
        holdfast_domain::FailureCode::TooManyFailures
    );
    f.remove().await;
}
