//! Uploads to the stores for a second copy: complete or missing after every fault.

use std::io::Write as _;

use holdfast_storage::{
    Checksum, PutMode, StoreError, read_all,
    upload::{channel, send_all},
};
use holdfast_testing::{SecondStore, proxy::WireFault};

use super::replica_faults::{ALL, PART, body, key, upload};

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
