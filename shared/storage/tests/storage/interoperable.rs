//! Requests to a store with only S3's basic calls: without AWS's own features, and with a proof of
//! every write.

use bytes::Bytes;
use holdfast_domain::ObjectKey;
use holdfast_storage::{Lock, PutMode, S3Store, Store, StoreError, UploadId, interoperable_client};
use holdfast_testing::{
    Origin, SecondStore, aws_config_at,
    origin::{Answer, Request},
    parts,
    proxy::{FaultProxy, WireFault},
    quick_retry,
};

/// The MD5 of `holdfast`.
const MD5: &str = "dce38a1a984bc9108fccfe5a32fda9f7";

#[tokio::test]
async fn no_header_is_sent_that_aws_alone_knows() {
    let origin = Origin::start().await;
    let begun =
        "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    origin.answer("/bucket/", [Answer::ok("").with_header("ETag", "\"e\"")]);
    origin.answer("/bucket/x?uploads", [Answer::ok(begun)]);
    let store = S3Store::interoperable(
        interoperable_client(&aws_config_at(origin.address())),
        "bucket",
        "",
    )
    .with_retry(quick_retry());
    // The results do not matter here.
    let _ = store
        .put(&key("x"), Bytes::from_static(b"holdfast"), PutMode::Replace)
        .await;
    let upload = UploadId("u".to_owned());
    let _ = store.begin_upload(&key("x")).await;
    let _ = store
        .upload_part(&key("x"), &upload, 1, Bytes::from_static(b"holdfast"))
        .await;
    let _ = store.head(&key("x")).await;
    let _ = store.get(&key("x"), None).await;
    let requests = origin.requests();
    assert!(requests.len() >= 5, "{requests:?}");
    for request in &requests {
        let is_sent = |name: &str| assert_eq!(request.header(name), None, "{name} of {request:?}");
        for name in [
            "x-amz-checksum-mode",
            "x-amz-checksum-algorithm",
            "x-amz-sdk-checksum-algorithm",
            "x-amz-trailer",
        ] {
            is_sent(name);
        }
        for name in [
            "x-amz-checksum-sha256",
            "x-amz-checksum-crc32",
            "x-amz-checksum-crc64nvme",
            "if-none-match",
        ] {
            is_sent(name);
        }
        is_sent("content-encoding");
        assert!(!signed(request).contains("accept-encoding"), "{request:?}");
        assert!(signed(request).contains("host"), "{request:?}");
    }
    for body in requests.iter().filter(|request| request.method == "PUT") {
        assert!(body.header("content-md5").is_some(), "{body:?}");
    }
}

/// The names of the signed headers.
fn signed(request: &Request) -> String {
    let authorization = request.header("authorization").unwrap_or_default();
    let (_, rest) = authorization
        .split_once("SignedHeaders=")
        .unwrap_or_default();
    rest.split(',').next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_write_one_name_at_once_one_is_refused() {
    let second = SecondStore::interoperable().await;
    let store = &second.store;
    for name in ["a", "b", "c", "d"] {
        let name = key(name);
        let put = |body: &'static str| {
            store.put(
                &name,
                Bytes::from_static(body.as_bytes()),
                PutMode::IfAbsent,
            )
        };
        let (one, other) = tokio::join!(put("the one"), put("another"));
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        let kept = if one.is_ok() { "the one" } else { "another" };
        assert_eq!(
            holdfast_storage::read_all(store.as_ref(), &name, 100)
                .await
                .unwrap(),
            kept
        );
    }
    second.remove().await;
}

#[tokio::test]
async fn an_etag_that_is_no_checksum_is_not_believed() {
    let origin = Origin::start().await;
    let store = S3Store::interoperable(
        interoperable_client(&aws_config_at(origin.address())),
        "bucket",
        "",
    )
    .with_retry(quick_retry());
    let body = Bytes::from_static(b"holdfast");
    // The answer to every request: the PUT, the HEAD, the GET.
    let opaque = |body: &'static str| {
        Answer::ok(body)
            .with_header("ETag", "\"opaque\"")
            .with_header("Content-Range", "bytes 0-7/8")
    };
    origin.answer("/bucket/x", [opaque("holdfast")]);
    store
        .put(&key("x"), body.clone(), PutMode::Replace)
        .await
        .unwrap();
    let reads = origin
        .requests()
        .iter()
        .filter(|request| request.method == "GET")
        .count();
    assert_eq!(reads, 1, "it was read back");
    origin.answer("/bucket/x", [opaque("holdFast")]);
    let error = store
        .put(&key("x"), body.clone(), PutMode::Replace)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let before = origin.requests().len();
    origin.answer(
        "/bucket/x",
        [Answer::ok("").with_header("ETag", format!("\"{MD5}\""))],
    );
    store.put(&key("x"), body, PutMode::Replace).await.unwrap();
    assert_eq!(origin.requests().len() - before, 1, "its MD5 is proof");
}

#[tokio::test]
async fn an_object_is_read_back_when_it_is_complete_and_deleted_where_it_is_damaged() {
    let proxy = FaultProxy::before(&parts().s3_other_endpoint()).await;
    let second = SecondStore::interoperable_at(proxy.endpoint()).await;
    let upload = second.store.begin_upload(&key("x")).await.unwrap();
    let part = second
        .store
        .upload_part(&key("x"), &upload, 1, Bytes::from(vec![1; 1000]))
        .await
        .unwrap();
    second
        .store
        .complete_upload(&key("x"), &upload, std::slice::from_ref(&part))
        .await
        .unwrap();
    assert_eq!(proxy.count("GET", "/x"), 1);
    second.store.delete(&key("x")).await.unwrap();
    let upload = second.store.begin_upload(&key("x")).await.unwrap();
    proxy.fail("PUT", "partNumber=1", 1, WireFault::AlterBody);
    let part = second
        .store
        .upload_part(&key("x"), &upload, 1, Bytes::from(vec![1; 1000]))
        .await
        .unwrap();
    let error = second
        .store
        .complete_upload(&key("x"), &upload, &[part])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    second.assert_empty().await;
}

#[tokio::test]
async fn a_wrong_key_is_a_denial() {
    let proxy = FaultProxy::before(&parts().s3_other_endpoint()).await;
    let second = SecondStore::interoperable_at(proxy.endpoint()).await;
    for code in [
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "AccessDenied",
    ] {
        proxy.fail("GET", "/x", 1, WireFault::error(403, code));
        let error = second
            .store
            .get(&key("x"), None)
            .await
            .map(drop)
            .unwrap_err();
        assert!(
            matches!(error, StoreError::Denied { .. }) && error.to_string().contains(code),
            "{error}"
        );
    }
}

#[tokio::test]
async fn locks_are_not_asked_for_and_a_link_reads_without_credentials() {
    let second = SecondStore::interoperable().await;
    second
        .store
        .put(&key("a b"), Bytes::from_static(b"x"), PutMode::Replace)
        .await
        .unwrap();
    assert_eq!(
        second.store.lock(&key("a b")).await.unwrap(),
        Lock::default()
    );
    let link = second
        .store
        .link(&key("a b"), std::time::Duration::from_mins(5))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        reqwest::get(link.url.expose())
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
        Bytes::from_static(b"x")
    );
    second.remove().await;
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}
