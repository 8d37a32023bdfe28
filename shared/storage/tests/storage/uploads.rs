//! From a blocking writer into the store: the complete object, an object in parts, or nothing.

use std::{
    io::{self, Read, Write},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use holdfast_domain::ObjectKey;
use holdfast_storage::{
    ByteReader, Checksum, PutMode, Store, StoreError, Stored, read_all,
    upload::{PartSink, PendingUpload, UploadError, channel, send_all},
};
use holdfast_testing::{
    Fault, FaultStore, Operation, TestStore,
    proxy::{FaultProxy, WireFault},
};

const PART: usize = 5 * 1024 * 1024;

/// Sends `length` bytes written by a blocking thread.
async fn send(store: &Arc<dyn Store>, length: usize) -> Result<PendingUpload, UploadError> {
    let (sink, source) = channel(PART);
    let writer = tokio::task::spawn_blocking(move || write(sink, length));
    let pending = send_all(store, &key(), source).await;
    assert_eq!(
        writer.await.unwrap().is_ok(),
        pending.is_ok(),
        "a writer far from its end learns of the failure"
    );
    pending
}

fn write(mut sink: PartSink, length: usize) -> io::Result<u64> {
    for piece in content(length).chunks(77_777) {
        sink.write_all(piece)?;
    }
    sink.finish()
}

async fn send_and_complete(store: &Arc<dyn Store>, length: usize) -> Result<Stored, StoreError> {
    send(store, length).await.unwrap().complete().await
}

async fn read_back(store: &Arc<dyn Store>) -> Vec<u8> {
    let mut reader = ByteReader::new(store.get(&key(), None).await.unwrap());
    let mut all = Vec::new();
    let read = move || reader.read_to_end(&mut all).map(|_| all);
    tokio::task::spawn_blocking(read).await.unwrap().unwrap()
}

#[tokio::test]
async fn written_bytes_of_any_length_are_stored() {
    let test = TestStore::new().await;
    for length in [0, 1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART + 5] {
        let pending = send(&test.store, length).await.unwrap();
        assert_eq!(pending.size_bytes(), length as u64);
        let stored = pending.complete().await.unwrap();
        assert_eq!(stored.size_bytes, length as u64);
        assert_eq!(
            matches!(stored.checksum, Checksum::Full(_)),
            length <= PART,
            "one piece where it fits in one"
        );
        assert!(read_back(&test.store).await == content(length), "{length}");
        test.store.delete(&key()).await.unwrap();
        test.assert_empty().await;
    }
    test.remove().await;
}

#[tokio::test]
async fn nothing_is_visible_before_complete_and_nothing_is_left_after_abort() {
    let test = TestStore::new().await;
    for length in [100, 2 * PART + 1] {
        let pending = send(&test.store, length).await.unwrap();
        assert!(test.all_keys().await.is_empty());
        pending.abort().await;
        assert_eq!(test.unfinished_uploads().await, 0, "{length}");
        drop(send(&test.store, length).await.unwrap());
        test.assert_empty().await;
    }
    test.remove().await;
}

#[tokio::test]
async fn a_source_that_died_is_not_a_short_dump() {
    let test = TestStore::new().await;
    for length in [0, 100, 3 * PART + 100] {
        let (mut sink, source) = channel(PART);
        let writer = tokio::task::spawn_blocking(move || sink.write_all(&content(length)));
        let error = send_all(&test.store, &key(), source)
            .await
            .map(drop)
            .unwrap_err();
        assert!(matches!(error, UploadError::SourceDied { .. }), "{error}");
        writer.await.unwrap().unwrap();
        assert_eq!(
            (test.unfinished_uploads().await, test.all_keys().await.len()),
            (0, 0),
            "{length}"
        );
    }
    test.remove().await;
}

#[tokio::test]
async fn a_store_that_fails_stops_the_writer_and_leaves_nothing() {
    for (operation, nth, fault) in [
        (Operation::BeginUpload, 1, Fault::Denied),
        (Operation::UploadPart, 1, Fault::Denied),
        (Operation::UploadPart, 3, Fault::Unavailable),
        (Operation::UploadPart, 4, Fault::LostAnswer),
    ] {
        let test = TestStore::new().await;
        let faulty = FaultStore::new(Arc::clone(&test.store));
        faulty.on(operation, nth, fault);
        let faulty: Arc<dyn Store> = faulty;
        let error = send(&faulty, 9 * PART).await.map(drop).unwrap_err();
        assert_eq!(error.is_transient(), fault != Fault::Denied, "{error}");
        assert_eq!(
            (test.unfinished_uploads().await, test.all_keys().await.len()),
            (0, 0),
            "{operation:?} {fault:?}"
        );
        test.remove().await;
    }
}

#[tokio::test]
async fn a_complete_that_fails_leaves_nothing() {
    for (length, operation) in [(100, Operation::Put), (2 * PART, Operation::CompleteUpload)] {
        for fault in [Fault::Denied, Fault::Unavailable, Fault::LostAnswer] {
            let test = TestStore::new().await;
            let faulty = FaultStore::new(Arc::clone(&test.store));
            faulty.on_every(operation, fault);
            let faulty: Arc<dyn Store> = faulty;
            send_and_complete(&faulty, length).await.unwrap_err();
            assert_eq!(
                (test.unfinished_uploads().await, test.all_keys().await.len()),
                (0, 0),
                "{fault:?}"
            );
            test.remove().await;
        }
    }
}

#[tokio::test]
async fn an_upload_completed_under_another_key_exists_only_there() {
    let test = TestStore::new().await;
    for length in [0, 1, PART, PART + 1, 3 * PART + 5] {
        let stored = send(&test.store, length)
            .await
            .unwrap()
            .complete_as(&named())
            .await
            .unwrap();
        assert_eq!(stored.size_bytes, length as u64);
        assert_eq!(
            test.all_keys().await,
            [format!("{}/{}", test.prefix, named())],
            "{length}"
        );
        assert_eq!(
            read_all(&*test.store, &named(), length).await.unwrap(),
            content(length)
        );
        test.store.delete(&named()).await.unwrap();
        test.assert_empty().await;
    }
    test.remove().await;
}

#[tokio::test]
async fn a_key_that_is_taken_is_left_and_nothing_else_stays() {
    let test = TestStore::new().await;
    let held = Bytes::from_static(b"was here first");
    test.store
        .put(&named(), held.clone(), PutMode::Replace)
        .await
        .unwrap();
    for length in [100, 2 * PART] {
        let error = send(&test.store, length)
            .await
            .unwrap()
            .complete_as(&named())
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error}");
        assert_eq!(read_all(&*test.store, &named(), 100).await.unwrap(), held);
        assert_eq!(
            (test.unfinished_uploads().await, test.all_keys().await.len()),
            (0, 1),
            "{length}"
        );
    }
    test.store.delete(&named()).await.unwrap();
    // Equal content is no conflict.
    for length in [100, 2 * PART] {
        for _ in 0..2 {
            let stored = send(&test.store, length)
                .await
                .unwrap()
                .complete_as(&named())
                .await
                .unwrap();
            assert_eq!(stored.size_bytes, length as u64);
            assert_eq!(
                (test.unfinished_uploads().await, test.all_keys().await.len()),
                (0, 1),
                "{length}"
            );
        }
        test.store.delete(&named()).await.unwrap();
    }
    test.remove().await;
}

