use bson::doc;
use futures_util::future::join_all;
use holdfast_catalog::{CatalogError, ContentWork, JobChange, JobFilter, StoredList};
use holdfast_domain::{BackupId, BackupType, Encoding, ItemCounts, JobStatus, ObjectKey};

use crate::harness::{Fixture, artifact, at, id, is_conflict, job, on_catalog};

fn everything(backup: &BackupId) -> ContentWork {
    ContentWork {
        discovered_at: Some(at(1)),
        cursor: Some("2024-01-01T00:00:00Z".to_owned()),
        found: 6_000_000_000,
        rounds: 3,
        checked: true,
        item_list: Some(StoredList {
            unencrypted: 1,
            artifact: artifact(ObjectKey::content_items(
                backup,
                2,
                Encoding::GZIP_ENCRYPTED,
            )),
            items: ItemCounts {
                expected: 4,
                done: 1,
                unchanged: 2,
                failed: 1,
                bytes: 5_000_000_000,
                per_minute: None,
            },
            json_bytes: 7_000_000_000,
        }),
        volumes: (0..3)
            .map(|volume| {
                artifact(ObjectKey::content_archive(
                    backup,
                    2,
                    volume,
                    Encoding::GZIP_ENCRYPTED,
                ))
            })
            .collect(),
        archived_after: Some("7~3".to_owned()),
        archive_done: true,
        fruitless: 2,
        key_epoch: Some(3),
        server_version: "8.2.0".to_owned(),
        source_uri: "mongodb://h/platform".to_owned(),
    }
}

/// A running content job under this fencing number.
async fn running(fixture: &Fixture, number: u8, fence: u64) -> BackupId {
    let job = job(BackupType::Content, number);
    fixture.catalog.insert_pending(&job).await.unwrap();
    let change = JobChange {
        fence: Some(fence),
        ..JobChange::default()
    };
    fixture
        .catalog
        .transition(&job.backup_id, JobStatus::Running, change, None)
        .await
        .unwrap();
    job.backup_id
}

