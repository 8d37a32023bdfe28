//! Faults of the stores for a second copy. After every fault of the wire or the server, the stored
//! object is either the sent one or missing. The error names the kind of fault.

use std::io::Write as _;

use bytes::Bytes;
use futures_util::TryStreamExt;
use holdfast_domain::ObjectKey;
use holdfast_storage::{
    Checksum, PutMode, S3Store, Store, StoreError, UploadId, UploadedPart, interoperable_client,
    read_all,
    upload::{channel, send_all},
};
use holdfast_testing::{
    AZURE_KEY, SecondStore, aws_config_at, azure_store_with, parts,
    proxy::{FaultProxy, WireFault},
    quick_retry, unique,
};

const PART: usize = 5 * 1024 * 1024;

/// The kind of store, with the marks of its requests.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Azure,
    Interoperable,
}

const ALL: [Kind; 2] = [Kind::Azure, Kind::Interoperable];

impl Kind {
    async fn behind_proxy(self) -> (FaultProxy, SecondStore) {
        match self {
            Self::Azure => {
                let proxy = FaultProxy::before(&parts().azure_endpoint()).await;
                let second = SecondStore::azure_at(proxy.endpoint()).await;
                (proxy, second)
            }
            Self::Interoperable => {
                let proxy = FaultProxy::before(&parts().s3_other_endpoint()).await;
                let second = SecondStore::interoperable_at(proxy.endpoint()).await;
                (proxy, second)
            }
        }
    }

    /// A store at this address, in a bucket or container of this name.
    fn at(self, endpoint: &str, name: &str) -> Box<dyn Store> {
        match self {
            Self::Azure => Box::new(azure_store_with(endpoint, name, AZURE_KEY, quick_retry())),
            Self::Interoperable => {
                let client = interoperable_client(&aws_config_at(endpoint));
                Box::new(S3Store::interoperable(client, name, "").with_retry(quick_retry()))
            }
        }
    }

    fn endpoint(self) -> String {
        match self {
            Self::Azure => parts().azure_endpoint(),
            Self::Interoperable => parts().s3_other_endpoint(),
        }
    }

    /// The mark of requests with a part.
    fn of_a_part(self) -> &'static str {
        match self {
            Self::Azure => "comp=block&",
            Self::Interoperable => "partNumber=",
        }
    }

    /// The method of the request that completes an upload, and its mark.
    fn of_a_complete(self) -> (&'static str, &'static str) {
        match self {
            Self::Azure => ("PUT", "comp=blocklist"),
            Self::Interoperable => ("POST", "uploadId="),
        }
    }

    fn of_a_list(self) -> &'static str {
        match self {
            Self::Azure => "comp=list",
            Self::Interoperable => "list-type=2",
        }
    }

    fn denied(self) -> WireFault {
        WireFault::error(
            403,
            if self == Self::Azure {
                "AuthorizationPermissionMismatch"
            } else {
                "AccessDenied"
            },
        )
    }
}

#[tokio::test]
async fn throttling_and_inner_errors_are_waited_out() {
    for kind in ALL {
        let (proxy, second) = kind.behind_proxy().await;
        proxy.fail("PUT", "/x", 2, WireFault::error(503, "ServerBusy"));
        proxy.fail("PUT", "/x", 1, WireFault::error(500, "InternalError"));
        second
            .store
            .put(&key("x"), body(1000), PutMode::Replace)
            .await
            .unwrap();
        assert_eq!(proxy.count("PUT", "/x"), 4, "{kind:?}");
        proxy.fail("GET", "/x", 2, WireFault::slow_down());
        assert_eq!(
            read_all(&*second.store, &key("x"), 1000).await.unwrap(),
            body(1000)
        );
        proxy.fail("GET", kind.of_a_list(), 2, WireFault::slow_down());
        assert_eq!(second.all_keys().await, ["x"]);
        proxy.fail("DELETE", "/x", 2, WireFault::slow_down());
        second.store.delete(&key("x")).await.unwrap();
        second.assert_empty().await;
    }
}

