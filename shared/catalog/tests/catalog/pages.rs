use holdfast_catalog::{ObjectKind, Settled};
use holdfast_domain::{BackupId, BackupType, ItemFailureCode, ItemRecord, ObjectKey};

use crate::harness::{Fixture, at, found, id, item_failure, kept, on_catalog};

/// Items 0 to 29: every third failed, every third unsettled, and of the others two to a file.
async fn settled_in_part(fixture: &Fixture, backup: &BackupId) {
    let names: Vec<_> = (0..30).map(|number| format!("{number:02}")).collect();
    let items: Vec<_> = names.iter().map(|name| found(name, name)).collect();
    fixture.catalog.add_items(backup, &items).await.unwrap();
    let failure = item_failure(ItemFailureCode::Gone);
    for (number, name) in (0_u8..).zip(&names) {
        // The larger its number, the smaller its object's key.
        let file = kept(100 - number / 6);
        let settled = match number % 3 {
            0 => Settled::Done {
                file_name: name,
                file: &file,
            },
            1 => Settled::Failed(&failure),
            _ => continue,
        };
        assert!(
            fixture
                .catalog
                .settle_item(backup, name, settled, at(1))
                .await
                .unwrap()
        );
    }
}

fn object_of(item: &ItemRecord, kept: ObjectKind) -> ObjectKey {
    let file = item.file.as_ref().unwrap();
    let object = match kept {
        ObjectKind::File => &file.object,
        ObjectKind::Dag => file.dag.as_ref().unwrap(),
    };
    object.artifact.key.clone()
}

#[tokio::test]
async fn pages_of_any_size_hold_each_item_once() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 2);
        settled_in_part(fixture, &backup).await;
        fixture
            .add(&id(BackupType::Content, 1), &["00", "29"])
            .await;
        fixture
            .add(&id(BackupType::Content, 3), &["00", "29"])
            .await;
        let whole = fixture
            .catalog
            .items_after(&backup, None, 100)
            .await
            .unwrap();
        assert_eq!(whole.len(), 30);
        for limit in [1, 7, 15, 30] {
            let mut seen: Vec<ItemRecord> = Vec::new();
            loop {
                let after = seen.last().map(|item| item.item.content_id.clone());
                let page = fixture
                    .catalog
                    .items_after(&backup, after.as_deref(), limit)
                    .await
                    .unwrap();
                let last = page.len() < limit as usize;
                seen.extend(page);
                if last {
                    break;
                }
            }
            assert_eq!(seen, whole);
        }
        assert!(
            fixture
                .catalog
                .items_after(&backup, None, 0)
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn items_that_refer_to_objects_come_in_the_order_of_their_keys() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 2);
        settled_in_part(fixture, &backup).await;
        for kept in [ObjectKind::File, ObjectKind::Dag] {
            for limit in [1, 3, 10] {
                let mut seen: Vec<(ObjectKey, String)> = Vec::new();
                loop {
                    let after = seen.last().map(|(key, id)| (key, id.as_str()));
                    let page = fixture
                        .catalog
                        .items_by_object(&backup, kept, after, limit)
                        .await
                        .unwrap();
                    let last = page.len() < limit as usize;
                    seen.extend(
                        page.iter()
                            .map(|item| (object_of(item, kept), item.item.content_id.clone())),
                    );
                    if last {
                        break;
                    }
                }
                assert_eq!(seen.len(), 10, "{kept:?} by {limit}: {seen:?}");
                assert!(
                    seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]),
                    "{seen:?}"
                );
            }
        }
        assert!(
            fixture
                .catalog
                .items_by_object(&backup, ObjectKind::File, None, 0)
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn an_item_that_failed_after_all_goes_from_the_pages_and_moves_no_other() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 2);
        settled_in_part(fixture, &backup).await;
        let first = fixture
            .catalog
            .items_by_object(&backup, ObjectKind::File, None, 4)
            .await
            .unwrap();
        let rest = fixture
            .catalog
            .items_by_object(&backup, ObjectKind::File, None, 10)
            .await
            .unwrap()
            .split_off(4);
        let failure = item_failure(ItemFailureCode::Store);
        for item in &first {
            let (id, missing) = (&item.item.content_id, object_of(item, ObjectKind::File));
            assert!(
                fixture
                    .catalog
                    .fail_item_after_all(&backup, id, &missing, &failure, at(2))
                    .await
                    .unwrap()
            );
        }
        let last = object_of(&first[3], ObjectKind::File);
        let after = Some((&last, first[3].item.content_id.as_str()));
        assert_eq!(
            fixture
                .catalog
                .items_by_object(&backup, ObjectKind::File, after, 10)
                .await
                .unwrap(),
            rest
        );
        assert_eq!(
            fixture
                .catalog
                .items_by_object(&backup, ObjectKind::File, None, 10)
                .await
                .unwrap(),
            rest
        );
    })
    .await;
}

#[tokio::test]
async fn deleting_a_backups_items_leaves_every_other_backups() {
    on_catalog(async |fixture| {
        let [one, two, three] = [1, 2, 3].map(|number| id(BackupType::Content, number));
        for (backup, prefix) in [(&one, "a"), (&two, "b"), (&three, "c")] {
            for page in 0..6 {
                let items: Vec<_> = (0..1_000)
                    .map(|n| found(&format!("{prefix}{page}-{n}"), "doc"))
                    .collect();
                let few = if backup == &two { items.len() } else { 10 };
                fixture
                    .catalog
                    .add_items(backup, &items[..few])
                    .await
                    .unwrap();
            }
        }
        assert_eq!(fixture.catalog.delete_items(&two).await.unwrap(), 6_000);
        assert_eq!(fixture.catalog.delete_items(&two).await.unwrap(), 0);
        for (backup, left) in [(&one, 60), (&two, 0), (&three, 60)] {
            assert_eq!(
                fixture.catalog.item_counts(backup).await.unwrap().expected,
                left
            );
        }
    })
    .await;
}
