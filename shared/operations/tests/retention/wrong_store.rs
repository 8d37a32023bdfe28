//! A store with fewer than half of the completed backups of its catalogue is the wrong store, or
//! incomplete. Nothing is changed.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::TryStreamExt as _;
use holdfast_domain::{BackupType, JobStatus, ObjectKey, RetentionPolicy};
use holdfast_operations::{
    ManifestPresence, OperationError, RunLimits, Trust, expect_fitting_store, expect_lost,
    lost_backups, plan_retention, retain,
};
use holdfast_storage::{PutMode, Store};
use holdfast_testing::MemoryStore;
use mongodb::bson::{Document, doc};

use crate::{losses::Losses, truth, world::World};

async fn rows(world: &World) -> Vec<Document> {
    let mut rows = Vec::new();
    for collection in [
        "backup_jobs",
        "backup_items",
        "content_objects",
        "backup_leases",
    ] {
        let collection = world.rows(collection);
        let find = collection.find(doc! {}).sort(doc! { "_id": 1 });
        rows.extend(find.await.unwrap().try_collect::<Vec<_>>().await.unwrap());
    }
    rows
}

async fn copy(from: &dyn Store, to: &dyn Store, key: &ObjectKey) {
    let bytes = holdfast_storage::read_all(from, key, 1 << 20)
        .await
        .unwrap();
    to.put(key, bytes, PutMode::IfAbsent).await.unwrap();
}

/// Four database and two content backups. By the policies, all except one of each type expire.
async fn filled() -> World {
    let world = World::new().await;
    world.back_up_daily(4).await;
    world.back_up_content(&["a", "b"]).await.unwrap();
    world.back_up_content(&["b", "c"]).await.unwrap();
    world.pass_days(40);
    for kind in [BackupType::Database, BackupType::Content] {
        world
            .set_policy(
                kind,
                RetentionPolicy {
                    min_count: 1,
                    ..RetentionPolicy::from_days(1)
                },
            )
            .await;
    }
    world
}

#[tokio::test]
async fn a_catalogue_beside_an_empty_store_is_left_as_it_is() {
    let world = filled().await;
    let elsewhere = world.through(MemoryStore::new());
    let before = rows(&world).await;
    for _ in 0..3 {
        let plan = plan_retention(&elsewhere, Trust::AsListed, world.now())
            .await
            .unwrap();
        assert!(plan.needs_attention() && plan.collection_suspended.is_some());
        let report = retain(&elsewhere, RunLimits::none(), world.now())
            .await
            .unwrap();
        assert_eq!(
            (report.database.lost.len(), report.content.lost.len()),
            (4, 2)
        );
        let why = report.database.suspended.clone().unwrap();
        assert!(
            why.contains("holds 0 of the 4 completed database backups")
                && why.contains("BACKUP_STORE"),
            "{why}"
        );
        assert!(
            report.needs_attention() && report.collection.suspended.is_some(),
            "{report:?}"
        );
        assert_eq!(rows(&world).await, before);
    }
    world.remove().await;
}

#[tokio::test]
async fn fewer_than_half_of_one_type_suspends_it_and_of_both_together_suspends_all() {
    // The numbers of missing manifests of 4 database and 2 content backups, and the suspended
    // types.
    for (databases, contents, suspended) in [
        (0, 0, (false, false)),
        (2, 1, (false, false)),
        (1, 2, (false, true)),
        (3, 0, (true, false)),
        (2, 2, (true, true)),
        (3, 1, (true, true)),
        (4, 2, (true, true)),
    ] {
        let case = format!("{databases} of 4 and {contents} of 2 are missing");
        let world = filled().await;
        let mut losses = Losses::default();
        for (kind, number) in [
            (BackupType::Database, databases),
            (BackupType::Content, contents),
        ] {
            for id in truth::good(&world, kind).await.iter().take(number) {
                losses.lose(&world, id).await;
            }
        }
        let (keys, before) = (world.memory.clone().unwrap().keys(), rows(&world).await);
        let plan = plan_retention(&world.h, Trust::AsListed, world.now())
            .await
            .unwrap();
        assert_eq!(
            (
                plan.database.suspended.is_some(),
                plan.content.suspended.is_some()
            ),
            suspended,
            "{case}"
        );
        for (of_type, is_suspended) in [(&plan.database, suspended.0), (&plan.content, suspended.1)]
        {
            assert!(!is_suspended || of_type.delete == 0, "{case}: {of_type:?}");
        }
        let report = world.retain().await;
        assert_eq!(
            (
                report.database.suspended.is_some(),
                report.content.suspended.is_some()
            ),
            suspended,
            "{case}"
        );
        assert_eq!(report.needs_attention(), databases + contents > 0, "{case}");
        assert!(
            !suspended.0 || report.database.deleted.is_empty(),
            "{case}: {report:?}"
        );
        assert!(
            !suspended.1 || report.content.deleted.is_empty(),
            "{case}: {report:?}"
        );
        if suspended == (true, true) {
            assert_eq!(
                (world.memory.clone().unwrap().keys(), rows(&world).await),
                (keys, before),
                "{case}"
            );
        }
        losses.keep_everything(&world).await;
        world.remove().await;
    }
}