#[tokio::test]
async fn a_denial_is_final_and_names_the_object() {
    for kind in ALL {
        let (proxy, second) = kind.behind_proxy().await;
        proxy.fail("PUT", "/x", u32::MAX, kind.denied());
        let error = second
            .store
            .put(&key("x"), body(10), PutMode::Replace)
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Denied { .. }), "{error}");
        assert!(
            error.to_string().contains("`x`") && error.to_string().contains("HTTP 403"),
            "{error}"
        );
        assert_eq!(proxy.count("PUT", "/x"), 1, "{kind:?}");
        second.assert_empty().await;
    }
}

#[tokio::test]
async fn a_store_that_is_read_only_is_read_and_takes_nothing() {
    for kind in ALL {
        let (proxy, second) = kind.behind_proxy().await;
        second
            .store
            .put(&key("x"), body(10), PutMode::Replace)
            .await
            .unwrap();
        for method in ["PUT", "POST", "DELETE"] {
            proxy.fail(method, "/", u32::MAX, kind.denied());
        }
        assert_eq!(
            read_all(&*second.store, &key("x"), 10).await.unwrap(),
            body(10)
        );
        for outcome in [
            second
                .store
                .put(&key("y"), body(10), PutMode::IfAbsent)
                .await
                .map(drop),
            second.store.delete(&key("x")).await,
            upload(&*second.store, &key("y")).await.map(drop),
        ] {
            assert!(
                matches!(outcome, Err(StoreError::Denied { .. })),
                "{kind:?}: {outcome:?}"
            );
        }
        assert_eq!(second.all_keys().await, ["x"]);
    }
}

