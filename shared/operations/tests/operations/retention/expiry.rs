//! The expired backups, and the backups without effect on a policy.

use std::sync::Arc;

use holdfast_domain::{BackupType, JobStatus, ObjectKey, VerificationLevel, VerificationStatus};
use holdfast_operations::{PolicyOrigin, RunLimits, Trust, plan_retention, retain};
use jiff::SignedDuration;
use mongodb::bson::doc;

use super::{
    deletion::{deleted, keep},
    invariants,
};
use crate::support::simulation::Simulation;

#[tokio::test]
async fn without_a_stored_policy_the_settings_hold() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(33).await;
    let report = simulation.retain().await;
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
    simulation.pass_days(300);
    let report = simulation.retain().await;
    assert_eq!(
        report.database.retained, 3,
        "all are too old, and three are always left: {report:?}"
    );
    assert!(
        simulation.retain().await.database.deleted.is_empty(),
        "twice is once"
    );
    invariants::assert_deleted_backups_are_gone(&simulation, &[]).await;
    assert_eq!(
        invariants::assert_live_backups_are_complete(&simulation).await,
        3
    );
    simulation.remove().await;
}

#[tokio::test]
async fn a_plan_explains_every_backup_and_changes_nothing() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(4).await;
    simulation.set_policy(BackupType::Database, keep(2)).await;
    let plan = plan_retention(&simulation.h, Trust::AsListed, simulation.now())
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
        assert!(simulation.exists(id).await && simulation.status(id).await == JobStatus::Completed);
    }
    let report = simulation.retain().await;
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
    simulation.remove().await;
}

#[tokio::test]
async fn an_unreadable_policy_keeps_everything_and_is_reported() {
    let simulation = Simulation::new().await;
    simulation.back_up_daily(5).await;
    simulation.pass_days(100);
    let broken = doc! { "_id": "database", "policy": { "minCount": 0 }, "updatedAt": mongodb::bson::DateTime::now() };
    simulation
        .rows("backup_retention_policies")
        .insert_one(broken)
        .await
        .unwrap();
    let report = simulation.retain().await;
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
    simulation.remove().await;
}

#[tokio::test]
async fn a_backup_whose_verification_failed_counts_towards_nothing() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(4).await;
    simulation
        .verified(
            &ids[3],
            VerificationLevel::Checksum,
            VerificationStatus::Failed,
        )
        .await;
    simulation
        .verified(
            &ids[3],
            VerificationLevel::Exists,
            VerificationStatus::Passed,
        )
        .await;
    simulation.set_policy(BackupType::Database, keep(2)).await;
    let report = simulation.retain().await;
    assert_eq!(
        deleted(&report.database),
        [&ids[0]],
        "two good ones stay, and the damaged one, which is newer"
    );
    assert_eq!((report.database.good, report.database.retained), (2, 3));
    simulation.remove().await;
}

#[tokio::test]
async fn a_backup_that_the_catalogue_does_not_know_is_kept() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(3).await;
    simulation
        .rows("backup_jobs")
        .delete_one(doc! { "_id": ids[0].as_str() })
        .await
        .unwrap();
    simulation.set_policy(BackupType::Database, keep(1)).await;
    let report = simulation.retain().await;
    assert_eq!(deleted(&report.database), [&ids[1]]);
    assert!(simulation.exists(&ids[0]).await);
    simulation.remove().await;
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_is_kept_and_counts_towards_nothing() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(3).await;
    let key = ObjectKey::manifest(&ids[2]);
    simulation
        .store
        .put(&key, "{}".into(), holdfast_storage::PutMode::Replace)
        .await
        .unwrap();
    simulation.set_policy(BackupType::Database, keep(1)).await;
    let report = simulation.retain().await;
    assert_eq!(deleted(&report.database), [&ids[0]]);
    assert_eq!((report.database.good, report.database.retained), (1, 2));
    simulation.remove().await;
}

#[tokio::test]
async fn fewer_good_backups_than_required_violate_the_policy_once_there_were_enough() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(2).await;
    assert_eq!(
        simulation.retain().await.database.too_few,
        0,
        "there never were three"
    );
    simulation.back_up_daily(1).await;
    simulation
        .verified(
            &ids[0],
            VerificationLevel::Checksum,
            VerificationStatus::Failed,
        )
        .await;
    assert_eq!(simulation.retain().await.database.too_few, 1);
    simulation.remove().await;
}

#[tokio::test]
async fn nothing_goes_where_all_is_switched_off() {
    let simulation = Simulation::new().await;
    simulation.back_up_daily(5).await;
    let mut settings = (*simulation.h.settings).clone();
    settings.enabled = false;
    let off = holdfast_operations::Holdfast {
        settings: Arc::new(settings),
        ..simulation.h.clone()
    };
    let refused = retain(
        &off,
        RunLimits::none(),
        simulation.now() + SignedDuration::from_hours(9999),
    )
    .await;
    assert!(
        matches!(
            refused,
            Err(holdfast_operations::OperationError::Disabled(_))
        ),
        "{refused:?}"
    );
    assert_eq!(
        invariants::assert_live_backups_are_complete(&simulation).await,
        5
    );
    simulation.remove().await;
}
