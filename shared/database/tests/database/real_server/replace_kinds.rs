//! Targets of every kind are replaced, also by one of another kind. Definitions are compared, and
//! views are read.

use bson::{Document, doc};
use holdfast_archive::NamespaceKind;
use holdfast_database::{Comparison, Existing, RestoreOptions, RestoreResult, TargetState};

use super::{
    replace::{definition, live, names, replacing, result_of},
    support::{Namespace, Scratch, archive_of, dumped, ids, restored},
};

#[tokio::test]
async fn capped_clustered_and_collated_collections_change_places_with_everything_they_have() {
    let index = doc! { "v": 2, "key": { "from": 1, "_id": -1 }, "name": "both", "partialFilterExpression": { "_id": 3 } };
    let clustered = doc! { "clusteredIndex": { "key": { "_id": 1 }, "unique": true, "name": "c" } };
    let collation = doc! { "locale": "de", "strength": 2 };
    let archive = archive_of(&[
        Namespace::of_ids("capped", (0..50).rev())
            .with_options(doc! { "capped": true, "size": 100_000, "max": 50 }),
        Namespace::of_ids("clustered", 0..50).with_options(clustered),
        Namespace::of_ids("collated", 0..50)
            .with_options(doc! { "collation": collation, "validator": { "_id": { "$lt": 10 } } })
            .with_index(index),
    ]);
    let target = Scratch::new().await;
    for name in ["capped", "clustered", "collated"] {
        live(&target, name, 100..108).await;
    }
    let report = restored(&target.connection, archive, &replacing(&target))
        .await
        .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    assert!(
        report
            .namespaces
            .iter()
            .all(|namespace| namespace.comparison == Comparison::Equal),
        "{report:#?}"
    );
    assert!(
        definition(&target, "capped")
            .await
            .get_bool("capped")
            .unwrap()
    );
    assert!(
        definition(&target, "clustered")
            .await
            .contains_key("clusteredIndex")
    );
    let collated = definition(&target, "collated").await;
    assert_eq!(
        collated
            .get_document("collation")
            .unwrap()
            .get_str("locale")
            .unwrap(),
        "de"
    );
    assert_eq!(
        collated.get_document("validator").unwrap(),
        &doc! { "_id": { "$lt": 10 } }
    );
    assert_eq!(result_of(&report, "collated").indexes, ["both"]);
    assert_eq!(ids(&target, "collated").await.len(), 50);
    target.drop().await;
}

#[tokio::test]
async fn a_name_as_long_as_the_server_takes_is_replaced() {
    let target = Scratch::new().await;
    let name = "x".repeat(255 - target.database.len() - 1);
    live(&target, &name, 100..108).await;
    let archive = archive_of(&[Namespace::of_ids(&name, 0..5)]);
    let report = restored(&target.connection, archive, &replacing(&target))
        .await
        .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    assert_eq!(ids(&target, &name).await, [0, 1, 2, 3, 4]);
    target.drop().await;
}

#[tokio::test]
async fn a_capped_collection_that_keeps_too_few_is_not_swapped_in() {
    let archive = archive_of(&[Namespace::of_ids("capped", 0..50)
        .with_options(doc! { "capped": true, "size": 100_000, "max": 20 })]);
    let target = Scratch::new().await;
    live(&target, "capped", 100..108).await;
    let report = restored(&target.connection, archive, &replacing(&target))
        .await
        .unwrap();
    let kept = result_of(&report, "capped");
    assert!(
        matches!(&kept.comparison, Comparison::Differs(why) if why.contains("does not keep them all")),
        "{kept:#?}"
    );
    assert_eq!(
        (kept.result, ids(&target, "capped").await.len()),
        (RestoreResult::Kept, 8)
    );
    target.drop().await;
}

