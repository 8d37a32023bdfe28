//! Copies inside S3: proved by S3's checksums of the parts, or else by reading. No fault on the
//! wire leaves a partial copy.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use aws_sdk_s3::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
        },
    },
    error::BoxError,
    primitives::SdkBody,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use holdfast_domain::ObjectKey;
use holdfast_storage::{PutMode, S3Store, Store, StoreError, UploadedPart, read_all};
use holdfast_testing::{
    TestStore,
    proxy::{FaultProxy, WireFault},
};
use sha2::{Digest, Sha256};

const PART: usize = 5 * 1024 * 1024;

/// Gives the local S3 AWS's checksums of copied parts: a part's copy is sent as an upload of the
/// same bytes, and answered as a copy.
#[derive(Debug, Clone, Default)]
struct LikeAws {
    /// The copied object.
    object: Bytes,
    /// Whether to alter the next copied part.
    alters: Arc<AtomicBool>,
    copies: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
}

impl LikeAws {
    fn client(&self, test: &TestStore) -> Client {
        Client::from_conf(
            test.client
                .config()
                .to_builder()
                .interceptor(self.clone())
                .build(),
        )
    }

    fn piece(&self, range: Option<&str>) -> Vec<u8> {
        let ends = range.and_then(|text| text.strip_prefix("bytes=")?.split_once('-'));
        let mut piece = match ends {
            Some((first, last)) => {
                self.object[first.parse().unwrap()..=last.parse().unwrap()].to_vec()
            }
            None => self.object.to_vec(),
        };
        piece[0] ^= u8::from(self.alters.swap(false, Ordering::Relaxed));
        piece
    }
}

impl Intercept for LikeAws {
    fn name(&self) -> &'static str {
        "like AWS"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        self.reads
            .fetch_add(usize::from(request.method() == "GET"), Ordering::Relaxed);
        if request.headers_mut().remove("x-amz-copy-source").is_none() {
            return Ok(());
        }
        self.copies.fetch_add(1, Ordering::Relaxed);
        let range = request.headers_mut().remove("x-amz-copy-source-range");
        let piece = self.piece(range.as_deref());
        request
            .headers_mut()
            .insert("content-length", piece.len().to_string());
        request.headers_mut().insert(
            "x-amz-checksum-sha256",
            STANDARD.encode(Sha256::digest(&piece)),
        );
        *request.body_mut() = SdkBody::from(piece);
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        // The answer to an upload of a part. A complete object's checksum ends with a number of
        // parts.
        let checksum = response
            .headers()
            .get("x-amz-checksum-sha256")
            .filter(|text| !text.contains('-'));
        let Some(checksum) = checksum else {
            return Ok(());
        };
        let etag = response.headers().get("etag").unwrap_or_default();
        let answer = format!(
            "<CopyPartResult><ETag>{etag}</ETag><ChecksumSHA256>{checksum}</ChecksumSHA256></CopyPartResult>"
        );
        *response.body_mut() = SdkBody::from(answer);
        Ok(())
    }
}

#[tokio::test]
async fn where_s3_gives_checksums_of_copied_parts_nothing_is_read_back() {
    for length in [2 * PART + 9, PART - 9] {
        let (test, parts) = store_with(&from(), length).await;
        let aws = LikeAws {
            object: body(length),
            ..LikeAws::default()
        };
        let store = S3Store::new(aws.client(&test), &test.bucket, &test.prefix);
        let stored = store.copy(&from(), &to(), &parts).await.unwrap();
        assert_eq!(stored.size_bytes, length as u64);
        assert_eq!(
            (
                aws.copies.load(Ordering::Relaxed),
                aws.reads.load(Ordering::Relaxed)
            ),
            (parts.len(), 0)
        );
        assert_eq!(read_all(&store, &to(), length).await.unwrap(), body(length));
        test.remove().await;
    }
}

#[tokio::test]
async fn a_part_whose_copy_has_another_checksum_is_found_before_anything_is_visible() {
    let (test, parts) = store_with(&from(), 2 * PART + 9).await;
    let aws = LikeAws {
        object: body(2 * PART + 9),
        ..LikeAws::default()
    };
    aws.alters.store(true, Ordering::Relaxed);
    let store = S3Store::new(aws.client(&test), &test.bucket, &test.prefix);
    let error = store.copy(&from(), &to(), &parts).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt { key, .. } if *key == to().to_string()),
        "{error}"
    );
    assert_only_the_source_is_left(&test).await;
    test.remove().await;
}

#[tokio::test]
async fn where_s3_gives_no_checksums_the_copy_is_read_back() {
    let (proxy, test, parts) = store_behind_proxy().await;
    proxy.fail("GET", "/to", 1, WireFault::CutAnswerAfter(1000));
    let stored = test.store.copy(&from(), &to(), &parts).await.unwrap();
    assert_eq!(
        (stored.size_bytes, proxy.count("GET", "/to")),
        ((PART + 9) as u64, 3),
        "two parts, one of them twice"
    );
    test.remove().await;
}

#[tokio::test]
async fn what_is_read_back_and_is_not_what_was_sent_is_deleted() {
    let (test, parts) = store_with(&from(), PART + 9).await;
    let other = Bytes::from(vec![1; PART + 9]);
    test.store
        .put(&key("copies/other"), other, PutMode::Replace)
        .await
        .unwrap();
    let client = Client::from_conf(
        test.client
            .config()
            .to_builder()
            .interceptor(OtherSource)
            .build(),
    );
    let store = S3Store::new(client, &test.bucket, &test.prefix);
    let error = store.copy(&from(), &to(), &parts).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt { key, .. } if *key == to().to_string()),
        "{error}"
    );
    test.store.delete(&key("copies/other")).await.unwrap();
    assert_only_the_source_is_left(&test).await;
    test.remove().await;
}

