//! The next run resumes the upload of an object too large for one run. After a kill at any point,
//! the next run converges. Two concurrent runs do no harm.

use std::time::Duration;

use futures_util::future::join;
use holdfast_domain::{BackupId, CopyStatus, ObjectKey, Timestamp};
use holdfast_operations::{CopyMode, CopyStep, RunLimits, copy_backup, copy_without_catalogue};
use holdfast_storage::{Store as _, UploadId};
use holdfast_testing::{Fault, FaultStore, Operation};
use mongodb::bson::{DateTime, Document, doc};

use super::fixture::{Second, copied, over, step, told};
use crate::support::{content::KEY, database::Fixture};

/// An encrypted backup of four parts.
async fn large() -> (Fixture, BackupId) {
    let f = Fixture::new(&[
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
    f.fill_with_noise(26).await;
    let id = f.back_up().await.backup_id;
    (f, id)
}

fn rows(f: &Fixture) -> mongodb::Collection<Document> {
    f.client
        .database(&f.catalog_database)
        .collection("backup_jobs")
}

/// The state after a kill: no run beats any more.
async fn forget(f: &Fixture, id: &BackupId) {
    let then = DateTime::from_millis(Timestamp::now().as_millisecond() - 120_000);
    let update = doc! { "$set": { "copyWork.touchedAt": then } };
    rows(f)
        .update_one(doc! { "_id": id.as_str() }, update)
        .await
        .unwrap();
}

async fn receipts(f: &Fixture, id: &BackupId) -> usize {
    let row = rows(f)
        .find_one(doc! { "_id": id.as_str() })
        .await
        .unwrap()
        .unwrap();
    let upload = row
        .get_document("copyWork")
        .and_then(|work| work.get_document("upload"));
    upload
        .and_then(|upload| upload.get_array("parts"))
        .map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_resumes_after_its_sent_parts() {
    let (f, id) = large().await;
    let second = Second::new();
    let faults = FaultStore::new(second.memory.clone());
    faults.on(Operation::UploadPart, 3, Fault::Unavailable);
    let failed = step(&f.holdfast, &over(faults.clone()), &id)
        .await
        .unwrap_err();
    assert!(
        failed.is_transient() && failed.to_string().contains("second store"),
        "{failed}"
    );
    assert_eq!(
        told(&f.holdfast, &id).await,
        (CopyStatus::Failed, Some("store-unavailable".to_owned()))
    );
    let kept = receipts(&f, &id).await;
    assert!(kept >= 1, "{kept}");
    let sent = faults.calls(Operation::UploadPart);
    copied(&f.holdfast, &over(faults.clone()), &id).await;
    let more = faults.calls(Operation::UploadPart) - sent;
    assert_eq!(more as usize, 4 - kept, "no part is sent twice");
    assert_eq!(faults.calls(Operation::BeginUpload), 1);
    second.assert_good(&id).await;
    let row = rows(&f)
        .find_one(doc! { "_id": id.as_str() })
        .await
        .unwrap()
        .unwrap();
    assert!(
        !row.contains_key("copyWork"),
        "a complete copy leaves no work"
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_time_is_over_hands_on_and_the_next_one_ends_it() {
    let (f, id) = large().await;
    let second = Second::new();
    let faults = FaultStore::new(second.memory.clone());
    // A store too slow for more than the first parts of a run.
    faults.on(Operation::UploadPart, 2, Fault::Hang);
    let limits = RunLimits {
        deadline: Some(Timestamp::now() + jiff::SignedDuration::from_millis(36_000)),
    };
    let through = over(faults.clone());
    let ended = copy_backup(
        &f.holdfast,
        &through,
        &id,
        CopyMode::Missing,
        limits,
        &|_, _| (),
    )
    .await
    .unwrap();
    assert_eq!(ended, CopyStep::Continue);
    assert_eq!(told(&f.holdfast, &id).await, (CopyStatus::Pending, None));
    assert!(
        !second.has(&ObjectKey::manifest(&id)).await,
        "it is no backup yet"
    );
    // At once, because no run has it.
    copied(&f.holdfast, &through, &id).await;
    assert_eq!(faults.calls(Operation::BeginUpload), 1);
    second.assert_good(&id).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_killed_at_any_call_is_resumed() {
    let f = Fixture::new(&[]).await;
    f.fill_with_noise(10).await;
    let id = f.back_up().await.backup_id;
    for operation in [
        Operation::Put,
        Operation::BeginUpload,
        Operation::UploadPart,
        Operation::CompleteUpload,
    ] {
        for nth in 1..=4 {
            let second = Second::new();
            let faults = FaultStore::new(second.memory.clone());
            faults.on(operation, nth, Fault::Hang);
            let through = over(faults.clone());
            let killed = async {
                while faults.calls(operation) < nth {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                ended = step(&f.holdfast, &through, &id) => assert!(ended.is_ok(), "{operation:?} {nth}: it was never called"),
                () = killed => {
                    let busy = step(&f.holdfast, &through, &id).await.unwrap();
                    assert!(matches!(busy, CopyStep::Busy(_)), "nobody knows yet that it died: {busy:?}");
                    forget(&f, &id).await;
                }
            }
            copied(&f.holdfast, &through, &id).await;
            second.assert_good(&id).await;
            second.assert_equals(f.store.store.as_ref()).await;
        }
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_unknown_to_the_store_begins_again() {
    let (f, id) = large().await;
    let second = Second::new();
    let faults = FaultStore::new(second.memory.clone());
    faults.on(Operation::UploadPart, 4, Fault::Denied);
    assert!(step(&f.holdfast, &over(faults.clone()), &id).await.is_err());
    for upload in second.memory.list_unfinished_uploads("").await.unwrap() {
        let UploadId(_) = &upload.upload_id;
        second
            .memory
            .abort_upload(&upload.key, &upload.upload_id)
            .await
            .unwrap();
    }
    copied(&f.holdfast, &over(faults.clone()), &id).await;
    assert_eq!(faults.calls(Operation::BeginUpload), 2);
    second.assert_good(&id).await;
    assert!(
        second
            .memory
            .list_unfinished_uploads("")
            .await
            .unwrap()
            .is_empty()
    );
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_got_lost_is_no_fault_the_next_time() {
    let (f, id) = large().await;
    for operation in [
        Operation::Put,
        Operation::UploadPart,
        Operation::CompleteUpload,
    ] {
        let second = Second::new();
        let faults = FaultStore::new(second.memory.clone());
        faults.on(operation, 1, Fault::LostAnswer);
        assert!(
            step(&f.holdfast, &over(faults.clone()), &id).await.is_err(),
            "{operation:?}"
        );
        copied(&f.holdfast, &over(faults), &id).await;
        second.assert_good(&id).await;
    }
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_do_no_harm() {
    let (f, id) = large().await;
    let second = Second::new();
    let (one, other) = join(
        step(&f.holdfast, &second.repository, &id),
        step(&f.holdfast, &second.repository, &id),
    )
    .await;
    let steps = [one.unwrap(), other.unwrap()];
    assert!(
        steps.iter().any(|step| matches!(step, CopyStep::Done(_))),
        "{steps:?}"
    );
    assert!(
        steps.iter().any(|step| matches!(step, CopyStep::Busy(_))),
        "{steps:?}"
    );
    second.assert_good(&id).await;
    // The same, if neither run knows of the other.
    let second = Second::new();
    let by_hand = || {
        copy_without_catalogue(
            &f.holdfast.repository,
            &second.repository,
            &id,
            CopyMode::Missing,
            &|_, _| (),
        )
    };
    let (one, other) = join(by_hand(), by_hand()).await;
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    second.assert_equals(f.store.store.as_ref()).await;
    f.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_considered_dead_stops_and_leaves_the_copy_to_the_other() {
    let (f, id) = large().await;
    let second = Second::new();
    let faults = FaultStore::new(second.memory.clone());
    faults.on(Operation::UploadPart, 2, Fault::Hang);
    let through = over(faults.clone());
    let paused = tokio::spawn({
        let (h, through, id) = (f.holdfast.clone(), through.clone(), id.clone());
        async move { step(&h, &through, &id).await }
    });
    while faults.calls(Operation::UploadPart) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    forget(&f, &id).await;
    copied(&f.holdfast, &second.repository, &id).await;
    // Its next beat, at most ten seconds later.
    let ended = paused.await.unwrap().unwrap();
    assert!(matches!(ended, CopyStep::Busy(_)), "{ended:?}");
    assert_eq!(
        told(&f.holdfast, &id).await,
        (CopyStatus::Completed, None),
        "the result of the other run stays"
    );
    f.remove().await;
}
