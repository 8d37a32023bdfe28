//! Full backups with a late end of a part. Each is settled by itself.

use futures_util::future::join_all;
use holdfast_domain::{BackupId, BackupType, JobStatus};
use holdfast_operations::{ReinstatedParent, UnreadCause, rebuild_catalog, sweep};
use jiff::SignedDuration;
use mongodb::bson::{DateTime, doc};

use crate::support::simulation::World;

/// A full backup of this status with two completed parts.
async fn full(world: &World, status: JobStatus) -> (BackupId, [BackupId; 2]) {
    world.pass(SignedDuration::from_secs(1));
    let full = world.begin(BackupType::Full).await;
    let parts = [
        world.back_up_under(Some(&full)).await,
        world.back_up_under(Some(&full)).await,
    ];
    let at = DateTime::from_millis(world.now().as_millisecond());
    let set = doc! { "$set": { "status": status.as_str(), "startedAt": at, "completedAt": at } };
    world
        .rows("backup_jobs")
        .update_one(doc! { "_id": full.as_str() }, set)
        .await
        .unwrap();
    (full, parts)
}

/// The same, with an unreadable row of one part.
async fn with_an_unreadable_part(world: &World, status: JobStatus) -> BackupId {
    let (full, [part, _]) = self::full(world, status).await;
    let set = doc! { "$set": { "status": "?" } };
    world
        .rows("backup_jobs")
        .update_one(doc! { "_id": part.as_str() }, set)
        .await
        .unwrap();
    full
}

/// Unreadable full backups precede readable ones, deleted and failed.
async fn mixed(world: &World) -> ([BackupId; 2], BackupId, BackupId) {
    let unreadable = [
        with_an_unreadable_part(world, JobStatus::Deleted).await,
        with_an_unreadable_part(world, JobStatus::Failed).await,
    ];
    (
        unreadable,
        full(world, JobStatus::Deleted).await.0,
        full(world, JobStatus::Failed).await.0,
    )
}

fn completed(backup_id: BackupId) -> ReinstatedParent {
    ReinstatedParent {
        backup_id,
        status: JobStatus::Completed,
    }
}

#[tokio::test]
async fn an_unreadable_part_stops_no_other_full_backup_in_a_sweep() {
    let world = World::new().await;
    let (unreadable, deleted, failed) = mixed(&world).await;
    let swept = sweep(&world.h, None, world.now()).await.unwrap();
    assert_eq!(
        (swept.full_brought_back, swept.full_settled),
        (vec![completed(deleted)], vec![failed])
    );
    for id in &unreadable {
        let named = swept
            .problems
            .iter()
            .filter(|problem| problem.contains(id.as_str()))
            .count();
        assert_eq!(named, 1, "{id}: {:?}", swept.problems);
    }
    world.remove().await;
}

#[tokio::test]
async fn an_unreadable_part_does_not_stop_a_rebuild() {
    let world = World::new().await;
    let (unreadable, deleted, failed) = mixed(&world).await;
    let report = rebuild_catalog(&world.h, &|_| ()).await.unwrap();
    assert_eq!(
        (report.brought_back, report.completed),
        (vec![completed(deleted)], vec![failed])
    );
    for id in &unreadable {
        let causes: Vec<_> = report
            .unread
            .iter()
            .filter(|it| it.backup_id == *id)
            .map(|it| it.cause)
            .collect();
        assert_eq!(causes, [UnreadCause::Row], "{id}: {:?}", report.unread);
    }
    world.remove().await;
}

#[tokio::test]
async fn concurrent_sweeps_bring_a_full_backup_back_without_a_problem() {
    let world = World::new().await;
    let (deleted, _) = full(&world, JobStatus::Deleted).await;
    let swept = join_all((0..8).map(|_| sweep(&world.h, None, world.now()))).await;
    let swept: Vec<_> = swept.into_iter().map(Result::unwrap).collect();
    let mut back = swept.iter().flat_map(|report| &report.full_brought_back);
    assert!(back.next().is_some() && back.all(|it| it.backup_id == deleted));
    assert_eq!(world.status(&deleted).await, JobStatus::Completed);
    let problems: Vec<_> = swept.iter().flat_map(|report| &report.problems).collect();
    assert!(problems.is_empty(), "{problems:?}");
    world.remove().await;
}
