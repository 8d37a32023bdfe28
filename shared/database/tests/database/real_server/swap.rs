//! Faults between the comparison of a scratch collection and its swap. The target stays, or its
//! only copy does.

use bson::doc;
use holdfast_database::{
    OnlyCopy, Remedy, RestoreError, RestoreOptions, RestoreReport, RestoreResult,
    scratch_collections,
};

use super::{
    replace::{live, names, replacing, result_of},
    replace_kinds::{count, series},
    scratch::age_beats,
    support::{Namespace, Proxy, Scratch, archive_of, connect, dumped, ids, restored},
};

/// A restore through the proxy.
async fn restored_through(
    proxy: &Proxy,
    target: &Scratch,
    archive: Vec<u8>,
    options: &RestoreOptions,
) -> Result<RestoreReport, RestoreError> {
    restored(
        &connect(&proxy.uri(&target.database)).await,
        archive,
        options,
    )
    .await
}

async fn proxy() -> Proxy {
    Proxy::start(&holdfast_testing::parts().mongodb_uri).await
}

/// The scratch collection, or the beat.
async fn scratch_name(target: &Scratch, holds: fn(&str) -> bool) -> String {
    let names = names(target).await;
    names
        .into_iter()
        .find(|name| name.starts_with("holdfast_restore_") && holds(name))
        .unwrap()
}

fn indexed() -> Vec<u8> {
    let index = doc! { "v": 2, "key": { "from": 1 }, "name": "from_1" };
    archive_of(&[Namespace::of_ids("a", 0..5).with_index(index)])
}

/// Drops a collection of the restore while the restore creates the index of its scratch collection.
async fn restored_without(target: &Scratch, dropped: fn(&str) -> bool) -> RestoreReport {
    let proxy = proxy().await;
    let gate = proxy.hold("createIndexes");
    let options = replacing(target);
    let running = restored_through(&proxy, target, indexed(), &options);
    let dropping = async {
        gate.reached().await;
        let name = scratch_name(target, dropped).await;
        target.collection(&name).drop().await.unwrap();
        gate.open();
    };
    tokio::join!(running, dropping).0.unwrap()
}

#[tokio::test]
async fn a_scratch_collection_that_was_dropped_and_created_again_replaces_no_target() {
    for kind in ["collection", "view", "series"] {
        let target = Scratch::new().await;
        live(&target, "other", 100..108).await;
        match kind {
            "collection" => live(&target, "a", 100..108).await,
            "view" => target
                .handle()
                .create_collection("a")
                .view_on("other")
                .await
                .unwrap(),
            _ => series(&target, "a", 0..8).await,
        }
        let report = restored_without(&target, |name| !name.ends_with("_beat")).await;
        let kept = result_of(&report, "a");
        assert_eq!(kept.result, RestoreResult::Kept, "{kind}: {kept:#?}");
        assert!(
            kept.failures
                .iter()
                .any(|failure| failure.contains("the scratch collection")),
            "{kind}: {kept:#?}"
        );
        assert_eq!(count(&target, "a").await, 8, "{kind}");
        assert_eq!(names(&target).await, ["a", "other"], "{kind}");
        target.drop().await;
    }
}

#[tokio::test]
async fn a_restore_whose_beat_was_dropped_replaces_no_target() {
    let target = Scratch::new().await;
    live(&target, "a", 100..108).await;
    let report = restored_without(&target, |name| name.ends_with("_beat")).await;
    let kept = result_of(&report, "a");
    assert_eq!(kept.result, RestoreResult::Kept, "{kept:#?}");
    assert!(
        kept.failures
            .iter()
            .any(|failure| failure.contains("_beat was dropped")),
        "{kept:#?}"
    );
    assert_eq!(ids(&target, "a").await, (100..108).collect::<Vec<_>>());
    assert_eq!(names(&target).await, ["a"]);
    target.drop().await;
}

/// The scratch collection is listed as the only copy, and another restore does not drop it.
async fn assert_only_copy(target: &Scratch, remedy: Remedy, documents: u64) {
    age_beats(target).await;
    let listed = scratch_collections(&target.connection).await.unwrap();
    let only = OnlyCopy {
        target: format!("{}.a", target.database),
        remedy,
    };
    assert_eq!(
        listed
            .iter()
            .map(|scratch| scratch.only_copy_of.clone())
            .collect::<Vec<_>>(),
        [Some(only)]
    );
    let next = archive_of(&[Namespace::of_ids("next", 0..5)]);
    let report = restored(&target.connection, next, &replacing(target))
        .await
        .unwrap();
    assert_eq!(report.removed_scratch, Vec::<String>::new());
    let name = scratch_name(target, |name| !name.ends_with("_beat")).await;
    assert_eq!(count(target, &name).await, documents);
}

