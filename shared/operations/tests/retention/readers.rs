//! Readers: a backup is not deleted during its restore, verification or copy. A dead reader
//! protects nothing.

use std::{sync::Arc, time::Duration};

use holdfast_catalog::{Catalog, ReaderRow};
use holdfast_domain::{
    BackupId, BackupType, Encoding, JobStatus, ObjectKey, RetentionPolicy, Secret, Timestamp,
    VerificationLevel,
};
use holdfast_operations::{CatalogLeases, RunLimits, verify_on_request};
use holdfast_recovery::readers::{NoLeases, Protection, Purpose, ReaderLease, ReaderLeases};
use holdfast_testing::{Fault, FaultStore, Operation};
use jiff::SignedDuration;

use crate::{
    truth,
    world::{World, object_of},
};

/// Three backups, the first two beyond the limits of the policy.
async fn past_their_limits() -> (World, Vec<BackupId>) {
    let world = World::new().await;
    let ids = world.back_up_daily(3).await;
    keep_newest(&world, BackupType::Database).await;
    (world, ids)
}

pub(crate) async fn keep_newest(world: &World, kind: BackupType) {
    let policy = RetentionPolicy {
        max_count: Some(1),
        min_count: 1,
        ..RetentionPolicy::from_days(9)
    };
    world.set_policy(kind, policy).await;
}

fn leases(world: &World) -> Arc<dyn ReaderLeases> {
    Arc::new(CatalogLeases::new(
        world.h.catalog.clone(),
        world.h.repository.location().to_string(),
    ))
}

async fn reading(world: &World, id: &BackupId) -> ReaderLease {
    ReaderLease::acquire(leases(world), &world.h.repository, id, Purpose::Restore).await
}

pub(crate) async fn readers(world: &World, id: &BackupId) -> Vec<String> {
    let rows = world
        .h
        .catalog
        .readers(id, Timestamp::now() - SignedDuration::from_mins(1))
        .await
        .unwrap();
    rows.into_iter().map(|row| row.purpose).collect()
}

