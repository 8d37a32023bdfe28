//! A missing manifest protects all its possible objects, until it is back or an operator accepts
//! the loss.

use holdfast_domain::{
    BackupId, BackupType, DeletionCause, Encoding, FailureCode, JobFailure, JobStatus, ObjectKey,
    RetentionPolicy, VerificationLevel, VerificationStatus,
};
use holdfast_operations::{
    ManifestPresence, OperationError, Trust, expect_lost, lost_backups, plan_collection,
    plan_retention, rebuild_catalog,
};
use holdfast_storage::PutMode;
use mongodb::bson::doc;

use crate::{
    losses::Losses,
    truth,
    world::{NO_FILE, World, object_of},
};

async fn stray(world: &World) -> ObjectKey {
    let key = ObjectKey::content_object(&NO_FILE, Encoding::PLAIN);
    world
        .store
        .put(&key, "x".into(), PutMode::IfAbsent)
        .await
        .unwrap();
    key
}

async fn lose(world: &World, ids: &[&BackupId]) -> Losses {
    let mut losses = Losses::default();
    for id in ids {
        losses.lose(world, id).await;
    }
    losses
}

#[tokio::test]
async fn a_lost_backup_keeps_its_folder_and_is_reported_at_every_run_until_it_is_back() {
    let world = World::new().await;
    let ids = world.back_up_daily(4).await;
    let mut losses = lose(&world, &[&ids[1]]).await;
    for run in 1..=3 {
        world.pass_days(7);
        let plan = plan_retention(&world.h, Trust::AsListed, world.now())
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
        let report = world.retain().await;
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
        let job = world.h.catalog.get(&ids[1]).await.unwrap();
        assert!(
            job.is_lost() && job.lost_at.is_some() && job.deletion.is_none(),
            "{job:?}"
        );
        losses.keep_everything(&world).await;
    }
    losses.restore_all(&world).await;
    let report = world.retain().await;
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
    let job = world.h.catalog.get(&ids[1]).await.unwrap();
    assert_eq!(
        (job.status, job.error, job.lost_at),
        (JobStatus::Completed, None, None)
    );
    assert!(!world.retain().await.needs_attention());
    assert_eq!(truth::no_live_backup_lost_anything(&world).await, 4);
    world.remove().await;
}

#[tokio::test]
async fn a_backup_that_is_back_is_verified_again_and_falls_under_its_policy_again() {
    let world = World::new().await;
    let ids = world.back_up_daily(5).await;
    world
        .verified(
            &ids[0],
            VerificationLevel::Checksum,
            VerificationStatus::Passed,
        )
        .await;
    let passed = doc! { "$set": { "verification": {
        "level": "checksum", "status": "passed", "at": mongodb::bson::DateTime::now(),
    } } };
    world
        .rows("backup_jobs")
        .update_one(doc! { "_id": ids[0].as_str() }, passed)
        .await
        .unwrap();
    let mut losses = lose(&world, &[&ids[0]]).await;
    world.retain().await;
    losses.restore_all(&world).await;
    let policy = RetentionPolicy {
        max_age_days: None,
        max_count: Some(2),
        ..RetentionPolicy::from_days(1)
    };
    world
        .set_policy(
            BackupType::Database,
            RetentionPolicy {
                min_count: 1,
                ..policy
            },
        )
        .await;
    let report = world.retain().await;
    assert_eq!(
        (&report.database.returned[..], report.database.past_limits),
        (&ids[..1], 0),
        "{report:?}"
    );
    assert!(
        world.exists(&ids[0]).await,
        "the run that completes it again does not delete it"
    );
    assert_eq!(
        world.h.catalog.get(&ids[0]).await.unwrap().verification,
        None,
        "it is due for verification"
    );
    world.retain().await;
    assert_eq!(
        world.status(&ids[0]).await,
        JobStatus::Deleted,
        "it exceeds maxCount"
    );
    truth::what_is_deleted_is_gone(&world, &[]).await;
    world.remove().await;
}

