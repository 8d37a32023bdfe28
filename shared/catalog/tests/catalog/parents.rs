use holdfast_catalog::{Catalog, JobChange};
use holdfast_domain::{BackupId, BackupType, Job, JobDeletion, JobStatus};

use crate::harness::{at, is_conflict, job, on_catalog};

/// A job that went through these states.
async fn insert(catalog: &Catalog, job: Job, states: &[JobStatus]) -> BackupId {
    catalog.insert_pending(&job).await.unwrap();
    for state in states {
        let deletion = (*state == JobStatus::Deleted).then(|| JobDeletion::by_retention(at(9)));
        let change = JobChange {
            deletion,
            ..JobChange::default()
        };
        catalog
            .transition(&job.backup_id, *state, change, None)
            .await
            .unwrap();
    }
    job.backup_id
}

#[tokio::test]
async fn a_deleted_full_backup_is_found_by_a_part_that_is_a_backup_and_brought_back() {
    use JobStatus::{Committing, Completed, Deleted, Failed, Running};
    on_catalog(async |fixture| {
        let catalog = &fixture.catalog;
        let part = |number, parent: &BackupId| Job {
            parent_id: Some(parent.clone()),
            ..job(BackupType::Database, number)
        };
        let failed = insert(
            catalog,
            job(BackupType::Full, 1),
            &[Running, Failed, Deleted],
        )
        .await;
        let kept = insert(catalog, job(BackupType::Full, 2), &[Running, Failed]).await;
        let gone = insert(
            catalog,
            job(BackupType::Full, 3),
            &[Running, Failed, Deleted],
        )
        .await;
        let completed = [Running, Committing, Completed];
        insert(catalog, part(4, &failed), &completed).await;
        insert(catalog, part(5, &kept), &completed).await;
        insert(catalog, part(6, &gone), &[Running, Failed]).await;
        assert_eq!(
            catalog.deleted_parents_of_backups(at(1)).await.unwrap(),
            std::slice::from_ref(&failed)
        );
        assert_eq!(
            catalog.deleted_parents_of_backups(at(2)).await.unwrap(),
            [],
            "it is older"
        );

        let back = catalog.reinstate_parent(&failed, Failed).await.unwrap();
        assert_eq!((back.status, back.deletion), (Failed, None));
        assert_eq!(catalog.deleted_parents_of_backups(at(1)).await.unwrap(), []);
        assert!(
            is_conflict(&catalog.reinstate_parent(&failed, Failed).await),
            "it is not deleted"
        );
        let part = insert(
            catalog,
            job(BackupType::Database, 7),
            &[Running, Failed, Deleted],
        )
        .await;
        assert!(
            is_conflict(&catalog.reinstate_parent(&part, Failed).await),
            "it is no full backup"
        );
    })
    .await;
}
