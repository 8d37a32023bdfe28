//! S3 denies, throttles, resets, loses answers, or answers 200 with an error. Useful retries are
//! made, and no such answer is trusted.

use bytes::Bytes;
use futures_util::TryStreamExt;
use holdfast_domain::ObjectKey;
use holdfast_storage::{PutMode, StoreError, UploadId, UploadedPart, read_all};
use holdfast_testing::{
    TestStore,
    proxy::{FaultProxy, WireFault},
};

const PART: usize = 5 * 1024 * 1024;

async fn store_behind_proxy() -> (FaultProxy, TestStore) {
    let proxy = FaultProxy::start().await;
    let test = TestStore::at(proxy.endpoint()).await;
    (proxy, test)
}

#[tokio::test]
async fn throttling_and_inner_errors_are_waited_out() {
    let (proxy, test) = store_behind_proxy().await;
    proxy.fail("PUT", "/x", 2, WireFault::slow_down());
    proxy.fail("PUT", "/x", 1, WireFault::error(500, "InternalError"));
    test.store
        .put(&key("x"), body(1000), PutMode::Replace)
        .await
        .unwrap();
    assert_eq!(proxy.count("PUT", "/x"), 4);
    proxy.fail("GET", "/x", 2, WireFault::slow_down());
    assert_eq!(
        read_all(&*test.store, &key("x"), 1000).await.unwrap(),
        body(1000)
    );
    proxy.fail("GET", "list-type=2", 2, WireFault::slow_down());
    assert!(test.store.list("").try_next().await.unwrap().is_some());
    proxy.fail("DELETE", "/x", 2, WireFault::slow_down());
    test.store.delete(&key("x")).await.unwrap();
    test.assert_empty().await;
    test.remove().await;
}

#[tokio::test]
async fn endless_throttling_ends_as_unavailable() {
    let (proxy, test) = store_behind_proxy().await;
    proxy.fail("PUT", "/x", u32::MAX, WireFault::slow_down());
    let error = test
        .store
        .put(&key("x"), body(10), PutMode::Replace)
        .await
        .unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("SlowDown"),
        "{error}"
    );
    assert_eq!(proxy.count("PUT", "/x"), 5);
    test.assert_empty().await;
    test.remove().await;
}

#[tokio::test]
async fn a_denial_is_final_and_names_the_object() {
    let (proxy, test) = store_behind_proxy().await;
    proxy.fail("PUT", "/x", u32::MAX, WireFault::error(403, "AccessDenied"));
    let error = test
        .store
        .put(&key("x"), body(10), PutMode::Replace)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error}");
    assert!(
        error.to_string().contains("`x`") && error.to_string().contains("AccessDenied"),
        "{error}"
    );
    assert_eq!(proxy.count("PUT", "/x"), 1);
    test.remove().await;
}

#[tokio::test]
async fn a_part_that_is_reset_altered_or_unanswered_is_sent_again() {
    for fault in [
        WireFault::ResetAfter(100_000),
        WireFault::AlterBody,
        WireFault::LoseAnswer,
        WireFault::slow_down(),
    ] {
        let (proxy, test) = store_behind_proxy().await;
        proxy.fail("PUT", "partNumber=1", 2, fault.clone());
        let (upload, parts) = upload_two_parts(&test).await;
        assert_eq!(proxy.count("PUT", "partNumber=1"), 3, "{fault:?}");
        test.store
            .complete_upload(&key("x"), &upload, &parts)
            .await
            .unwrap();
        assert_eq!(
            read_all(&*test.store, &key("x"), 2 * PART).await.unwrap(),
            body(PART + 9),
            "{fault:?}"
        );
        test.remove().await;
    }
}

#[tokio::test]
async fn a_body_that_always_arrives_altered_is_refused_as_corrupt() {
    let (proxy, test) = store_behind_proxy().await;
    proxy.fail("PUT", "/x", u32::MAX, WireFault::AlterBody);
    let error = test
        .store
        .put(&key("x"), body(1000), PutMode::Replace)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    test.assert_empty().await;
    test.remove().await;
}

