//! Scratch collections: those of a killed restore are listed, never dumped, and removed by a later
//! restore. Those of a running restore stay.

use std::time::Duration;

use bson::doc;
use holdfast_database::{RestoreResult, restore, scratch_collections};

use super::{
    replace::{live, names, replacing, result_of},
    support::{Namespace, Scratch, archive_of, dumped, ids, restored},
};

const BEAT: &str = "holdfast_restore_0a1b2c3d_beat";
const LEFT: &str = "holdfast_restore_0a1b2c3d_0123456789ab";

/// The remains of a restore with its last beat this many seconds ago.
async fn left_behind(target: &Scratch, seconds: i64) {
    let hello = target
        .handle()
        .run_command(doc! { "hello": 1 })
        .await
        .unwrap();
    let now = hello.get_datetime("localTime").unwrap().timestamp_millis();
    let at = bson::DateTime::from_millis(now - seconds * 1000);
    target
        .collection(BEAT)
        .insert_one(doc! { "at": at })
        .await
        .unwrap();
    target
        .collection(LEFT)
        .insert_one(doc! { "_id": 1 })
        .await
        .unwrap();
}

#[tokio::test]
async fn what_a_killed_restore_left_is_listed_and_removed_by_the_next() {
    let target = Scratch::new().await;
    left_behind(&target, 61).await;
    live(&target, "holdfast_restore_notes", 0..3).await;
    let listed = scratch_collections(&target.connection).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(
        (listed[0].namespace.clone(), listed[0].is_live),
        (format!("{}.{LEFT}", target.database), false)
    );
    let archive = archive_of(&[Namespace::of_ids("a", 0..5)]);
    let report = restored(&target.connection, archive, &replacing(&target))
        .await
        .unwrap();
    assert_eq!(
        report.removed_scratch,
        [format!("{}.{LEFT}", target.database)]
    );
    assert_eq!(
        names(&target).await,
        ["a", "holdfast_restore_notes"],
        "similar names are not touched"
    );
    target.drop().await;
}

#[tokio::test]
async fn the_scratch_collections_of_a_running_restore_stay() {
    let target = Scratch::new().await;
    left_behind(&target, 20).await;
    assert!(scratch_collections(&target.connection).await.unwrap()[0].is_live);
    let archive = archive_of(&[Namespace::of_ids("a", 0..5)]);
    let report = restored(&target.connection, archive, &replacing(&target))
        .await
        .unwrap();
    assert!(report.removed_scratch.is_empty(), "{report:#?}");
    assert_eq!(names(&target).await, ["a", LEFT, BEAT]);
    target.collection(BEAT).drop().await.unwrap();
    let archive = archive_of(&[Namespace::of_ids("b", 0..5)]);
    restored(&target.connection, archive, &replacing(&target))
        .await
        .unwrap();
    assert_eq!(
        names(&target).await,
        ["a", "b", LEFT],
        "one without a beat is not known to be of a restore"
    );
    target.drop().await;
}

#[tokio::test]
async fn scratch_collections_are_neither_dumped_nor_restored() {
    let source = Scratch::new().await;
    live(&source, "a", 0..3).await;
    left_behind(&source, 61).await;
    let (_, dump) = dumped(&source.connection).await;
    assert_eq!(
        dump.namespaces
            .iter()
            .map(|held| held.collection.as_str())
            .collect::<Vec<_>>(),
        ["a"]
    );
    let archive = archive_of(&[Namespace::of_ids("a", 0..5), Namespace::of_ids(LEFT, 0..5)]);
    let target = Scratch::new().await;
    let report = restored(&target.connection, archive, &replacing(&target))
        .await
        .unwrap();
    assert_eq!(report.left_out[0].namespace, format!("archived.{LEFT}"));
    assert_eq!(names(&target).await, ["a"]);
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn a_restore_killed_anywhere_leaves_each_target_whole_and_can_be_repeated() {
    let target = Scratch::new().await;
    let names_of_targets = ["a", "b", "c"];
    let documents = |name: &str| {
        Namespace::of_ids(name, 0..3000).with_options(doc! { "capped": true, "size": 4_000_000 })
    };
    let archive = archive_of(&names_of_targets.map(documents));
    for killed_after in [1_u64, 5, 20, 50, 100, 150, 200, 300, 400, 600, 800] {
        for name in names_of_targets {
            target.collection(name).drop().await.unwrap();
            live(&target, name, 5000..5050).await;
        }
        let options = replacing(&target);
        let reader = std::io::Cursor::new(archive.clone());
        let running = restore(&target.connection, reader, &options, None, &|_| ());
        let ended = tokio::time::timeout(Duration::from_millis(killed_after), running).await;
        // The server may still run its last request.
        tokio::time::sleep(Duration::from_millis(100)).await;
        for name in names_of_targets {
            let held = ids(&target, name).await.len();
            assert!(
                held == 3000 || (held == 50 && ended.is_err()),
                "{name} after {killed_after} ms: {held}"
            );
        }
    }
    age_beats(&target).await;
    let report = restored(&target.connection, archive, &replacing(&target))
        .await
        .unwrap();
    assert!(
        names_of_targets
            .iter()
            .all(|name| result_of(&report, name).result == RestoreResult::Restored)
    );
    assert_eq!(names(&target).await, names_of_targets, "{report:#?}");
    target.drop().await;
}

/// Makes the last beat of every restore a minute older.
pub(crate) async fn age_beats(target: &Scratch) {
    for name in names(target)
        .await
        .iter()
        .filter(|name| name.ends_with("_beat"))
    {
        let old = bson::DateTime::from_millis(1_700_000_000_000);
        target
            .collection(name)
            .update_many(doc! {}, doc! { "$set": { "at": old } })
            .await
            .unwrap();
    }
}
