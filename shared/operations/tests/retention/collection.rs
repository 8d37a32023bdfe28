//! Unreferenced content objects: their deletion, its obstacles, and the order of rows before
//! objects.

use std::{sync::Arc, time::Duration};

use futures_util::TryStreamExt as _;
use holdfast_catalog::{Source, source_id};
use holdfast_domain::{
    BackupType, Encoding, ItemStatus, JobStatus, ObjectKey, RetentionPolicy, StorageType, Timestamp,
};
use holdfast_operations::{
    OperationError, RunLimits, Trust, plan_collection, plan_retention, retain, trigger,
};
use holdfast_storage::{Lock, PutMode};
use holdfast_testing::{Fault, FaultStore, Operation, TestStore};
use jiff::SignedDuration;

use crate::{
    truth,
    world::{NO_FILE, World, object_of},
};

/// Two backups. The first expires, and only the first uses `a`.
pub(crate) async fn with_a_file_that_nobody_needs(world: &World) {
    world.back_up_content(&["a", "b"]).await.unwrap();
    world.pass_days(1);
    world.back_up_content(&["b", "c"]).await.unwrap();
    world.pass_days(2);
    let policy = RetentionPolicy {
        max_count: Some(1),
        min_count: 1,
        ..RetentionPolicy::from_days(9)
    };
    world.set_policy(BackupType::Content, policy).await;
}

async fn is_held(world: &World, file: &str) -> bool {
    !world
        .h
        .catalog
        .held(&[source_id(StorageType::Gaia, file)])
        .await
        .unwrap()
        .is_empty()
}

async fn objects(world: &World) -> usize {
    let mut count = 0;
    for folder in [ObjectKey::OBJECTS, ObjectKey::DAGS] {
        count += world
            .store
            .list(folder)
            .try_collect::<Vec<_>>()
            .await
            .unwrap()
            .len();
    }
    count
}

#[tokio::test]
async fn unreferenced_objects_are_deleted_and_fetched_again_on_demand() {
    let test = TestStore::new().await;
    for world in [World::new().await, World::on_s3(&test).await] {
        with_a_file_that_nobody_needs(&world).await;
        let plan = plan_retention(&world.h, Trust::AsListed, world.now())
            .await
            .unwrap();
        let planned = plan_collection(&world.h, &plan, world.now()).await.unwrap();
        assert_eq!(
            (planned.unreferenced, planned.deleted),
            (2, 0),
            "the file, and its blocks"
        );
        let report = world.retain().await;
        assert_eq!(report.all_problems().count(), 0, "{report:?}");
        let collection = report.collection;
        assert_eq!(
            (
                collection.unreferenced,
                collection.deleted,
                collection.sources_forgotten
            ),
            (2, 2, 1)
        );
        assert_eq!(collection.bytes_freed, planned.unreferenced_bytes);
        assert!(!world.has(&object_of("a")).await && !is_held(&world, "a").await);
        assert!(world.has(&object_of("b")).await && is_held(&world, "b").await);
        assert_eq!(truth::no_live_backup_lost_anything(&world).await, 1);
        world.back_up_content(&["a"]).await.unwrap();
        assert!(world.has(&object_of("a")).await);
        assert_eq!(truth::no_live_backup_lost_anything(&world).await, 2);
        world.remove().await;
    }
    test.remove().await;
}

#[tokio::test]
async fn what_is_young_is_left_alone() {
    let world = World::new().await;
    world.back_up_content(&["a"]).await.unwrap();
    let stray = ObjectKey::content_object(&NO_FILE, Encoding::PLAIN);
    world
        .store
        .put(&stray, "x".into(), PutMode::IfAbsent)
        .await
        .unwrap();
    world.pass(SignedDuration::from_hours(24));
    assert_eq!(world.retain().await.collection.unreferenced, 0);
    world.pass(SignedDuration::from_hours(1));
    assert_eq!(world.retain().await.collection.deleted, 1);
    assert!(!world.has(&stray).await);
    world.remove().await;
}