/// Copies another source than requested.
#[derive(Debug)]
struct OtherSource;

impl Intercept for OtherSource {
    fn name(&self) -> &'static str {
        "other source"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        if let Some(source) = headers.remove("x-amz-copy-source") {
            headers.insert(
                "x-amz-copy-source",
                source.replace("copies/from", "copies/other"),
            );
        }
        Ok(())
    }
}

#[tokio::test]
async fn throttling_resets_and_lost_answers_are_tried_again() {
    for fault in [
        WireFault::slow_down(),
        WireFault::ResetAfter(0),
        WireFault::LoseAnswer,
        WireFault::error(200, "InternalError"),
    ] {
        let (proxy, test, parts) = store_behind_proxy().await;
        for (method, target) in [
            ("HEAD", "/from"),
            ("POST", "uploads"),
            ("PUT", "partNumber=2"),
            ("POST", "uploadId="),
        ] {
            // An answer to HEAD has no body, and one to the beginning of an upload no errors in it.
            if !matches!(fault, WireFault::Answer { status: 200, .. }) || target.contains('=') {
                proxy.fail(method, target, 1, fault.clone());
            }
        }
        let stored = test.store.copy(&from(), &to(), &parts).await.unwrap();
        assert_eq!(stored.size_bytes, (PART + 9) as u64, "{fault:?}");
        assert_eq!(
            read_all(&*test.store, &to(), 2 * PART).await.unwrap(),
            body(PART + 9),
            "{fault:?}"
        );
        assert_eq!(
            proxy.count("PUT", "partNumber=2"),
            3,
            "sent once, copied twice: {fault:?}"
        );
        test.remove().await;
    }
}

#[tokio::test]
async fn a_copy_that_fails_for_good_leaves_nothing() {
    for (method, target, code) in [
        ("PUT", "partNumber=2", "AccessDenied"),
        ("PUT", "partNumber=1", "NoSuchKey"),
        ("POST", "uploadId=", "AccessDenied"),
        ("POST", "uploadId=", "InternalError"),
    ] {
        let (proxy, test, parts) = store_behind_proxy().await;
        let status = if code == "InternalError" { 500 } else { 403 };
        proxy.fail(method, target, u32::MAX, WireFault::error(status, code));
        let error = test.store.copy(&from(), &to(), &parts).await.unwrap_err();
        assert!(error.to_string().contains(code), "{error}");
        assert_only_the_source_is_left(&test).await;
        test.remove().await;
    }
}

#[tokio::test]
async fn a_copy_whose_answer_was_lost_and_whose_upload_is_gone_is_a_success() {
    let (proxy, test, parts) = store_behind_proxy().await;
    proxy.fail("POST", "uploadId=", 1, WireFault::LoseAnswer);
    proxy.fail(
        "POST",
        "uploadId=",
        1,
        WireFault::error(404, "NoSuchUpload"),
    );
    let stored = test.store.copy(&from(), &to(), &parts).await.unwrap();
    assert_eq!(stored.size_bytes, (PART + 9) as u64);
    test.remove().await;
}

#[tokio::test]
async fn a_copy_dropped_half_way_is_aborted() {
    let (proxy, test, parts) = store_behind_proxy().await;
    proxy.fail("PUT", "partNumber=2", 1, WireFault::Hang);
    let reached = async {
        while proxy.count("PUT", "partNumber=2") < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let (from, to) = (from(), to());
    tokio::select! {
        _ = test.store.copy(&from, &to, &parts) => panic!("it came to an end"),
        () = reached => {}
    }
    test.store.delete(&from).await.unwrap();
    test.assert_empty().await;
    test.remove().await;
}

async fn assert_only_the_source_is_left(test: &TestStore) {
    assert_eq!(
        test.all_keys().await,
        [format!("{}/{}", test.prefix, from())]
    );
    assert_eq!(test.unfinished_uploads().await, 0);
}

/// A store with an object in parts.
async fn store_with(key: &ObjectKey, length: usize) -> (TestStore, Vec<UploadedPart>) {
    let test = TestStore::new().await;
    let parts = upload(&*test.store, key, length).await;
    (test, parts)
}

async fn store_behind_proxy() -> (FaultProxy, TestStore, Vec<UploadedPart>) {
    let proxy = FaultProxy::start().await;
    let test = TestStore::at(proxy.endpoint()).await;
    let parts = upload(&*test.store, &from(), PART + 9).await;
    (proxy, test, parts)
}

async fn upload(store: &dyn Store, key: &ObjectKey, length: usize) -> Vec<UploadedPart> {
    let upload = store.begin_upload(key).await.unwrap();
    let mut parts = Vec::new();
    for (number, piece) in (1..).zip(body(length).chunks(PART)) {
        parts.push(
            store
                .upload_part(key, &upload, number, Bytes::copy_from_slice(piece))
                .await
                .unwrap(),
        );
    }
    store.complete_upload(key, &upload, &parts).await.unwrap();
    parts
}

fn from() -> ObjectKey {
    key("copies/from")
}

fn to() -> ObjectKey {
    key("copies/to")
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

fn body(length: usize) -> Bytes {
    (0..length)
        .map(|index| u8::try_from(index % 253).unwrap())
        .collect()
}
