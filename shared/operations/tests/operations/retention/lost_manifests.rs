//! A missing manifest protects all its possible objects, until it is back or an operator accepts
//! the loss.

use holdfast_domain::{
    BackupId, BackupType, Encoding, FailureCode, JobFailure, JobStatus, ObjectKey, RetentionPolicy,
    VerificationLevel, VerificationStatus,
};
use holdfast_operations::{
    ManifestPresence, Trust, expect_lost, lost_backups, plan_collection, plan_retention,
    rebuild_catalog,
};
use holdfast_storage::PutMode;
use mongodb::bson::doc;

use super::{invariants, losses::Losses};
use crate::support::simulation::{NO_FILE, Simulation, object_of};

async fn stray(simulation: &Simulation) -> ObjectKey {
    let key = ObjectKey::content_object(&NO_FILE, Encoding::PLAIN);
    simulation
        .store
        .put(&key, "x".into(), PutMode::IfAbsent)
        .await
        .unwrap();
    key
}

pub(super) async fn lose(simulation: &Simulation, ids: &[&BackupId]) -> Losses {
    let mut losses = Losses::default();
    for id in ids {
        losses.lose(simulation, id).await;
    }
    losses
}

#[tokio::test]
async fn a_lost_backup_keeps_its_folder_and_is_reported_at_every_run_until_it_is_back() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(4).await;
    let mut losses = lose(&simulation, &[&ids[1]]).await;
    for run in 1..=3 {
        simulation.pass_days(7);
        let plan = plan_retention(&simulation.h, Trust::AsListed, simulation.now())
            .await
            .unwrap();
        assert_eq!(
            (plan.database.lost.as_slice(), plan.needs_attention()),
            (&ids[1..2], true),
            "dry run {run}"
        );
        assert!(
            plan.collection_suspended
                .is_some_and(|why| why.contains(ids[1].as_str())),
            "dry run {run}"
        );
        let report = simulation.retain().await;
        assert_eq!(report.all_problems().count(), 0, "{report:?}");
        assert_eq!(
            (
                report.database.lost.as_slice(),
                report.database.violations()
            ),
            (&ids[1..2], 1),
            "run {run}"
        );
        assert!(
            report.needs_attention() && report.collection.suspended.is_some(),
            "run {run}: {report:?}"
        );
        let job = simulation.h.catalog.get(&ids[1]).await.unwrap();
        assert!(
            job.is_lost() && job.lost_at.is_some() && job.deletion.is_none(),
            "{job:?}"
        );
        losses.keep_everything(&simulation).await;
    }
    losses.restore_all(&simulation).await;
    let report = simulation.retain().await;
    assert_eq!(
        (
            report.database.returned.as_slice(),
            report.needs_attention()
        ),
        (&ids[1..2], false),
        "{report:?}"
    );
    assert_eq!(
        (
            report.database.good,
            report.database.retained,
            report.database.deleted.len()
        ),
        (4, 4, 0)
    );
    let job = simulation.h.catalog.get(&ids[1]).await.unwrap();
    assert_eq!(
        (job.status, job.error, job.lost_at),
        (JobStatus::Completed, None, None)
    );
    assert!(!simulation.retain().await.needs_attention());
    assert_eq!(
        invariants::assert_live_backups_are_complete(&simulation).await,
        4
    );
    simulation.remove().await;
}

#[tokio::test]
async fn a_backup_that_is_back_is_verified_again_and_falls_under_its_policy_again() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(5).await;
    simulation
        .verified(
            &ids[0],
            VerificationLevel::Checksum,
            VerificationStatus::Passed,
        )
        .await;
    let passed = doc! { "$set": { "verification": {
        "level": "checksum", "status": "passed", "at": mongodb::bson::DateTime::now(),
    } } };
    simulation
        .rows("backup_jobs")
        .update_one(doc! { "_id": ids[0].as_str() }, passed)
        .await
        .unwrap();
    let mut losses = lose(&simulation, &[&ids[0]]).await;
    simulation.retain().await;
    losses.restore_all(&simulation).await;
    let policy = RetentionPolicy {
        max_age_days: None,
        max_count: Some(2),
        ..RetentionPolicy::from_days(1)
    };
    simulation
        .set_policy(
            BackupType::Database,
            RetentionPolicy {
                min_count: 1,
                ..policy
            },
        )
        .await;
    let report = simulation.retain().await;
    assert_eq!(
        (&report.database.returned[..], report.database.past_limits),
        (&ids[..1], 0),
        "{report:?}"
    );
    assert!(
        simulation.exists(&ids[0]).await,
        "the run that completes it again does not delete it"
    );
    assert_eq!(
        simulation
            .h
            .catalog
            .get(&ids[0])
            .await
            .unwrap()
            .verification,
        None,
        "it is due for verification"
    );
    simulation.retain().await;
    assert_eq!(
        simulation.status(&ids[0]).await,
        JobStatus::Deleted,
        "it exceeds maxCount"
    );
    invariants::assert_deleted_backups_are_gone(&simulation, &[]).await;
    simulation.remove().await;
}