#[tokio::test]
async fn content_objects_stay_while_any_expected_manifest_is_missing() {
    for which in ["a content backup", "a database backup"] {
        let world = World::new().await;
        let database = world.back_up_daily(2).await;
        let first = world.back_up_content(&["a", "b"]).await.unwrap();
        let second = world.back_up_content(&["b", "c"]).await.unwrap();
        let stray = stray(&world).await;
        world.pass_days(2);
        let lost = if which == "a content backup" {
            &first
        } else {
            &database[0]
        };
        let mut losses = lose(&world, &[lost]).await;
        for _ in 0..3 {
            let plan = plan_retention(&world.h, Trust::AsListed, world.now())
                .await
                .unwrap();
            let planned = plan_collection(&world.h, &plan, world.now()).await.unwrap();
            assert!(
                planned
                    .suspended
                    .is_some_and(|why| why.contains(lost.as_str())),
                "{which}"
            );
            assert_eq!(planned.unreferenced, 0);
            let report = world.retain().await;
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
                world.has(&object_of("a")).await && world.has(&stray).await,
                "{which}"
            );
            losses.keep_everything(&world).await;
        }
        losses.restore_all(&world).await;
        assert_eq!(
            world.retain().await.collection.deleted,
            1,
            "{which}: the stray object alone"
        );
        assert_eq!(
            truth::no_live_backup_lost_anything(&world).await,
            4,
            "{which}"
        );
        assert_eq!(
            world.h.catalog.item_counts(&second).await.unwrap().expected,
            2
        );
        world.remove().await;
    }
}

#[tokio::test]
async fn an_accepted_loss_makes_the_rest_collectable() {
    let world = World::new().await;
    let first = world.back_up_content(&["a", "b"]).await.unwrap();
    world.back_up_content(&["b", "c"]).await.unwrap();
    world.pass_days(2);
    lose(&world, &[&first]).await;
    world.retain().await;
    let job = world.accept(&first).await.unwrap();
    let deletion = job.deletion.clone().unwrap();
    assert_eq!(
        (deletion.cause, deletion.by.as_deref()),
        (DeletionCause::AcceptedLoss, Some("ada"))
    );
    assert!(
        !job.is_lost() && world.has(&object_of("a")).await,
        "only the decision is recorded"
    );
    let report = world.retain().await;
    assert_eq!(
        (report.all_problems().count(), report.needs_attention()),
        (0, false),
        "{report:?}"
    );
    assert_eq!(
        (report.content.leftovers, report.collection.deleted),
        (2, 2),
        "guide and list; the file and its blocks"
    );
    assert!(!world.has(&object_of("a")).await && world.has(&object_of("b")).await);
    truth::what_is_deleted_is_gone(&world, &[]).await;
    world.remove().await;
}

#[tokio::test]
async fn only_a_lost_backup_can_be_accepted() {
    let world = World::new().await;
    let ids = world.back_up_daily(4).await;
    let (full, failed) = (world.begin(BackupType::Full).await, world.fail().await);
    let unknown: BackupId = "db_1_a".parse().unwrap();
    let mut losses = lose(&world, &[&ids[0]]).await;
    world.retain().await;
    let refused = async |id: &BackupId| match expect_lost(&world.h, id).await.unwrap_err() {
        OperationError::Invalid(why) => why,
        error => panic!("{error}"),
    };
    assert!(matches!(
        expect_lost(&world.h, &unknown).await,
        Err(OperationError::NotFound(_))
    ));
    assert!(refused(&ids[1]).await.contains("its manifest is in s3://"));
    assert!(
        refused(&failed)
            .await
            .contains("it is failed, and was never completed")
    );
    assert!(refused(&full).await.contains("name its parts"));
    losses.restore_all(&world).await;
    assert!(refused(&ids[0]).await.contains("its manifest is back"));
    losses.lose(&world, &ids[0]).await;
    world.accept(&ids[0]).await.unwrap();
    assert!(
        refused(&ids[0])
            .await
            .contains("its deletion was decided before")
    );
    world.remove().await;
}