pub(crate) async fn until_nobody_reads(world: &World, id: &BackupId) {
    while !readers(world, id).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_not_deleted_while_it_is_read() {
    let (world, ids) = past_their_limits().await;
    let (first, second) = (
        reading(&world, &ids[0]).await,
        reading(&world, &ids[0]).await,
    );
    assert_eq!(
        (first.protection(), second.protection()),
        (&Protection::Held, &Protection::Held)
    );
    let report = world.retain().await;
    assert_eq!(report.all_problems().count(), 0, "{report:?}");
    assert_eq!(
        (report.database.deleted.len(), report.database.retained),
        (1, 2),
        "the others go"
    );
    assert_eq!(report.database.violations(), 0, "{report:?}");
    let [blocked] = report.database.blocked.as_slice() else {
        panic!("{report:?}")
    };
    assert!(
        blocked.backup_id == ids[0] && blocked.lock.contains("a run reads it"),
        "{}",
        blocked.lock
    );
    first.release().await;
    assert!(
        world.retain().await.database.deleted.is_empty(),
        "one reader is enough"
    );
    // The run is cancelled, so it does not wait.
    drop(second);
    until_nobody_reads(&world, &ids[0]).await;
    assert_eq!(world.retain().await.database.deleted[0].backup_id, ids[0]);
    truth::what_is_deleted_is_gone(&world, &[]).await;
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_content_backup_stay_while_it_is_read() {
    let world = World::new().await;
    let old = world.back_up_content(&["a", "b"]).await.unwrap();
    world.pass_days(1);
    world.back_up_content(&["b", "c"]).await.unwrap();
    world.pass_days(2);
    keep_newest(&world, BackupType::Content).await;
    let lease = reading(&world, &old).await;
    let report = world.retain().await;
    assert_eq!(
        (report.content.deleted.len(), report.collection.deleted),
        (0, 0),
        "{report:?}"
    );
    assert!(world.has(&object_of("a")).await);
    lease.release().await;
    assert_eq!(world.retain().await.content.deleted.len(), 1);
    assert!(!world.has(&object_of("a")).await && world.has(&object_of("b")).await);
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_was_killed_protects_a_backup_for_a_minute() {
    let (world, ids) = past_their_limits().await;
    let last_beat = async |ago: i64| {
        let beat_at = Timestamp::now() - SignedDuration::from_secs(ago);
        let row = ReaderRow {
            id: "killed".to_owned(),
            backup_id: ids[0].clone(),
            purpose: "restore".to_owned(),
            store: world.h.repository.location().to_string(),
            started_at: beat_at,
            beat_at,
        };
        world.h.catalog.record_reader(&row).await.unwrap();
    };
    last_beat(50).await;
    assert_eq!(
        world.retain().await.database.deleted.len(),
        1,
        "the one without a reader"
    );
    assert!(world.exists(&ids[0]).await);
    last_beat(61).await;
    assert_eq!(world.retain().await.database.deleted[0].backup_id, ids[0]);
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_began_while_retention_decided_is_seen_before_anything_goes() {
    let (world, ids) = past_their_limits().await;
    let lease = reading(&world, &ids[0]).await;
    // Retention has checked for readers before, and marks the job now.
    world.step(&ids[0], JobStatus::Deleted).await;
    world.retain().await;
    assert!(
        world.exists(&ids[0]).await,
        "it is marked, and everything is there"
    );
    // A later reader finds the mark.
    let late = reading(&world, &ids[0]).await;
    assert_eq!(*late.protection(), Protection::BeingDeleted);
    let warning = late.protection().warning(&ids[0]).unwrap();
    assert!(
        warning.contains("nothing protects") && warning.contains("has begun to delete"),
        "{warning}"
    );
    late.release().await;
    lease.release().await;
    world.retain().await;
    truth::what_is_deleted_is_gone(&world, &[]).await;
    assert!(!world.exists(&ids[0]).await, "the next run finishes it");
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_catalogue_a_reader_is_warned_and_reads_on() {
    let world = World::new().await;
    let id = world.back_up().await;
    let none: Arc<dyn ReaderLeases> = Arc::new(NoLeases("no catalogue is set".to_owned()));
    let away = Catalog::connect(
        &Secret::new("mongodb://127.0.0.1:1/?directConnection=true"),
        "x",
    )
    .await
    .unwrap();
    let away: Arc<dyn ReaderLeases> = Arc::new(CatalogLeases::new(
        away,
        world.h.repository.location().to_string(),
    ));
    for leases in [none, away] {
        let lease = ReaderLease::acquire(leases, &world.h.repository, &id, Purpose::Restore).await;
        let warning = lease.protection().warning(&id).unwrap();
        assert!(
            warning.contains("nothing protects backup") && warning.contains(id.as_str()),
            "{warning}"
        );
        lease.release().await;
    }
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_keeps_its_backup_and_lets_it_go_at_its_end() {
    let (world, ids) = past_their_limits().await;
    let faults = FaultStore::new(Arc::clone(&world.store));
    faults.on_every(Operation::Get, Fault::Hang);
    let (h, id, now) = (world.through(faults.clone()), ids[0].clone(), world.now());
    let level = VerificationLevel::Checksum;
    let verifying =
        tokio::spawn(
            async move { verify_on_request(&h, &id, level, RunLimits::none(), now).await },
        );
    while faults.calls(Operation::Get) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(readers(&world, &ids[0]).await, ["verify"]);
    assert_eq!(world.retain().await.database.deleted.len(), 1);
    assert!(world.exists(&ids[0]).await);
    verifying.abort();
    until_nobody_reads(&world, &ids[0]).await;
    assert_eq!(world.retain().await.database.deleted[0].backup_id, ids[0]);
    // A completed reader leaves no row.
    verify_on_request(&world.h, &ids[2], level, RunLimits::none(), now)
        .await
        .ok();
    assert!(readers(&world, &ids[2]).await.is_empty());
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_backup_without_a_manifest_stays_while_it_is_read() {
    let world = World::new().await;
    let ids = world.back_up_daily(3).await;
    world.accept_elsewhere(&ids[0]).await;
    world
        .store
        .delete(&ObjectKey::manifest(&ids[0]))
        .await
        .unwrap();
    let dump = ObjectKey::database_dump(&ids[0], 1, Encoding::PLAIN);
    let reader = reading(&world, &ids[0]).await;
    let report = world.retain().await;
    assert!(
        report.database.blocked[0].lock.contains("a run reads it"),
        "{report:?}"
    );
    assert!(
        world.has(&dump).await && report.database.leftovers == 0,
        "{report:?}"
    );
    reader.release().await;
    let report = world.retain().await;
    assert_eq!(
        (report.database.leftovers, report.database.blocked.len()),
        (2, 0),
        "{report:?}"
    );
    assert!(!world.has(&dump).await);
    world.remove().await;
}

/// Makes a lease look as dead as if its process had been suspended: its row is old, and its clock
/// goes on.
async fn suspended(world: &World, id: &BackupId) -> Timestamp {
    let rows = world
        .h
        .catalog
        .readers(id, Timestamp::now() - SignedDuration::from_mins(1))
        .await
        .unwrap();
    for row in rows {
        let beat_at = row.beat_at - SignedDuration::from_mins(3);
        world
            .h
            .catalog
            .record_reader(&ReaderRow { beat_at, ..row })
            .await
            .unwrap();
    }
    Timestamp::now() + SignedDuration::from_mins(3)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_was_suspended_finds_out_whether_its_backup_is_being_deleted() {
    let (world, ids) = past_their_limits().await;
    let (deleted, kept) = (
        reading(&world, &ids[0]).await,
        reading(&world, &ids[2]).await,
    );
    let now = Timestamp::now();
    assert_eq!(
        (deleted.confirm(now).await, kept.confirm(now).await),
        (Ok(()), Ok(()))
    );
    let woken = suspended(&world, &ids[0])
        .await
        .max(suspended(&world, &ids[2]).await);
    let report = world.retain().await;
    assert!(
        report
            .database
            .deleted
            .iter()
            .any(|gone| gone.backup_id == ids[0]),
        "{report:?}"
    );
    assert_eq!(kept.confirm(woken).await, Ok(()), "its backup is kept");
    assert_eq!(
        readers(&world, &ids[2]).await,
        ["restore"],
        "and it is recorded again"
    );
    let reason = deleted.confirm(woken).await.unwrap_err();
    assert!(
        reason.contains(ids[0].as_str()) && reason.contains("paused"),
        "{reason}"
    );
    assert!(deleted.confirm(woken).await.is_err(), "it stays lost");
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_renewed_is_not_judged_again_and_a_silent_catalogue_refuses_nothing() {
    let (world, ids) = past_their_limits().await;
    let lease = reading(&world, &ids[0]).await;
    world.step(&ids[0], JobStatus::Deleted).await;
    assert_eq!(
        lease.confirm(Timestamp::now()).await,
        Ok(()),
        "the lease protects the backup all the time"
    );
    let away = Catalog::connect(
        &Secret::new("mongodb://127.0.0.1:1/?directConnection=true"),
        "x",
    )
    .await
    .unwrap();
    let away: Arc<dyn ReaderLeases> = Arc::new(CatalogLeases::new(
        away,
        world.h.repository.location().to_string(),
    ));
    let lease = ReaderLease::acquire(away, &world.h.repository, &ids[2], Purpose::Restore).await;
    assert_eq!(
        lease
            .confirm(Timestamp::now() + SignedDuration::from_mins(3))
            .await,
        Ok(())
    );
    world.remove().await;
}
