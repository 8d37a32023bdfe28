//! Views, indexes, capped collections, time series and odd documents after a restore.

use bson::{Bson, Document, Timestamp, doc};
use holdfast_archive::NamespaceKind;
use holdfast_database::{Comparison, Existing, RestoreOptions, TargetState, TtlIndexes};
use holdfast_testing::golden;

use super::{
    restore::into,
    support::{Scratch, dumped, restored},
};

#[tokio::test]
async fn views_on_views_come_back_after_their_sources() {
    let source = Scratch::new().await;
    source
        .collection("things")
        .insert_one(doc! { "_id": 1, "n": 5 })
        .await
        .unwrap();
    // By name, the outer view is first.
    source
        .handle()
        .create_collection("m_inner")
        .view_on("things")
        .await
        .unwrap();
    source
        .handle()
        .create_collection("a_outer")
        .view_on("m_inner")
        .pipeline([doc! { "$match": { "n": 5 } }])
        .await
        .unwrap();
    let (archive, _) = dumped(&source.connection).await;
    let target = Scratch::new().await;
    let report = restored(
        &target.connection,
        archive.clone(),
        &into(&target, &source, Existing::Refuse),
    )
    .await
    .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    assert_eq!(
        target
            .collection("a_outer")
            .find_one(doc! {})
            .await
            .unwrap()
            .unwrap()
            .get_i32("n")
            .unwrap(),
        5
    );
    target.collection("things").drop().await.unwrap();
    let again = restored(
        &target.connection,
        archive,
        &into(&target, &source, Existing::Refuse),
    )
    .await
    .unwrap();
    let views = again
        .namespaces
        .iter()
        .filter(|namespace| namespace.kind == NamespaceKind::View);
    assert!(views.clone().all(|view| view.target == TargetState::Empty) && views.count() == 2);
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn a_zero_timestamp_and_a_document_of_sixteen_megabytes_come_back_as_they_were() {
    let source = Scratch::new().await;
    let zero = Bson::Timestamp(Timestamp {
        time: 0,
        increment: 0,
    });
    let insert = doc! { "insert": "odd", "documents": [{ "_id": 1, "at": zero }], "bypassEmptyTsReplacement": true };
    source.handle().run_command(insert).await.unwrap();
    let overhead = doc! { "_id": 2, "text": "" }.to_vec().unwrap().len();
    let largest = doc! { "_id": 2, "text": "x".repeat(16 * 1024 * 1024 - overhead) };
    source.collection("odd").insert_one(largest).await.unwrap();
    let (archive, _) = dumped(&source.connection).await;
    let target = Scratch::new().await;
    let report = restored(
        &target.connection,
        archive,
        &into(&target, &source, Existing::Refuse),
    )
    .await
    .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    assert_eq!(report.namespaces[0].comparison, Comparison::Equal);
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn indexes_that_expire_documents_are_left_out_on_request() {
    let source = Scratch::new().await;
    source
        .collection("a")
        .insert_one(doc! { "_id": 1 })
        .await
        .unwrap();
    let indexes = doc! { "createIndexes": "a", "indexes": [
        { "key": { "at": 1 }, "name": "expiring", "expireAfterSeconds": 100_000 }, { "key": { "b": 1 }, "name": "lasting" },
    ] };
    source.handle().run_command(indexes).await.unwrap();
    let (archive, _) = dumped(&source.connection).await;
    for (ttl_indexes, wanted) in [
        (TtlIndexes::Keep, vec!["expiring", "lasting"]),
        (TtlIndexes::Omit, vec!["lasting"]),
    ] {
        let target = Scratch::new().await;
        let options = RestoreOptions {
            ttl_indexes,
            ..into(&target, &source, Existing::Refuse)
        };
        let report = restored(&target.connection, archive.clone(), &options)
            .await
            .unwrap();
        let mut indexes = report.namespaces[0].indexes.clone();
        indexes.sort_unstable();
        assert_eq!(indexes, wanted);
        target.drop().await;
    }
    source.drop().await;
}

#[tokio::test]
async fn a_failed_index_is_reported_and_the_others_are_created() {
    let target = Scratch::new().await;
    let options = RestoreOptions {
        map: target.map_from("shapes"),
        existing: Existing::Merge,
        ..RestoreOptions::default()
    };
    let in_the_way = doc! { "createIndexes": "indexed", "indexes": [{ "key": { "a": 1 }, "name": "named index" }] };
    target.handle().run_command(in_the_way).await.unwrap();
    let options = RestoreOptions {
        only: Some(vec!["indexed".to_owned()]),
        ..options
    };
    let report = restored(&target.connection, golden("shapes"), &options)
        .await
        .unwrap();
    let indexed = &report.namespaces[0];
    assert!(
        indexed
            .failures
            .iter()
            .any(|failure| failure.contains("named index")),
        "{indexed:#?}"
    );
    assert!(indexed.indexes.contains(&"w_1".to_owned()), "{indexed:#?}");
    assert!(report.left_out.len() > 10);
    target.drop().await;
}

#[tokio::test]
async fn odd_documents_come_back_in_a_capped_collections_order() {
    let source = Scratch::new().await;
    source
        .handle()
        .create_collection("capped")
        .capped(true)
        .size(10_000_000)
        .await
        .unwrap();
    let documents: Vec<Document> = (0..25_000)
        .rev()
        .map(|number| doc! { "_id": number })
        .collect();
    source
        .collection("capped")
        .insert_many(documents.clone())
        .await
        .unwrap();
    let (archive, _) = dumped(&source.connection).await;
    let target = Scratch::new().await;
    restored(
        &target.connection,
        archive,
        &into(&target, &source, Existing::Refuse),
    )
    .await
    .unwrap();
    let (again, _) = dumped(&target.connection).await;
    assert_eq!(super::support::documents_of(&again, "capped"), documents);
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn a_time_series_comes_back_with_every_measurement() {
    let source = Scratch::new().await;
    let options = doc! { "timeField": "at", "metaField": "sensor", "granularity": "hours" };
    source
        .handle()
        .run_command(doc! { "create": "measured", "timeseries": options })
        .await
        .unwrap();
    let at = |minute: i64| bson::DateTime::from_millis(1_700_000_000_000 + minute * 60_000);
    // More than one batch of buckets, with some fields only in some of them.
    let measurements: Vec<Document> = (0..4000_i32)
        .map(|number| {
            let mut measurement =
                doc! { "at": at(number.into()), "sensor": { "id": number % 3 }, "v": f64::from(number) };
            if number % 7 == 0 {
                measurement.insert("note", "x".repeat(300));
            }
            measurement
        })
        .collect();
    source
        .collection("measured")
        .insert_many(measurements)
        .await
        .unwrap();
    let (archive, _) = dumped(&source.connection).await;
    let target = Scratch::new().await;
    let report = restored(
        &target.connection,
        archive,
        &into(&target, &source, Existing::Refuse),
    )
    .await
    .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    assert_eq!(report.namespaces[0].comparison, Comparison::Equal);
    for filter in [
        doc! {},
        doc! { "note": { "$exists": true } },
        doc! { "sensor.id": 1 },
    ] {
        let count = async |scratch: &Scratch| {
            scratch
                .collection("measured")
                .count_documents(filter.clone())
                .await
                .unwrap()
        };
        assert_eq!(count(&source).await, count(&target).await, "{filter}");
    }
    source.drop().await;
    target.drop().await;
}