#[tokio::test]
async fn nothing_goes_while_a_backup_is_on_its_way() {
    let world = World::new().await;
    with_a_file_that_nobody_needs(&world).await;
    let on_its_way = world.begin_content(&["a"]).await.unwrap();
    let report = world.retain().await;
    assert_eq!(report.content.deleted.len(), 1, "backups go all the same");
    assert_eq!(report.collection.deleted, 0);
    assert!(
        report
            .collection
            .skipped
            .unwrap()
            .contains(on_its_way.id.as_str())
    );
    let id = world.finish_content(on_its_way).await;
    let items = world.h.catalog.items_after(&id, None, 10).await.unwrap();
    assert_eq!(
        items[0].status,
        ItemStatus::Unchanged,
        "it refers to what is two days old"
    );
    world.pass_days(2);
    world.retain().await;
    assert!(world.has(&object_of("a")).await);
    truth::no_live_backup_lost_anything(&world).await;
    world.remove().await;
}

#[tokio::test]
async fn a_backup_that_was_committed_while_the_bucket_was_looked_through_counts() {
    let world = World::new().await;
    with_a_file_that_nobody_needs(&world).await;
    // After this, `a` has no reference.
    let kept = RetentionPolicy {
        max_age_days: None,
        max_count: None,
        ..RetentionPolicy::from_days(1)
    };
    world
        .set_policy(
            BackupType::Content,
            RetentionPolicy {
                max_count: Some(1),
                min_count: 1,
                ..kept
            },
        )
        .await;
    let faults = FaultStore::new(Arc::clone(&world.store));
    // Two manifests are read for the plan. Then the manifest and the list of the remaining backup
    // are read.
    faults.on(Operation::Get, 4, Fault::Late(Duration::from_millis(500)));
    let h = world.through(faults.clone());
    let committing = async {
        while faults.calls(Operation::Get) < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.back_up_content(&["a"]).await.unwrap()
    };
    let (report, id) = tokio::join!(retain(&h, RunLimits::none(), world.now()), committing);
    let report = report.unwrap();
    assert_eq!(report.all_problems().count(), 0, "{report:?}");
    assert_eq!(
        (report.collection.unreferenced, report.collection.deleted),
        (0, 0),
        "{report:?}"
    );
    let items = world.h.catalog.items_after(&id, None, 10).await.unwrap();
    assert_eq!(items[0].status, ItemStatus::Unchanged);
    truth::no_live_backup_lost_anything(&world).await;
    world.remove().await;
}

#[tokio::test]
async fn a_backup_waits_while_objects_are_removed_and_reports_the_reason() {
    let world = World::new().await;
    with_a_file_that_nobody_needs(&world).await;
    let faults = FaultStore::new(Arc::clone(&world.store));
    // Manifest, guide and list of the expired backup come first.
    faults.on(
        Operation::Delete,
        4,
        Fault::Late(Duration::from_millis(800)),
    );
    let h = world.through(faults.clone());
    let triggering = async {
        while faults.calls(Operation::Delete) < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let lease = world
            .h
            .catalog
            .get_lease(Source::Content)
            .await
            .unwrap()
            .unwrap();
        assert!(lease.holder.is_collection(), "{lease:?}");
        trigger(&world.h, BackupType::Content, None, Timestamp::now())
            .await
            .unwrap_err()
    };
    let (report, refused) = tokio::join!(retain(&h, RunLimits::none(), world.now()), triggering);
    assert!(
        matches!(refused, OperationError::Collecting) && refused.is_transient(),
        "{refused}"
    );
    assert_eq!(report.unwrap().collection.deleted, 2);
    assert!(
        world.back_up_content(&["a"]).await.is_some(),
        "and then it may"
    );
    world.remove().await;
}