#[tokio::test]
async fn content_objects_stay_while_any_expected_manifest_is_missing() {
    for which in ["a content backup", "a database backup"] {
        let simulation = Simulation::new().await;
        let database = simulation.back_up_daily(2).await;
        let first = simulation.back_up_content(&["a", "b"]).await.unwrap();
        let second = simulation.back_up_content(&["b", "c"]).await.unwrap();
        let stray = stray(&simulation).await;
        simulation.pass_days(2);
        let lost = if which == "a content backup" {
            &first
        } else {
            &database[0]
        };
        let mut losses = lose(&simulation, &[lost]).await;
        for _ in 0..3 {
            let plan = plan_retention(&simulation.h, Trust::AsListed, simulation.now())
                .await
                .unwrap();
            let planned = plan_collection(&simulation.h, &plan, simulation.now())
                .await
                .unwrap();
            assert!(
                planned
                    .suspended
                    .is_some_and(|why| why.contains(lost.as_str())),
                "{which}"
            );
            assert_eq!(planned.unreferenced, 0);
            let report = simulation.retain().await;
            assert!(
                report
                    .collection
                    .suspended
                    .is_some_and(|why| why.contains(lost.as_str())),
                "{which}"
            );
            assert_eq!(
                (report.collection.deleted, report.item_rows_deleted),
                (0, 0),
                "{which}"
            );
            assert!(
                simulation.has(&object_of("a")).await && simulation.has(&stray).await,
                "{which}"
            );
            losses.keep_everything(&simulation).await;
        }
        losses.restore_all(&simulation).await;
        assert_eq!(
            simulation.retain().await.collection.deleted,
            1,
            "{which}: the stray object alone"
        );
        assert_eq!(
            invariants::assert_live_backups_are_complete(&simulation).await,
            4,
            "{which}"
        );
        assert_eq!(
            simulation
                .h
                .catalog
                .item_counts(&second)
                .await
                .unwrap()
                .expected,
            2
        );
        simulation.remove().await;
    }
}

#[tokio::test]
async fn a_manifest_that_is_back_without_its_artifacts_leaves_the_backup_lost() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(3).await;
    let mut losses = lose(&simulation, &[&ids[0]]).await;
    simulation.retain().await;
    let dump = ObjectKey::database_dump(&ids[0], 1, Encoding::PLAIN);
    let bytes = holdfast_storage::read_all(&*simulation.store, &dump, 1 << 20)
        .await
        .unwrap();
    simulation.store.delete(&dump).await.unwrap();
    losses.restore_all(&simulation).await;
    let report = simulation.retain().await;
    assert_eq!(
        (report.database.lost.as_slice(), report.database.good),
        (&ids[..1], 2),
        "{report:?}"
    );
    assert!(
        report.database.problems[0].contains(&format!("{dump} is missing")),
        "{report:?}"
    );
    assert_eq!(
        lost_backups(&simulation.h).await.unwrap().backups[0].manifest,
        ManifestPresence::Present
    );
    assert!(
        expect_lost(&simulation.h, &ids[0]).await.is_ok(),
        "its loss can be accepted all the same"
    );
    simulation
        .store
        .put(&dump, bytes, PutMode::IfAbsent)
        .await
        .unwrap();
    assert_eq!(simulation.retain().await.database.returned, ids[..1]);
    simulation.remove().await;
}

