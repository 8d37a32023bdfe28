use std::time::{Duration, Instant};

use bson::doc;
use futures_util::TryStreamExt;
use holdfast_catalog::{COLLECTIONS, Catalog, CatalogError, JobFilter};
use holdfast_domain::{Secret, settings};

use crate::harness::on_catalog;

#[tokio::test]
async fn an_unreachable_server_is_a_transient_error_within_seconds() {
    let uri = Secret::new("mongodb://ada:hunter2@127.0.0.1:9/?directConnection=true");
    let catalog = Catalog::connect(&uri, "holdfast").await.unwrap();
    let begun = Instant::now();
    let error = catalog.list(JobFilter::default(), 1, 20).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(12),
        "{:?}",
        begun.elapsed()
    );
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_connection_string_that_cannot_be_used_is_refused_without_being_shown() {
    for wrong in [
        "mongodb://ada:hunter2@",
        "mongodb://ada:hun:ter2@h:99999999/x",
        "mongodb://ada:hunter2@h/?w=-3",
        "hunter2",
    ] {
        let error = Catalog::connect(&Secret::new(wrong), "holdfast")
            .await
            .unwrap_err();
        assert!(
            matches!(error, CatalogError::Invalid { .. }),
            "{wrong}: {error:?}"
        );
        assert!(!format!("{error} {error:?}").contains("ter2"), "{error}");
    }
}

#[tokio::test]
async fn a_refused_login_is_denied_and_not_transient() {
    let uri =
        holdfast_testing::parts()
            .mongodb_uri
            .replacen("mongodb://", "mongodb://ada:hunter2@", 1);
    let catalog = Catalog::connect(&Secret::new(uri), "holdfast")
        .await
        .unwrap();
    let error = catalog.list(JobFilter::default(), 1, 20).await.unwrap_err();
    assert!(matches!(error, CatalogError::Denied { .. }), "{error:?}");
    assert!(
        !error.is_transient() && !format!("{error} {error:?}").contains("hunter2"),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_catalogue_is_the_database_that_its_uri_names_or_holdfast() {
    for (pairs, database) in [
        (vec![("MONGODB_URI", "mongodb://a/platform")], "holdfast"),
        (
            vec![
                ("MONGODB_URI", "mongodb://a/platform"),
                ("BACKUP_CATALOG_URI", "mongodb://b/"),
            ],
            "holdfast",
        ),
        (
            vec![
                ("MONGODB_URI", "mongodb://a/platform"),
                ("BACKUP_CATALOG_URI", "mongodb://b/index"),
            ],
            "index",
        ),
    ] {
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = settings::read(pairs).settings.unwrap();
        let location = Catalog::from_settings(&settings).await.unwrap().location();
        assert_eq!(location.database, database);
        assert_eq!(location.collections(), COLLECTIONS);
    }
}

#[tokio::test]
async fn indexes_may_be_ensured_any_number_of_times() {
    on_catalog(async |fixture| {
        for _ in 0..3 {
            fixture.catalog.ensure_indexes().await.unwrap();
        }
        for (collection, count, one) in [
            ("backup_jobs", 6, doc! { "type": 1, "createdAt": -1 }),
            ("backup_jobs", 6, doc! { "parentId": 1 }),
            (
                "backup_items",
                4,
                doc! { "backupId": 1, "status": 1, "_id": 1 },
            ),
            ("content_objects", 4, doc! { "address": 1 }),
            ("content_objects", 4, doc! { "file.dag.key": 1 }),
        ] {
            let collection = fixture.collection(collection);
            let indexes: Vec<_> = collection
                .list_indexes()
                .await
                .unwrap()
                .try_collect()
                .await
                .unwrap();
            let keys: Vec<_> = indexes.into_iter().map(|index| index.keys).collect();
            assert_eq!(keys.len(), count, "{keys:?}");
            assert!(keys.contains(&one), "{keys:?}");
        }
    })
    .await;
}