#[tokio::test]
async fn a_completed_backup_that_retention_has_not_seen_as_lost_can_be_accepted() {
    let world = World::new().await;
    let mut ids = world.back_up_daily(1).await;
    lose(&world, &[&ids[0]]).await;
    assert!(
        world.retain().await.database.suspended.is_some(),
        "none of one is fewer than half"
    );
    let lost = lost_backups(&world.h).await.unwrap();
    let told: Vec<_> = lost
        .backups
        .iter()
        .map(|it| (&it.backup_id, it.manifest, it.lost_at))
        .collect();
    assert_eq!(told, [(&ids[0], ManifestPresence::Missing, None)]);
    assert!(lost.suspended.is_some());
    assert!(matches!(
        world.accept(&ids[0]).await,
        Err(OperationError::WrongStore(_))
    ));
    ids.push(world.back_up().await);
    world.accept(&ids[0]).await.unwrap();
    let report = world.retain().await;
    assert_eq!(
        (report.needs_attention(), report.database.leftovers),
        (false, 2),
        "{report:?}"
    );
    assert_eq!(lost_backups(&world.h).await.unwrap().backups, []);
    world.remove().await;
}

#[tokio::test]
async fn a_manifest_that_is_back_without_its_artifacts_leaves_the_backup_lost() {
    let world = World::new().await;
    let ids = world.back_up_daily(3).await;
    let mut losses = lose(&world, &[&ids[0]]).await;
    world.retain().await;
    let dump = ObjectKey::database_dump(&ids[0], 1, Encoding::PLAIN);
    let bytes = holdfast_storage::read_all(&*world.store, &dump, 1 << 20)
        .await
        .unwrap();
    world.store.delete(&dump).await.unwrap();
    losses.restore_all(&world).await;
    let report = world.retain().await;
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
        lost_backups(&world.h).await.unwrap().backups[0].manifest,
        ManifestPresence::Present
    );
    assert!(
        expect_lost(&world.h, &ids[0]).await.is_ok(),
        "its loss can be accepted all the same"
    );
    world
        .store
        .put(&dump, bytes, PutMode::IfAbsent)
        .await
        .unwrap();
    assert_eq!(world.retain().await.database.returned, ids[..1]);
    world.remove().await;
}

#[tokio::test]
async fn a_damaged_backup_whose_loss_was_accepted_is_kept_until_it_is_decided_again() {
    let world = World::new().await;
    let ids = world.back_up_daily(4).await;
    world.accept_elsewhere(&ids[0]).await;
    world
        .store
        .delete(&ObjectKey::database_dump(&ids[0], 1, Encoding::PLAIN))
        .await
        .unwrap();
    for _ in 0..2 {
        let report = world.retain().await;
        assert_eq!(
            (
                report.database.lost.as_slice(),
                report.database.deleted.len()
            ),
            (&ids[..1], 0),
            "{report:?}"
        );
        assert!(world.exists(&ids[0]).await);
    }
    assert_eq!(
        lost_backups(&world.h).await.unwrap().backups[0].manifest,
        ManifestPresence::Present
    );
    let job = world.accept(&ids[0]).await.unwrap();
    assert_eq!(
        job.deletion.map(|it| it.cause),
        Some(DeletionCause::AcceptedDamage)
    );
    let report = world.retain().await;
    assert_eq!(
        (report.needs_attention(), report.database.deleted.len()),
        (false, 1),
        "{report:?}"
    );
    truth::what_is_deleted_is_gone(&world, &[]).await;
    world.remove().await;
}

#[tokio::test]
async fn a_rebuild_completes_a_backup_whose_loss_was_accepted_although_it_is_there() {
    let world = World::new().await;
    let ids = world.back_up_daily(2).await;
    world.accept_elsewhere(&ids[0]).await;
    let report = rebuild_catalog(&world.h, &|_| ()).await.unwrap();
    assert_eq!(report.returned, ids[..1], "{report:?}");
    let job = world.h.catalog.get(&ids[0]).await.unwrap();
    assert_eq!(
        (job.status, job.deletion, job.lost_at),
        (JobStatus::Completed, None, None)
    );
    world.remove().await;
}