#[tokio::test]
async fn rows_of_older_versions_are_lost_only_with_that_cause() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(6).await;
    let error =
        doc! { "code": "store-corrupt", "message": "its manifest is not in the store any more" };
    let lost = doc! { "$set": { "status": "deleted", "error": error } };
    simulation
        .rows("backup_jobs")
        .update_one(doc! { "_id": ids[0].as_str() }, lost)
        .await
        .unwrap();
    let deleted = doc! { "$set": { "status": "deleted" } };
    simulation
        .rows("backup_jobs")
        .update_one(doc! { "_id": ids[1].as_str() }, deleted)
        .await
        .unwrap();
    let losses = lose(&simulation, &[&ids[0]]).await;
    simulation
        .store
        .delete(&ObjectKey::manifest(&ids[1]))
        .await
        .unwrap();
    let report = simulation.retain().await;
    assert_eq!(
        (report.database.lost.as_slice(), report.database.leftovers),
        (&ids[..1], 2),
        "{report:?}"
    );
    losses.keep_everything(&simulation).await;
    assert!(
        !simulation
            .has(&ObjectKey::database_dump(&ids[1], 1, Encoding::PLAIN))
            .await
    );
    simulation.remove().await;
}

#[tokio::test]
async fn a_failed_backup_that_retention_deletes_is_not_lost() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(4).await;
    let failure = JobFailure {
        code: FailureCode::StoreCorrupt,
        message: "x".to_owned(),
        hint: None,
    };
    let failed = mongodb::bson::serialize_to_document(&failure).unwrap();
    let failed = doc! { "$set": { "status": "failed", "error": failed } };
    simulation
        .store
        .delete(&ObjectKey::database_dump(&ids[0], 1, Encoding::PLAIN))
        .await
        .unwrap();
    simulation
        .rows("backup_jobs")
        .update_one(doc! { "_id": ids[0].as_str() }, failed)
        .await
        .unwrap();
    simulation.pass_days(40);
    let report = simulation.retain().await;
    assert_eq!(
        (report.database.deleted.len(), report.needs_attention()),
        (1, false),
        "{report:?}"
    );
    let job = simulation.h.catalog.get(&ids[0]).await.unwrap();
    assert!(
        job.status == JobStatus::Deleted && !job.is_lost(),
        "{job:?}"
    );
    assert!(!simulation.retain().await.needs_attention());
    simulation.remove().await;
}

#[tokio::test]
async fn a_full_backup_stays_while_a_lost_part_may_come_back() {
    let simulation = Simulation::new().await;
    let full = simulation.begin(BackupType::Full).await;
    let parts = [
        simulation.back_up_under(Some(&full)).await,
        simulation.back_up_under(Some(&full)).await,
    ];
    simulation.step(&full, JobStatus::Completed).await;
    simulation.back_up_daily(2).await;
    lose(&simulation, &[&parts[1]]).await;
    let policy = RetentionPolicy {
        max_age_days: None,
        max_count: Some(2),
        ..RetentionPolicy::from_days(1)
    };
    simulation
        .set_policy(
            BackupType::Database,
            RetentionPolicy {
                min_count: 1,
                ..policy
            },
        )
        .await;
    let report = simulation.retain().await;
    assert_eq!(
        (report.database.deleted.len(), report.full_deleted.len()),
        (1, 0),
        "{report:?}"
    );
    simulation.accept(&parts[1]).await.unwrap();
    assert_eq!(simulation.retain().await.full_deleted, [full]);
    simulation.remove().await;
}

#[tokio::test]
async fn a_rebuild_of_the_catalogue_completes_a_lost_backup_whose_manifest_is_back() {
    let simulation = Simulation::new().await;
    simulation.back_up_content(&["a", "b"]).await.unwrap();
    let id = simulation.back_up_content(&["b", "c"]).await.unwrap();
    let mut losses = lose(&simulation, &[&id]).await;
    simulation.retain().await;
    // An older version deleted the rows of items of a lost backup.
    simulation.h.catalog.delete_items(&id).await.unwrap();
    losses.restore_all(&simulation).await;
    let report = rebuild_catalog(&simulation.h, &|_| ()).await.unwrap();
    assert_eq!(
        (report.returned.as_slice(), report.items),
        (std::slice::from_ref(&id), 2),
        "{report:?}"
    );
    assert_eq!(simulation.status(&id).await, JobStatus::Completed);
    assert!(!simulation.retain().await.needs_attention());
    simulation.remove().await;
}
