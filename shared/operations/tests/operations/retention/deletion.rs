//! The order of deletions, their obstacles, and the remains of a dead run for the next one.

use std::{sync::Arc, time::Duration};

use holdfast_catalog::JobChange;
use holdfast_domain::{
    BackupId, BackupType, DeletionCause, Encoding, FailureCode, JobStatus, ObjectKey,
    RetentionPolicy, Timestamp,
};
use holdfast_operations::{RunLimits, retain};
use holdfast_storage::Lock;
use holdfast_testing::{Fault, FaultStore, Operation, TestStore};
use jiff::SignedDuration;
use mongodb::bson::doc;

use super::invariants;
use crate::support::simulation::Simulation;

pub(super) fn keep(count: u32) -> RetentionPolicy {
    RetentionPolicy {
        max_age_days: None,
        max_count: Some(count),
        min_count: 1,
        ..RetentionPolicy::from_days(1)
    }
}

pub(super) fn deleted(report: &holdfast_operations::TypeReport) -> Vec<&BackupId> {
    report
        .deleted
        .iter()
        .map(|deleted| &deleted.backup_id)
        .collect()
}

#[tokio::test]
async fn the_job_is_deleted_before_the_manifest_and_the_manifest_before_the_rest() {
    for call in 1..=3 {
        let simulation = Simulation::new().await;
        let ids = simulation.back_up_daily(2).await;
        simulation.set_policy(BackupType::Database, keep(1)).await;
        let faults = FaultStore::new(Arc::clone(&simulation.store));
        faults.on(Operation::Delete, call, Fault::Denied);
        let report = retain(
            &simulation.through(faults),
            RunLimits::none(),
            simulation.now(),
        )
        .await
        .unwrap();
        let begun = &ids[0];
        let job = simulation.h.catalog.get(begun).await.unwrap();
        assert_eq!(job.status, JobStatus::Deleted, "call {call}");
        assert_eq!(
            job.deletion.unwrap().cause,
            DeletionCause::Retention,
            "the decision is in the row first"
        );
        assert_eq!(
            simulation.exists(begun).await,
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
        let report = simulation.retain().await;
        assert_eq!(report.all_problems().count(), 0, "{report:?}");
        assert_eq!(report.database.violations(), 0);
        invariants::assert_deleted_backups_are_gone(&simulation, &[]).await;
        simulation.remove().await;
    }
}

#[tokio::test]
async fn retention_killed_at_any_call_of_the_store_is_resumed() {
    for call in 1..=12 {
        let simulation = Simulation::new().await;
        simulation.back_up_daily(4).await;
        simulation.set_policy(BackupType::Database, keep(1)).await;
        let faults = FaultStore::new(Arc::clone(&simulation.store));
        let operation = if call % 2 == 0 {
            Operation::Delete
        } else {
            Operation::Lock
        };
        faults.on(operation, call, Fault::Hang);
        let h = simulation.through(faults);
        let _ = tokio::time::timeout(
            Duration::from_millis(300),
            retain(&h, RunLimits::none(), simulation.now()),
        )
        .await;
        invariants::assert_live_backups_are_complete(&simulation).await;
        simulation.forget_leases_of_killed_collections().await;
        let report = simulation.retain().await;
        assert_eq!(report.all_problems().count(), 0, "call {call}: {report:?}");
        assert_eq!(
            (report.database.retained, report.database.good),
            (1, 1),
            "call {call}"
        );
        invariants::assert_deleted_backups_are_gone(&simulation, &[]).await;
        simulation.remove().await;
    }
}

#[tokio::test]
async fn a_backup_locked_by_the_store_is_reported_and_kept() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(4).await;
    simulation.set_policy(BackupType::Database, keep(1)).await;
    let memory = simulation.memory.clone().unwrap();
    let until = simulation.now() + SignedDuration::from_hours(5);
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
    let report = simulation.retain().await;
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
        simulation.status(&ids[0]).await,
        JobStatus::Completed,
        "nothing of it was begun"
    );
    assert_eq!(
        invariants::assert_live_backups_are_complete(&simulation).await,
        3
    );
    simulation.pass(SignedDuration::from_hours(6));
    assert_eq!(
        deleted(&simulation.retain().await.database),
        [&ids[0]],
        "its time is over"
    );
    simulation.remove().await;
}

#[tokio::test]
async fn a_lock_that_may_not_be_read_counts_as_one() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(2).await;
    simulation.set_policy(BackupType::Database, keep(1)).await;
    let faults = FaultStore::new(Arc::clone(&simulation.store));
    faults.on_every(Operation::Lock, Fault::Denied);
    let report = retain(
        &simulation.through(faults),
        RunLimits::none(),
        simulation.now(),
    )
    .await
    .unwrap();
    assert_eq!(
        (report.database.deleted.len(), report.database.past_limits),
        (0, 1)
    );
    assert!(report.database.problems[0].contains("denied"), "{report:?}");
    assert!(
        simulation.status(&ids[0]).await == JobStatus::Completed
            && simulation.exists(&ids[0]).await
    );
    simulation.remove().await;
}

