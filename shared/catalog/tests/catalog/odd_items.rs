use bson::doc;
use holdfast_catalog::{CatalogError, Settled};
use holdfast_domain::{BackupId, BackupType, ItemFailureCode, ItemStatus};

use crate::harness::{Fixture, at, found, id, item_failure, on_catalog};

fn odd_ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        "",
        "/",
        "a/b",
        "../x",
        "\0",
        "a\0b",
        "$set",
        "a.b",
        "~",
        "a~",
        "a~doc",
        "ä",
        "\u{10ffff}",
        " ",
    ]
    .map(str::to_owned)
    .to_vec();
    ids.extend([200, 201, 10_000].map(|length| "x".repeat(length)));
    ids
}

async fn all(fixture: &Fixture, backup: &BackupId) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let page = fixture
            .catalog
            .items_after(backup, ids.last().map(String::as_str), 3)
            .await
            .unwrap();
        if page.is_empty() {
            return ids;
        }
        ids.extend(page.into_iter().map(|item| item.item.content_id));
    }
}

#[tokio::test]
async fn an_odd_content_id_is_an_item_like_any_other() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        let odd: Vec<_> = odd_ids().iter().map(|id| found(id, "doc")).collect();
        let added = fixture.catalog.add_items(&backup, &odd).await.unwrap();
        let mut names: Vec<_> = added.into_iter().map(|item| item.item.content_id).collect();
        assert!(names.iter().all(|name| name.len() <= 200));
        let failed = item_failure(ItemFailureCode::Gone);
        for name in &names {
            let begun = fixture
                .catalog
                .begin_attempt(&backup, name, at(1))
                .await
                .unwrap()
                .unwrap();
            assert_eq!((&begun.item.content_id, begun.attempts), (name, 1));
            assert!(
                fixture
                    .catalog
                    .settle_item(&backup, name, Settled::Failed(&failed), at(1))
                    .await
                    .unwrap()
            );
        }
        names.sort();
        assert_eq!(all(fixture, &backup).await, names);
        assert_eq!(
            fixture.catalog.delete_items(&backup).await.unwrap(),
            names.len() as u64
        );
    })
    .await;
}

#[tokio::test]
async fn no_content_id_reaches_another_backups_items() {
    on_catalog(async |fixture| {
        // One id begins with the other. Further ids imitate rows of these backups, before, between
        // and after them.
        let [short, long]: [BackupId; 2] =
            ["content_1_a", "content_1_a0"].map(|id| id.parse().unwrap());
        fixture.add(&long, &["victim"]).await;
        let hostile = [
            "0/victim",
            "/victim",
            "../content_1_a0/victim",
            "content_1_a0/victim",
            "0",
        ];
        fixture.add(&short, &hostile).await;
        let failed = item_failure(ItemFailureCode::Gone);
        for id in hostile {
            fixture
                .catalog
                .begin_attempt(&short, id, at(1))
                .await
                .unwrap()
                .unwrap();
            assert!(
                fixture
                    .catalog
                    .settle_item(&short, id, Settled::Failed(&failed), at(1))
                    .await
                    .unwrap()
            );
        }
        assert_eq!(all(fixture, &short).await.len(), hostile.len());
        assert_eq!(all(fixture, &long).await, ["victim"]);
        assert_eq!(
            fixture.catalog.delete_items(&short).await.unwrap(),
            hostile.len() as u64
        );
        let victim = fixture
            .catalog
            .get_item(&long, "victim")
            .await
            .unwrap()
            .unwrap();
        assert_eq!((victim.status, victim.attempts), (ItemStatus::Pending, 0));
    })
    .await;
}

#[tokio::test]
async fn an_id_in_the_form_of_a_further_document_takes_nothing_from_it() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        let forged = fixture
            .catalog
            .add_items(&backup, &[found("a~2", "forger")])
            .await
            .unwrap();
        let added = fixture
            .catalog
            .add_items(&backup, &[found("a", "1"), found("a", "2")])
            .await
            .unwrap();
        assert_eq!(added[1].item.content_id, "a~2");
        assert_ne!(forged[0].item.content_id, "a~2");
        assert_eq!(
            fixture.catalog.item_counts(&backup).await.unwrap().expected,
            3
        );
    })
    .await;
}

#[tokio::test]
async fn a_row_broken_by_hand_is_never_left_out_of_a_backup() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        fixture.add(&backup, &["a", "b"]).await;
        let odd = doc! { "$set": { "status": "resting" } };
        fixture
            .collection("backup_items")
            .update_one(doc! { "contentId": "b" }, odd)
            .await
            .unwrap();
        let page = fixture.catalog.items_after(&backup, None, 10).await;
        assert!(
            matches!(&page, Err(CatalogError::Corrupt { id, .. }) if id.ends_with("/b")),
            "{page:?}"
        );
        let counts = fixture.catalog.item_counts(&backup).await.unwrap();
        assert_eq!((counts.expected, counts.settled()), (2, 0));
    })
    .await;
}

#[tokio::test]
async fn a_rows_id_decides_which_item_it_is() {
    on_catalog(async |fixture| {
        let backup = id(BackupType::Content, 1);
        fixture.add(&backup, &["a", "b"]).await;
        let renamed = doc! { "$set": { "contentId": "" } };
        fixture
            .collection("backup_items")
            .update_many(doc! {}, renamed)
            .await
            .unwrap();
        assert_eq!(all(fixture, &backup).await, ["a", "b"]);
    })
    .await;
}