#[tokio::test]
async fn a_complete_under_another_key_that_fails_leaves_nothing_half() {
    for (length, operation) in [
        (100, Operation::Put),
        (2 * PART, Operation::CompleteUpload),
        (2 * PART, Operation::Copy),
    ] {
        for fault in [Fault::Denied, Fault::Unavailable, Fault::LostAnswer] {
            let test = TestStore::new().await;
            let faulty = FaultStore::new(Arc::clone(&test.store));
            faulty.on_every(operation, fault);
            let faulty: Arc<dyn Store> = faulty;
            let error = send(&faulty, length)
                .await
                .unwrap()
                .complete_as(&named())
                .await
                .unwrap_err();
            assert_eq!(error.is_transient(), fault != Fault::Denied, "{error}");
            // If only the answer was lost, the complete object exists. It may be another writer's.
            let is_there = fault == Fault::LostAnswer && operation != Operation::CompleteUpload;
            assert_eq!(
                test.unfinished_uploads().await,
                0,
                "{operation:?} {fault:?}"
            );
            assert_eq!(
                test.all_keys().await.len(),
                usize::from(is_there),
                "{operation:?} {fault:?}"
            );
            if is_there {
                assert_eq!(
                    read_all(&*test.store, &named(), length).await.unwrap(),
                    content(length)
                );
            }
            test.remove().await;
        }
    }
}

