use futures_util::future::join_all;
use holdfast_catalog::{JobChange, LeaseError, Source};
use holdfast_domain::{BackupType, JobStatus};

use crate::harness::{Fixture, at, id, job, on_catalog};

/// A content lease under fencing number 1.
async fn leased(fixture: &Fixture, holder: &holdfast_domain::BackupId) {
    fixture
        .catalog
        .acquire(Source::Content, holder, 2, at(0))
        .await
        .unwrap();
    assert_eq!(
        fixture
            .catalog
            .take_over(Source::Content, holder, 0, Some(at(900)), at(1))
            .await,
        Ok(1)
    );
}

#[tokio::test]
async fn a_lease_records_its_wait_and_a_new_holder_ends_it() {
    on_catalog(async |fixture| {
        let holder = id(BackupType::Content, 1);
        leased(fixture, &holder).await;
        let catalog = &fixture.catalog;
        for until in [600, 86_400, 300] {
            assert!(
                catalog
                    .wait(Source::Content, &holder, 1, at(until), at(10))
                    .await
                    .unwrap()
            );
            let lease = catalog.get_lease(Source::Content).await.unwrap().unwrap();
            assert_eq!(
                (lease.waits_until, lease.beat_at, lease.deadline_at),
                (Some(at(until)), at(10), None)
            );
        }
        assert_eq!(
            catalog
                .take_over(Source::Content, &holder, 1, Some(at(950)), at(20))
                .await,
            Ok(2)
        );
        let lease = catalog.get_lease(Source::Content).await.unwrap().unwrap();
        assert_eq!(
            (lease.waits_until, lease.fence, lease.deadline_at),
            (None, 2, Some(at(950)))
        );
        assert_eq!(catalog.leases().await.unwrap().sources, [lease]);
    })
    .await;
}

#[tokio::test]
async fn only_the_newest_run_of_the_holder_waits() {
    on_catalog(async |fixture| {
        let (holder, other) = (id(BackupType::Content, 1), id(BackupType::Content, 2));
        leased(fixture, &holder).await;
        let catalog = &fixture.catalog;
        for (whose, fence) in [(&holder, 0), (&holder, 2), (&other, 1)] {
            assert!(
                !catalog
                    .wait(Source::Content, whose, fence, at(600), at(10))
                    .await
                    .unwrap()
            );
        }
        assert!(
            !catalog
                .wait(Source::Database, &holder, 1, at(600), at(10))
                .await
                .unwrap()
        );
        assert_eq!(
            catalog
                .get_lease(Source::Content)
                .await
                .unwrap()
                .unwrap()
                .waits_until,
            None
        );
        catalog.release(Source::Content, &holder).await.unwrap();
        assert!(
            !catalog
                .wait(Source::Content, &holder, 1, at(600), at(10))
                .await
                .unwrap()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_lease_is_taken_over_at_once_and_by_one() {
    on_catalog(async |fixture| {
        let holder = id(BackupType::Content, 1);
        leased(fixture, &holder).await;
        for seen in 1..5 {
            assert!(
                fixture
                    .catalog
                    .wait(Source::Content, &holder, seen, at(86_400), at(10))
                    .await
                    .unwrap()
            );
            let takers = (0..10).map(|_| {
                fixture
                    .catalog
                    .take_over(Source::Content, &holder, seen, None, at(10))
            });
            let outcomes = join_all(takers).await;
            let won: Vec<_> = outcomes
                .iter()
                .filter_map(|outcome| outcome.as_ref().ok())
                .collect();
            assert_eq!(won, [&(seen + 1)], "{outcomes:?}");
            let lease = fixture
                .catalog
                .get_lease(Source::Content)
                .await
                .unwrap()
                .unwrap();
            assert_eq!((lease.fence, lease.waits_until), (seen + 1, None));
            assert!(
                !fixture
                    .catalog
                    .wait(Source::Content, &holder, seen, at(1), at(1))
                    .await
                    .unwrap()
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_waiting_lease_keeps_the_source_and_is_no_orphan_while_its_job_is_active() {
    on_catalog(async |fixture| {
        let job = job(BackupType::Content, 1);
        fixture.catalog.insert_pending(&job).await.unwrap();
        leased(fixture, &job.backup_id).await;
        let catalog = &fixture.catalog;
        catalog
            .transition(
                &job.backup_id,
                JobStatus::Running,
                JobChange::default(),
                None,
            )
            .await
            .unwrap();
        catalog
            .wait(Source::Content, &job.backup_id, 1, at(600), at(10))
            .await
            .unwrap();
        let refused = catalog
            .acquire(Source::Content, &id(BackupType::Content, 2), 2, at(20))
            .await;
        assert!(
            matches!(refused, Err(LeaseError::SourceLeased { .. })),
            "{refused:?}"
        );
        assert!(catalog.orphan_leases(at(100_000)).await.unwrap().is_empty());
        catalog
            .transition(
                &job.backup_id,
                JobStatus::Failed,
                JobChange::default(),
                None,
            )
            .await
            .unwrap();
        let orphans = catalog.orphan_leases(at(20)).await.unwrap();
        assert_eq!(orphans.len(), 2, "however long it still waits: {orphans:?}");
        for orphan in orphans {
            assert!(catalog.free_orphan(&orphan).await.unwrap());
        }
    })
    .await;
}
