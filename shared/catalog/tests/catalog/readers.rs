//! Readers: the runs with a backup, while they beat.

use holdfast_catalog::ReaderRow;
use holdfast_domain::{BackupId, BackupType, Timestamp};

use crate::harness::{at, id, on_catalog};

fn reader(name: &str, backup_id: &BackupId, beat_at: Timestamp) -> ReaderRow {
    ReaderRow {
        id: name.to_owned(),
        backup_id: backup_id.clone(),
        purpose: "restore".to_owned(),
        store: "s3://bucket/".to_owned(),
        started_at: at(0),
        beat_at,
    }
}

#[tokio::test]
async fn a_backup_has_the_readers_that_beat_and_no_other() {
    on_catalog(async |fixture| {
        let (catalog, read) = (&fixture.catalog, id(BackupType::Database, 1));
        let other = id(BackupType::Database, 2);
        for row in [
            reader("a", &read, at(10)),
            reader("b", &read, at(50)),
            reader("c", &other, at(50)),
        ] {
            catalog.record_reader(&row).await.unwrap();
        }
        assert_eq!(
            catalog.readers(&read, at(20)).await.unwrap(),
            [reader("b", &read, at(50))]
        );
        catalog
            .record_reader(&reader("a", &read, at(60)))
            .await
            .unwrap();
        assert_eq!(
            catalog.readers(&read, at(20)).await.unwrap().len(),
            2,
            "it beats again"
        );
        catalog.remove_reader("a").await.unwrap();
        catalog.remove_reader("a").await.unwrap();
        assert_eq!(catalog.readers(&read, at(20)).await.unwrap().len(), 1);
        assert_eq!(catalog.readers(&read, at(50)).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn rows_of_dead_readers_are_removed() {
    on_catalog(async |fixture| {
        let (catalog, read) = (&fixture.catalog, id(BackupType::Content, 1));
        for (name, beat) in [("a", 10), ("b", 50)] {
            catalog
                .record_reader(&reader(name, &read, at(beat)))
                .await
                .unwrap();
        }
        assert_eq!(catalog.forget_readers(at(20)).await.unwrap(), 1);
        assert_eq!(
            catalog.readers(&read, at(0)).await.unwrap(),
            [reader("b", &read, at(50))]
        );
    })
    .await;
}

#[tokio::test]
async fn an_unreadable_reader_is_an_error() {
    on_catalog(async |fixture| {
        let read = id(BackupType::Database, 1);
        fixture
            .catalog
            .record_reader(&reader("a", &read, at(50)))
            .await
            .unwrap();
        let odd = bson::doc! { "$set": { "purpose": 7 } };
        fixture
            .collection("backup_readers")
            .update_one(bson::doc! { "_id": "a" }, odd)
            .await
            .unwrap();
        assert!(fixture.catalog.readers(&read, at(20)).await.is_err());
    })
    .await;
}
