//! A rebuilt catalogue does not know whether a policy was stored. Retention waits until an operator
//! stores one or confirms the settings.

use std::sync::Arc;

use holdfast_domain::{BackupId, BackupType, RetentionPolicy};
use holdfast_operations::{
    PolicyOrigin, RebuildReport, RunLimits, Trust, plan_retention, rebuild_catalog, retain,
};
use holdfast_testing::{Fault, FaultStore, Operation};

use crate::world::World;

fn keep_all() -> RetentionPolicy {
    RetentionPolicy {
        max_age_days: None,
        max_count: None,
        ..RetentionPolicy::from_days(1)
    }
}

/// Backups of 40 days kept by a stored policy. The settings keep 30 days.
async fn with_a_stored_policy() -> (World, Vec<BackupId>) {
    let world = World::new().await;
    world.set_policy(BackupType::Database, keep_all()).await;
    let ids = world.back_up_daily(40).await;
    assert!(world.retain().await.database.deleted.is_empty());
    (world, ids)
}

async fn lose_the_catalogue(world: &World) {
    for collection in ["backup_jobs", "backup_retention_policies"] {
        world.rows(collection).drop().await.unwrap();
    }
}

async fn rebuild(world: &World) -> RebuildReport {
    rebuild_catalog(&world.h, &|_| ()).await.unwrap()
}

#[tokio::test]
async fn retention_deletes_nothing_after_a_rebuild_until_the_policy_is_stored_or_the_settings_are_confirmed()
 {
    for is_confirmed in [true, false] {
        let (world, ids) = with_a_stored_policy().await;
        lose_the_catalogue(&world).await;
        let report = rebuild(&world).await;
        assert_eq!(
            (report.added.len(), &report.policies_unconfirmed[..]),
            (40, &[BackupType::Database][..])
        );
        for _ in 0..2 {
            let plan = plan_retention(&world.h, Trust::AsListed, world.now())
                .await
                .unwrap()
                .database;
            let why = plan.suspended.unwrap();
            assert!(
                why.contains("holdfast policy set database")
                    && why.contains("holdfast policy unset database")
            );
            assert_eq!(
                (plan.policy.origin, plan.delete),
                (PolicyOrigin::Unconfirmed, 10),
                "deleted by the settings"
            );
            let report = world.retain().await;
            assert_eq!(
                (report.database.deleted.len(), report.database.retained),
                (0, 40),
                "{report:?}"
            );
            assert_eq!(
                (report.database.suspended, report.content.suspended),
                (Some(why), None)
            );
            assert_eq!(
                (report.database.problems.len(), report.problems.len()),
                (0, 0)
            );
            assert_eq!(
                rebuild(&world).await.policies_unconfirmed,
                [BackupType::Database],
                "a second rebuild reports it"
            );
        }
        for id in &ids {
            assert!(world.exists(id).await, "{id}");
        }
        if is_confirmed {
            assert!(
                world
                    .h
                    .catalog
                    .remove_policy(BackupType::Database)
                    .await
                    .unwrap()
            );
        } else {
            world.set_policy(BackupType::Database, keep_all()).await;
        }
        let report = world.retain().await;
        let expected = if is_confirmed { 10 } else { 0 };
        assert_eq!(
            (report.database.deleted.len(), report.needs_attention()),
            (expected, false),
            "{report:?}"
        );
        world.remove().await;
    }
}

#[tokio::test]
async fn a_policy_that_is_stored_before_the_rebuild_is_in_force() {
    let (world, _) = with_a_stored_policy().await;
    lose_the_catalogue(&world).await;
    let policy = RetentionPolicy {
        max_count: None,
        ..RetentionPolicy::from_days(35)
    };
    world.set_policy(BackupType::Database, policy).await;
    assert_eq!(rebuild(&world).await.policies_unconfirmed, []);
    let report = world.retain().await;
    assert_eq!(
        (report.database.deleted.len(), report.needs_attention()),
        (4, false),
        "{report:?}"
    );
    world.remove().await;
}

#[tokio::test]
async fn a_rebuild_that_was_killed_left_no_job_that_retention_deletes() {
    let (world, ids) = with_a_stored_policy().await;
    for nth in [3, 4, 20, 40] {
        lose_the_catalogue(&world).await;
        let faults = FaultStore::new(Arc::clone(&world.store));
        faults.on(Operation::Get, nth, Fault::Unavailable);
        rebuild_catalog(&world.through(faults), &|_| ())
            .await
            .unwrap_err();
        let report = retain(&world.h, RunLimits::none(), world.now())
            .await
            .unwrap();
        assert_eq!(report.database.deleted, [], "{nth}");
        assert!(world.exists(&ids[0]).await, "{nth}");
    }
    world.remove().await;
}
