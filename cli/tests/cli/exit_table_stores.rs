//! The rows of the table of exit codes that a store causes.

use holdfast_testing::proxy::{FaultProxy, WireFault};

use super::{
    directory::{NAME, place_in},
    exit_table::{UNKNOWN, behind_proxy, every_request, leave},
    place::{Place, UNREACHABLE, uri_of},
};

#[tokio::test(flavor = "multi_thread")]
async fn row_3_a_store_that_denies_access() {
    let (place, proxy, id) = behind_proxy().await;
    every_request(&proxy, &WireFault::error(403, "AccessDenied"));
    for words in [
        &["list"][..],
        &["run", "database"],
        &["verify", &id],
        &["init"],
        &["show", &id],
    ] {
        place.holdfast(words).expect(3).saying(&["AccessDenied"]);
    }
    leave(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_3_a_store_without_checksums_is_named_and_left_empty() {
    for without in [
        WireFault::WithoutHeaders("x-amz-checksum"),
        WireFault::error(501, "NotImplemented"),
    ] {
        let mut place = Place::new().await;
        let proxy = FaultProxy::start().await;
        place
            .env
            .insert("AWS_ENDPOINT_URL", proxy.endpoint().to_owned());
        for method in ["PUT", "HEAD"] {
            proxy.fail(method, "", u32::MAX, without.clone());
        }
        let ended = place
            .holdfast(&["init"])
            .expect(3)
            .saying(&["lacks a required feature", "BACKUP_STORE=gs://"]);
        assert!(
            !ended.stderr.contains("differs from the sent"),
            "it is no damage: {}",
            ended.stderr
        );
        assert!(place.keys().await.is_empty(), "{:?}", place.keys().await);
        leave(place).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_7_a_store_that_is_missing() {
    let mut place = Place::new().await;
    place
        .env
        .insert("BACKUP_STORE", "s3://holdfast-no-such-bucket/x".to_owned());
    for words in [
        &["list"][..],
        &["init"],
        &["run", "database"],
        &["show", UNKNOWN],
        &["verify", UNKNOWN],
    ] {
        place.holdfast(words).expect(7).saying(&["NoSuchBucket"]);
    }
    place.remove().await;
    let folder = tempfile::tempdir().unwrap();
    let place = place_in(folder.path()).await;
    for words in [
        &["list"][..],
        &["run", "database"],
        &["show", UNKNOWN],
        &["verify", UNKNOWN],
        &["key", "show"],
    ] {
        let ended = place.holdfast(words).expect(7);
        ended.saying(&[
            "repository directory",
            NAME,
            "does not exist",
            "Is its disk mounted?",
        ]);
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_7_what_does_not_answer() {
    let mut place = Place::initialised().await;
    let id = place.back_up();
    place
        .env
        .insert("TARGET", UNREACHABLE.replace("/db?", "/?"));
    place
        .holdfast(&[
            "restore",
            "database",
            &id,
            "--to-uri-env",
            "TARGET",
            "--yes",
        ])
        .expect(7);
    let server = place
        .env
        .insert("MONGODB_URI", UNREACHABLE.to_owned())
        .unwrap();
    for words in [&["run", "database"][..], &["dump"]] {
        place.holdfast(words).expect(7);
    }
    place.env.insert("MONGODB_URI", server);
    place
        .env
        .insert("BACKUP_CATALOG_URI", UNREACHABLE.to_owned());
    for words in [&["run", "database"][..], &["status"], &["cancel", &id]] {
        place.holdfast(words).expect(7);
    }
    place
        .env
        .insert("AWS_ENDPOINT_URL", "http://127.0.0.1:9".to_owned());
    place.holdfast(&["list"]).expect(7);
    place.env.insert("BACKUP_CATALOG_URI", uri_of("unused"));
    leave(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_7_a_clock_that_stays_wrong_is_named() {
    let (place, proxy, id) = behind_proxy().await;
    every_request(&proxy, &WireFault::error(403, "RequestTimeTooSkewed"));
    for words in [&["list"][..], &["verify", &id]] {
        let ended =
            place
                .holdfast(words)
                .expect(7)
                .saying(&["because of its time", "clock", "NTP"]);
        assert!(!ended.stderr.contains("credentials"), "{}", ended.stderr);
    }
    leave(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_corrected_by_the_stores_time() {
    for seconds in [20 * 60, -20 * 60] {
        let (place, proxy, id) = behind_proxy().await;
        every_request(&proxy, &WireFault::ClockAhead(seconds));
        for words in [&["list"][..], &["run", "database"], &["verify", &id]] {
            place.holdfast(words).expect(0);
        }
        leave(place).await;
    }
}