#[tokio::test]
async fn a_view_is_redefined_after_it_was_read_once() {
    let reads =
        |view: &str, n: i32| Namespace::view(view, "base", vec![doc! { "$match": { "_id": n } }]);
    let fails = vec![doc! { "$project": { "x": { "$divide": ["$_id", 0] } } }];
    let german = doc! { "viewOn": "base", "pipeline": [], "collation": { "locale": "de" } };
    let archive = archive_of(&[
        Namespace::of_ids("base", 0..5),
        reads("good", 3),
        Namespace::view("unreadable", "base", fails),
        Namespace {
            name: "collated".to_owned(),
            options: german,
            ..Namespace::default()
        },
        Namespace::view("a_nested", "good", vec![]),
    ]);
    let target = Scratch::new().await;
    live(&target, "base", 100..108).await;
    for view in ["good", "unreadable", "collated", "a_nested"] {
        target
            .handle()
            .create_collection(view)
            .view_on("base")
            .pipeline([doc! { "$limit": 2 }])
            .await
            .unwrap();
    }
    let report = restored(&target.connection, archive, &replacing(&target))
        .await
        .unwrap();
    let failed: Vec<_> = report
        .namespaces
        .iter()
        .filter(|namespace| !namespace.is_faithful())
        .collect();
    assert_eq!(
        (failed.len(), failed[0].result),
        (1, RestoreResult::Kept),
        "{failed:#?}"
    );
    assert!(
        failed[0].failures[0].contains("reading the view"),
        "{failed:#?}"
    );
    assert_eq!(ids(&target, "good").await, [3]);
    assert_eq!(ids(&target, "a_nested").await, [3]);
    assert_eq!(
        ids(&target, "unreadable").await,
        [0, 1],
        "the old definition over the new documents"
    );
    let collated = definition(&target, "collated").await;
    assert_eq!(
        collated
            .get_document("collation")
            .unwrap()
            .get_str("locale")
            .unwrap(),
        "de"
    );
    assert_eq!(names(&target).await.len(), 5);
    target.drop().await;
}

#[tokio::test]
async fn a_target_of_another_kind_is_named_and_replaced() {
    let archive = archive_of(&[
        Namespace::of_ids("was_view", 0..5),
        Namespace::of_ids("was_series", 0..5),
        Namespace::view(
            "was_collection",
            "was_view",
            vec![doc! { "$match": { "_id": 4 } }],
        ),
    ]);
    let target = Scratch::new().await;
    live(&target, "other", 0..3).await;
    live(&target, "was_collection", 100..108).await;
    target
        .handle()
        .create_collection("was_view")
        .view_on("other")
        .await
        .unwrap();
    series(&target, "was_series", 0..3).await;
    let dry = RestoreOptions {
        dry_run: true,
        ..replacing(&target)
    };
    let planned = restored(&target.connection, archive.clone(), &dry)
        .await
        .unwrap();
    let replaced: Vec<_> = planned
        .namespaces
        .iter()
        .map(|namespace| namespace.replaces.unwrap())
        .collect();
    assert_eq!(
        replaced,
        [
            NamespaceKind::View,
            NamespaceKind::Timeseries,
            NamespaceKind::Collection
        ]
    );
    let report = restored(&target.connection, archive, &replacing(&target))
        .await
        .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    assert_eq!(
        result_of(&report, "was_collection").target,
        TargetState::Replaced(8)
    );
    assert_eq!(ids(&target, "was_view").await, [0, 1, 2, 3, 4]);
    assert_eq!(ids(&target, "was_series").await, [0, 1, 2, 3, 4]);
    assert_eq!(ids(&target, "was_collection").await, [4]);
    assert_eq!(
        names(&target).await,
        ["other", "was_collection", "was_series", "was_view"]
    );
    target.drop().await;
}

/// A time series of one measurement a minute.
pub(crate) async fn series(target: &Scratch, name: &str, minutes: std::ops::Range<i64>) {
    let options = doc! { "timeField": "at", "metaField": "s" };
    target
        .handle()
        .run_command(doc! { "create": name, "timeseries": options })
        .await
        .unwrap();
    let measurements = minutes.map(|minute| {
        let at = bson::DateTime::from_millis(1_700_000_000_000 + minute * 60_000);
        doc! { "at": at, "s": { "id": minute % 2 }, "v": minute }
    });
    target
        .collection(name)
        .insert_many(measurements)
        .await
        .unwrap();
}

pub(crate) async fn count(target: &Scratch, name: &str) -> u64 {
    target
        .collection(name)
        .count_documents(Document::new())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_time_series_is_replaced_after_its_copy_was_compared() {
    let source = Scratch::new().await;
    series(&source, "measured", 0..300).await;
    series(&source, "over_collection", 0..300).await;
    let (archive, _) = dumped(&source.connection).await;
    let target = Scratch::new().await;
    series(&target, "measured", 1000..1010).await;
    live(&target, "over_collection", 0..8).await;
    let options = RestoreOptions {
        map: target.map_from(&source.database),
        existing: Existing::Drop,
        ..RestoreOptions::default()
    };
    let report = restored(&target.connection, archive, &options)
        .await
        .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    for name in ["measured", "over_collection"] {
        assert_eq!(count(&target, name).await, 300, "{name}");
        assert!(
            definition(&target, name).await.contains_key("timeseries"),
            "{name}"
        );
    }
    assert_eq!(names(&target).await, ["measured", "over_collection"]);
    source.drop().await;
    target.drop().await;
}