#[tokio::test]
async fn a_part_that_rots_in_the_store_is_found_at_complete() {
    let test = TestStore::new().await;
    let faulty = FaultStore::new(Arc::clone(&test.store));
    faulty.on(Operation::UploadPart, 2, Fault::Alter);
    let faulty: Arc<dyn Store> = faulty;
    let error = send_and_complete(&faulty, 3 * PART).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert_eq!(
        (test.unfinished_uploads().await, test.all_keys().await.len()),
        (0, 0)
    );
    test.remove().await;
}

#[tokio::test]
async fn an_upload_dropped_anywhere_is_aborted() {
    for operation in [
        Operation::BeginUpload,
        Operation::UploadPart,
        Operation::CompleteUpload,
    ] {
        let test = TestStore::new().await;
        let faulty = FaultStore::new(Arc::clone(&test.store));
        faulty.on(operation, 1, Fault::Hang);
        let (sink, source) = channel(PART);
        let writer = tokio::task::spawn_blocking(move || write(sink, 6 * PART));
        let calls = Arc::clone(&faulty);
        let faulty: Arc<dyn Store> = faulty;
        let work = async {
            send_all(&faulty, &key(), source)
                .await?
                .complete()
                .await
                .map_err(UploadError::from)
        };
        tokio::select! {
            _ = work => panic!("it came to an end"),
            () = until_called(&calls, operation) => {}
        }
        let _ = writer.await.unwrap();
        test.assert_empty().await;
        test.remove().await;
    }
}

#[tokio::test]
async fn an_upload_whose_begin_is_answered_after_the_caller_left_is_aborted() {
    let test = TestStore::new().await;
    let faulty = FaultStore::new(Arc::clone(&test.store));
    faulty.on(
        Operation::BeginUpload,
        1,
        Fault::Late(Duration::from_millis(300)),
    );
    let calls = Arc::clone(&faulty);
    let faulty: Arc<dyn Store> = faulty;
    tokio::select! {
        _ = send(&faulty, 3 * PART) => panic!("it came to an end"),
        () = until_called(&calls, Operation::BeginUpload) => {}
    }
    until_called(&calls, Operation::AbortUpload).await;
    test.assert_empty().await;
    test.remove().await;
}

#[tokio::test]
async fn a_long_bad_day_on_the_wire_changes_nothing() {
    let proxy = FaultProxy::start().await;
    let test = TestStore::at(proxy.endpoint()).await;
    proxy.fail("POST", "uploads", 1, WireFault::slow_down());
    proxy.fail("PUT", "partNumber=1&", 1, WireFault::ResetAfter(3_000_000));
    proxy.fail("PUT", "partNumber=2&", 2, WireFault::slow_down());
    proxy.fail("PUT", "partNumber=3&", 1, WireFault::LoseAnswer);
    proxy.fail("PUT", "partNumber=4&", 1, WireFault::AlterBody);
    proxy.fail(
        "POST",
        "uploadId=",
        1,
        WireFault::error(200, "InternalError"),
    );
    proxy.fail("POST", "uploadId=", 1, WireFault::LoseAnswer);
    proxy.fail("HEAD", "dump", 1, WireFault::slow_down());
    let stored = send_and_complete(&test.store, 5 * PART + 1).await.unwrap();
    assert_eq!(stored.size_bytes, (5 * PART + 1) as u64);
    assert!(read_back(&test.store).await == content(5 * PART + 1));
    test.store.delete(&key()).await.unwrap();
    test.assert_empty().await;
    test.remove().await;
}

#[tokio::test]
async fn denied_parts_fail_the_upload_and_leave_nothing() {
    let proxy = FaultProxy::start().await;
    let test = TestStore::at(proxy.endpoint()).await;
    proxy.fail(
        "PUT",
        "partNumber=3",
        u32::MAX,
        WireFault::error(403, "AccessDenied"),
    );
    let error = send(&test.store, 9 * PART).await.map(drop).unwrap_err();
    assert!(
        matches!(error, UploadError::Store(StoreError::Denied { .. })),
        "{error}"
    );
    test.assert_empty().await;
    test.remove().await;
}

async fn until_called(store: &FaultStore, operation: Operation) {
    while store.calls(operation) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn named() -> ObjectKey {
    "content/objects/ab/abab".parse().unwrap()
}

fn key() -> ObjectKey {
    "database/db_1_aa/dump.1.archive".parse().unwrap()
}

fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| u8::try_from(index % 253).unwrap())
        .collect()
}