#[tokio::test]
async fn an_error_inside_a_200_to_complete_is_an_error_and_tried_again() {
    let (proxy, test) = store_behind_proxy().await;
    let (upload, parts) = upload_two_parts(&test).await;
    proxy.fail(
        "POST",
        "uploadId=",
        2,
        WireFault::error(200, "InternalError"),
    );
    let stored = test
        .store
        .complete_upload(&key("x"), &upload, &parts)
        .await
        .unwrap();
    assert_eq!(stored.size_bytes, (PART + 9) as u64);
    assert_eq!(proxy.count("POST", "uploadId="), 3);
    test.remove().await;
}

#[tokio::test]
async fn endless_errors_inside_a_200_are_no_success() {
    let (proxy, test) = store_behind_proxy().await;
    let (upload, parts) = upload_two_parts(&test).await;
    proxy.fail(
        "POST",
        "uploadId=",
        u32::MAX,
        WireFault::error(200, "InternalError"),
    );
    let error = test
        .store
        .complete_upload(&key("x"), &upload, &parts)
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error}");
    test.store.abort_upload(&key("x"), &upload).await.unwrap();
    test.assert_empty().await;
    test.remove().await;
}

#[tokio::test]
async fn a_complete_whose_answer_was_lost_and_whose_upload_is_gone_is_a_success() {
    let (proxy, test) = store_behind_proxy().await;
    let (upload, parts) = upload_two_parts(&test).await;
    proxy.fail("POST", "uploadId=", 1, WireFault::LoseAnswer);
    proxy.fail(
        "POST",
        "uploadId=",
        1,
        WireFault::error(404, "NoSuchUpload"),
    );
    let stored = test
        .store
        .complete_upload(&key("x"), &upload, &parts)
        .await
        .unwrap();
    assert_eq!(stored.size_bytes, (PART + 9) as u64);
    test.remove().await;
}

#[tokio::test]
async fn a_missing_upload_is_no_success_if_the_key_has_other_content() {
    let (proxy, test) = store_behind_proxy().await;
    let (upload, parts) = upload_two_parts(&test).await;
    test.store
        .put(&key("x"), body(PART + 9), PutMode::Replace)
        .await
        .unwrap();
    proxy.fail(
        "POST",
        "uploadId=",
        1,
        WireFault::error(404, "NoSuchUpload"),
    );
    let error = test
        .store
        .complete_upload(&key("x"), &upload, &parts)
        .await
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    test.remove().await;
}

/// The first completion meets another write of the key, and S3 drops the upload.
fn conflict(proxy: &FaultProxy) {
    let conflict = WireFault::error(409, "ConditionalRequestConflict");
    proxy.fail("POST", "uploadId=", 1, conflict);
    let dropped = WireFault::error(404, "NoSuchUpload");
    proxy.fail("POST", "uploadId=", 1, dropped);
}

#[tokio::test]
async fn an_upload_that_met_another_write_of_its_key_is_worth_a_new_upload() {
    let (proxy, test) = store_behind_proxy().await;
    let (upload, parts) = upload_two_parts(&test).await;
    conflict(&proxy);
    let error = test
        .store
        .complete_upload(&key("x"), &upload, &parts)
        .await
        .unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("ConditionalRequestConflict"),
        "{error}"
    );
    assert_eq!(proxy.count("POST", "uploadId="), 2);
    let (upload, parts) = upload_two_parts(&test).await;
    test.store
        .complete_upload(&key("x"), &upload, &parts)
        .await
        .unwrap();
    test.remove().await;
}

