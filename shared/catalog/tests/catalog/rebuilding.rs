//! Rows added from the store, next to existing rows.

use bson::doc;
use holdfast_catalog::{CatalogError, JobChange, Settled, SourceAddress, source_id};
use holdfast_domain::{
    BackupType, ContentItem, ItemFailureCode, ItemRecord, ItemStatus, Job, JobStatus, Sha256Digest,
    StorageType, StoredFile,
};

use crate::harness::{Fixture, at, found, id, item_failure, job, kept, on_catalog};

const ADDRESS: Sha256Digest = Sha256Digest::new([7; 32]);

fn completed(number: u8) -> Job {
    Job {
        status: JobStatus::Completed,
        size: Some(7),
        ..job(BackupType::Content, number)
    }
}

fn record(content_id: &str, status: ItemStatus) -> ItemRecord {
    let item = ContentItem {
        content_id: content_id.to_owned(),
        ..found(content_id, "doc").item
    };
    let file = (status != ItemStatus::Failed).then(|| kept(1));
    let error = (status == ItemStatus::Failed).then(|| item_failure(ItemFailureCode::NotFound));
    ItemRecord {
        item,
        status,
        attempts: 2,
        file_name: file.as_ref().map(|_| format!("{content_id}_a.png")),
        file,
        error,
    }
}

fn told<'a>(locator: &'a str, file: &'a StoredFile) -> (SourceAddress<'a>, &'a StoredFile) {
    (
        SourceAddress {
            storage_type: StorageType::Gaia,
            locator,
            address: &ADDRESS,
        },
        file,
    )
}

async fn held(fixture: &Fixture, locator: &str) -> Option<StoredFile> {
    let id = source_id(StorageType::Gaia, locator);
    fixture
        .catalog
        .stored_files(&[id])
        .await
        .unwrap()
        .pop()
        .map(|held| held.file)
}

#[tokio::test]
async fn a_job_is_added_where_it_has_no_row_and_nowhere_else() {
    on_catalog(async |fixture| {
        let catalog = &fixture.catalog;
        let new = completed(1);
        assert!(catalog.add_completed(&new).await.unwrap());
        assert_eq!(catalog.get(&new.backup_id).await.unwrap(), new);
        assert!(
            !catalog
                .add_completed(&Job {
                    size: Some(8),
                    ..new.clone()
                })
                .await
                .unwrap()
        );
        assert_eq!(catalog.get(&new.backup_id).await.unwrap(), new);

        catalog
            .transition(
                &new.backup_id,
                JobStatus::Deleted,
                JobChange::default(),
                None,
            )
            .await
            .unwrap();
        assert!(!catalog.add_completed(&new).await.unwrap());
        assert_eq!(
            catalog.get(&new.backup_id).await.unwrap().status,
            JobStatus::Deleted
        );
        let pending = job(BackupType::Content, 2);
        assert!(matches!(
            catalog.add_completed(&pending).await,
            Err(CatalogError::Invalid { .. })
        ));
    })
    .await;
}

#[tokio::test]
async fn items_are_read_as_they_stand_in_the_list_and_rows_that_stand_are_not_changed() {
    on_catalog(async |fixture| {
        let catalog = &fixture.catalog;
        let backup = id(BackupType::Content, 1);
        fixture.add(&backup, &["b"]).await;
        let failure = item_failure(ItemFailureCode::Gone);
        catalog
            .settle_item(&backup, "b", Settled::Failed(&failure), at(1))
            .await
            .unwrap();
        let stood = catalog.get_item(&backup, "b").await.unwrap();

        let list = [
            ("a", ItemStatus::Done),
            ("b", ItemStatus::Done),
            ("c", ItemStatus::Unchanged),
            ("d", ItemStatus::Failed),
        ]
        .map(|(content_id, status)| record(content_id, status));
        assert_eq!(catalog.add_settled_items(&backup, &list).await.unwrap(), 3);
        assert_eq!(catalog.add_settled_items(&backup, &list).await.unwrap(), 0);
        assert_eq!(catalog.count_items(&backup).await.unwrap(), 4);
        assert_eq!(
            catalog
                .count_items(&id(BackupType::Content, 2))
                .await
                .unwrap(),
            0
        );
        let rows = catalog.items_after(&backup, None, 10).await.unwrap();
        assert_eq!(
            (&rows[0], Some(&rows[1]), &rows[2], &rows[3]),
            (&list[0], stood.as_ref(), &list[2], &list[3])
        );
        assert_eq!(catalog.item_counts(&backup).await.unwrap().failed, 2);

        let pending = [record("e", ItemStatus::Pending)];
        assert!(matches!(
            catalog.add_settled_items(&backup, &pending).await,
            Err(CatalogError::Invalid { .. })
        ));
    })
    .await;
}

#[tokio::test]
async fn the_file_fetched_last_is_held_in_every_order_of_calls() {
    on_catalog(async |fixture| {
        let catalog = &fixture.catalog;
        let (older, newer) = (kept(1), kept(2));
        let both = [told("a", &older), told("a", &newer), told("b", &older)];
        assert_eq!(catalog.record_fetched_files(&both).await.unwrap(), 2);
        assert_eq!(
            (held(fixture, "a").await, held(fixture, "b").await),
            (Some(newer.clone()), Some(older.clone()))
        );
        assert_eq!(
            catalog.record_fetched_files(&both).await.unwrap(),
            0,
            "twice is once"
        );
        assert_eq!(
            catalog
                .record_fetched_files(&[told("b", &newer), told("c", &older)])
                .await
                .unwrap(),
            2
        );
        assert_eq!(held(fixture, "b").await, Some(newer));
        assert_eq!(catalog.record_fetched_files(&[]).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_a_backup_wrote_of_a_source_since_is_never_replaced() {
    on_catalog(async |fixture| {
        let catalog = &fixture.catalog;
        let (of_the_list, of_today) = (kept(5), kept(1));
        let (source, _) = told("a", &of_today);
        catalog
            .record_stored_file(&source, &of_today, at(6))
            .await
            .unwrap();
        assert_eq!(
            catalog
                .record_fetched_files(&[told("a", &of_the_list)])
                .await
                .unwrap(),
            0
        );
        assert_eq!(held(fixture, "a").await, Some(of_today));
        // An unreadable row counts as missing.
        let broken = source_id(StorageType::Gaia, "b");
        fixture
            .collection("content_objects")
            .insert_one(doc! { "_id": broken.as_str(), "updatedAt": "?" })
            .await
            .unwrap();
        assert_eq!(
            catalog
                .record_fetched_files(&[told("b", &of_the_list)])
                .await
                .unwrap(),
            1
        );
        assert_eq!(held(fixture, "b").await, Some(of_the_list));
    })
    .await;
}

#[tokio::test]
async fn each_parent_of_jobs_is_listed_once() {
    on_catalog(async |fixture| {
        let catalog = &fixture.catalog;
        assert_eq!(catalog.named_parents().await.unwrap(), []);
        let parent = id(BackupType::Full, 9);
        for number in [1, 2, 3] {
            let parent_id = (number != 3).then(|| parent.clone());
            catalog
                .add_completed(&Job {
                    parent_id,
                    ..completed(number)
                })
                .await
                .unwrap();
        }
        assert_eq!(catalog.named_parents().await.unwrap(), [parent]);
    })
    .await;
}
