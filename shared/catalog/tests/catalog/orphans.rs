use bson::doc;
use holdfast_catalog::{JobChange, LeaseKind, OrphanReason, Source};
use holdfast_domain::{BackupType, JobStatus};

use crate::harness::{at, id, job, on_catalog};

#[tokio::test]
async fn a_lease_without_a_job_is_an_orphan_after_two_minutes_or_ten_once_a_run_took_it_over() {
    on_catalog(async |fixture| {
        let holder = id(BackupType::Database, 1);
        let catalog = &fixture.catalog;
        catalog
            .acquire(Source::Database, &holder, 2, at(0))
            .await
            .unwrap();
        assert!(catalog.orphan_leases(at(120)).await.unwrap().is_empty());
        let expect_both = async |now| {
            let orphans = catalog.orphan_leases(now).await.unwrap();
            let kinds: Vec<_> = orphans.iter().map(|orphan| orphan.kind).collect();
            assert_eq!(
                kinds,
                [LeaseKind::Source(Source::Database), LeaseKind::Slot(0)]
            );
            assert!(
                orphans
                    .iter()
                    .all(|orphan| orphan.reason == OrphanReason::JobMissing
                        && orphan.holder == holder)
            );
        };
        expect_both(at(121)).await;
        catalog
            .take_over(Source::Database, &holder, 0, None, at(121))
            .await
            .unwrap();
        assert!(catalog.orphan_leases(at(600)).await.unwrap().is_empty());
        expect_both(at(601)).await;
    })
    .await;
}

#[tokio::test]
async fn a_lease_is_an_orphan_once_its_job_is_settled_and_not_before() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        let catalog = &fixture.catalog;
        catalog
            .acquire(Source::Database, &id, 2, at(0))
            .await
            .unwrap();
        let hours_later = at(100_000);
        for to in [
            JobStatus::Running,
            JobStatus::Committing,
            JobStatus::Completed,
        ] {
            assert!(
                catalog.orphan_leases(hours_later).await.unwrap().is_empty(),
                "before {to}"
            );
            catalog
                .transition(&id, to, JobChange::default(), None)
                .await
                .unwrap();
        }
        let orphans = catalog.orphan_leases(at(0)).await.unwrap();
        assert_eq!(orphans.len(), 2);
        for orphan in orphans {
            assert_eq!(
                orphan.reason,
                OrphanReason::JobSettled(JobStatus::Completed)
            );
            assert!(catalog.free_orphan(&orphan).await.unwrap());
            assert!(!catalog.free_orphan(&orphan).await.unwrap());
        }
        assert_eq!(
            catalog.leases().await.unwrap(),
            holdfast_catalog::Leases::default()
        );
    })
    .await;
}

#[tokio::test]
async fn a_slot_whose_lease_is_gone_is_an_orphan_too() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        fixture
            .catalog
            .acquire(Source::Database, &id, 2, at(0))
            .await
            .unwrap();
        fixture
            .catalog
            .transition(&id, JobStatus::Cancelled, JobChange::default(), None)
            .await
            .unwrap();
        fixture
            .collection("backup_leases")
            .delete_one(doc! { "_id": "database" })
            .await
            .unwrap();
        let orphans = fixture.catalog.orphan_leases(at(1)).await.unwrap();
        assert_eq!(
            orphans.iter().map(|orphan| orphan.kind).collect::<Vec<_>>(),
            [LeaseKind::Slot(0)]
        );
    })
    .await;
}

#[tokio::test]
async fn an_orphan_leased_again_meanwhile_is_not_freed() {
    on_catalog(async |fixture| {
        let (dead, alive) = (id(BackupType::Database, 1), job(BackupType::Database, 2));
        let catalog = &fixture.catalog;
        catalog
            .acquire(Source::Database, &dead, 2, at(0))
            .await
            .unwrap();
        let orphans = catalog.orphan_leases(at(700)).await.unwrap();
        catalog.release(Source::Database, &dead).await.unwrap();
        catalog
            .acquire(Source::Database, &alive.backup_id, 2, at(701))
            .await
            .unwrap();
        for orphan in orphans {
            assert!(!catalog.free_orphan(&orphan).await.unwrap(), "{orphan:?}");
        }
        assert!(
            catalog
                .beat(Source::Database, &alive.backup_id, 0, at(702))
                .await
                .unwrap()
        );
    })
    .await;
}

#[tokio::test]
async fn a_lease_whose_jobs_state_cannot_be_read_is_kept() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        fixture
            .catalog
            .acquire(Source::Database, &id, 2, at(0))
            .await
            .unwrap();
        let odd = doc! { "$set": { "status": "resting" } };
        fixture
            .collection("backup_jobs")
            .update_one(doc! { "_id": id.as_str() }, odd)
            .await
            .unwrap();
        assert!(
            fixture
                .catalog
                .orphan_leases(at(100_000))
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}