/// Copies everything into a new store, object by object in the order of keys, like `aws s3 sync`.
/// Retention runs between any two objects.
#[tokio::test]
async fn a_move_into_a_new_store_loses_nothing_whenever_retention_runs() {
    let world = filled().await;
    for kind in [BackupType::Database, BackupType::Content] {
        world
            .set_policy(kind, RetentionPolicy::from_days(1000))
            .await;
    }
    let old = world.memory.clone().unwrap();
    let new = MemoryStore::new();
    new.set_clock(world.now() - jiff::SignedDuration::from_hours(24 * 8));
    let there = world.through(Arc::clone(&new) as Arc<dyn Store>);
    let keys: BTreeMap<String, ObjectKey> = old
        .keys()
        .into_iter()
        .map(|key| (key.to_string(), key))
        .collect();
    let mut suspended = 0;
    for key in keys.values() {
        copy(old.as_ref(), new.as_ref(), key).await;
        let copied = new.keys().len();
        let report = retain(&there, RunLimits::none(), world.now())
            .await
            .unwrap();
        assert_eq!(report.all_problems().count(), 0, "{report:?}");
        suspended += usize::from(report.database.suspended.is_some());
        assert_eq!(new.keys().len(), copied, "{report:?}");
    }
    assert!(suspended > 2, "it was suspended after {suspended} objects");
    let report = retain(&there, RunLimits::none(), world.now())
        .await
        .unwrap();
    assert_eq!(
        (
            report.needs_attention(),
            report.database.good,
            report.content.good
        ),
        (false, 4, 2),
        "{report:?}"
    );
    for id in truth::good(&world, BackupType::Database).await {
        assert_eq!(world.status(&id).await, JobStatus::Completed);
    }
    assert_eq!(world.h.catalog.lost_jobs().await.unwrap(), []);
    world.remove().await;
}

#[tokio::test]
async fn no_loss_is_accepted_in_the_wrong_store() {
    let world = filled().await;
    let before = rows(&world).await;
    let refused = expect_fitting_store(&world.through(MemoryStore::new()))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, OperationError::WrongStore(_)),
        "{refused}"
    );
    let (why, hint) = (refused.to_string(), refused.failure().hint.unwrap());
    assert!(
        why.contains("no loss was accepted") && why.contains("holds 0 of the 4"),
        "{why}"
    );
    assert!(
        hint.contains("BACKUP_STORE") && hint.contains("catalog rebuild"),
        "{hint}"
    );
    assert_eq!(rows(&world).await, before);
    assert!(expect_fitting_store(&world.h).await.is_ok());
    world.remove().await;
}

#[tokio::test]
async fn losses_that_were_accepted_in_the_wrong_store_cost_nothing_in_the_right_one() {
    let world = filled().await;
    let mut ids = Vec::from_iter(truth::good(&world, BackupType::Database).await);
    ids.extend(truth::good(&world, BackupType::Content).await);
    let keys = world.memory.clone().unwrap().keys();
    for id in &ids {
        world.accept_elsewhere(id).await;
    }
    let lost = lost_backups(&world.h).await.unwrap();
    assert_eq!(lost.backups.len(), 6, "{lost:?}");
    assert!(
        lost.backups
            .iter()
            .all(|it| it.manifest == ManifestPresence::Present),
        "{lost:?}"
    );
    let refused = expect_lost(&world.h, &ids[0])
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("its manifest is back"), "{refused}");
    let plan = plan_retention(&world.h, Trust::AsListed, world.now())
        .await
        .unwrap();
    assert_eq!(
        (plan.database.delete, plan.content.delete),
        (0, 0),
        "{plan:?}"
    );
    let report = world.retain().await;
    assert_eq!(
        (
            report.database.returned.len(),
            report.content.returned.len()
        ),
        (4, 2),
        "{report:?}"
    );
    assert_eq!(
        (report.all_problems().count(), report.needs_attention()),
        (0, false),
        "{report:?}"
    );
    assert_eq!(world.memory.clone().unwrap().keys(), keys);
    for id in &ids {
        assert_eq!(world.status(id).await, JobStatus::Completed);
    }
    assert_eq!(truth::no_live_backup_lost_anything(&world).await, 6);
    world.remove().await;
}
