use bson::doc;
use holdfast_catalog::{CatalogError, LeaseError, Source};
use holdfast_domain::BackupType;

use crate::harness::{at, id, on_catalog};

#[tokio::test]
async fn a_leased_source_is_refused_with_the_name_of_its_holder() {
    on_catalog(async |fixture| {
        let (first, second) = (id(BackupType::Database, 1), id(BackupType::Database, 2));
        fixture
            .catalog
            .acquire(Source::Database, &first, 2, at(0))
            .await
            .unwrap();
        let refused = fixture
            .catalog
            .acquire(Source::Database, &second, 2, at(1))
            .await;
        assert_eq!(
            refused,
            Err(LeaseError::SourceLeased {
                source_name: Source::Database,
                holder: first.clone()
            })
        );
        let leases = fixture.catalog.leases().await.unwrap();
        assert_eq!((leases.sources.len(), leases.slots.len()), (1, 1));
        let lease = &leases.sources[0];
        assert_eq!(
            (&lease.holder, lease.fence, lease.slot, lease.taken_at),
            (&first, 0, Some(0), at(0))
        );
    })
    .await;
}

#[tokio::test]
async fn the_same_holder_may_acquire_it_again() {
    on_catalog(async |fixture| {
        let holder = id(BackupType::Database, 1);
        for second in 0..3 {
            fixture
                .catalog
                .acquire(Source::Database, &holder, 1, at(second))
                .await
                .unwrap();
        }
        let leases = fixture.catalog.leases().await.unwrap();
        assert_eq!(
            (
                leases.sources.len(),
                leases.slots.len(),
                leases.sources[0].taken_at
            ),
            (1, 1, at(0))
        );
    })
    .await;
}