#[tokio::test]
async fn a_store_without_a_server_is_unavailable() {
    for kind in ALL {
        let store = kind.at("http://127.0.0.1:1/account", "holdfast-test");
        let error = store.head(&key("x")).await.unwrap_err();
        assert!(error.is_transient(), "{kind:?}: {error}");
        let error = store.list("").try_next().await.unwrap_err();
        assert!(error.is_transient(), "{kind:?}: {error}");
    }
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_not_an_empty_repository() {
    for kind in ALL {
        let store = kind.at(&kind.endpoint(), &unique("holdfast-none"));
        for outcome in [
            store.get(&ObjectKey::repository(), None).await.map(drop),
            store.list("").try_next().await.map(drop),
            store
                .put(&key("x"), body(10), PutMode::IfAbsent)
                .await
                .map(drop),
            store.list_unfinished_uploads("").await.map(drop),
            upload(&*store, &key("x")).await.map(drop),
        ] {
            assert!(
                matches!(outcome, Err(StoreError::Missing { .. })),
                "{kind:?}: {outcome:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_arrives_altered_is_sent_again_and_never_kept() {
    for kind in ALL {
        let (proxy, second) = kind.behind_proxy().await;
        proxy.fail("PUT", "/x", 2, WireFault::AlterBody);
        second
            .store
            .put(&key("x"), body(1000), PutMode::IfAbsent)
            .await
            .unwrap();
        assert_eq!(
            read_all(&*second.store, &key("x"), 1000).await.unwrap(),
            body(1000),
            "{kind:?}"
        );
        second.store.delete(&key("x")).await.unwrap();
        proxy.fail("PUT", "/x", u32::MAX, WireFault::AlterBody);
        let error = second
            .store
            .put(&key("x"), body(1000), PutMode::IfAbsent)
            .await
            .unwrap_err();
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{kind:?}: {error}"
        );
        second.assert_empty().await;
    }
}

#[tokio::test]
async fn a_part_that_always_arrives_altered_becomes_no_object() {
    for kind in ALL {
        let (proxy, second) = kind.behind_proxy().await;
        proxy.fail("PUT", kind.of_a_part(), u32::MAX, WireFault::AlterBody);
        let outcome = async {
            let (upload, parts) = upload(&*second.store, &key("x")).await?;
            let outcome = second
                .store
                .complete_upload(&key("x"), &upload, &parts)
                .await;
            second.store.abort_upload(&key("x"), &upload).await?;
            outcome
        };
        let error = outcome.await.unwrap_err();
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{kind:?}: {error}"
        );
        second.assert_empty().await;
    }
}

#[tokio::test]
async fn a_part_that_is_reset_throttled_or_unanswered_is_sent_again() {
    for kind in ALL {
        for fault in [
            WireFault::ResetAfter(100_000),
            WireFault::LoseAnswer,
            WireFault::slow_down(),
        ] {
            let (proxy, second) = kind.behind_proxy().await;
            proxy.fail("PUT", kind.of_a_part(), 2, fault.clone());
            let (upload, parts) = upload(&*second.store, &key("x")).await.unwrap();
            assert_eq!(
                proxy.count("PUT", kind.of_a_part()),
                4,
                "{kind:?} {fault:?}"
            );
            let stored = second
                .store
                .complete_upload(&key("x"), &upload, &parts)
                .await
                .unwrap();
            assert_eq!(stored.size_bytes, (PART + 9) as u64);
            assert_eq!(
                read_all(&*second.store, &key("x"), 2 * PART).await.unwrap(),
                body(PART + 9),
                "{kind:?}"
            );
            second.remove().await;
        }
    }
}

#[tokio::test]
async fn writes_whose_answers_were_lost_are_successes() {
    for kind in ALL {
        let (proxy, second) = kind.behind_proxy().await;
        proxy.fail("PUT", "/x", 1, WireFault::LoseAnswer);
        second
            .store
            .put(&key("x"), body(10), PutMode::IfAbsent)
            .await
            .unwrap();
        let error = second
            .store
            .put(&key("x"), body(11), PutMode::IfAbsent)
            .await
            .unwrap_err();
        assert!(
            matches!(error, StoreError::AlreadyExists { .. }),
            "{kind:?}: {error}"
        );
        let (upload, parts) = upload(&*second.store, &key("y")).await.unwrap();
        let (method, complete) = kind.of_a_complete();
        proxy.fail(method, complete, 1, WireFault::LoseAnswer);
        let stored = second
            .store
            .complete_upload(&key("y"), &upload, &parts)
            .await
            .unwrap();
        assert_eq!(stored.size_bytes, (PART + 9) as u64);
        second.remove().await;
    }
}

#[tokio::test]
async fn an_upload_never_replaces_an_existing_object() {
    for kind in ALL {
        let (_proxy, second) = kind.behind_proxy().await;
        let (upload, parts) = upload(&*second.store, &key("x")).await.unwrap();
        second
            .store
            .put(&key("x"), body(77), PutMode::Replace)
            .await
            .unwrap();
        let error = second
            .store
            .complete_upload(&key("x"), &upload, &parts)
            .await
            .unwrap_err();
        // Azure discards the blocks of an upload when another upload writes the blob.
        assert!(
            matches!(
                error,
                StoreError::AlreadyExists { .. } | StoreError::NotFound { .. }
            ),
            "{kind:?}: {error}"
        );
        assert_eq!(
            read_all(&*second.store, &key("x"), 100).await.unwrap(),
            body(77),
            "{kind:?}"
        );
        second.store.abort_upload(&key("x"), &upload).await.unwrap();
        second.store.delete(&key("x")).await.unwrap();
        second.assert_empty().await;
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_taken_up_where_it_broke() {
    for kind in ALL {
        let (proxy, second) = kind.behind_proxy().await;
        let whole = body(3_000_000);
        second
            .store
            .put(&key("x"), whole.clone(), PutMode::Replace)
            .await
            .unwrap();
        proxy.fail("GET", "/x", 3, WireFault::CutAnswerAfter(700_000));
        assert_eq!(
            read_all(&*second.store, &key("x"), whole.len())
                .await
                .unwrap(),
            whole,
            "{kind:?}"
        );
        assert_eq!(proxy.count("GET", "/x"), 4);
        proxy.fail("GET", "/x", u32::MAX, WireFault::CutAnswerAfter(10));
        let error = read_all(&*second.store, &key("x"), 3_000_000)
            .await
            .unwrap_err();
        assert!(error.is_transient(), "{kind:?}: {error}");
        second.remove().await;
    }
}

#[tokio::test]
async fn an_object_replaced_while_it_is_read_is_an_error() {
    for kind in ALL {
        let (proxy, second) = kind.behind_proxy().await;
        second
            .store
            .put(&key("x"), body(3_000_000), PutMode::Replace)
            .await
            .unwrap();
        proxy.fail("GET", "/x", 1, WireFault::CutAnswerAfter(700_000));
        let stream = second.store.get(&key("x"), None).await.unwrap();
        second
            .store
            .put(&key("x"), body(2_999_999), PutMode::Replace)
            .await
            .unwrap();
        let error = stream.try_fold((), async |(), _| Ok(())).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{kind:?}: {error}"
        );
        second.remove().await;
    }
}

#[tokio::test]
async fn thirty_megabytes_in_parts_arrive_and_an_upload_that_is_cut_leaves_nothing() {
    for kind in ALL {
        let (proxy, second) = kind.behind_proxy().await;
        let length = 30_000_000;
        let pending = send(&second, length).await;
        assert_eq!(
            second.all_keys().await,
            Vec::<String>::new(),
            "nothing is visible yet"
        );
        let stored = pending.complete().await.unwrap();
        assert!(
            matches!(stored.checksum, Checksum::Composite(parts) if parts.parts() == 6),
            "{kind:?}"
        );
        assert!(
            read_all(&*second.store, &key("dump"), length)
                .await
                .unwrap()
                == body(length),
            "{kind:?}"
        );
        second.store.delete(&key("dump")).await.unwrap();
        drop(send(&second, length).await);
        second.assert_empty().await;
        proxy.fail("PUT", kind.of_a_part(), 6, WireFault::slow_down());
        proxy.fail("PUT", kind.of_a_part(), u32::MAX, kind.denied());
        let (mut sink, source) = channel(PART);
        let writer = tokio::task::spawn_blocking(move || sink.write_all(&body(length)));
        send_all(&second.store, &key("dump"), source)
            .await
            .map(drop)
            .unwrap_err();
        // It may have written everything by then.
        let _ = writer.await.unwrap();
        second.assert_empty().await;
    }
}

#[tokio::test]
async fn an_upload_dropped_during_a_stall_leaves_nothing() {
    for kind in ALL {
        let (proxy, second) = kind.behind_proxy().await;
        proxy.fail("PUT", kind.of_a_part(), u32::MAX, WireFault::Hang);
        let reached = async {
            while proxy.count("PUT", kind.of_a_part()) < 2 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = send(&second, 3 * PART) => panic!("it came to an end"),
            () = reached => {}
        }
        second.assert_empty().await;
    }
}

/// Bytes from a blocking thread, all sent and not yet completed.
async fn send(second: &SecondStore, length: usize) -> holdfast_storage::upload::PendingUpload {
    let (mut sink, source) = channel(PART);
    let writer = tokio::task::spawn_blocking(move || {
        sink.write_all(&body(length))?;
        sink.finish()
    });
    let pending = send_all(&second.store, &key("dump"), source).await.unwrap();
    assert_eq!(writer.await.unwrap().unwrap(), length as u64);
    pending
}

/// Two parts, not yet completed. After a failure nothing of them remains.
async fn upload(
    store: &dyn Store,
    key: &ObjectKey,
) -> Result<(UploadId, Vec<UploadedPart>), StoreError> {
    let whole = body(PART + 9);
    let upload = store.begin_upload(key).await?;
    let mut parts = Vec::new();
    for (number, piece) in [(1, whole.slice(..PART)), (2, whole.slice(PART..))] {
        match store.upload_part(key, &upload, number, piece).await {
            Ok(part) => parts.push(part),
            Err(error) => {
                let _ = store.abort_upload(key, &upload).await;
                return Err(error);
            }
        }
    }
    Ok((upload, parts))
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

fn body(length: usize) -> Bytes {
    (0..length)
        .map(|index| u8::try_from(index % 253).unwrap())
        .collect()
}
