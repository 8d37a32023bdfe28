//! The expired backups, the order of their deletion, and the remains of a dead run for the next
//! one.

use std::{sync::Arc, time::Duration};

use holdfast_catalog::JobChange;
use holdfast_domain::{
    BackupId, BackupType, DeletionCause, Encoding, FailureCode, JobStatus, ObjectKey,
    RetentionPolicy, Timestamp, VerificationLevel, VerificationStatus,
};
use holdfast_operations::{PolicyOrigin, RunLimits, Trust, plan_retention, retain};
use holdfast_storage::Lock;
use holdfast_testing::{Fault, FaultStore, Operation, TestStore};
use jiff::SignedDuration;
use mongodb::bson::doc;

use crate::{truth, world::World};

fn keep(count: u32) -> RetentionPolicy {
    RetentionPolicy {
        max_age_days: None,
        max_count: Some(count),
        min_count: 1,
        ..RetentionPolicy::from_days(1)
    }
}

fn deleted(report: &holdfast_operations::TypeReport) -> Vec<&BackupId> {
    report
        .deleted
        .iter()
        .map(|deleted| &deleted.backup_id)
        .collect()
}

#[tokio::test]
async fn without_a_stored_policy_the_settings_hold() {
    let world = World::new().await;
    let ids = world.back_up_daily(33).await;
    let report = world.retain().await;
    assert_eq!(report.all_problems().count(), 0, "{report:?}");
    // An age of 30 days does not exceed 30 days, and 30 backups are kept.
    assert_eq!(
        deleted(&report.database),
        ids[..3].iter().collect::<Vec<_>>()
    );
    assert_eq!(
        (
            report.database.retained,
            report.database.good,
            report.database.violations()
        ),
        (30, 30, 0)
    );
    assert_eq!(
        report.database.bytes_freed,
        report
            .database
            .deleted
            .iter()
            .map(|it| it.bytes)
            .sum::<u64>()
    );
    assert!(report.database.bytes_freed > 0);
    world.pass_days(300);
    let report = world.retain().await;
    assert_eq!(
        report.database.retained, 3,
        "all are too old, and three are always left: {report:?}"
    );
    assert!(
        world.retain().await.database.deleted.is_empty(),
        "twice is once"
    );
    truth::what_is_deleted_is_gone(&world, &[]).await;
    assert_eq!(truth::no_live_backup_lost_anything(&world).await, 3);
    world.remove().await;
}

#[tokio::test]
async fn a_plan_explains_every_backup_and_changes_nothing() {
    let world = World::new().await;
    let ids = world.back_up_daily(4).await;
    world.set_policy(BackupType::Database, keep(2)).await;
    let plan = plan_retention(&world.h, Trust::AsListed, world.now())
        .await
        .unwrap();
    assert_eq!(
        (plan.database.policy.origin, plan.content.policy.origin),
        (PolicyOrigin::Stored, PolicyOrigin::Settings)
    );
    assert_eq!((plan.database.keep, plan.database.delete), (2, 2));
    assert!(
        plan.database.bytes > 0
            && plan
                .database
                .backups
                .iter()
                .all(|it| !it.decision.reasons.is_empty())
    );
    for id in &ids {
        assert!(world.exists(id).await && world.status(id).await == JobStatus::Completed);
    }
    let report = world.retain().await;
    let planned: Vec<_> = plan
        .database
        .deletions()
        .rev()
        .map(|it| &it.decision.backup_id)
        .collect();
    assert_eq!(
        deleted(&report.database),
        planned,
        "the plan equals the result"
    );
    world.remove().await;
}

#[tokio::test]
async fn an_unreadable_policy_keeps_everything_and_is_reported() {
    let world = World::new().await;
    world.back_up_daily(5).await;
    world.pass_days(100);
    let broken = doc! { "_id": "database", "policy": { "minCount": 0 }, "updatedAt": mongodb::bson::DateTime::now() };
    world
        .rows("backup_retention_policies")
        .insert_one(broken)
        .await
        .unwrap();
    let report = world.retain().await;
    assert_eq!(
        (report.database.deleted.len(), report.database.retained),
        (0, 5)
    );
    assert!(
        report
            .database
            .problems
            .iter()
            .any(|problem| problem.contains("backup_retention_policies")),
        "{report:?}"
    );
    world.remove().await;
}