#[tokio::test]
async fn at_the_limit_nothing_is_left_behind() {
    on_catalog(async |fixture| {
        let (database, content) = (id(BackupType::Database, 1), id(BackupType::Content, 2));
        fixture
            .catalog
            .acquire(Source::Database, &database, 1, at(0))
            .await
            .unwrap();
        let refused = fixture
            .catalog
            .acquire(Source::Content, &content, 1, at(1))
            .await;
        assert_eq!(
            refused,
            Err(LeaseError::ConcurrencyLimit {
                holders: vec![database.clone()]
            })
        );
        assert_eq!(
            fixture.catalog.get_lease(Source::Content).await.unwrap(),
            None
        );

        assert!(
            fixture
                .catalog
                .release(Source::Database, &database)
                .await
                .unwrap()
        );
        fixture
            .catalog
            .acquire(Source::Content, &content, 1, at(2))
            .await
            .unwrap();
        let leases = fixture.catalog.leases().await.unwrap();
        assert_eq!((leases.sources.len(), leases.slots.len()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_lowered_limit_counts_the_slots_above_it() {
    on_catalog(async |fixture| {
        let (database, content) = (id(BackupType::Database, 1), id(BackupType::Content, 2));
        let slot = doc! {
            "_id": "slot-5", "number": 5, "source": "database", "holder": database.as_str(),
            "takenAt": bson::DateTime::now(),
        };
        fixture
            .collection("backup_leases")
            .insert_one(slot)
            .await
            .unwrap();
        let refused = fixture
            .catalog
            .acquire(Source::Content, &content, 1, at(1))
            .await;
        assert_eq!(
            refused,
            Err(LeaseError::ConcurrencyLimit {
                holders: vec![database]
            })
        );
        fixture
            .catalog
            .acquire(Source::Content, &content, 2, at(1))
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_acquisition_that_died_on_the_way_is_finished_by_the_next() {
    on_catalog(async |fixture| {
        let holder = id(BackupType::Database, 1);
        let leases = fixture.collection("backup_leases");
        let half = doc! {
            "_id": "database", "holder": holder.as_str(), "fence": 0, "takenAt": bson::DateTime::now(),
            "beatAt": bson::DateTime::now(),
        };
        let slot = doc! {
            "_id": "slot-1", "number": 1, "source": "database", "holder": holder.as_str(),
            "takenAt": bson::DateTime::now(),
        };
        for left_behind in [vec![half.clone()], vec![half.clone(), slot.clone()]] {
            leases.insert_many(&left_behind).await.unwrap();
            fixture.catalog.acquire(Source::Database, &holder, 2, at(0)).await.unwrap();
            let found = fixture.catalog.leases().await.unwrap();
            assert_eq!(found.slots.len(), 1);
            assert_eq!(found.sources[0].slot, Some(found.slots[0].number));
            assert!(fixture.catalog.release(Source::Database, &holder).await.unwrap());
            assert_eq!(fixture.catalog.leases().await.unwrap(), holdfast_catalog::Leases::default());
        }
        let stranger = id(BackupType::Content, 2);
        leases.insert_many([half, slot]).await.unwrap();
        let refused = fixture.catalog.acquire(Source::Content, &stranger, 1, at(0)).await;
        assert!(matches!(refused, Err(LeaseError::ConcurrencyLimit { .. })), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn only_its_holder_releases_a_lease() {
    on_catalog(async |fixture| {
        let (holder, other) = (id(BackupType::Database, 1), id(BackupType::Database, 2));
        fixture
            .catalog
            .acquire(Source::Database, &holder, 2, at(0))
            .await
            .unwrap();
        assert!(
            !fixture
                .catalog
                .release(Source::Database, &other)
                .await
                .unwrap()
        );
        assert!(
            !fixture
                .catalog
                .release(Source::Content, &holder)
                .await
                .unwrap()
        );
        assert_eq!(fixture.catalog.leases().await.unwrap().slots.len(), 1);
        assert!(
            fixture
                .catalog
                .release(Source::Database, &holder)
                .await
                .unwrap()
        );
        assert!(
            !fixture
                .catalog
                .release(Source::Database, &holder)
                .await
                .unwrap()
        );
        assert_eq!(
            fixture.catalog.leases().await.unwrap(),
            holdfast_catalog::Leases::default()
        );
    })
    .await;
}

#[tokio::test]
async fn a_taker_gets_the_next_fencing_number_and_the_run_before_it_cannot_beat() {
    on_catalog(async |fixture| {
        let holder = id(BackupType::Database, 1);
        let catalog = &fixture.catalog;
        catalog
            .acquire(Source::Database, &holder, 2, at(0))
            .await
            .unwrap();
        assert_eq!(
            catalog
                .take_over(Source::Database, &holder, 0, Some(at(900)), at(1))
                .await,
            Ok(1)
        );
        assert!(
            catalog
                .beat(Source::Database, &holder, 1, at(10))
                .await
                .unwrap()
        );
        let lease = catalog.get_lease(Source::Database).await.unwrap().unwrap();
        assert_eq!(
            (lease.fence, lease.beat_at, lease.deadline_at),
            (1, at(10), Some(at(900)))
        );

        assert_eq!(
            catalog
                .take_over(Source::Database, &holder, 1, None, at(80))
                .await,
            Ok(2)
        );
        assert!(
            !catalog
                .beat(Source::Database, &holder, 1, at(90))
                .await
                .unwrap()
        );
        let lease = catalog.get_lease(Source::Database).await.unwrap().unwrap();
        assert_eq!(
            (lease.fence, lease.beat_at, lease.deadline_at),
            (2, at(80), None)
        );
        assert!(
            catalog
                .beat(Source::Database, &holder, 2, at(90))
                .await
                .unwrap()
        );
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_was_released_is_neither_beaten_nor_taken_over() {
    on_catalog(async |fixture| {
        let (holder, other) = (id(BackupType::Database, 1), id(BackupType::Database, 2));
        let catalog = &fixture.catalog;
        catalog.acquire(Source::Database, &holder, 2, at(0)).await.unwrap();
        catalog.release(Source::Database, &holder).await.unwrap();
        assert!(!catalog.beat(Source::Database, &holder, 0, at(1)).await.unwrap());
        let lost = catalog.take_over(Source::Database, &holder, 0, None, at(1)).await;
        assert_eq!(lost, Err(LeaseError::Lost { holder: holder.clone(), found: None }));

        catalog.acquire(Source::Database, &other, 2, at(2)).await.unwrap();
        assert!(!catalog.beat(Source::Database, &holder, 0, at(3)).await.unwrap());
        let lost = catalog.take_over(Source::Database, &holder, 0, None, at(3)).await;
        assert!(matches!(lost, Err(LeaseError::Lost { found: Some(lease), .. }) if lease.holder == other));
    })
    .await;
}

#[tokio::test]
async fn a_broken_lease_is_named_where_it_decides_and_left_out_of_lists() {
    on_catalog(async |fixture| {
        let leases = fixture.collection("backup_leases");
        leases.insert_many([doc! { "_id": "database" }, doc! { "_id": "slot-0", "number": "zero" }]).await.unwrap();
        assert_eq!(fixture.catalog.leases().await.unwrap(), holdfast_catalog::Leases::default());
        for (source, broken) in [(Source::Database, "database"), (Source::Content, "slot-0")] {
            let refused = fixture.catalog.acquire(source, &id(BackupType::Database, 1), 2, at(0)).await;
            assert!(
                matches!(&refused, Err(LeaseError::Catalog(CatalogError::Corrupt { id, .. })) if id == broken),
                "{refused:?}"
            );
        }
    })
    .await;
}

#[test]
fn a_full_backup_leases_no_source() {
    assert_eq!(Source::of(BackupType::Full), None);
    assert_eq!(Source::of(BackupType::Database), Some(Source::Database));
    assert_eq!(Source::of(BackupType::Content), Some(Source::Content));
}
