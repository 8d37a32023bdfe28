//! The S3 store passes the conformance suite of all stores, and the tests of S3's own faults.

use std::sync::Arc;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_sdk_s3::config::SharedCredentialsProvider;
use bytes::Bytes;
use futures_util::TryStreamExt;
use holdfast_domain::ObjectKey;
use holdfast_storage::{PutMode, S3Store, Store, StoreError, s3_client};
use holdfast_testing::{
    FaultStore, MemoryStore, TestStore, aws_config, aws_config_at, conformance, fresh_bucket,
};

#[tokio::test]
async fn the_store_in_s3_conforms() {
    let test = TestStore::new().await;
    conformance::store(&*test.store).await;
    test.assert_empty().await;
    test.remove().await;
}

#[tokio::test]
async fn it_conforms_in_small_pages_and_at_the_buckets_root_too() {
    let bucket = fresh_bucket().await;
    let client = s3_client(&aws_config());
    conformance::store(&S3Store::new(client.clone(), &bucket, "").with_page_size(7)).await;
    client.delete_bucket().bucket(bucket).send().await.unwrap();
}

#[tokio::test]
async fn a_fault_store_without_faults_conforms() {
    let test = TestStore::new().await;
    conformance::store(&*FaultStore::new(Arc::clone(&test.store))).await;
    test.remove().await;
}

#[tokio::test]
async fn a_store_in_memory_conforms() {
    conformance::store(&*MemoryStore::new()).await;
}

#[tokio::test]
async fn more_unfinished_uploads_than_a_page_are_all_found() {
    let test = TestStore::new().await;
    let store = S3Store::new(test.client.clone(), &test.bucket, &test.prefix).with_page_size(2);
    for number in 0..5 {
        store
            .begin_upload(&key(&format!("u/{}", number / 2)))
            .await
            .unwrap();
    }
    let found = store.list_unfinished_uploads("u/").await.unwrap();
    assert_eq!(found.len(), 5);
    for upload in found {
        store
            .abort_upload(&upload.key, &upload.upload_id)
            .await
            .unwrap();
    }
    test.assert_empty().await;
    test.remove().await;
}

#[tokio::test]
async fn two_repositories_in_one_bucket_do_not_see_each_other() {
    let bucket = fresh_bucket().await;
    let client = s3_client(&aws_config());
    let one = S3Store::new(client.clone(), &bucket, "/one/");
    let other = S3Store::new(client.clone(), &bucket, "one-b");
    one.put(&key("x"), Bytes::from_static(b"1"), PutMode::Replace)
        .await
        .unwrap();
    other
        .put(&key("x"), Bytes::from_static(b"22"), PutMode::Replace)
        .await
        .unwrap();
    for (store, size) in [(&one, 1), (&other, 2)] {
        let all: Vec<_> = store.list("").try_collect().await.unwrap();
        assert_eq!(
            all.iter()
                .map(|info| (info.key.as_str(), info.size_bytes))
                .collect::<Vec<_>>(),
            [("x", size)]
        );
        store.delete(&key("x")).await.unwrap();
    }
    client.delete_bucket().bucket(bucket).send().await.unwrap();
}

#[tokio::test]
async fn foreign_names_are_passed_over() {
    let test = TestStore::new().await;
    for name in ["folder/", "a//b", "ünï"] {
        let full = format!("{}/{name}", test.prefix);
        test.client
            .put_object()
            .bucket(&test.bucket)
            .key(full)
            .send()
            .await
            .unwrap();
    }
    test.store
        .put(&key("own"), Bytes::new(), PutMode::Replace)
        .await
        .unwrap();
    let all: Vec<_> = test.store.list("").try_collect().await.unwrap();
    assert_eq!(
        all.iter().map(|info| info.key.as_str()).collect::<Vec<_>>(),
        ["own"]
    );
    test.remove().await;
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_not_an_empty_repository() {
    let store = S3Store::new(s3_client(&aws_config()), "holdfast-no-such-bucket", "");
    let error = store
        .get(&ObjectKey::repository(), None)
        .await
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    let error = store.list("").try_next().await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
}

#[tokio::test]
async fn a_store_without_a_server_is_unavailable() {
    let test = TestStore::at("http://127.0.0.1:1").await;
    let error = test.store.head(&key("x")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    test.remove().await;
}

#[tokio::test]
async fn missing_credentials_are_a_denial() {
    let none = ProfileFileCredentialsProvider::builder()
        .profile_name("holdfast-no-such-profile")
        .build();
    let provider = SharedCredentialsProvider::new(none);
    let config = aws_config_at("http://127.0.0.1:1")
        .into_builder()
        .credentials_provider(provider)
        .build();
    let error = S3Store::new(s3_client(&config), "b", "")
        .head(&key("x"))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error}");
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}
