use bson::doc;
use futures_util::future::join_all;
use holdfast_catalog::{SourceAddress, SourceId, source_id};
use holdfast_domain::{Sha256Digest, StorageType, StoredFile};

use crate::harness::{Fixture, at, kept, on_catalog};

const ADDRESS: Sha256Digest = Sha256Digest::new([7; 32]);

fn source(locator: &str) -> SourceAddress<'_> {
    SourceAddress {
        storage_type: StorageType::Gaia,
        locator,
        address: &ADDRESS,
    }
}

fn ids<const N: usize>(locators: [&str; N]) -> [SourceId; N] {
    locators.map(|locator| source_id(StorageType::Gaia, locator))
}

async fn held(fixture: &Fixture, locator: &str) -> Option<StoredFile> {
    let mut held = fixture.catalog.stored_files(&ids([locator])).await.unwrap();
    assert!(held.len() <= 1);
    held.pop().map(|held| held.file)
}

#[tokio::test]
async fn what_is_held_is_read_as_it_was_written() {
    on_catalog(async |fixture| {
        let mut plain = kept(2);
        (plain.dag, plain.cid, plain.validator, plain.content_type) = (None, None, None, None);
        for (locator, file) in [("https://a/1", &kept(1)), ("https://a/2", &plain)] {
            fixture
                .catalog
                .record_stored_file(&source(locator), file, at(1))
                .await
                .unwrap();
            assert_eq!(held(fixture, locator).await.as_ref(), Some(file));
        }
        let asked = ids(["https://a/1", "https://a/2", "https://a/3"]);
        let mut found = fixture.catalog.stored_files(&asked).await.unwrap();
        found.sort_by_key(|held| held.id != asked[0]);
        assert_eq!(
            found.iter().map(|held| &held.id).collect::<Vec<_>>(),
            [&asked[0], &asked[1]]
        );
        assert_eq!(fixture.catalog.stored_files(&[]).await.unwrap(), []);
        let row = fixture
            .collection("content_objects")
            .find_one(doc! { "locator": "https://a/1" })
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.get_str("address").unwrap(), ADDRESS.to_string());
        assert_eq!(row.get_str("storageType").unwrap(), "gaia");
        assert!(row.get_datetime("updatedAt").is_ok(), "{row:?}");
    })
    .await;
}

