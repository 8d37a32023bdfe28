//! Garbage collection in the second store: it deletes objects without references, and waits for
//! copies in progress.

use std::time::Duration;

use holdfast_domain::{BackupId, BackupType, Encoding, ObjectKey, Timestamp};
use holdfast_operations::{CopyStep, RunLimits, remove_copies};
use holdfast_storage::{Lock, Store as _};
use holdfast_testing::{Fault, FaultStore, Operation};
use jiff::SignedDuration;
use mongodb::bson::{DateTime, doc};

use super::{
    fixture::{over, step},
    retention::Copies,
};
use crate::support::simulation::object_of;

/// Two content backups with copies. The first was deleted, and only the first used `a`.
async fn with_a_file_that_no_copy_needs() -> (Copies, BackupId, BackupId) {
    let copies = Copies::new().await;
    let first = copies
        .simulation
        .back_up_content(&["a", "b"])
        .await
        .unwrap();
    copies.copy(&first).await;
    copies.pass_days(1);
    let next = copies
        .simulation
        .back_up_content(&["b", "c"])
        .await
        .unwrap();
    copies.copy(&next).await;
    copies.pass_days(2);
    copies.keep_newest(BackupType::Content).await;
    assert_eq!(copies.simulation.retain().await.content.deleted.len(), 1);
    (copies, first, next)
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_go_when_no_copy_refers_to_them() {
    let (copies, first, next) = with_a_file_that_no_copy_needs().await;
    assert!(
        !copies.simulation.has(&object_of("a")).await && copies.second.has(&object_of("a")).await
    );
    let report = copies.remove_copies().await;
    assert_eq!(
        (report.deleted.len(), report.collection.deleted),
        (1, 2),
        "the file, and its blocks: {report:?}"
    );
    assert_eq!(
        report.collection.sources_forgotten, 0,
        "held files concern the first store only"
    );
    assert!(!copies.second.has(&object_of("a")).await && copies.second.has(&object_of("b")).await);
    assert_eq!(copies.left_of(&first), 0);
    copies.second.assert_whole(&next).await;
    copies.simulation.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_a_copy_refers_to_stay_though_the_first_store_has_none() {
    let (copies, first, _) = with_a_file_that_no_copy_needs().await;
    // A lock on the copy of the first backup also keeps its files.
    copies.second.memory.set_lock(
        &ObjectKey::manifest(&first),
        Lock {
            legal_hold: true,
            ..Lock::default()
        },
    );
    assert_eq!(copies.remove_copies().await.collection.unreferenced, 0);
    copies.second.assert_whole(&first).await;
    copies.simulation.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_copy_stops_the_collection() {
    let (copies, _, next) = with_a_file_that_no_copy_needs().await;
    copies
        .second
        .replace(&ObjectKey::manifest(&next), b"{".to_vec())
        .await;
    let report = copies.remove_copies().await;
    assert!(
        report.collection.deleted == 0 && !report.problems.is_empty(),
        "{report:?}"
    );
    assert!(copies.second.has(&object_of("a")).await);
    copies.simulation.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_collected_while_content_is_copied() {
    let (copies, ..) = with_a_file_that_no_copy_needs().await;
    let coming = copies.simulation.back_up_content(&["d"]).await.unwrap();
    let faults = FaultStore::new(copies.second.memory.clone());
    // Its objects are copied, and the run is killed before the manifest.
    let through = over(faults.clone());
    faults.on_every(Operation::Put, Fault::Full);
    assert!(step(&copies.simulation.h, &through, &coming).await.is_err());
    let report = copies.remove_copies().await;
    assert!(
        report
            .collection
            .skipped
            .as_ref()
            .is_some_and(|why| why.contains(coming.as_str())),
        "{report:?}"
    );
    assert!(copies.second.has(&object_of("a")).await);
    // No run resumed it for hours, so its earlier view of the store is outdated.
    copies
        .age_the_beats_of_copiers(SignedDuration::from_hours(2))
        .await;
    assert_eq!(copies.remove_copies().await.collection.deleted, 2);
    copies.copy(&coming).await;
    copies.second.assert_whole(&coming).await;
    copies.simulation.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_copy_in_progress_stay_whatever_the_age_of_its_beat() {
    let (copies, ..) = with_a_file_that_no_copy_needs().await;
    // Every run that copies this backup saw its file there, even without a row, or from a sleeping
    // machine.
    copies
        .simulation
        .back_up_content(&["a", "d"])
        .await
        .unwrap();
    let report = copies.remove_copies().await;
    assert_eq!(
        (report.collection.unreferenced, &report.collection.skipped),
        (0, &None),
        "{report:?}"
    );
    assert!(copies.second.has(&object_of("a")).await);
    copies.simulation.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_waits_while_objects_are_collected() {
    let (copies, ..) = with_a_file_that_no_copy_needs().await;
    let coming = copies.simulation.back_up_content(&["d"]).await.unwrap();
    let faults = FaultStore::new(copies.second.memory.clone());
    faults.on(Operation::Lock, 5, Fault::Hang);
    let through = over(faults.clone());
    let (h, now) = (copies.simulation.h.clone(), copies.simulation.now());
    let collecting =
        tokio::spawn(async move { remove_copies(&h, &through, RunLimits::none(), now).await });
    // Three locks of the copy's folder, then the first of the objects, under the mark.
    while faults.calls(Operation::Lock) < 5 {
        assert!(!collecting.is_finished(), "it never came to the objects");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let waits = step(&copies.simulation.h, &copies.second.repository, &coming)
        .await
        .unwrap();
    assert!(
        matches!(&waits, CopyStep::Busy(why) if why.contains("try again")),
        "{waits:?}"
    );
    let database = copies.simulation.back_up().await;
    copies.copy(&database).await;
    // It is killed, and its mark is stale after a minute.
    collecting.abort();
    let then = DateTime::from_millis(Timestamp::now().as_millisecond() - 120_000);
    let update = doc! { "$set": { "beatAt": then } };
    copies
        .simulation
        .rows("backup_leases")
        .update_one(doc! { "_id": "copies" }, update)
        .await
        .unwrap();
    copies.copy(&coming).await;
    copies.second.assert_whole(&coming).await;
    copies.simulation.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_uploads_are_aborted() {
    let copies = Copies::new().await;
    let id = copies.simulation.back_up().await;
    copies.copy(&id).await;
    let orphan = ObjectKey::database_dump(&id, 7, Encoding::PLAIN);
    let begun = copies.second.memory.begin_upload(&orphan).await.unwrap();
    let gone_on_with = copies
        .second
        .memory
        .begin_upload(&object_of("x"))
        .await
        .unwrap();
    let set = doc! {
        "copyWork.run": "a", "copyWork.store": "s3://second/", "copyWork.upload.uploadId": &gone_on_with.0,
        "copyWork.touchedAt": DateTime::from_millis((copies.simulation.now() + SignedDuration::from_hours(26)).as_millisecond()),
    };
    copies
        .simulation
        .rows("backup_jobs")
        .update_one(doc! { "_id": id.as_str() }, doc! { "$set": set })
        .await
        .unwrap();
    assert_eq!(
        copies.remove_copies().await.uploads_aborted,
        0,
        "they are young"
    );
    copies.pass_days(1);
    copies.pass_days(1);
    assert_eq!(copies.remove_copies().await.uploads_aborted, 1);
    let left = copies
        .second
        .memory
        .list_unfinished_uploads("")
        .await
        .unwrap();
    assert!(left.iter().all(|upload| upload.upload_id != begun) && left.len() == 1);
    copies.simulation.remove().await;
}
