//! `--drop` replaces: after any refusal of the server, a target has its old content or the
//! archive's.

use bson::doc;
use holdfast_database::{
    Comparison, Existing, Expected, ExpectedNamespace, RestoreFault, RestoreOptions, RestoreReport,
    RestoreResult, RestoredNamespace, TargetState, restore,
};

use super::support::{Namespace, Scratch, archive_of, ids, restored, summary_of};

pub(crate) fn replacing(target: &Scratch) -> RestoreOptions {
    RestoreOptions {
        map: target.map_from("archived"),
        existing: Existing::Drop,
        ..RestoreOptions::default()
    }
}

pub(crate) fn result_of<'r>(report: &'r RestoreReport, name: &str) -> &'r RestoredNamespace {
    let from = format!("archived.{name}");
    report
        .namespaces
        .iter()
        .find(|namespace| namespace.from == from)
        .unwrap()
}

/// The names of everything in the database, sorted.
pub(crate) async fn names(target: &Scratch) -> Vec<String> {
    let mut names = target.handle().list_collection_names().await.unwrap();
    names.retain(|name| !name.starts_with("system."));
    names.sort_unstable();
    names
}

/// The options of a collection or view.
pub(crate) async fn definition(target: &Scratch, name: &str) -> bson::Document {
    let command = doc! { "listCollections": 1, "filter": { "name": name } };
    let answer = target.handle().run_command(command).await.unwrap();
    let listed = answer
        .get_document("cursor")
        .unwrap()
        .get_array("firstBatch")
        .unwrap();
    let entry = listed
        .first()
        .unwrap_or_else(|| panic!("{name} is missing"))
        .as_document()
        .unwrap();
    entry.get_document("options").unwrap().clone()
}

/// A collection of live documents.
pub(crate) async fn live(target: &Scratch, name: &str, ids: std::ops::Range<i32>) {
    let documents = ids.map(|id| doc! { "_id": id, "from": "target" });
    target
        .collection(name)
        .insert_many(documents)
        .await
        .unwrap();
}

#[tokio::test]
async fn whatever_is_refused_fails_alone_and_keeps_its_target() {
    let unknown_option =
        Namespace::of_ids("create", 0..5).with_options(doc! { "noSuchOption": true });
    let array_as_id = Namespace::of_ids("insert", 0..5).with_document(doc! { "_id": [1, 2] });
    let unique = doc! { "v": 2, "key": { "from": 1 }, "name": "from_1", "unique": true };
    let duplicates = Namespace::of_ids("index", 0..5).with_index(unique);
    let unknown_stage = Namespace::view("view", "good", vec![doc! { "$noSuchStage": {} }]);
    let archive = archive_of(&[
        unknown_option,
        Namespace::of_ids("good", 0..5),
        array_as_id,
        duplicates,
        unknown_stage,
        Namespace::of_ids("last", 0..5),
    ]);
    let target = Scratch::new().await;
    for name in ["create", "good", "insert", "index", "last"] {
        live(&target, name, 100..108).await;
    }
    target
        .handle()
        .create_collection("view")
        .view_on("other")
        .await
        .unwrap();
    let report = restored(&target.connection, archive, &replacing(&target))
        .await
        .unwrap();
    for name in ["create", "insert", "index", "view"] {
        let refused = result_of(&report, name);
        assert_eq!(
            (refused.result, refused.failures.is_empty()),
            (RestoreResult::Kept, false),
            "{refused:#?}"
        );
    }
    for name in ["create", "insert", "index"] {
        assert_eq!(
            ids(&target, name).await,
            (100..108).collect::<Vec<_>>(),
            "{name}"
        );
    }
    for name in ["good", "last"] {
        assert_eq!(result_of(&report, name).result, RestoreResult::Restored);
        assert_eq!(ids(&target, name).await, [0, 1, 2, 3, 4], "{name}");
    }
    assert_eq!(
        definition(&target, "view").await.get_str("viewOn").unwrap(),
        "other"
    );
    assert!(!report.is_faithful());
    assert_eq!(
        names(&target).await,
        ["create", "good", "index", "insert", "last", "view"],
        "no scratch is left"
    );
    target.drop().await;
}