#[tokio::test]
async fn one_manifest_or_list_that_cannot_be_read_stops_it() {
    for which in ["manifest", "list", "no list", "a line less"] {
        let world = World::new().await;
        with_a_file_that_nobody_needs(&world).await;
        world.retain().await;
        let id = world.back_up_content(&["d", "e"]).await.unwrap();
        let stray = ObjectKey::content_object(&NO_FILE, Encoding::PLAIN);
        world
            .store
            .put(&stray, "x".into(), PutMode::IfAbsent)
            .await
            .unwrap();
        world.pass_days(2);
        let (manifest, list) = (
            ObjectKey::manifest(&id),
            ObjectKey::content_items(&id, 1, Encoding::PLAIN),
        );
        match which {
            "manifest" => drop(
                world
                    .store
                    .put(&manifest, "{}".into(), PutMode::Replace)
                    .await
                    .unwrap(),
            ),
            "list" => drop(
                world
                    .store
                    .put(&list, "x".into(), PutMode::Replace)
                    .await
                    .unwrap(),
            ),
            "no list" => world.store.delete(&list).await.unwrap(),
            _ => {
                let text = holdfast_storage::read_all(&*world.store, &manifest, 1 << 20)
                    .await
                    .unwrap();
                let text = String::from_utf8(text.to_vec())
                    .unwrap()
                    .replace(r#""expected":2"#, r#""expected":3"#);
                world
                    .store
                    .put(&manifest, text.into(), PutMode::Replace)
                    .await
                    .unwrap();
            }
        }
        let before = objects(&world).await;
        let report = world.retain().await;
        assert_eq!(objects(&world).await, before, "{which}: {report:?}");
        let problem = report
            .problems
            .iter()
            .find(|problem| problem.contains(id.as_str()));
        assert!(
            problem.is_some_and(|problem| problem.starts_with("content objects")),
            "{which}: {report:?}"
        );
        world.remove().await;
    }
}

#[tokio::test]
async fn rows_go_before_their_objects() {
    let world = World::new().await;
    with_a_file_that_nobody_needs(&world).await;
    let faults = FaultStore::new(Arc::clone(&world.store));
    for call in [4, 5] {
        faults.on(Operation::Delete, call, Fault::Denied);
    }
    let report = retain(&world.through(faults), RunLimits::none(), world.now())
        .await
        .unwrap();
    assert_eq!(
        (report.collection.deleted, report.collection.problems.len()),
        (0, 1),
        "{report:?}"
    );
    assert!(!is_held(&world, "a").await && world.has(&object_of("a")).await);
    assert_eq!(
        world.retain().await.collection.deleted,
        2,
        "the lease was given back, and the next run goes on"
    );
    world.remove().await;
}

#[tokio::test]
async fn an_object_locked_by_the_store_is_reported_and_keeps_its_row() {
    let world = World::new().await;
    with_a_file_that_nobody_needs(&world).await;
    let lock = Lock {
        retained_until: None,
        legal_hold: true,
    };
    world
        .memory
        .clone()
        .unwrap()
        .set_lock(&object_of("a"), lock);
    let report = world.retain().await;
    assert_eq!(report.all_problems().count(), 0, "{report:?}");
    assert_eq!(
        (report.collection.blocked, report.collection.deleted),
        (1, 1)
    );
    assert!(world.has(&object_of("a")).await);
    world.remove().await;
}

#[tokio::test]
async fn rows_of_items_go_with_their_backup_or_a_month_after_it_failed() {
    let world = World::new().await;
    let good = world.back_up_content(&["a", "b"]).await.unwrap();
    let failed = world.begin_content(&["a", "c"]).await.unwrap();
    let failed = world.give_up_content(failed, None).await;
    world.pass_days(29);
    assert_eq!(world.retain().await.item_rows_deleted, 0);
    world.pass_days(2);
    assert_eq!(world.retain().await.item_rows_deleted, 2);
    assert_eq!(
        world.h.catalog.item_counts(&failed).await.unwrap().expected,
        0
    );
    assert_eq!(
        world.status(&failed).await,
        JobStatus::Failed,
        "its row has the reason"
    );
    assert_eq!(
        world.h.catalog.item_counts(&good).await.unwrap().expected,
        2,
        "the last good one is always left"
    );
    world.remove().await;
}