#[tokio::test]
async fn on_the_real_store_a_locked_backup_stays_and_the_others_go() {
    let test = TestStore::with_object_lock().await;
    let simulation = Simulation::on_s3(&test).await;
    let ids = simulation.back_up_daily(3).await;
    simulation.set_policy(BackupType::Database, keep(1)).await;
    test.put_under_legal_hold(&ObjectKey::manifest(&ids[0]))
        .await;
    let report = simulation.retain().await;
    assert_eq!(report.all_problems().count(), 0, "{report:?}");
    assert_eq!(deleted(&report.database), [&ids[1]]);
    assert_eq!(report.database.blocked.len(), 1);
    assert!(simulation.exists(&ids[0]).await && !simulation.exists(&ids[1]).await);
    simulation.remove().await;
}

#[tokio::test]
async fn a_full_backup_goes_with_its_last_part() {
    let simulation = Simulation::new().await;
    let full = simulation.begin(BackupType::Full).await;
    let parts = [
        simulation.back_up_under(Some(&full)).await,
        simulation.back_up_under(Some(&full)).await,
    ];
    simulation.step(&full, JobStatus::Completed).await;
    simulation.back_up_daily(1).await;
    simulation.set_policy(BackupType::Database, keep(2)).await;
    let report = simulation.retain().await;
    assert_eq!(
        (report.database.deleted.len(), report.full_deleted.len()),
        (1, 0)
    );
    simulation.set_policy(BackupType::Database, keep(1)).await;
    assert_eq!(
        simulation.retain().await.full_deleted,
        std::slice::from_ref(&full)
    );
    for id in parts.iter().chain([&full]) {
        assert_eq!(simulation.status(id).await, JobStatus::Deleted);
    }
    simulation.remove().await;
}

#[tokio::test]
async fn active_backups_are_not_deleted() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(2).await;
    let committing = doc! { "$set": { "status": "committing" } };
    simulation
        .rows("backup_jobs")
        .update_one(doc! { "_id": ids[0].as_str() }, committing)
        .await
        .unwrap();
    simulation.pass_days(1000);
    assert!(simulation.retain().await.database.deleted.is_empty());
    assert!(simulation.exists(&ids[0]).await);
    simulation.remove().await;
}

#[tokio::test]
async fn a_run_without_time_stops_deleting_and_reports_it() {
    let simulation = Simulation::new().await;
    simulation.back_up_daily(3).await;
    simulation.set_policy(BackupType::Database, keep(1)).await;
    let limits = RunLimits {
        deadline: Some(Timestamp::now() + SignedDuration::from_secs(20)),
    };
    let report = retain(&simulation.h, limits, simulation.now())
        .await
        .unwrap();
    assert_eq!(
        (report.database.deleted.len(), report.database.past_limits),
        (0, 2)
    );
    assert!(
        report.database.problems[0].contains("time ran out"),
        "{report:?}"
    );
    simulation.remove().await;
}

#[tokio::test]
async fn a_failed_backup_keeps_its_row_and_its_reason() {
    let simulation = Simulation::new().await;
    simulation.back_up_daily(1).await;
    let failed = simulation.fail().await;
    let failure = holdfast_domain::JobFailure {
        code: FailureCode::Stalled,
        message: "x".to_owned(),
        hint: None,
    };
    let change = JobChange {
        error: Some(failure),
        ..JobChange::default()
    };
    let _ = simulation
        .h
        .catalog
        .transition(&failed, JobStatus::Failed, change, None)
        .await;
    simulation.pass_days(1000);
    simulation.retain().await;
    assert_eq!(simulation.status(&failed).await, JobStatus::Failed);
    simulation.remove().await;
}

#[tokio::test]
async fn a_good_backup_whose_job_failed_is_completed_before_the_plan() {
    for set in [
        doc! { "status": "cancelled" },
        doc! { "status": "failed", "error": { "code": "stalled", "message": "it stalled" } },
    ] {
        let simulation = Simulation::new().await;
        let ids = simulation.back_up_daily(3).await;
        simulation
            .rows("backup_jobs")
            .update_one(doc! { "_id": ids[1].as_str() }, doc! { "$set": set })
            .await
            .unwrap();
        simulation
            .set_policy(
                BackupType::Database,
                RetentionPolicy {
                    min_count: 3,
                    ..RetentionPolicy::from_days(1)
                },
            )
            .await;
        simulation.pass_days(40);
        let report = simulation.retain().await;
        assert_eq!(
            (report.database.deleted.len(), report.database.retained),
            (0, 3),
            "{report:?}"
        );
        let job = simulation.h.catalog.get(&ids[1]).await.unwrap();
        assert_eq!((job.status, job.error), (JobStatus::Completed, None));
        assert_eq!(
            invariants::assert_live_backups_are_complete(&simulation).await,
            3
        );
        simulation.remove().await;
    }
}