#[tokio::test]
async fn rows_of_older_versions_are_lost_if_they_say_so_and_deleted_otherwise() {
    let world = World::new().await;
    let ids = world.back_up_daily(6).await;
    let error =
        doc! { "code": "store-corrupt", "message": "its manifest is not in the store any more" };
    let lost = doc! { "$set": { "status": "deleted", "error": error } };
    world
        .rows("backup_jobs")
        .update_one(doc! { "_id": ids[0].as_str() }, lost)
        .await
        .unwrap();
    let deleted = doc! { "$set": { "status": "deleted" } };
    world
        .rows("backup_jobs")
        .update_one(doc! { "_id": ids[1].as_str() }, deleted)
        .await
        .unwrap();
    let losses = lose(&world, &[&ids[0]]).await;
    world
        .store
        .delete(&ObjectKey::manifest(&ids[1]))
        .await
        .unwrap();
    let report = world.retain().await;
    assert_eq!(
        (report.database.lost.as_slice(), report.database.leftovers),
        (&ids[..1], 2),
        "{report:?}"
    );
    losses.keep_everything(&world).await;
    assert!(
        !world
            .has(&ObjectKey::database_dump(&ids[1], 1, Encoding::PLAIN))
            .await
    );
    world.remove().await;
}

#[tokio::test]
async fn a_failed_backup_that_retention_deletes_is_not_lost() {
    let world = World::new().await;
    let ids = world.back_up_daily(4).await;
    let failure = JobFailure {
        code: FailureCode::StoreCorrupt,
        message: "x".to_owned(),
        hint: None,
    };
    let failed = mongodb::bson::serialize_to_document(&failure).unwrap();
    let failed = doc! { "$set": { "status": "failed", "error": failed } };
    world
        .store
        .delete(&ObjectKey::database_dump(&ids[0], 1, Encoding::PLAIN))
        .await
        .unwrap();
    world
        .rows("backup_jobs")
        .update_one(doc! { "_id": ids[0].as_str() }, failed)
        .await
        .unwrap();
    world.pass_days(40);
    let report = world.retain().await;
    assert_eq!(
        (report.database.deleted.len(), report.needs_attention()),
        (1, false),
        "{report:?}"
    );
    let job = world.h.catalog.get(&ids[0]).await.unwrap();
    assert!(
        job.status == JobStatus::Deleted && !job.is_lost(),
        "{job:?}"
    );
    assert!(!world.retain().await.needs_attention());
    world.remove().await;
}

#[tokio::test]
async fn a_full_backup_stays_while_a_lost_part_may_come_back() {
    let world = World::new().await;
    let full = world.begin(BackupType::Full).await;
    let parts = [
        world.back_up_under(Some(&full)).await,
        world.back_up_under(Some(&full)).await,
    ];
    world.step(&full, JobStatus::Completed).await;
    world.back_up_daily(2).await;
    lose(&world, &[&parts[1]]).await;
    let policy = RetentionPolicy {
        max_age_days: None,
        max_count: Some(2),
        ..RetentionPolicy::from_days(1)
    };
    world
        .set_policy(
            BackupType::Database,
            RetentionPolicy {
                min_count: 1,
                ..policy
            },
        )
        .await;
    let report = world.retain().await;
    assert_eq!(
        (report.database.deleted.len(), report.full_deleted.len()),
        (1, 0),
        "{report:?}"
    );
    world.accept(&parts[1]).await.unwrap();
    assert_eq!(world.retain().await.full_deleted, [full]);
    world.remove().await;
}

#[tokio::test]
async fn a_rebuild_of_the_catalogue_completes_a_lost_backup_whose_manifest_is_back() {
    let world = World::new().await;
    world.back_up_content(&["a", "b"]).await.unwrap();
    let id = world.back_up_content(&["b", "c"]).await.unwrap();
    let mut losses = lose(&world, &[&id]).await;
    world.retain().await;
    // An older version deleted the rows of items of a lost backup.
    world.h.catalog.delete_items(&id).await.unwrap();
    losses.restore_all(&world).await;
    let report = rebuild_catalog(&world.h, &|_| ()).await.unwrap();
    assert_eq!(
        (report.returned.as_slice(), report.items),
        (std::slice::from_ref(&id), 2),
        "{report:?}"
    );
    assert_eq!(world.status(&id).await, JobStatus::Completed);
    assert!(!world.retain().await.needs_attention());
    world.remove().await;
}
