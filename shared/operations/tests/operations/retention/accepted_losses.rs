//! An operator accepts the loss of a backup.

use holdfast_domain::{BackupId, BackupType, DeletionCause, Encoding, JobStatus, ObjectKey};
use holdfast_operations::{
    ManifestPresence, OperationError, expect_lost, lost_backups, rebuild_catalog,
};

use super::{invariants, lost_manifests::lose};
use crate::support::simulation::{Simulation, object_of};

#[tokio::test]
async fn an_accepted_loss_makes_the_rest_collectable() {
    let simulation = Simulation::new().await;
    let first = simulation.back_up_content(&["a", "b"]).await.unwrap();
    simulation.back_up_content(&["b", "c"]).await.unwrap();
    simulation.pass_days(2);
    lose(&simulation, &[&first]).await;
    simulation.retain().await;
    let job = simulation.accept(&first).await.unwrap();
    let deletion = job.deletion.clone().unwrap();
    assert_eq!(
        (deletion.cause, deletion.by.as_deref()),
        (DeletionCause::AcceptedLoss, Some("ada"))
    );
    assert!(
        !job.is_lost() && simulation.has(&object_of("a")).await,
        "only the decision is recorded"
    );
    let report = simulation.retain().await;
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
    assert!(!simulation.has(&object_of("a")).await && simulation.has(&object_of("b")).await);
    invariants::assert_deleted_backups_are_gone(&simulation, &[]).await;
    simulation.remove().await;
}

#[tokio::test]
async fn only_a_lost_backup_can_be_accepted() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(4).await;
    let (full, failed) = (
        simulation.begin(BackupType::Full).await,
        simulation.fail().await,
    );
    let unknown: BackupId = "db_1_a".parse().unwrap();
    let mut losses = lose(&simulation, &[&ids[0]]).await;
    simulation.retain().await;
    let refused = async |id: &BackupId| match expect_lost(&simulation.h, id).await.unwrap_err() {
        OperationError::Invalid(why) => why.to_string(),
        error => panic!("{error}"),
    };
    assert!(matches!(
        expect_lost(&simulation.h, &unknown).await,
        Err(OperationError::NotFound(_))
    ));
    assert!(refused(&ids[1]).await.contains("its manifest is in s3://"));
    assert!(
        refused(&failed)
            .await
            .contains("it is failed, and was never completed")
    );
    assert!(refused(&full).await.contains("name its parts"));
    losses.restore_all(&simulation).await;
    assert!(refused(&ids[0]).await.contains("its manifest is back"));
    losses.lose(&simulation, &ids[0]).await;
    simulation.accept(&ids[0]).await.unwrap();
    assert!(
        refused(&ids[0])
            .await
            .contains("its deletion was decided before")
    );
    simulation.remove().await;
}

#[tokio::test]
async fn a_completed_backup_that_retention_has_not_seen_as_lost_can_be_accepted() {
    let simulation = Simulation::new().await;
    let mut ids = simulation.back_up_daily(1).await;
    lose(&simulation, &[&ids[0]]).await;
    assert!(
        simulation.retain().await.database.suspended.is_some(),
        "none of one is fewer than half"
    );
    let lost = lost_backups(&simulation.h).await.unwrap();
    let reported: Vec<_> = lost
        .backups
        .iter()
        .map(|it| (&it.backup_id, it.manifest, it.lost_at))
        .collect();
    assert_eq!(reported, [(&ids[0], ManifestPresence::Missing, None)]);
    assert!(lost.suspended.is_some());
    assert!(matches!(
        simulation.accept(&ids[0]).await,
        Err(OperationError::WrongStore(_))
    ));
    ids.push(simulation.back_up().await);
    simulation.accept(&ids[0]).await.unwrap();
    let report = simulation.retain().await;
    assert_eq!(
        (report.needs_attention(), report.database.leftovers),
        (false, 2),
        "{report:?}"
    );
    assert_eq!(lost_backups(&simulation.h).await.unwrap().backups, []);
    simulation.remove().await;
}

#[tokio::test]
async fn a_damaged_backup_whose_loss_was_accepted_is_kept_until_it_is_decided_again() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(4).await;
    simulation.accept_elsewhere(&ids[0]).await;
    simulation
        .store
        .delete(&ObjectKey::database_dump(&ids[0], 1, Encoding::PLAIN))
        .await
        .unwrap();
    for _ in 0..2 {
        let report = simulation.retain().await;
        assert_eq!(
            (
                report.database.lost.as_slice(),
                report.database.deleted.len()
            ),
            (&ids[..1], 0),
            "{report:?}"
        );
        assert!(simulation.exists(&ids[0]).await);
    }
    assert_eq!(
        lost_backups(&simulation.h).await.unwrap().backups[0].manifest,
        ManifestPresence::Present
    );
    let job = simulation.accept(&ids[0]).await.unwrap();
    assert_eq!(
        job.deletion.map(|it| it.cause),
        Some(DeletionCause::AcceptedDamage)
    );
    let report = simulation.retain().await;
    assert_eq!(
        (report.needs_attention(), report.database.deleted.len()),
        (false, 1),
        "{report:?}"
    );
    invariants::assert_deleted_backups_are_gone(&simulation, &[]).await;
    simulation.remove().await;
}

#[tokio::test]
async fn a_rebuild_completes_a_backup_whose_loss_was_accepted_although_it_is_there() {
    let simulation = Simulation::new().await;
    let ids = simulation.back_up_daily(2).await;
    simulation.accept_elsewhere(&ids[0]).await;
    let report = rebuild_catalog(&simulation.h, &|_| ()).await.unwrap();
    assert_eq!(report.returned, ids[..1], "{report:?}");
    let job = simulation.h.catalog.get(&ids[0]).await.unwrap();
    assert_eq!(
        (job.status, job.deletion, job.lost_at),
        (JobStatus::Completed, None, None)
    );
    simulation.remove().await;
}