#[tokio::test]
async fn what_was_held_earlier_never_replaces_what_is_held_later() {
    on_catalog(async |fixture| {
        for (second, file, stands) in [(10, 1, 1), (20, 2, 2), (15, 3, 2), (20, 4, 4)] {
            fixture
                .catalog
                .record_stored_file(&source("https://a"), &kept(file), at(second))
                .await
                .unwrap();
            assert_eq!(held(fixture, "https://a").await, Some(kept(stands)));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_of_many_concurrent_holds_wins() {
    on_catalog(async |fixture| {
        for round in ["https://a", "https://b", "https://c"] {
            let (source, files) = (source(round), (0..20).map(kept).collect::<Vec<_>>());
            let writes = files.iter().zip(0_i64..).map(|(file, second)| {
                fixture
                    .catalog
                    .record_stored_file(&source, file, at(second))
            });
            for outcome in join_all(writes).await {
                outcome.unwrap();
            }
            assert_eq!(held(fixture, round).await, Some(kept(19)));
        }
    })
    .await;
}

#[tokio::test]
async fn an_address_has_the_file_of_its_newest_readable_row() {
    on_catalog(async |fixture| {
        assert_eq!(
            fixture
                .catalog
                .stored_file_by_address(&ADDRESS)
                .await
                .unwrap(),
            None
        );
        fixture
            .catalog
            .record_stored_file(&source("https://a"), &kept(1), at(10))
            .await
            .unwrap();
        fixture
            .catalog
            .record_stored_file(&source("https://b"), &kept(2), at(20))
            .await
            .unwrap();
        let later = bson::DateTime::from_millis(at(30).as_millisecond());
        let broken = doc! { "_id": "x", "address": ADDRESS.to_string(), "updatedAt": later };
        fixture
            .collection("content_objects")
            .insert_one(broken)
            .await
            .unwrap();
        assert_eq!(
            fixture
                .catalog
                .stored_file_by_address(&ADDRESS)
                .await
                .unwrap(),
            Some(kept(2))
        );
        assert_eq!(
            fixture
                .catalog
                .stored_file_by_address(&Sha256Digest::new([8; 32]))
                .await
                .unwrap(),
            None
        );
    })
    .await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_costs_a_download_and_no_more() {
    on_catalog(async |fixture| {
        let [good, bad] = ids(["https://good", "https://bad"]);
        fixture
            .catalog
            .record_stored_file(&source("https://good"), &kept(1), at(1))
            .await
            .unwrap();
        let broken = doc! { "_id": bad.as_str(), "file": "gone" };
        fixture
            .collection("content_objects")
            .insert_one(broken)
            .await
            .unwrap();
        let found = fixture
            .catalog
            .stored_files(&[bad, good.clone()])
            .await
            .unwrap();
        assert_eq!(
            found.into_iter().map(|held| held.id).collect::<Vec<_>>(),
            [good]
        );
        fixture
            .catalog
            .record_stored_file(&source("https://bad"), &kept(2), at(2))
            .await
            .unwrap();
        assert_eq!(held(fixture, "https://bad").await, Some(kept(2)));
    })
    .await;
}

#[tokio::test]
async fn a_source_is_forgotten_only_while_its_object_is_the_missing_one() {
    on_catalog(async |fixture| {
        let [id] = ids(["https://a"]);
        let (old, new) = (kept(1), kept(2));
        fixture
            .catalog
            .record_stored_file(&source("https://a"), &new, at(1))
            .await
            .unwrap();
        assert!(
            !fixture
                .catalog
                .forget(&id, &old.object.artifact.key)
                .await
                .unwrap()
        );
        assert_eq!(held(fixture, "https://a").await, Some(new.clone()));
        assert!(
            fixture
                .catalog
                .forget(&id, &new.object.artifact.key)
                .await
                .unwrap()
        );
        assert!(
            !fixture
                .catalog
                .forget(&id, &new.object.artifact.key)
                .await
                .unwrap()
        );
        assert_eq!(held(fixture, "https://a").await, None);

        fixture
            .catalog
            .record_stored_file(&source("https://a"), &old, at(2))
            .await
            .unwrap();
        assert!(
            fixture
                .catalog
                .forget(&id, &old.dag.unwrap().artifact.key)
                .await
                .unwrap()
        );
    })
    .await;
}

#[tokio::test]
async fn every_source_of_an_object_that_goes_is_forgotten() {
    on_catalog(async |fixture| {
        let catalog = &fixture.catalog;
        for (locator, number) in [("a", 1), ("b", 1), ("c", 2), ("d", 3)] {
            let file = kept(number);
            let source = SourceAddress {
                storage_type: StorageType::Gaia,
                locator,
                address: &file.file_sha256,
            };
            catalog
                .record_stored_file(&source, &file, at(1))
                .await
                .unwrap();
        }
        let (file, dag) = (
            kept(1).object.artifact.key,
            kept(2).dag.unwrap().artifact.key,
        );
        assert_eq!(catalog.forget_objects(&[file, dag]).await.unwrap(), 3);
        let left: Vec<_> = ["a", "b", "c", "d"]
            .map(|locator| source_id(StorageType::Gaia, locator))
            .into();
        let left = catalog.stored_files(&left).await.unwrap();
        assert_eq!(
            left.into_iter().map(|held| held.id).collect::<Vec<_>>(),
            [source_id(StorageType::Gaia, "d")]
        );
    })
    .await;
}
