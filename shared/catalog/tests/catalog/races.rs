use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use holdfast_catalog::{CatalogError, JobChange, LeaseError, Source};
use holdfast_domain::{BackupType, JobStatus};

use crate::harness::{Fixture, at, id, is_conflict, job, on_catalog};

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_triggers_at_once_one_gets_the_lease() {
    on_catalog(async |fixture| {
        for round in 0..3 {
            let holders: Vec<_> = (0..20)
                .map(|number| id(BackupType::Database, round * 20 + number))
                .collect();
            let asked = holders
                .iter()
                .map(|holder| fixture.catalog.acquire(Source::Database, holder, 2, at(0)));
            let outcomes = join_all(asked).await;
            let won: Vec<_> = (0..20).filter(|number| outcomes[*number].is_ok()).collect();
            assert_eq!(won.len(), 1, "{outcomes:?}");
            let lost = outcomes
                .iter()
                .filter(|outcome| matches!(outcome, Err(LeaseError::SourceLeased { .. })));
            assert_eq!(lost.count(), 19, "{outcomes:?}");
            assert_eq!(fixture.catalog.leases().await.unwrap().slots.len(), 1);
            assert!(
                fixture
                    .catalog
                    .release(Source::Database, &holders[won[0]])
                    .await
                    .unwrap()
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_delivered_twenty_times_at_once_is_one_lease_and_one_slot() {
    on_catalog(async |fixture| {
        let holder = id(BackupType::Database, 1);
        for _ in 0..5 {
            let asked =
                (0..20).map(|_| fixture.catalog.acquire(Source::Database, &holder, 4, at(0)));
            let outcomes = join_all(asked).await;
            assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
            let leases = fixture.catalog.leases().await.unwrap();
            assert_eq!(
                (leases.sources.len(), leases.slots.len()),
                (1, 1),
                "{leases:?}"
            );
            assert_eq!(leases.sources[0].slot, Some(leases.slots[0].number));
            fixture
                .catalog
                .release(Source::Database, &holder)
                .await
                .unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sources_at_once_never_pass_a_limit_of_one() {
    on_catalog(async |fixture| {
        for round in 0..20 {
            let (database, content) = (
                id(BackupType::Database, round),
                id(BackupType::Content, round),
            );
            let outcomes = tokio::join!(
                fixture
                    .catalog
                    .acquire(Source::Database, &database, 1, at(0)),
                fixture.catalog.acquire(Source::Content, &content, 1, at(0)),
            );
            let outcomes = [outcomes.0, outcomes.1];
            assert_eq!(
                outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
                1,
                "{outcomes:?}"
            );
            let leases = fixture.catalog.leases().await.unwrap();
            assert_eq!(
                (leases.sources.len(), leases.slots.len()),
                (1, 1),
                "{leases:?}"
            );
            fixture
                .catalog
                .release(Source::Database, &database)
                .await
                .unwrap();
            fixture
                .catalog
                .release(Source::Content, &content)
                .await
                .unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_takers_that_saw_the_same_fencing_number_one_wins() {
    on_catalog(async |fixture| {
        let holder = id(BackupType::Database, 1);
        fixture
            .catalog
            .acquire(Source::Database, &holder, 2, at(0))
            .await
            .unwrap();
        for seen in 0..5 {
            let taken = (0..10).map(|_| {
                fixture
                    .catalog
                    .take_over(Source::Database, &holder, seen, None, at(1))
            });
            let outcomes = join_all(taken).await;
            let won: Vec<_> = outcomes
                .iter()
                .filter_map(|outcome| outcome.as_ref().ok())
                .collect();
            assert_eq!(won, [&(seen + 1)], "{outcomes:?}");
            let lost = outcomes
                .iter()
                .filter(|outcome| matches!(outcome, Err(LeaseError::Lost { .. })));
            assert_eq!(lost.count(), 9, "{outcomes:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_changes_at_once_one_is_made() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        fixture
            .catalog
            .transition(&id, JobStatus::Running, JobChange::default(), None)
            .await
            .unwrap();
        let rivals = [JobStatus::Committing, JobStatus::Finalizing];
        for (to, expected) in [
            (JobStatus::Finalizing, 1),
            (JobStatus::Committing, 1),
            (JobStatus::Completed, 1),
        ] {
            let changes = (0..20).map(|_| {
                fixture
                    .catalog
                    .transition(&id, to, JobChange::default(), None)
            });
            let outcomes = join_all(changes).await;
            assert_eq!(
                outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
                expected,
                "{to}: {outcomes:?}"
            );
            assert!(
                outcomes
                    .iter()
                    .all(|outcome| outcome.is_ok() || is_conflict(outcome)),
                "{outcomes:?}"
            );
        }
        for to in rivals {
            assert!(is_conflict(
                &fixture
                    .catalog
                    .transition(&id, to, JobChange::default(), None)
                    .await
            ));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_ways_to_settle_a_job_at_once_one_is_taken() {
    on_catalog(async |fixture| {
        let id = fixture.pending(1).await;
        let ways = [JobStatus::Failed, JobStatus::Cancelled];
        let changes = (0..20).map(|number| {
            fixture
                .catalog
                .transition(&id, ways[number % 2], JobChange::default(), None)
        });
        let outcomes = join_all(changes).await;
        let settled: Vec<_> = outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().ok())
            .collect();
        assert_eq!(settled.len(), 1, "{outcomes:?}");
        assert_eq!(fixture.catalog.get(&id).await.unwrap(), *settled[0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_rows_with_one_id_one_is_written() {
    on_catalog(async |fixture| {
        let job = job(BackupType::Database, 1);
        let outcomes = join_all((0..20).map(|_| fixture.catalog.insert_pending(&job))).await;
        assert_eq!(
            outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
            1,
            "{outcomes:?}"
        );
        let refused = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(CatalogError::AlreadyExists { .. })));
        assert_eq!(refused.count(), 19, "{outcomes:?}");
    })
    .await;
}

/// Acquires and releases repeatedly. `inside` counts the simultaneous holders of a lease.
async fn come_and_go(fixture: &Fixture, kind: BackupType, number: u8, inside: &AtomicU32) -> u32 {
    let (source, holder) = (Source::of(kind).unwrap(), id(kind, number));
    let mut acquired = 0;
    for _ in 0..40 {
        match fixture.catalog.acquire(source, &holder, 1, at(0)).await {
            Ok(()) => {
                assert_eq!(
                    inside.fetch_add(1, Ordering::SeqCst),
                    0,
                    "{holder} is not alone"
                );
                tokio::time::sleep(Duration::from_millis(1)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
                assert!(fixture.catalog.release(source, &holder).await.unwrap());
                acquired += 1;
            }
            Err(LeaseError::SourceLeased { .. } | LeaseError::ConcurrencyLimit { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    acquired
}

#[tokio::test(flavor = "multi_thread")]
async fn however_holders_come_and_go_one_at_a_time_is_inside() {
    on_catalog(async |fixture| {
        let inside = AtomicU32::new(0);
        let kinds = [BackupType::Database, BackupType::Content];
        let holders = (0..8_u8)
            .map(|number| come_and_go(fixture, kinds[usize::from(number % 2)], number, &inside));
        let acquired: u32 = join_all(holders).await.into_iter().sum();
        assert!(acquired > 0);
        assert_eq!(
            fixture.catalog.leases().await.unwrap(),
            holdfast_catalog::Leases::default()
        );
    })
    .await;
}