#[tokio::test]
async fn work_is_read_as_it_was_recorded() {
    on_catalog(async |fixture| {
        let backup = running(fixture, 1, 1).await;
        assert_eq!(
            fixture.catalog.content_work(&backup).await.unwrap(),
            ContentWork::default()
        );
        for work in [
            everything(&backup),
            ContentWork::default(),
            everything(&backup),
        ] {
            assert!(
                fixture
                    .catalog
                    .record_work(&backup, 1, &work)
                    .await
                    .unwrap()
            );
            assert_eq!(fixture.catalog.content_work(&backup).await.unwrap(), work);
        }
        let row = fixture
            .collection("backup_jobs")
            .find_one(doc! {})
            .await
            .unwrap()
            .unwrap();
        let work = row.get_document("work").unwrap();
        assert!(
            work.get_datetime("discoveredAt").is_ok() && work.get_str("cursor").is_ok(),
            "{work:?}"
        );
        let nobody = fixture
            .catalog
            .content_work(&id(BackupType::Content, 9))
            .await;
        assert!(
            matches!(nobody, Err(CatalogError::NotFound { .. })),
            "{nobody:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_field_that_an_older_row_lacks_has_its_default() {
    on_catalog(async |fixture| {
        let backup = running(fixture, 1, 1).await;
        let old = doc! { "$set": { "work": { "found": 3, "later": true } } };
        fixture
            .collection("backup_jobs")
            .update_one(doc! {}, old)
            .await
            .unwrap();
        let expected = ContentWork {
            found: 3,
            ..ContentWork::default()
        };
        assert_eq!(
            fixture.catalog.content_work(&backup).await.unwrap(),
            expected
        );
        fixture
            .collection("backup_jobs")
            .update_one(doc! {}, doc! { "$set": { "work": "none" } })
            .await
            .unwrap();
        let broken = fixture.catalog.content_work(&backup).await;
        assert!(
            matches!(broken, Err(CatalogError::Corrupt { .. })),
            "{broken:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_run_with_another_fencing_number_records_no_work() {
    on_catalog(async |fixture| {
        let backup = running(fixture, 1, 2).await;
        for fence in [0, 1, 3] {
            assert!(
                !fixture
                    .catalog
                    .record_work(&backup, fence, &everything(&backup))
                    .await
                    .unwrap()
            );
        }
        assert_eq!(
            fixture.catalog.content_work(&backup).await.unwrap(),
            ContentWork::default()
        );
    })
    .await;
}

#[tokio::test]
async fn work_is_recorded_until_the_job_is_settled_and_goes_then() {
    on_catalog(async |fixture| {
        for (number, end) in (1..).zip([
            JobStatus::Completed,
            JobStatus::Failed,
            JobStatus::Cancelled,
        ]) {
            let backup = running(fixture, number, 1).await;
            let work = everything(&backup);
            assert!(
                fixture
                    .catalog
                    .record_work(&backup, 1, &work)
                    .await
                    .unwrap()
            );
            let job = fixture
                .catalog
                .transition(&backup, JobStatus::Finalizing, JobChange::default(), None)
                .await
                .unwrap();
            assert_eq!(job, fixture.catalog.get(&backup).await.unwrap());
            assert!(
                fixture
                    .catalog
                    .record_work(&backup, 1, &work)
                    .await
                    .unwrap()
            );
            assert_eq!(fixture.catalog.content_work(&backup).await.unwrap(), work);
            fixture
                .catalog
                .transition(&backup, end, JobChange::default(), Some(1))
                .await
                .unwrap();
            assert!(
                !fixture
                    .catalog
                    .record_work(&backup, 1, &work)
                    .await
                    .unwrap()
            );
            assert_eq!(
                fixture.catalog.content_work(&backup).await.unwrap(),
                ContentWork::default()
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_broken_work_hides_no_job() {
    on_catalog(async |fixture| {
        let backup = running(fixture, 1, 1).await;
        fixture
            .collection("backup_jobs")
            .update_one(doc! {}, doc! { "$set": { "work": 7 } })
            .await
            .unwrap();
        fixture.catalog.get(&backup).await.unwrap();
        assert_eq!(
            fixture
                .catalog
                .list(JobFilter::default(), 1, 10)
                .await
                .unwrap()
                .0
                .len(),
            1
        );
        fixture
            .catalog
            .transition(&backup, JobStatus::Finalizing, JobChange::default(), None)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_workers_that_see_the_last_item_settled_one_begins_finalizing() {
    on_catalog(async |fixture| {
        let backup = running(fixture, 1, 1).await;
        let finalize = || {
            fixture
                .catalog
                .transition(&backup, JobStatus::Finalizing, JobChange::default(), None)
        };
        let outcomes = join_all((0..20).map(|_| finalize())).await;
        assert_eq!(
            outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
            1,
            "{outcomes:?}"
        );
        assert!(
            outcomes
                .iter()
                .all(|outcome| outcome.is_ok() || is_conflict(outcome)),
            "{outcomes:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finalizing_is_taken_up_under_a_larger_fencing_number_and_by_one() {
    on_catalog(async |fixture| {
        let backup = running(fixture, 1, 1).await;
        let catalog = &fixture.catalog;
        assert!(
            is_conflict(&catalog.take_up_finalizing(&backup, 2).await),
            "it is running"
        );
        catalog
            .transition(&backup, JobStatus::Finalizing, JobChange::default(), None)
            .await
            .unwrap();
        assert!(
            is_conflict(&catalog.take_up_finalizing(&backup, 1).await),
            "its own number"
        );
        let work = ContentWork {
            found: 3,
            ..ContentWork::default()
        };
        for (fence, from) in [(2, JobStatus::Finalizing), (3, JobStatus::Committing)] {
            if from == JobStatus::Committing {
                catalog
                    .transition(&backup, from, JobChange::default(), Some(2))
                    .await
                    .unwrap();
            }
            let outcomes =
                join_all((0..10).map(|_| catalog.take_up_finalizing(&backup, fence))).await;
            let won: Vec<_> = outcomes
                .iter()
                .filter_map(|outcome| outcome.as_ref().ok())
                .collect();
            assert_eq!(won.len(), 1, "{outcomes:?}");
            assert_eq!(
                (won[0].status, won[0].fence),
                (JobStatus::Finalizing, fence)
            );
            assert!(catalog.record_work(&backup, fence, &work).await.unwrap());
            assert!(
                !catalog
                    .record_work(&backup, fence - 1, &work)
                    .await
                    .unwrap()
            );
        }
        assert_eq!(catalog.content_work(&backup).await.unwrap(), work);
        catalog
            .transition(&backup, JobStatus::Failed, JobChange::default(), None)
            .await
            .unwrap();
        assert!(
            is_conflict(&catalog.take_up_finalizing(&backup, 9).await),
            "it is settled"
        );
    })
    .await;
}

#[tokio::test]
async fn the_children_of_a_full_backup_are_its_own_and_none_is_left_out() {
    on_catalog(async |fixture| {
        let (parent, other) = (id(BackupType::Full, 1), id(BackupType::Full, 2));
        for (kind, number, of) in [
            (BackupType::Content, 4, &parent),
            (BackupType::Database, 3, &parent),
            (BackupType::Database, 5, &other),
        ] {
            let mut job = job(kind, number);
            job.parent_id = Some(of.clone());
            fixture.catalog.insert_pending(&job).await.unwrap();
        }
        fixture.pending(6).await;
        let children = fixture.catalog.children(&parent).await.unwrap();
        let ids: Vec<_> = children.into_iter().map(|job| job.backup_id).collect();
        assert_eq!(
            ids,
            [id(BackupType::Database, 3), id(BackupType::Content, 4)]
        );
        assert!(
            fixture
                .catalog
                .children(&id(BackupType::Full, 9))
                .await
                .unwrap()
                .is_empty()
        );

        let broken = doc! { "_id": "x", "parentId": parent.as_str() };
        fixture
            .collection("backup_jobs")
            .insert_one(broken)
            .await
            .unwrap();
        assert!(matches!(
            fixture.catalog.children(&parent).await,
            Err(CatalogError::Corrupt { .. })
        ));
    })
    .await;
}
