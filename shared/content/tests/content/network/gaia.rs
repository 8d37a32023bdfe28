//! Files on a Gaia hub, from origins on their good and on their bad days.

use std::time::{Duration, Instant};

use super::support::*;
use holdfast_content::{Fetched, Location, locate};
use holdfast_domain::{ItemFailureCode as Code, StorageType, Validator, Verified};
use holdfast_testing::{Origin, origin::Answer, parts};
use tokio::sync::mpsc;

/// The outcome of a fetch with this response of the origin.
async fn answered(answer: Answer) -> Outcome {
    let origin = Origin::start().await;
    origin.answer("/file", [answer]);
    fetch_gaia(&gaia_of(&[origin.address()]), &origin.url("/file")).await
}

#[tokio::test]
async fn a_file_comes_whole_with_all_that_is_known_of_it() {
    let body = varied(300_000);
    let origin = Origin::start().await;
    let answer = Answer::ok(body.clone())
        .with_header("etag", "\"v1\"")
        .with_header("content-type", "image/png");
    origin.answer("/file", [answer]);
    let (file, bytes) = fetch_gaia(&gaia_of(&[origin.address()]), &origin.url("/file"))
        .await
        .file();
    assert_eq!(bytes, body);
    assert_eq!(
        (file.size, file.verified, file.dag),
        (300_000, Verified::Transport, None)
    );
    assert_eq!(file.source, origin.address());
    assert_eq!(
        file.validator,
        Some(Validator {
            etag: Some("\"v1\"".to_owned()),
            last_modified: None
        })
    );
    assert_eq!(file.content_type.as_deref(), Some("image/png"));
    let asked = origin.requests();
    assert_eq!(asked[0].header("accept-encoding"), Some("identity"));
    assert!(
        asked[0]
            .header("user-agent")
            .unwrap()
            .starts_with("holdfast/")
    );
    assert_eq!(
        (asked[0].header("if-none-match"), asked[0].header("cookie")),
        (None, None)
    );
}

#[tokio::test]
async fn an_empty_file_is_a_file_and_chunks_are_as_good_as_a_length() {
    let (file, bytes) = answered(Answer::ok("")).await.file();
    assert_eq!((file.size, bytes.len(), file.validator), (0, 0, None));
    let (file, bytes) = answered(Answer::ok("chunks").chunked()).await.file();
    assert_eq!((file.size, bytes.as_slice()), (6, b"chunks".as_slice()));
}

