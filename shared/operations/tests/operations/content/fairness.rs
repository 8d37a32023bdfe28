//! One host with healthy and faulty files. The faulty ones cost a bounded number of requests, and
//! every healthy file is stored at its first attempt.

use holdfast_domain::{ItemStatus, JobStatus, Timestamp};
use holdfast_operations::{DownloadOutcome, finalize_if_settled};
use holdfast_testing::{Origin, origin::Answer};

use crate::support::content::{Fixture, file_of, item};

const FILES: usize = 40;
const MAX_ATTEMPTS: usize = 3;

/// Possible wrong answers of an origin to one file.
fn odd_answers() -> Vec<Answer> {
    let body = || Answer::ok(file_of(1));
    let statuses = [203, 204, 206, 304, 403, 408, 425].map(Answer::status);
    let others = [
        body().with_header("content-encoding", "br"),
        body().with_header("content-encoding", "gzip"),
        body().cut_after(10),
        body().with_length(1_000_000),
        body().with_header("content-length", "many"),
    ];
    statuses.into_iter().chain(others).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_answers_of_every_kind_cost_their_own_files_and_no_healthy_one() {
    let origin = Origin::start().await;
    let settings = [
        ("BACKUP_CONTENT_ALLOWED_ORIGINS", origin.address()),
        ("BACKUP_CONTENT_MAX_FAILURE_PERCENT", "60"),
    ];
    let f = Fixture::new(&settings).await;
    let odd = odd_answers();
    // The faulty files come first, and each is tried up to the limit, without a wait.
    for (number, answer) in (1..).zip(odd.iter().cloned()) {
        origin.answer(&format!("/{number}"), [answer]);
    }
    for number in (1..).take(FILES).skip(odd.len()) {
        origin.answer(&format!("/{number}"), [Answer::ok(file_of(number))]);
    }
    f.insert(
        (1..)
            .take(FILES)
            .map(|number| item(number, "gaia", &origin.url(&format!("/{number}")))),
    )
    .await;
    let id = f.trigger().await;
    f.discover(&id).await;
    for message in f.queue.take() {
        while let DownloadOutcome::Retry { reason, .. } = f.download(&message).await {
            let number: usize = message.content_id.parse().unwrap();
            assert!(number <= odd.len(), "a healthy file was put off: {reason}");
        }
    }
    let requests = origin.requests().len();
    assert!(
        requests <= FILES + odd.len() * (MAX_ATTEMPTS - 1),
        "{requests}"
    );
    assert_eq!(
        f.by_status(&id, ItemStatus::Done).await.len(),
        FILES - odd.len()
    );
    assert!(
        finalize_if_settled(&f.holdfast, &id, Timestamp::now())
            .await
            .unwrap()
    );
    let job = f.finish(&id).await;
    assert_eq!(
        (job.status, job.items.unwrap().failed),
        (JobStatus::Completed, odd.len() as u64),
        "{:?}",
        job.error
    );
    f.remove().await;
}

/// What an origin may answer to one file as if it were down itself.
fn faults_of_a_host() -> Vec<Answer> {
    [500, 502, 503, 507]
        .map(Answer::status)
        .into_iter()
        .chain([Answer::ok(file_of(1)).cut_after(0)])
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_tenth_of_invalid_answers_a_run_sends_at_most_twice_as_many_requests() {
    for odd in odd_answers().into_iter().chain(faults_of_a_host()) {
        let origin = Origin::start().await;
        let f = Fixture::new(&[("BACKUP_CONTENT_ALLOWED_ORIGINS", origin.address())]).await;
        let is_odd = |number: i64| number % 10 == 0;
        for number in (1..).take(FILES) {
            let answer = if is_odd(number) {
                odd.clone()
            } else {
                Answer::ok(file_of(number))
            };
            origin.answer(&format!("/{number}"), [answer]);
            f.insert([item(number, "gaia", &origin.url(&format!("/{number}")))])
                .await;
        }
        let id = f.trigger().await;
        f.discover(&id).await;
        for message in f.queue.take() {
            while let DownloadOutcome::Retry { reason, .. } = f.download(&message).await {
                let number: i64 = message.content_id.parse().unwrap();
                assert!(is_odd(number), "a healthy file was put off: {reason}");
            }
        }
        let requests = origin.requests().len();
        assert!(
            (FILES..=2 * FILES).contains(&requests),
            "{requests} requests for {FILES} files"
        );
        assert_eq!(
            f.by_status(&id, ItemStatus::Done).await.len(),
            FILES - FILES / 10
        );
        assert_eq!(f.by_status(&id, ItemStatus::Pending).await.len(), 0);
        f.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_sends_a_bad_car_uses_up_the_attempts_of_that_file_alone() {
    let gateway = Origin::start().await;
    let settings = [
        ("BACKUP_IPFS_GATEWAYS", gateway.address()),
        ("BACKUP_CONTENT_MAX_FAILURE_PERCENT", "90"),
    ];
    let f = Fixture::new(&settings).await;
    gateway.answer("/ipfs/", [Answer::gateway(&f.node)]);
    for number in 1..=6 {
        let cid = f.add_ipfs(number, file_of(number)).await;
        let car = Answer::ok("no CAR").with_header("content-type", "application/vnd.ipld.car");
        gateway.answer(&format!("/ipfs/{cid}"), [car]);
        gateway.answer(&format!("/ipfs/{cid}?format=raw"), [Answer::status(503)]);
    }
    f.add_ipfs(7, file_of(7)).await;
    let id = f.trigger().await;
    f.discover(&id).await;
    for message in f.queue.take() {
        let mut attempts = 1;
        while let DownloadOutcome::Retry { reason, .. } = f.download(&message).await {
            assert!(
                attempts < MAX_ATTEMPTS,
                "item {} is never settled: {reason}",
                message.content_id
            );
            attempts += 1;
        }
    }
    assert_eq!(f.by_status(&id, ItemStatus::Done).await, ["7"]);
    assert_eq!(f.by_status(&id, ItemStatus::Failed).await.len(), 6);
    f.remove().await;
}
