//! Retention in the second store: it deletes the copies of deleted backups only, and keeps
//! uncertain data.

use std::{sync::Arc, time::Duration};

use holdfast_domain::{
    BackupId, BackupType, CopyStatus, Encoding, JobStatus, ObjectKey, RetentionPolicy, Timestamp,
};
use holdfast_operations::{CopyStep, RemovedCopies, RunLimits, remove_copies};
use holdfast_storage::{Lock, PutMode, Store as _};
use holdfast_testing::{Fault, FaultStore, Operation};
use jiff::SignedDuration;
use mongodb::bson::{DateTime, doc};

use crate::{
    second::{Second, copied, over, put_files, step},
    world::{World, object_of},
};

pub(crate) struct Copies {
    pub(crate) world: World,
    pub(crate) second: Second,
}

impl Copies {
    pub(crate) async fn new() -> Self {
        let world = World::new().await;
        put_files(world.store.as_ref()).await;
        let copies = Self {
            world,
            second: Second::new(),
        };
        copies.pass_days(0);
        copies
    }

    pub(crate) fn pass_days(&self, days: i64) {
        self.world.pass_days(days);
        self.second.memory.set_clock(self.world.now());
    }

    pub(crate) async fn keep_newest(&self, kind: BackupType) {
        let policy = RetentionPolicy {
            max_count: Some(1),
            min_count: 1,
            ..RetentionPolicy::from_days(9)
        };
        self.world.set_policy(kind, policy).await;
    }

    pub(crate) async fn copy(&self, id: &BackupId) {
        copied(&self.world.h, &self.second.repository, id).await;
    }

    pub(crate) async fn remove_copies(&self) -> RemovedCopies {
        let report = remove_copies(
            &self.world.h,
            &self.second.repository,
            RunLimits::none(),
            self.world.now(),
        )
        .await;
        report.unwrap()
    }

    async fn exists(&self, id: &BackupId) -> bool {
        self.second.has(&ObjectKey::manifest(id)).await
    }

    pub(crate) fn left_of(&self, id: &BackupId) -> usize {
        self.second
            .memory
            .keys()
            .iter()
            .filter(|key| key.backup().as_ref() == Some(id))
            .count()
    }

    /// Makes the last beats of copying runs this old.
    async fn copiers_were_last_heard_of(&self, ago: SignedDuration) {
        let then = DateTime::from_millis((Timestamp::now() - ago).as_millisecond());
        let update = doc! { "$set": { "copyWork.touchedAt": then } };
        self.world
            .rows("backup_jobs")
            .update_many(doc! { "copyWork": { "$exists": true } }, update)
            .await
            .unwrap();
    }
}