#[tokio::test]
async fn what_is_unchanged_is_not_sent_again_and_what_changed_is() {
    let node = parts().ipfs_node();
    let path = holdfast_testing::unique("gaia");
    let url = node.put_gaia(&path, "first").await;
    let fetcher = gaia_of(&[node.address()]);
    let location = locate(StorageType::Gaia, &url).unwrap();
    let (file, bytes) = fetch_if_changed(&fetcher, &location, None).await.file();
    assert_eq!(bytes, b"first");
    let validator = file.validator.unwrap();
    assert!(validator.etag.is_some() && validator.last_modified.is_some());
    let again = fetch_if_changed(&fetcher, &location, Some(&validator)).await;
    assert_eq!(
        (again.fetched, again.bytes.len()),
        (Ok(Fetched::NotModified), 0)
    );
    node.put_gaia(&path, "second").await;
    let (_, bytes) = fetch_if_changed(&fetcher, &location, Some(&validator))
        .await
        .file();
    assert_eq!(bytes, b"second");
    node.remove_gaia(&path).await;
    assert_eq!(
        fetch_if_changed(&fetcher, &location, Some(&validator))
            .await
            .code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn unchanged_is_no_answer_to_who_did_not_ask() {
    assert_eq!(
        answered(Answer::status(304)).await.code(),
        Code::InvalidAnswer
    );
}

#[tokio::test]
async fn each_status_has_its_code() {
    let codes = [
        (404, Code::NotFound),
        (410, Code::Gone),
        (401, Code::Refused),
        (403, Code::Refused),
        (451, Code::Refused),
        (408, Code::TimedOut),
        (429, Code::Throttled),
        (500, Code::Unavailable),
        (502, Code::Unavailable),
        (202, Code::Unavailable),
        (203, Code::InvalidAnswer),
        (503, Code::Unavailable),
        (204, Code::InvalidAnswer),
        (206, Code::InvalidAnswer),
        (300, Code::InvalidAnswer),
    ];
    for (status, code) in codes {
        let error = answered(Answer::status(status)).await.error();
        assert_eq!(error.code, code, "{status}: {error}");
        assert!(
            error.message.contains(&status.to_string()) && error.message.contains("127.0.0.1"),
            "{error}"
        );
        assert_eq!(
            error.is_transient(),
            !code.is_permanent() && code != Code::InvalidAnswer
        );
    }
}

#[tokio::test]
async fn a_requested_wait_is_reported_and_respected() {
    let origin = Origin::start().await;
    origin.answer(
        "/file",
        [
            Answer::status(429).with_header("retry-after", 120),
            Answer::ok("now"),
        ],
    );
    let fetcher = gaia_of(&[origin.address()]);
    let error = fetch_gaia(&fetcher, &origin.url("/file")).await.error();
    assert_eq!(
        (error.code, error.retry_after),
        (Code::Throttled, Some(Duration::from_mins(2)))
    );
    let error = fetch_gaia(&fetcher.clone(), &origin.url("/other"))
        .await
        .error();
    assert_eq!((error.code, error.was_asked), (Code::Throttled, false));
    assert!(
        error.message.contains("is skipped") && error.message.contains("answered 429"),
        "{error}"
    );
    assert!(
        error.retry_after.unwrap() > Duration::from_secs(110),
        "{error:?}"
    );
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn an_origin_that_keeps_failing_is_left_alone() {
    let origin = Origin::start().await;
    origin.answer("/file", [Answer::status(500)]);
    let fetcher = gaia_of(&[origin.address()]);
    for _ in 0..20 {
        assert_eq!(
            fetch_gaia(&fetcher, &origin.url("/file")).await.code(),
            Code::Unavailable
        );
    }
    assert_eq!(origin.requests().len(), 5);
    // An origin without the files is not paused.
    let origin = Origin::start().await;
    let fetcher = gaia_of(&[origin.address()]);
    for _ in 0..20 {
        assert_eq!(
            fetch_gaia(&fetcher, &origin.url("/none")).await.code(),
            Code::NotFound
        );
    }
    assert_eq!(origin.requests().len(), 20);
}

#[tokio::test]
async fn silence_ends_a_fetch_before_headers_and_amid_the_body() {
    for answer in [
        Answer::silence(),
        Answer::ok(varied(9_000)).stall_after(0),
        Answer::ok(varied(9_000)).stall_after(4_000),
    ] {
        let begun = Instant::now();
        let error = answered(answer).await.error();
        assert_eq!(error.code, Code::TimedOut, "{error}");
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn a_trickle_is_ended_by_the_total_time() {
    let origin = Origin::start().await;
    origin.answer(
        "/file",
        [Answer::ok(varied(100_000)).dripping(1, Duration::from_millis(50))],
    );
    let settings = holdfast_content::FetchSettings {
        total_timeout: Duration::from_secs(1),
        ..settings(&[], &[origin.address()])
    };
    let fetcher = holdfast_content::Fetcher::new(settings).unwrap();
    let error = fetch_gaia(&fetcher, &origin.url("/file")).await.error();
    assert_eq!(error.code, Code::TimedOut);
    assert!(error.message.contains("time ended"), "{error}");
}

#[tokio::test]
async fn a_slow_body_that_keeps_coming_is_waited_for() {
    let (file, _) = answered(Answer::ok(varied(100)).dripping(10, Duration::from_millis(100)))
        .await
        .file();
    assert_eq!(file.size, 100);
}

#[tokio::test]
async fn a_cut_body_never_looks_whole() {
    let body = varied(50_000);
    for answer in [
        Answer::ok(body.clone()).cut_after(0),
        Answer::ok(body.clone()).cut_after(20_000),
        Answer::ok(body.clone()).cut_after(49_999),
        Answer::ok(body.clone()).saying_length(50_001),
        Answer::ok(body.clone()).saying_length(60_000),
        Answer::ok(Vec::new()).saying_length(1),
    ] {
        let error = answered(answer).await.error();
        assert_eq!(error.code, Code::InvalidAnswer, "{error}");
        assert!(
            error.is_transient() && error.message.contains("truncated after"),
            "{error}"
        );
    }
    assert_eq!(answered(Answer::nothing()).await.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_file_larger_than_allowed_is_refused_by_its_word_or_by_its_bytes() {
    let limit = 4 * 1024 * 1024;
    let outcome = answered(Answer::ok(varied(10)).saying_length(limit + 1)).await;
    assert_eq!((outcome.bytes.len(), outcome.code()), (0, Code::TooLarge));
    for answer in [
        Answer::ok(varied(60_000)).endless(),
        Answer::ok(varied(5_000_000)).chunked(),
    ] {
        let outcome = answered(answer).await;
        assert!(outcome.bytes.len() as u64 <= limit);
        assert_eq!(outcome.code(), Code::TooLarge);
    }
    let (file, _) = answered(Answer::ok(varied(4 * 1024 * 1024))).await.file();
    assert_eq!(file.size, limit);
}

#[tokio::test]
async fn marks_and_media_types_of_strangers_are_bounded() {
    let answer = Answer::ok("x")
        .with_header("etag", "e".repeat(5_000))
        .with_header("content-type", "t/é".repeat(500));
    let (file, _) = answered(answer).await.file();
    assert_eq!(file.validator, None);
    assert!(file.content_type.unwrap().len() <= 200);
}

#[tokio::test]
async fn a_fetch_stops_without_a_receiver_of_its_bytes() {
    let origin = Origin::start().await;
    origin.answer("/file", [Answer::ok(varied(10_000)).endless()]);
    let fetcher = gaia_of(&[origin.address()]);
    let (out, mut coming) = mpsc::channel(1);
    let location = locate(StorageType::Gaia, &origin.url("/file")).unwrap();
    let fetching = tokio::spawn(async move { fetcher.fetch(&location, None, &out).await });
    coming.recv().await.unwrap();
    drop(coming);
    assert_eq!(fetching.await.unwrap().unwrap_err().code, Code::Stopped);
}

#[tokio::test]
async fn no_more_requests_than_set_are_at_one_origin_at_a_time() {
    let origin = Origin::start().await;
    origin.answer(
        "/file/",
        [Answer::ok(varied(2_000)).dripping(500, Duration::from_millis(20))],
    );
    let settings = holdfast_content::FetchSettings {
        per_host: 2,
        ..settings(&[], &[origin.address()])
    };
    let fetcher = holdfast_content::Fetcher::new(settings).unwrap();
    let running: Vec<_> = (0..12)
        .map(|number| {
            let (fetcher, url) = (fetcher.clone(), origin.url(&format!("/file/{number}")));
            tokio::spawn(async move { fetch_gaia(&fetcher, &url).await.file().0.size })
        })
        .collect();
    for fetch in running {
        assert_eq!(fetch.await.unwrap(), 2_000);
    }
    assert_eq!(origin.most_connections(), 2);
}

#[tokio::test]
async fn an_origin_that_is_not_there_is_unavailable() {
    let fetcher = gaia_of(&["http://127.0.0.1:1", "http://no-such-host.invalid"]);
    for url in [
        "http://127.0.0.1:1/file",
        "http://no-such-host.invalid/file",
    ] {
        let error = fetch_gaia(&fetcher, url).await.error();
        assert!(
            matches!(error.code, Code::Unavailable | Code::TimedOut),
            "{error}"
        );
    }
}

#[tokio::test]
async fn no_path_or_query_of_a_url_is_in_an_error() {
    let origin = Origin::start().await;
    let url = origin.url("/s3cret?token=hunter2");
    for allowed in [vec![origin.address()], Vec::new()] {
        let error = fetch_gaia(&gaia_of(&allowed), &url).await.error();
        assert!(
            !error.message.contains("s3cret") && !error.message.contains("hunter2"),
            "{error}"
        );
    }
    let nowhere = Location::Gaia("http://127.0.0.1:1/s3cret?token=hunter2".parse().unwrap());
    let error = fetch_if_changed(&gaia_of(&["http://127.0.0.1:1"]), &nowhere, None)
        .await
        .error();
    assert!(
        !error.message.contains("s3cret") && !error.message.contains("hunter2"),
        "{error}"
    );
}