#[tokio::test]
async fn a_server_that_goes_away_after_the_drop_keeps_the_only_copy() {
    let target = Scratch::new().await;
    series(&target, "a", 0..8).await;
    let proxy = proxy().await;
    proxy.die_after("drop", "a");
    let report = restored_through(&proxy, &target, indexed(), &replacing(&target))
        .await
        .unwrap();
    let lost = result_of(&report, "a");
    assert_eq!(lost.result, RestoreResult::Incomplete, "{lost:#?}");
    assert!(
        lost.failures
            .iter()
            .any(|failure| failure.contains("rename it to")),
        "{lost:#?}"
    );
    assert_only_copy(&target, Remedy::Rename, 5).await;
    rename_back(&target).await;
    assert_eq!(ids(&target, "a").await, [0, 1, 2, 3, 4]);
    let report = restored(&target.connection, indexed(), &replacing(&target))
        .await
        .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    assert_eq!(
        names(&target).await,
        ["a", "next"],
        "the beat is removed with the need for it"
    );
    target.drop().await;
}

/// By the advice of the report and `doctor`.
async fn rename_back(target: &Scratch) {
    let name = scratch_name(target, |name| !name.ends_with("_beat")).await;
    let [from, to] = [name.as_str(), "a"].map(|name| format!("{}.{name}", target.database));
    let admin = target.connection.client().database("admin");
    admin
        .run_command(doc! { "renameCollection": from, "to": to })
        .await
        .unwrap();
}

async fn series_archive(minutes: std::ops::Range<i64>) -> (Vec<u8>, Scratch) {
    let source = Scratch::new().await;
    series(&source, "a", minutes).await;
    (dumped(&source.connection).await.0, source)
}

fn replacing_from(source: &Scratch, target: &Scratch) -> RestoreOptions {
    RestoreOptions {
        map: target.map_from(&source.database),
        ..replacing(target)
    }
}

#[tokio::test]
async fn a_time_series_that_fails_after_the_drop_keeps_its_proved_copy() {
    let (archive, source) = series_archive(0..300).await;
    let target = Scratch::new().await;
    series(&target, "a", 1000..1010).await;
    let proxy = proxy().await;
    proxy.die_after("create", "a");
    let options = replacing_from(&source, &target);
    let report = restored_through(&proxy, &target, archive, &options)
        .await
        .unwrap();
    let lost = &report.namespaces[0];
    assert_eq!(lost.result, RestoreResult::Incomplete, "{lost:#?}");
    assert!(
        lost.failures
            .iter()
            .any(|failure| failure.contains("copy it to")),
        "{lost:#?}"
    );
    assert_only_copy(&target, Remedy::Copy, 300).await;
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn a_time_series_that_cannot_be_created_after_the_drop_keeps_its_proved_copy() {
    let (archive, source) = series_archive(0..300).await;
    let target = Scratch::new().await;
    series(&target, "a", 1000..1010).await;
    let proxy = proxy().await;
    let options = replacing_from(&source, &target);
    let report = interfered(&proxy, &target, archive, &options).await;
    let lost = &report.namespaces[0];
    assert!(
        lost.failures
            .iter()
            .any(|failure| failure.contains("copy it to")),
        "{lost:#?}"
    );
    assert_only_copy(&target, Remedy::Copy, 300).await;
    source.drop().await;
    target.drop().await;
}

/// Another program creates a collection of the target's name between the drop and the creation.
async fn interfered(
    proxy: &Proxy,
    target: &Scratch,
    archive: Vec<u8>,
    options: &RestoreOptions,
) -> RestoreReport {
    let gate = proxy.hold_on("create", "a");
    let running = restored_through(proxy, target, archive, options);
    let interfering = async {
        gate.reached().await;
        live(target, "a", 0..3).await;
        gate.open();
    };
    tokio::join!(running, interfering).0.unwrap()
}

#[tokio::test]
async fn a_drop_whose_answer_is_lost_is_a_drop() {
    for view in [true, false] {
        let target = Scratch::new().await;
        live(&target, "other", 100..108).await;
        series(&target, "a", 0..8).await;
        let proxy = proxy().await;
        proxy.lose_answer("drop", "a");
        let restored_as = if view {
            Namespace::view("a", "other", vec![])
        } else {
            Namespace::of_ids("a", 100..108)
        };
        let options = replacing(&target);
        // The driver looks for the server again only after half a second.
        let patient = proxy.uri(&target.database).replace(
            "serverSelectionTimeoutMS=500",
            "serverSelectionTimeoutMS=5000",
        );
        let report = restored(
            &connect(&patient).await,
            archive_of(&[restored_as]),
            &options,
        )
        .await
        .unwrap();
        assert!(report.is_faithful(), "{report:#?}");
        assert_eq!(ids(&target, "a").await, (100..108).collect::<Vec<_>>());
        assert_eq!(names(&target).await, ["a", "other"]);
        target.drop().await;
    }
}

#[tokio::test]
async fn a_view_whose_drop_may_be_lost_is_not_reported_as_unchanged() {
    let target = Scratch::new().await;
    live(&target, "other", 0..8).await;
    live(&target, "a", 0..8).await;
    let proxy = proxy().await;
    proxy.die_after("drop", "a");
    let archive = archive_of(&[Namespace::view("a", "other", vec![])]);
    let report = restored_through(&proxy, &target, archive, &replacing(&target))
        .await
        .unwrap();
    let gone = result_of(&report, "a");
    assert_eq!(gone.result, RestoreResult::Incomplete, "{gone:#?}");
    assert!(
        gone.failures
            .iter()
            .any(|failure| failure.contains("may be dropped")),
        "{gone:#?}"
    );
    target.drop().await;
}