#[tokio::test]
async fn a_backup_whose_verification_failed_counts_towards_nothing() {
    let world = World::new().await;
    let ids = world.back_up_daily(4).await;
    world
        .verified(
            &ids[3],
            VerificationLevel::Checksum,
            VerificationStatus::Failed,
        )
        .await;
    world
        .verified(
            &ids[3],
            VerificationLevel::Exists,
            VerificationStatus::Passed,
        )
        .await;
    world.set_policy(BackupType::Database, keep(2)).await;
    let report = world.retain().await;
    assert_eq!(
        deleted(&report.database),
        [&ids[0]],
        "two good ones stay, and the damaged one, which is newer"
    );
    assert_eq!((report.database.good, report.database.retained), (2, 3));
    world.remove().await;
}

#[tokio::test]
async fn a_backup_that_the_catalogue_does_not_know_is_kept() {
    let world = World::new().await;
    let ids = world.back_up_daily(3).await;
    world
        .rows("backup_jobs")
        .delete_one(doc! { "_id": ids[0].as_str() })
        .await
        .unwrap();
    world.set_policy(BackupType::Database, keep(1)).await;
    let report = world.retain().await;
    assert_eq!(deleted(&report.database), [&ids[1]]);
    assert!(world.exists(&ids[0]).await);
    world.remove().await;
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_is_kept_and_counts_towards_nothing() {
    let world = World::new().await;
    let ids = world.back_up_daily(3).await;
    let key = ObjectKey::manifest(&ids[2]);
    world
        .store
        .put(&key, "{}".into(), holdfast_storage::PutMode::Replace)
        .await
        .unwrap();
    world.set_policy(BackupType::Database, keep(1)).await;
    let report = world.retain().await;
    assert_eq!(deleted(&report.database), [&ids[0]]);
    assert_eq!((report.database.good, report.database.retained), (1, 2));
    world.remove().await;
}

#[tokio::test]
async fn the_job_is_deleted_before_the_manifest_and_the_manifest_before_the_rest() {
    for call in 1..=3 {
        let world = World::new().await;
        let ids = world.back_up_daily(2).await;
        world.set_policy(BackupType::Database, keep(1)).await;
        let faults = FaultStore::new(Arc::clone(&world.store));
        faults.on(Operation::Delete, call, Fault::Denied);
        let report = retain(&world.through(faults), RunLimits::none(), world.now())
            .await
            .unwrap();
        let begun = &ids[0];
        let job = world.h.catalog.get(begun).await.unwrap();
        assert_eq!(job.status, JobStatus::Deleted, "call {call}");
        assert_eq!(
            job.deletion.unwrap().cause,
            DeletionCause::Retention,
            "the decision is in the row first"
        );
        assert_eq!(
            world.exists(begun).await,
            call == 1,
            "the manifest is the first to go"
        );
        assert_eq!(
            report.database.past_limits, 1,
            "it is there still: {report:?}"
        );
        assert!(
            report
                .database
                .problems
                .iter()
                .any(|problem| problem.contains(begun.as_str())),
            "{report:?}"
        );
        let report = world.retain().await;
        assert_eq!(report.all_problems().count(), 0, "{report:?}");
        assert_eq!(report.database.violations(), 0);
        truth::what_is_deleted_is_gone(&world, &[]).await;
        world.remove().await;
    }
}

#[tokio::test]
async fn retention_killed_at_any_call_of_the_store_is_resumed() {
    for call in 1..=12 {
        let world = World::new().await;
        world.back_up_daily(4).await;
        world.set_policy(BackupType::Database, keep(1)).await;
        let faults = FaultStore::new(Arc::clone(&world.store));
        let operation = if call % 2 == 0 {
            Operation::Delete
        } else {
            Operation::Lock
        };
        faults.on(operation, call, Fault::Hang);
        let h = world.through(faults);
        let _ = tokio::time::timeout(
            Duration::from_millis(300),
            retain(&h, RunLimits::none(), world.now()),
        )
        .await;
        truth::no_live_backup_lost_anything(&world).await;
        world.forget_leases_of_killed_collections().await;
        let report = world.retain().await;
        assert_eq!(report.all_problems().count(), 0, "call {call}: {report:?}");
        assert_eq!(
            (report.database.retained, report.database.good),
            (1, 1),
            "call {call}"
        );
        truth::what_is_deleted_is_gone(&world, &[]).await;
        world.remove().await;
    }
}

#[tokio::test]
async fn a_backup_locked_by_the_store_is_reported_and_kept() {
    let world = World::new().await;
    let ids = world.back_up_daily(4).await;
    world.set_policy(BackupType::Database, keep(1)).await;
    let memory = world.memory.clone().unwrap();
    let until = world.now() + SignedDuration::from_hours(5);
    memory.set_lock(
        &ObjectKey::restore_guide(&ids[0]),
        Lock {
            retained_until: Some(until),
            legal_hold: false,
        },
    );
    memory.set_lock(
        &ObjectKey::database_dump(&ids[1], 1, Encoding::PLAIN),
        Lock {
            retained_until: None,
            legal_hold: true,
        },
    );
    let report = world.retain().await;
    assert_eq!(deleted(&report.database), [&ids[2]]);
    let blocked: Vec<_> = report
        .database
        .blocked
        .iter()
        .map(|it| (&it.backup_id, it.lock.as_str()))
        .collect();
    assert_eq!(blocked[0].0, &ids[0]);
    assert!(
        blocked[0]
            .1
            .ends_with(&format!("RESTORE.md is retained until {until}")),
        "{blocked:?}"
    );
    assert!(
        blocked[1].0 == &ids[1] && blocked[1].1.ends_with("is under a legal hold"),
        "{blocked:?}"
    );
    assert_eq!(
        (report.all_problems().count(), report.database.violations()),
        (0, 0),
        "no error: {report:?}"
    );
    assert_eq!(
        world.status(&ids[0]).await,
        JobStatus::Completed,
        "nothing of it was begun"
    );
    assert_eq!(truth::no_live_backup_lost_anything(&world).await, 3);
    world.pass(SignedDuration::from_hours(6));
    assert_eq!(
        deleted(&world.retain().await.database),
        [&ids[0]],
        "its time is over"
    );
    world.remove().await;
}

#[tokio::test]
async fn a_lock_that_may_not_be_read_counts_as_one() {
    let world = World::new().await;
    let ids = world.back_up_daily(2).await;
    world.set_policy(BackupType::Database, keep(1)).await;
    let faults = FaultStore::new(Arc::clone(&world.store));
    faults.on_every(Operation::Lock, Fault::Denied);
    let report = retain(&world.through(faults), RunLimits::none(), world.now())
        .await
        .unwrap();
    assert_eq!(
        (report.database.deleted.len(), report.database.past_limits),
        (0, 1)
    );
    assert!(report.database.problems[0].contains("denied"), "{report:?}");
    assert!(world.status(&ids[0]).await == JobStatus::Completed && world.exists(&ids[0]).await);
    world.remove().await;
}

#[tokio::test]
async fn on_the_real_store_a_locked_backup_stays_and_the_others_go() {
    let test = TestStore::with_object_lock().await;
    let world = World::on_s3(&test).await;
    let ids = world.back_up_daily(3).await;
    world.set_policy(BackupType::Database, keep(1)).await;
    test.put_under_legal_hold(&ObjectKey::manifest(&ids[0]))
        .await;
    let report = world.retain().await;
    assert_eq!(report.all_problems().count(), 0, "{report:?}");
    assert_eq!(deleted(&report.database), [&ids[1]]);
    assert_eq!(report.database.blocked.len(), 1);
    assert!(world.exists(&ids[0]).await && !world.exists(&ids[1]).await);
    world.remove().await;
}

#[tokio::test]
async fn fewer_good_ones_than_are_wanted_is_a_violation_once_there_were_enough() {
    let world = World::new().await;
    let ids = world.back_up_daily(2).await;
    assert_eq!(
        world.retain().await.database.too_few,
        0,
        "there never were three"
    );
    world.back_up_daily(1).await;
    world
        .verified(
            &ids[0],
            VerificationLevel::Checksum,
            VerificationStatus::Failed,
        )
        .await;
    assert_eq!(world.retain().await.database.too_few, 1);
    world.remove().await;
}

#[tokio::test]
async fn a_full_backup_goes_with_its_last_part() {
    let world = World::new().await;
    let full = world.begin(BackupType::Full).await;
    let parts = [
        world.back_up_under(Some(&full)).await,
        world.back_up_under(Some(&full)).await,
    ];
    world.step(&full, JobStatus::Completed).await;
    world.back_up_daily(1).await;
    world.set_policy(BackupType::Database, keep(2)).await;
    let report = world.retain().await;
    assert_eq!(
        (report.database.deleted.len(), report.full_deleted.len()),
        (1, 0)
    );
    world.set_policy(BackupType::Database, keep(1)).await;
    assert_eq!(
        world.retain().await.full_deleted,
        std::slice::from_ref(&full)
    );
    for id in parts.iter().chain([&full]) {
        assert_eq!(world.status(id).await, JobStatus::Deleted);
    }
    world.remove().await;
}

#[tokio::test]
async fn active_backups_are_not_deleted() {
    let world = World::new().await;
    let ids = world.back_up_daily(2).await;
    let committing = doc! { "$set": { "status": "committing" } };
    world
        .rows("backup_jobs")
        .update_one(doc! { "_id": ids[0].as_str() }, committing)
        .await
        .unwrap();
    world.pass_days(1000);
    assert!(world.retain().await.database.deleted.is_empty());
    assert!(world.exists(&ids[0]).await);
    world.remove().await;
}

#[tokio::test]
async fn a_run_that_has_no_time_left_deletes_nothing_more_and_says_so() {
    let world = World::new().await;
    world.back_up_daily(3).await;
    world.set_policy(BackupType::Database, keep(1)).await;
    let limits = RunLimits {
        deadline: Some(Timestamp::now() + SignedDuration::from_secs(20)),
    };
    let report = retain(&world.h, limits, world.now()).await.unwrap();
    assert_eq!(
        (report.database.deleted.len(), report.database.past_limits),
        (0, 2)
    );
    assert!(
        report.database.problems[0].contains("time ran out"),
        "{report:?}"
    );
    world.remove().await;
}

#[tokio::test]
async fn a_failed_backup_keeps_its_row_and_its_reason() {
    let world = World::new().await;
    world.back_up_daily(1).await;
    let failed = world.fail().await;
    let failure = holdfast_domain::JobFailure {
        code: FailureCode::Stalled,
        message: "x".to_owned(),
        hint: None,
    };
    let change = JobChange {
        error: Some(failure),
        ..JobChange::default()
    };
    let _ = world
        .h
        .catalog
        .transition(&failed, JobStatus::Failed, change, None)
        .await;
    world.pass_days(1000);
    world.retain().await;
    assert_eq!(world.status(&failed).await, JobStatus::Failed);
    world.remove().await;
}

#[tokio::test]
async fn nothing_goes_where_all_is_switched_off() {
    let world = World::new().await;
    world.back_up_daily(5).await;
    let mut settings = (*world.h.settings).clone();
    settings.enabled = false;
    let off = holdfast_operations::Holdfast {
        settings: Arc::new(settings),
        ..world.h.clone()
    };
    let refused = retain(
        &off,
        RunLimits::none(),
        world.now() + SignedDuration::from_hours(9999),
    )
    .await;
    assert!(
        matches!(
            refused,
            Err(holdfast_operations::OperationError::Disabled(_))
        ),
        "{refused:?}"
    );
    assert_eq!(truth::no_live_backup_lost_anything(&world).await, 5);
    world.remove().await;
}

#[tokio::test]
async fn a_good_backup_whose_job_failed_is_completed_before_the_plan() {
    for set in [
        doc! { "status": "cancelled" },
        doc! { "status": "failed", "error": { "code": "stalled", "message": "it stalled" } },
    ] {
        let world = World::new().await;
        let ids = world.back_up_daily(3).await;
        world
            .rows("backup_jobs")
            .update_one(doc! { "_id": ids[1].as_str() }, doc! { "$set": set })
            .await
            .unwrap();
        world
            .set_policy(
                BackupType::Database,
                RetentionPolicy {
                    min_count: 3,
                    ..RetentionPolicy::from_days(1)
                },
            )
            .await;
        world.pass_days(40);
        let report = world.retain().await;
        assert_eq!(
            (report.database.deleted.len(), report.database.retained),
            (0, 3),
            "{report:?}"
        );
        let job = world.h.catalog.get(&ids[1]).await.unwrap();
        assert_eq!((job.status, job.error), (JobStatus::Completed, None));
        assert_eq!(truth::no_live_backup_lost_anything(&world).await, 3);
        world.remove().await;
    }
}