#[tokio::test]
async fn an_upload_that_met_another_write_leaves_the_other_object() {
    for (length, is_same) in [(PART + 9, true), (10, false)] {
        let (proxy, test) = store_behind_proxy().await;
        let (upload, parts) = upload_two_parts(&test).await;
        if is_same {
            proxy.fail("POST", "uploadId=", 1, WireFault::LoseAnswer);
        } else {
            let other = body(length);
            test.store
                .put(&key("x"), other, PutMode::Replace)
                .await
                .unwrap();
        }
        conflict(&proxy);
        let outcome = test.store.complete_upload(&key("x"), &upload, &parts).await;
        match outcome {
            Ok(_) => assert!(is_same),
            Err(error) => assert!(
                !is_same && matches!(error, StoreError::AlreadyExists { .. }),
                "{error}"
            ),
        }
        let stored = read_all(&*test.store, &key("x"), 2 * PART).await.unwrap();
        assert_eq!(stored, body(length));
        test.remove().await;
    }
}

#[tokio::test]
async fn a_put_if_absent_whose_answer_was_lost_is_a_success() {
    let (proxy, test) = store_behind_proxy().await;
    proxy.fail("PUT", "/x", 1, WireFault::LoseAnswer);
    test.store
        .put(&key("x"), body(10), PutMode::IfAbsent)
        .await
        .unwrap();
    assert_eq!(proxy.count("PUT", "/x"), 2);
    let error = test
        .store
        .put(&key("x"), body(11), PutMode::IfAbsent)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error}");
    test.remove().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_taken_up_where_it_broke() {
    let (proxy, test) = store_behind_proxy().await;
    let whole = body(3_000_000);
    test.store
        .put(&key("x"), whole.clone(), PutMode::Replace)
        .await
        .unwrap();
    proxy.fail("GET", "/x", 3, WireFault::CutAnswerAfter(700_000));
    assert_eq!(
        read_all(&*test.store, &key("x"), whole.len())
            .await
            .unwrap(),
        whole
    );
    assert_eq!(proxy.count("GET", "/x"), 4);
    proxy.fail("GET", "/x", 1, WireFault::CutAnswerAfter(1000));
    let chunks: Vec<Bytes> = test
        .store
        .get(&key("x"), Some(5..9000))
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(chunks.concat(), whole[5..9000]);
    test.remove().await;
}

#[tokio::test]
async fn a_body_that_always_breaks_off_is_an_error_and_not_a_short_object() {
    let (proxy, test) = store_behind_proxy().await;
    test.store
        .put(&key("x"), body(3_000_000), PutMode::Replace)
        .await
        .unwrap();
    proxy.fail("GET", "/x", u32::MAX, WireFault::CutAnswerAfter(10));
    let error = read_all(&*test.store, &key("x"), 3_000_000)
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error}");
    test.remove().await;
}

#[tokio::test]
async fn an_object_replaced_while_it_is_read_is_an_error() {
    let (proxy, test) = store_behind_proxy().await;
    test.store
        .put(&key("x"), body(3_000_000), PutMode::Replace)
        .await
        .unwrap();
    proxy.fail("GET", "/x", 1, WireFault::CutAnswerAfter(700_000));
    let mut stream = test.store.get(&key("x"), None).await.unwrap();
    test.store
        .put(&key("x"), body(2_999_999), PutMode::Replace)
        .await
        .unwrap();
    let error = loop {
        match stream.try_next().await {
            Ok(chunk) => assert!(chunk.is_some(), "it came to an end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    test.remove().await;
}

async fn upload_two_parts(test: &TestStore) -> (UploadId, Vec<UploadedPart>) {
    let whole = body(PART + 9);
    let upload = test.store.begin_upload(&key("x")).await.unwrap();
    let first = test
        .store
        .upload_part(&key("x"), &upload, 1, whole.slice(..PART))
        .await
        .unwrap();
    let last = test
        .store
        .upload_part(&key("x"), &upload, 2, whole.slice(PART..))
        .await
        .unwrap();
    (upload, vec![first, last])
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

fn body(length: usize) -> Bytes {
    (0..length)
        .map(|index| u8::try_from(index % 253).unwrap())
        .collect()
}
