//! Full backups with a late end of a part. Each is settled by itself.

use futures_util::future::join_all;
use holdfast_domain::{BackupId, BackupType, JobStatus};
use holdfast_operations::{ReinstatedParent, UnreadCause, rebuild_catalog, sweep};
use jiff::SignedDuration;
use mongodb::bson::{DateTime, doc};

use crate::support::simulation::Simulation;

/// A full backup of this status with two completed parts.
async fn full(simulation: &Simulation, status: JobStatus) -> (BackupId, [BackupId; 2]) {
    simulation.pass(SignedDuration::from_secs(1));
    let full = simulation.begin(BackupType::Full).await;
    let parts = [
        simulation.back_up_under(Some(&full)).await,
        simulation.back_up_under(Some(&full)).await,
    ];
    let at = DateTime::from_millis(simulation.now().as_millisecond());
    let set = doc! { "$set": { "status": status.as_str(), "startedAt": at, "completedAt": at } };
    simulation
        .rows("backup_jobs")
        .update_one(doc! { "_id": full.as_str() }, set)
        .await
        .unwrap();
    (full, parts)
}

/// The same, with an unreadable row of one part.
async fn with_an_unreadable_part(simulation: &Simulation, status: JobStatus) -> BackupId {
    let (full, [part, _]) = self::full(simulation, status).await;
    let set = doc! { "$set": { "status": "?" } };
    simulation
        .rows("backup_jobs")
        .update_one(doc! { "_id": part.as_str() }, set)
        .await
        .unwrap();
    full
}

/// Unreadable full backups precede readable ones, deleted and failed.
async fn mixed(simulation: &Simulation) -> ([BackupId; 2], BackupId, BackupId) {
    let unreadable = [
        with_an_unreadable_part(simulation, JobStatus::Deleted).await,
        with_an_unreadable_part(simulation, JobStatus::Failed).await,
    ];
    (
        unreadable,
        full(simulation, JobStatus::Deleted).await.0,
        full(simulation, JobStatus::Failed).await.0,
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
    let simulation = Simulation::new().await;
    let (unreadable, deleted, failed) = mixed(&simulation).await;
    let swept = sweep(&simulation.h, None, simulation.now()).await.unwrap();
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
    simulation.remove().await;
}

#[tokio::test]
async fn an_unreadable_part_does_not_stop_a_rebuild() {
    let simulation = Simulation::new().await;
    let (unreadable, deleted, failed) = mixed(&simulation).await;
    let report = rebuild_catalog(&simulation.h, &|_| ()).await.unwrap();
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
    simulation.remove().await;
}

#[tokio::test]
async fn concurrent_sweeps_bring_a_full_backup_back_without_a_problem() {
    let simulation = Simulation::new().await;
    let (deleted, _) = full(&simulation, JobStatus::Deleted).await;
    let swept = join_all((0..8).map(|_| sweep(&simulation.h, None, simulation.now()))).await;
    let swept: Vec<_> = swept.into_iter().map(Result::unwrap).collect();
    let mut back = swept.iter().flat_map(|report| &report.full_brought_back);
    assert!(back.next().is_some() && back.all(|it| it.backup_id == deleted));
    assert_eq!(simulation.status(&deleted).await, JobStatus::Completed);
    let problems: Vec<_> = swept.iter().flat_map(|report| &report.problems).collect();
    assert!(problems.is_empty(), "{problems:?}");
    simulation.remove().await;
}
