//! The progress of a collection is stored completely, or not at all.

use bson::doc;
use holdfast_catalog::CollectingProgress;
use holdfast_domain::BackupType;

use crate::harness::{at, id, on_catalog};

const NAME: &str = "first";
const STORE: &str = "s3://bucket/";

fn progress(objects: u64, part: u64) -> CollectingProgress {
    let backups = vec![id(BackupType::Content, 1), id(BackupType::Content, 2)];
    let objects = (0..objects)
        .map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .collect();
    CollectingProgress {
        store: STORE.to_owned(),
        backups,
        objects,
        part,
    }
}

#[tokio::test]
async fn what_is_kept_is_read_back_whole_and_replaced_whole() {
    on_catalog(async |fixture| {
        let catalog = &fixture.catalog;
        assert_eq!(
            catalog.collecting_progress(NAME, STORE).await.unwrap(),
            None
        );
        // More than one row of hashes, then fewer, then none.
        for (run, objects) in [("a", 600_000), ("b", 3), ("c", 0)] {
            let kept = progress(objects, objects / 2);
            catalog
                .keep_collecting_progress(NAME, run, &kept, at(1))
                .await
                .unwrap();
            assert_eq!(
                catalog
                    .collecting_progress(NAME, STORE)
                    .await
                    .unwrap()
                    .as_ref(),
                Some(&kept)
            );
            let rows = fixture
                .collection("backup_collecting")
                .count_documents(doc! {})
                .await
                .unwrap();
            assert_eq!(
                rows,
                1 + objects.div_ceil(256 * 1024),
                "nothing of an earlier run is left"
            );
        }
        assert_eq!(
            catalog
                .collecting_progress(NAME, "s3://another/")
                .await
                .unwrap(),
            None
        );
        assert_eq!(
            catalog.collecting_progress("second", STORE).await.unwrap(),
            None
        );
        catalog.forget_collecting_progress(NAME).await.unwrap();
        assert_eq!(
            fixture
                .collection("backup_collecting")
                .count_documents(doc! {})
                .await
                .unwrap(),
            0
        );
    })
    .await;
}

#[tokio::test]
async fn progress_with_a_missing_or_changed_row_counts_as_none() {
    on_catalog(async |fixture| {
        let (catalog, rows) = (&fixture.catalog, fixture.collection("backup_collecting"));
        let hashes = doc! { "hashes": { "$exists": true } };
        let changed = bson::Binary {
            subtype: bson::spec::BinarySubtype::Generic,
            bytes: vec![0; 24],
        };
        for change in ["removed", "changed", "cut", "an unknown backup"] {
            catalog
                .keep_collecting_progress(NAME, change, &progress(3, 1), at(1))
                .await
                .unwrap();
            match change {
                "removed" => drop(rows.delete_one(hashes.clone()).await.unwrap()),
                "changed" => {
                    drop(
                        rows.update_one(hashes.clone(), doc! { "$set": { "hashes": &changed } })
                            .await
                            .unwrap(),
                    );
                }
                "cut" => {
                    let cut = bson::Binary {
                        bytes: vec![0; 13],
                        ..changed.clone()
                    };
                    drop(
                        rows.update_one(hashes.clone(), doc! { "$set": { "hashes": cut } })
                            .await
                            .unwrap(),
                    );
                }
                _ => drop(
                    rows.update_one(doc! { "_id": NAME }, doc! { "$set": { "backups": ["?"] } })
                        .await
                        .unwrap(),
                ),
            }
            assert_eq!(
                catalog.collecting_progress(NAME, STORE).await.unwrap(),
                None,
                "{change}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn rows_of_items_are_removed_while_there_is_time_and_the_next_call_removes_the_rest() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        let rows: Vec<_> = (0..12_000)
            .map(|n| doc! { "_id": format!("{backup}/{n}") })
            .collect();
        fixture
            .collection("backup_items")
            .insert_many(rows)
            .await
            .unwrap();
        let pages = std::cell::Cell::new(0);
        let has_time = || pages.replace(pages.get() + 1) < 1;
        let deleted = fixture
            .catalog
            .delete_items_while(&backup, has_time)
            .await
            .unwrap();
        assert_eq!(deleted, 5_000);
        assert_eq!(fixture.catalog.delete_items(&backup).await.unwrap(), 7_000);
        assert_eq!(
            fixture
                .collection("backup_items")
                .count_documents(doc! {})
                .await
                .unwrap(),
            0
        );
    })
    .await;
}
