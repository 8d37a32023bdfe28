//! A link reads one object without credentials, and nothing else.

use std::time::Duration;

use bytes::Bytes;
use holdfast_domain::{ObjectKey, Timestamp};
use holdfast_storage::{PutMode, S3Store, Store, StoreError, s3_client};
use holdfast_testing::{MemoryStore, TestStore, aws_config_at};

const QUARTER: Duration = Duration::from_mins(15);

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

/// A store with reserved names. Links need no request to it.
fn nowhere() -> S3Store {
    S3Store::new(
        s3_client(&aws_config_at("https://s3.example.net")),
        "backups",
        "prod/",
    )
}

#[tokio::test]
async fn a_link_names_its_object_its_time_and_who_signed_it_and_no_secret() {
    let before = Timestamp::now();
    let link = nowhere()
        .link(&key("exports/a b+c.json"), QUARTER)
        .await
        .unwrap()
        .unwrap();
    let url = link.url.expose();
    assert!(
        url.starts_with("https://s3.example.net/backups/prod/exports/a%20b%2Bc.json?"),
        "{url}"
    );
    for part in [
        "X-Amz-Expires=900",
        "X-Amz-Credential=test%2F",
        "X-Amz-SignedHeaders=host&",
        "X-Amz-Signature=",
    ] {
        assert!(url.contains(part), "{part}: {url}");
    }
    let lasts = link.expires_at.duration_since(before).as_secs();
    assert!((900..=910).contains(&lasts), "{lasts}");
    assert!(!format!("{link:?}").contains("Signature"), "{link:?}");
}

#[tokio::test]
async fn a_link_reads_its_object_without_credentials() {
    let test = TestStore::new().await;
    let key = key("exports/one.json");
    test.store
        .put(&key, Bytes::from_static(b"{}"), PutMode::Replace)
        .await
        .unwrap();
    let link = test.store.link(&key, QUARTER).await.unwrap().unwrap();
    let read = reqwest::get(link.url.expose()).await.unwrap();
    assert_eq!(read.status(), 200);
    assert_eq!(read.bytes().await.unwrap(), "{}");
    test.remove().await;
}

#[tokio::test]
async fn no_link_lasts_for_longer_than_a_week() {
    let error = nowhere()
        .link(&key("a"), Duration::from_secs(7 * 86_400 + 1))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
}

#[tokio::test]
async fn a_store_that_signs_nothing_has_no_link() {
    let store = MemoryStore::new();
    assert_eq!(store.link(&key("a"), QUARTER).await.unwrap(), None);
}