#[tokio::test]
async fn a_copy_that_differs_from_the_manifest_does_not_replace_the_target() {
    let archive = archive_of(&[Namespace::of_ids("a", 0..5), Namespace::of_ids("b", 0..5)]);
    let target = Scratch::new().await;
    live(&target, "a", 100..108).await;
    live(&target, "b", 100..108).await;
    let mut namespaces: Vec<ExpectedNamespace> = summary_of(&archive)
        .namespaces
        .into_iter()
        .map(|held| ExpectedNamespace {
            db: held.db,
            collection: held.collection,
            documents: held.documents,
            content_hash: held.content_hash.digest(),
        })
        .collect();
    namespaces[0].documents = 6;
    let digest = &|hash: holdfast_archive::ContentHash| hash.digest();
    let expected = Expected {
        namespaces: &namespaces,
        digest,
    };
    let reader = std::io::Cursor::new(archive);
    let options = replacing(&target);
    let report = restore(
        &target.connection,
        reader,
        &options,
        Some(expected),
        &|_| (),
    )
    .await
    .unwrap();
    let kept = result_of(&report, "a");
    assert_eq!(kept.result, RestoreResult::Kept, "{kept:#?}");
    assert!(
        matches!(&kept.comparison, Comparison::Differs(why) if why.contains("manifest 6")),
        "{kept:#?}"
    );
    assert_eq!(ids(&target, "a").await, (100..108).collect::<Vec<_>>());
    assert_eq!(ids(&target, "b").await, [0, 1, 2, 3, 4]);
    assert_eq!(names(&target).await, ["a", "b"]);
    target.drop().await;
}

#[tokio::test]
async fn an_archive_that_breaks_off_changes_no_target() {
    let archive = archive_of(&[Namespace::of_ids("a", 0..5), Namespace::of_ids("b", 0..5)]);
    let target = Scratch::new().await;
    live(&target, "a", 100..108).await;
    live(&target, "b", 100..108).await;
    let cut = archive[..archive.len() - 30].to_vec();
    let error = restored(&target.connection, cut, &replacing(&target))
        .await
        .unwrap_err();
    assert!(matches!(error.cause, RestoreFault::Archive(_)), "{error}");
    assert!(
        error.incomplete.is_empty() && error.to_string().contains("no target was changed"),
        "{error}"
    );
    for name in ["a", "b"] {
        assert_eq!(
            ids(&target, name).await,
            (100..108).collect::<Vec<_>>(),
            "{name}"
        );
    }
    assert_eq!(names(&target).await, ["a", "b"]);
    target.drop().await;
}

#[tokio::test]
async fn drop_first_restores_over_dropped_targets_and_reports_the_losses() {
    let refused = Namespace::of_ids("refused", 0..5).with_options(doc! { "noSuchOption": true });
    let archive = archive_of(&[refused, Namespace::of_ids("good", 0..5)]);
    let target = Scratch::new().await;
    live(&target, "refused", 100..108).await;
    live(&target, "good", 100..108).await;
    let options = RestoreOptions {
        existing: Existing::DropFirst,
        ..replacing(&target)
    };
    let report = restored(&target.connection, archive, &options)
        .await
        .unwrap();
    assert_eq!(
        result_of(&report, "refused").result,
        RestoreResult::Incomplete
    );
    assert_eq!(result_of(&report, "good").target, TargetState::Dropped(8));
    assert_eq!(ids(&target, "good").await, [0, 1, 2, 3, 4]);
    assert_eq!(names(&target).await, ["good"]);
    target.drop().await;
}

#[tokio::test]
async fn a_refused_collection_does_not_stop_a_restore_into_an_empty_database() {
    let refused = Namespace::of_ids("refused", 0..5).with_options(doc! { "noSuchOption": true });
    let partly = Namespace::of_ids("partly", 0..5).with_document(doc! { "_id": [1] });
    let divides = vec![doc! { "$project": { "x": { "$divide": ["$_id", 0] } } }];
    let view = Namespace::view("unreadable", "good", divides);
    let archive = archive_of(&[refused, partly, Namespace::of_ids("good", 0..5), view]);
    let target = Scratch::new().await;
    let options = RestoreOptions {
        existing: Existing::Refuse,
        ..replacing(&target)
    };
    let report = restored(&target.connection, archive, &options)
        .await
        .unwrap();
    assert_eq!(result_of(&report, "refused").result, RestoreResult::Kept);
    let partly = result_of(&report, "partly");
    assert_eq!(
        (partly.result, partly.inserted),
        (RestoreResult::Incomplete, 5),
        "{partly:#?}"
    );
    assert_eq!(result_of(&report, "good").result, RestoreResult::Restored);
    let unreadable = result_of(&report, "unreadable");
    assert_eq!(
        unreadable.result,
        RestoreResult::Incomplete,
        "{unreadable:#?}"
    );
    assert!(
        unreadable.failures[0].contains("reading the view"),
        "{unreadable:#?}"
    );
    assert_eq!(names(&target).await, ["good", "partly", "unreadable"]);
    target.drop().await;
}
