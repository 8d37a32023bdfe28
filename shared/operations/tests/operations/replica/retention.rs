//! Retention in the second store: it deletes the copies of deleted backups only, and keeps
//! uncertain data.

use std::sync::Arc;

use holdfast_domain::{
    BackupId, BackupType, CopyStatus, JobStatus, ObjectKey, RetentionPolicy, Timestamp,
};
use holdfast_operations::{RemovedCopies, RunLimits, remove_copies};
use holdfast_storage::{Lock, PutMode, Store as _};
use holdfast_testing::{Fault, FaultStore, Operation};
use jiff::SignedDuration;
use mongodb::bson::{DateTime, doc};

use super::fixture::{Replica, copied, over, put_files};
use crate::support::simulation::Simulation;

pub(crate) struct Copies {
    pub(crate) simulation: Simulation,
    pub(crate) second: Replica,
}

impl Copies {
    pub(crate) async fn new() -> Self {
        let simulation = Simulation::new().await;
        put_files(simulation.store.as_ref()).await;
        let copies = Self {
            simulation,
            second: Replica::new(),
        };
        copies.pass_days(0);
        copies
    }

    pub(crate) fn pass_days(&self, days: i64) {
        self.simulation.pass_days(days);
        self.second.memory.set_clock(self.simulation.now());
    }

    pub(crate) async fn keep_newest(&self, kind: BackupType) {
        let policy = RetentionPolicy {
            max_count: Some(1),
            min_count: 1,
            ..RetentionPolicy::from_days(9)
        };
        self.simulation.set_policy(kind, policy).await;
    }

    pub(crate) async fn copy(&self, id: &BackupId) {
        copied(&self.simulation.h, &self.second.repository, id).await;
    }

    pub(crate) async fn remove_copies(&self) -> RemovedCopies {
        let report = remove_copies(
            &self.simulation.h,
            &self.second.repository,
            RunLimits::none(),
            self.simulation.now(),
        )
        .await;
        report.unwrap()
    }

    pub(super) async fn exists(&self, id: &BackupId) -> bool {
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
    pub(super) async fn age_the_beats_of_copiers(&self, ago: SignedDuration) {
        let then = DateTime::from_millis((Timestamp::now() - ago).as_millisecond());
        let update = doc! { "$set": { "copyWork.touchedAt": then } };
        self.simulation
            .rows("backup_jobs")
            .update_many(doc! { "copyWork": { "$exists": true } }, update)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_deleted_goes_in_the_second_store_too() {
    let copies = Copies::new().await;
    let ids = copies.simulation.back_up_daily(3).await;
    for id in &ids {
        copies.copy(id).await;
    }
    let uncopied = copies.simulation.back_up().await;
    copies.keep_newest(BackupType::Database).await;
    assert_eq!(
        copies.remove_copies().await.deleted,
        [],
        "nothing was deleted yet"
    );
    assert_eq!(copies.simulation.retain().await.database.deleted.len(), 3);
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
        let job = copies.simulation.h.catalog.get(id).await.unwrap();
        assert_eq!(
            (job.status, job.copy.unwrap().status),
            (JobStatus::Deleted, CopyStatus::Deleted)
        );
    }
    copies.copy(&uncopied).await;
    assert_eq!(copies.remove_copies().await.retained, 1);
    assert!(copies.exists(&uncopied).await);
    copies.simulation.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_killed_is_finished_by_the_next() {
    let copies = Copies::new().await;
    let ids = copies.simulation.back_up_daily(2).await;
    copies.copy(&ids[0]).await;
    copies.keep_newest(BackupType::Database).await;
    copies.simulation.retain().await;
    let faults = FaultStore::new(copies.second.memory.clone());
    faults.on(Operation::Delete, 2, Fault::Unavailable);
    let through = over(faults.clone());
    let report = remove_copies(
        &copies.simulation.h,
        &through,
        RunLimits::none(),
        copies.simulation.now(),
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
    copies.simulation.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_rather_than_deleted_keeps_its_copy() {
    let copies = Copies::new().await;
    let ids = copies.simulation.back_up_daily(3).await;
    for id in &ids {
        copies.copy(id).await;
    }
    // The folder of a backup in the first store is emptied by hand.
    copies
        .simulation
        .store
        .delete(&ObjectKey::manifest(&ids[0]))
        .await
        .unwrap();
    assert_eq!(
        copies.simulation.retain().await.database.lost,
        [ids[0].clone()]
    );
    assert_eq!(copies.simulation.status(&ids[0]).await, JobStatus::Deleted);
    // And the catalogue has forgotten another.
    copies
        .simulation
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
    copies.simulation.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_while_the_first_store_is_away_or_its_deletion_is_not_done() {
    let copies = Copies::new().await;
    let ids = copies.simulation.back_up_daily(2).await;
    copies.copy(&ids[0]).await;
    let change = holdfast_catalog::JobChange::default();
    copies
        .simulation
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
        .simulation
        .store
        .delete(&ObjectKey::manifest(&ids[0]))
        .await
        .unwrap();
    let faults = FaultStore::new(Arc::clone(&copies.simulation.store));
    faults.on_every(Operation::Head, Fault::Unavailable);
    let h = copies.simulation.through(faults);
    let report = remove_copies(
        &h,
        &copies.second.repository,
        RunLimits::none(),
        copies.simulation.now(),
    )
    .await
    .unwrap();
    assert!(
        report.deleted.is_empty() && !report.problems.is_empty(),
        "{report:?}"
    );
    assert!(copies.exists(&ids[0]).await);
    assert_eq!(copies.remove_copies().await.deleted.len(), 1);
    copies.simulation.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_store_that_is_away_never_holds_up_retention() {
    let copies = Copies::new().await;
    let ids = copies.simulation.back_up_daily(2).await;
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
    assert_eq!(copies.simulation.retain().await.database.deleted.len(), 1);
    let away = remove_copies(
        &copies.simulation.h,
        &through,
        RunLimits::none(),
        copies.simulation.now(),
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
    copies.simulation.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_locked_by_the_second_store_is_reported_and_kept() {
    let copies = Copies::new().await;
    let ids = copies.simulation.back_up_daily(2).await;
    copies.copy(&ids[0]).await;
    copies.keep_newest(BackupType::Database).await;
    copies.simulation.retain().await;
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
    copies.simulation.remove().await;
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
        &copies.simulation.h,
        &copies.second.repository,
        RunLimits::none(),
        copies.simulation.now(),
    )
    .await;
    assert!(
        lost.is_err(),
        "nothing is deleted from a store without its file"
    );
    copies.simulation.remove().await;
}