/// Two content backups with copies. The first was deleted, and only the first used `a`.
async fn with_a_file_that_no_copy_needs() -> (Copies, BackupId, BackupId) {
    let copies = Copies::new().await;
    let first = copies.world.back_up_content(&["a", "b"]).await.unwrap();
    copies.copy(&first).await;
    copies.pass_days(1);
    let next = copies.world.back_up_content(&["b", "c"]).await.unwrap();
    copies.copy(&next).await;
    copies.pass_days(2);
    copies.keep_newest(BackupType::Content).await;
    assert_eq!(copies.world.retain().await.content.deleted.len(), 1);
    (copies, first, next)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_deleted_goes_in_the_second_store_too() {
    let copies = Copies::new().await;
    let ids = copies.world.back_up_daily(3).await;
    for id in &ids {
        copies.copy(id).await;
    }
    let uncopied = copies.world.back_up().await;
    copies.keep_newest(BackupType::Database).await;
    assert_eq!(
        copies.remove_copies().await.deleted,
        [],
        "nothing was deleted yet"
    );
    assert_eq!(copies.world.retain().await.database.deleted.len(), 3);
    let report = copies.remove_copies().await;
    assert_eq!(report.all_problems().count(), 0, "{report:?}");
    let mut deleted: Vec<_> = report
        .deleted
        .into_iter()
        .map(|deleted| deleted.backup_id)
        .collect();
    deleted.sort();
    assert_eq!((deleted, report.retained), (ids.clone(), 0));
    assert!(report.bytes_freed > 0);
    for id in &ids {
        assert_eq!(copies.left_of(id), 0);
        let job = copies.world.h.catalog.get(id).await.unwrap();
        assert_eq!(
            (job.status, job.copy.unwrap().status),
            (JobStatus::Deleted, CopyStatus::Deleted)
        );
    }
    copies.copy(&uncopied).await;
    assert_eq!(copies.remove_copies().await.retained, 1);
    assert!(copies.exists(&uncopied).await);
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_killed_is_finished_by_the_next() {
    let copies = Copies::new().await;
    let ids = copies.world.back_up_daily(2).await;
    copies.copy(&ids[0]).await;
    copies.keep_newest(BackupType::Database).await;
    copies.world.retain().await;
    let faults = FaultStore::new(copies.second.memory.clone());
    faults.on(Operation::Delete, 2, Fault::Unavailable);
    let through = over(faults.clone());
    let report = remove_copies(
        &copies.world.h,
        &through,
        RunLimits::none(),
        copies.world.now(),
    )
    .await
    .unwrap();
    assert!(
        report.deleted.is_empty() && report.problems.len() == 1,
        "{report:?}"
    );
    assert!(
        !copies.exists(&ids[0]).await && copies.left_of(&ids[0]) > 0,
        "the manifest goes first"
    );
    assert_eq!(copies.remove_copies().await.deleted.len(), 1);
    assert_eq!(copies.left_of(&ids[0]), 0);
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_rather_than_deleted_keeps_its_copy() {
    let copies = Copies::new().await;
    let ids = copies.world.back_up_daily(3).await;
    for id in &ids {
        copies.copy(id).await;
    }
    // The folder of a backup in the first store is emptied by hand.
    copies
        .world
        .store
        .delete(&ObjectKey::manifest(&ids[0]))
        .await
        .unwrap();
    assert_eq!(copies.world.retain().await.database.lost, [ids[0].clone()]);
    assert_eq!(copies.world.status(&ids[0]).await, JobStatus::Deleted);
    // And the catalogue has forgotten another.
    copies
        .world
        .rows("backup_jobs")
        .delete_one(doc! { "_id": ids[1].as_str() })
        .await
        .unwrap();
    let report = copies.remove_copies().await;
    assert_eq!(
        (report.deleted.len(), report.last, report.retained),
        (0, vec![ids[0].clone()], 3)
    );
    copies.second.assert_whole(&ids[0]).await;
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_while_the_first_store_is_away_or_its_deletion_is_not_done() {
    let copies = Copies::new().await;
    let ids = copies.world.back_up_daily(2).await;
    copies.copy(&ids[0]).await;
    let change = holdfast_catalog::JobChange::default();
    copies
        .world
        .h
        .catalog
        .transition(&ids[0], JobStatus::Deleted, change, None)
        .await
        .unwrap();
    assert_eq!(
        copies.remove_copies().await.deleted,
        [],
        "its manifest is there yet"
    );
    copies
        .world
        .store
        .delete(&ObjectKey::manifest(&ids[0]))
        .await
        .unwrap();
    let faults = FaultStore::new(Arc::clone(&copies.world.store));
    faults.on_every(Operation::Head, Fault::Unavailable);
    let h = copies.world.through(faults);
    let report = remove_copies(
        &h,
        &copies.second.repository,
        RunLimits::none(),
        copies.world.now(),
    )
    .await
    .unwrap();
    assert!(
        report.deleted.is_empty() && !report.problems.is_empty(),
        "{report:?}"
    );
    assert!(copies.exists(&ids[0]).await);
    assert_eq!(copies.remove_copies().await.deleted.len(), 1);
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_store_that_is_away_never_holds_up_retention() {
    let copies = Copies::new().await;
    let ids = copies.world.back_up_daily(2).await;
    copies.copy(&ids[0]).await;
    copies.keep_newest(BackupType::Database).await;
    let faults = FaultStore::new(copies.second.memory.clone());
    for operation in [
        Operation::Get,
        Operation::Head,
        Operation::List,
        Operation::Delete,
    ] {
        faults.on_every(operation, Fault::Unavailable);
    }
    let through = over(faults.clone());
    assert_eq!(copies.world.retain().await.database.deleted.len(), 1);
    let away = remove_copies(
        &copies.world.h,
        &through,
        RunLimits::none(),
        copies.world.now(),
    )
    .await
    .unwrap_err();
    assert!(
        away.is_transient() && away.to_string().contains("second store"),
        "{away}"
    );
    faults.heal();
    assert_eq!(
        copies.remove_copies().await.deleted.len(),
        1,
        "the next day makes up for it"
    );
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_locked_by_the_second_store_is_reported_and_kept() {
    let copies = Copies::new().await;
    let ids = copies.world.back_up_daily(2).await;
    copies.copy(&ids[0]).await;
    copies.keep_newest(BackupType::Database).await;
    copies.world.retain().await;
    let guide = ObjectKey::restore_guide(&ids[0]);
    copies.second.memory.set_lock(
        &guide,
        Lock {
            legal_hold: true,
            ..Lock::default()
        },
    );
    let report = copies.remove_copies().await;
    assert_eq!(
        (report.deleted.len(), report.blocked.len(), report.retained),
        (0, 1, 1)
    );
    copies.second.assert_whole(&ids[0]).await;
    copies.second.memory.set_lock(&guide, Lock::default());
    assert_eq!(copies.remove_copies().await.deleted.len(), 1);
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_go_when_no_copy_refers_to_them() {
    let (copies, first, next) = with_a_file_that_no_copy_needs().await;
    assert!(!copies.world.has(&object_of("a")).await && copies.second.has(&object_of("a")).await);
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
    copies.world.remove().await;
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
    copies.world.remove().await;
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
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_collected_while_content_is_copied() {
    let (copies, ..) = with_a_file_that_no_copy_needs().await;
    let coming = copies.world.back_up_content(&["d"]).await.unwrap();
    let faults = FaultStore::new(copies.second.memory.clone());
    // Its objects are copied, and the run is killed before the manifest.
    let through = over(faults.clone());
    faults.on_every(Operation::Put, Fault::Full);
    assert!(step(&copies.world.h, &through, &coming).await.is_err());
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
        .copiers_were_last_heard_of(SignedDuration::from_hours(2))
        .await;
    assert_eq!(copies.remove_copies().await.collection.deleted, 2);
    copies.copy(&coming).await;
    copies.second.assert_whole(&coming).await;
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_copier_may_count_on_stays_however_long_it_was_not_heard_of() {
    let (copies, ..) = with_a_file_that_no_copy_needs().await;
    // Every run that copies this backup saw its file there, even without a row, or from a sleeping
    // machine.
    copies.world.back_up_content(&["a", "d"]).await.unwrap();
    let report = copies.remove_copies().await;
    assert_eq!(
        (report.collection.unreferenced, &report.collection.skipped),
        (0, &None),
        "{report:?}"
    );
    assert!(copies.second.has(&object_of("a")).await);
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_waits_while_objects_are_collected() {
    let (copies, ..) = with_a_file_that_no_copy_needs().await;
    let coming = copies.world.back_up_content(&["d"]).await.unwrap();
    let faults = FaultStore::new(copies.second.memory.clone());
    faults.on(Operation::Lock, 5, Fault::Hang);
    let through = over(faults.clone());
    let (h, now) = (copies.world.h.clone(), copies.world.now());
    let collecting =
        tokio::spawn(async move { remove_copies(&h, &through, RunLimits::none(), now).await });
    // Three locks of the copy's folder, then the first of the objects, under the mark.
    while faults.calls(Operation::Lock) < 5 {
        assert!(!collecting.is_finished(), "it never came to the objects");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let waits = step(&copies.world.h, &copies.second.repository, &coming)
        .await
        .unwrap();
    assert!(
        matches!(&waits, CopyStep::Busy(why) if why.contains("try again")),
        "{waits:?}"
    );
    let database = copies.world.back_up().await;
    copies.copy(&database).await;
    // It is killed, and its mark is stale after a minute.
    collecting.abort();
    let then = DateTime::from_millis(Timestamp::now().as_millisecond() - 120_000);
    let update = doc! { "$set": { "beatAt": then } };
    copies
        .world
        .rows("backup_leases")
        .update_one(doc! { "_id": "copies" }, update)
        .await
        .unwrap();
    copies.copy(&coming).await;
    copies.second.assert_whole(&coming).await;
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_uploads_are_aborted() {
    let copies = Copies::new().await;
    let id = copies.world.back_up().await;
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
        "copyWork.touchedAt": DateTime::from_millis((copies.world.now() + SignedDuration::from_hours(26)).as_millisecond()),
    };
    copies
        .world
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
    copies.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_nothing_was_copied_to_is_left_alone() {
    let copies = Copies::new().await;
    assert_eq!(copies.remove_copies().await, RemovedCopies::default());
    let stray = ObjectKey::restore_guide(&"db_1_aa".parse().unwrap());
    copies
        .second
        .memory
        .put(&stray, "x".into(), PutMode::IfAbsent)
        .await
        .unwrap();
    let lost = remove_copies(
        &copies.world.h,
        &copies.second.repository,
        RunLimits::none(),
        copies.world.now(),
    )
    .await;
    assert!(
        lost.is_err(),
        "nothing is deleted from a store without its file"
    );
    copies.world.remove().await;
}
