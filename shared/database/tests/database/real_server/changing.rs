//! Collections replaced, dropped or renamed during their read.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bson::{Document, doc};
use holdfast_database::{DatabaseError, DumpError, dump, plan};
use holdfast_testing::{MongoProxy, losing_position};

use super::support::{
    Proxy, Scratch, connect, documents_of, dumped, everything, restored, summary_of,
};

/// Replaces a collection by `$out` repeatedly.
struct Replacing {
    stop: Arc<AtomicBool>,
    replaced: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Replacing {
    fn start(scratch: &Scratch, from: &'static str, to: &'static str, every: Duration) -> Self {
        let (stop, replaced) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let task = tokio::spawn({
            let (source, stop, replaced) = (
                scratch.collection(from),
                Arc::clone(&stop),
                Arc::clone(&replaced),
            );
            async move {
                while !stop.load(Ordering::SeqCst) {
                    source.aggregate([doc! { "$out": to }]).await.expect("$out");
                    replaced.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(every).await;
                }
            }
        });
        Self {
            stop,
            replaced,
            task,
        }
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.expect("it ends");
        self.replaced.load(Ordering::SeqCst)
    }
}

fn numbered(count: i32, text: usize) -> Vec<Document> {
    (0..count)
        .map(|number| doc! { "_id": number, "text": "x".repeat(text) })
        .collect()
}

#[tokio::test]
async fn a_small_collection_that_is_replaced_while_it_is_read_is_read_again() {
    let scratch = Scratch::new().await;
    scratch
        .collection("live")
        .insert_many(numbered(4000, 500))
        .await
        .unwrap();
    scratch
        .collection("report")
        .insert_many(numbered(4000, 500))
        .await
        .unwrap();
    let index =
        doc! { "createIndexes": "report", "indexes": [{ "key": { "text": 1 }, "name": "text_1" }] };
    scratch.handle().run_command(index).await.unwrap();
    let replacing = Replacing::start(&scratch, "live", "report", Duration::from_millis(300));
    let mut seen = 0;
    for _ in 0..8 {
        let (archive, _) = dumped(&scratch.connection).await;
        let held = summary_of(&archive).namespaces;
        // The stand-in drops the target before the rename: the target is missing for a moment.
        seen += held
            .iter()
            .filter(|namespace| namespace.collection == "report")
            .count();
        for namespace in &held {
            assert!(
                !namespace.collection.starts_with("tmp."),
                "a temporary collection of $out: {namespace:?}"
            );
            assert_eq!(
                (namespace.documents, namespace.content_hash),
                (4000, held[0].content_hash)
            );
        }
    }
    assert!(seen > 0, "the replaced collection was never dumped");
    assert!(replacing.end().await > 0);
    scratch.drop().await;
}

#[tokio::test]
async fn a_replacement_between_plan_and_dump_is_read_whole() {
    let scratch = Scratch::new().await;
    scratch
        .collection("live")
        .insert_many(numbered(100, 10))
        .await
        .unwrap();
    scratch
        .collection("report")
        .insert_many(numbered(5, 10))
        .await
        .unwrap();
    let planned = plan(&scratch.connection, &everything(), 2).await.unwrap();
    scratch
        .collection("live")
        .aggregate([doc! { "$out": "report" }])
        .await
        .unwrap();
    let (archive, report) = dump(&scratch.connection, planned, 2, Vec::new(), pending())
        .await
        .unwrap();
    assert_eq!(report.resumed, 1);
    assert_eq!(documents_of(&archive, "report"), numbered(100, 10));
    let target = Scratch::new().await;
    let options = holdfast_database::RestoreOptions {
        map: target.map_from(&scratch.database),
        ..holdfast_database::RestoreOptions::default()
    };
    assert!(
        restored(&target.connection, archive, &options)
            .await
            .unwrap()
            .is_faithful()
    );
    scratch.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn a_replacement_with_another_definition_fails_the_dump() {
    let scratch = Scratch::new().await;
    scratch
        .collection("report")
        .insert_many(numbered(5, 10))
        .await
        .unwrap();
    let planned = plan(&scratch.connection, &everything(), 2).await.unwrap();
    scratch.collection("report").drop().await.unwrap();
    scratch
        .handle()
        .create_collection("report")
        .capped(true)
        .size(4096)
        .await
        .unwrap();
    let error = dump(&scratch.connection, planned, 2, Vec::new(), pending())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(&error, DumpError::Database(DatabaseError::Changed(text)) if text.contains("other options or indexes")),
        "{error:?}"
    );
    scratch.drop().await;
}

#[tokio::test]
async fn a_large_collection_that_is_replaced_fails_the_dump() {
    let scratch = Scratch::new().await;
    scratch
        .collection("large")
        .insert_many(numbered(220, 50_000))
        .await
        .unwrap();
    let planned = plan(&scratch.connection, &everything(), 2).await.unwrap();
    scratch
        .collection("large")
        .aggregate([doc! { "$limit": 3 }, doc! { "$out": "large" }])
        .await
        .unwrap();
    let error = dump(&scratch.connection, planned, 2, Vec::new(), pending())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(&error, DumpError::Database(DatabaseError::Changed(_))),
        "{error:?}"
    );
    scratch.drop().await;
}

#[tokio::test]
async fn a_broken_read_of_a_small_capped_collection_begins_again() {
    let scratch = Scratch::new().await;
    scratch
        .handle()
        .create_collection("capped")
        .capped(true)
        .size(100_000_000)
        .await
        .unwrap();
    let documents: Vec<Document> = numbered(120, 50_000).into_iter().rev().collect();
    scratch
        .collection("capped")
        .insert_many(documents.clone())
        .await
        .unwrap();
    let proxy = Proxy::start(&holdfast_testing::parts().mongodb_uri).await;
    let connection = connect(&proxy.uri(&scratch.database)).await;
    let planned = plan(&connection, &everything(), 2).await.unwrap();
    proxy.cut(1, 3_500_000);
    let (archive, report) = dump(&connection, planned, 2, Vec::new(), pending())
        .await
        .unwrap();
    assert_eq!((proxy.cuts_left(), report.resumed), (0, 1));
    assert_eq!(documents_of(&archive, "capped"), documents);
    scratch.drop().await;
}

/// A dump of a capped collection of this many documents of 50 kB. The server once overwrites the
/// cursor's position.
async fn dumped_across_a_rollover(count: i32) -> (usize, bool) {
    let scratch = Scratch::new().await;
    scratch
        .handle()
        .create_collection("capped")
        .capped(true)
        .size(100_000_000)
        .await
        .unwrap();
    scratch
        .collection("capped")
        .insert_many(numbered(count, 50_000))
        .await
        .unwrap();
    let left = Arc::new(AtomicU64::new(1));
    let proxy = MongoProxy::start(losing_position("capped", &left)).await;
    let (archive, report) = dumped(&connect(&proxy.uri(&scratch.database)).await).await;
    assert_eq!((left.load(Ordering::SeqCst), report.resumed), (0, 1));
    let documents = documents_of(&archive, "capped");
    assert_eq!(
        documents[documents.len() - usize::try_from(count).unwrap()..],
        numbered(count, 50_000)
    );
    scratch.drop().await;
    (documents.len(), report.namespaces[0].rolled_over)
}

#[tokio::test]
async fn a_small_capped_collection_that_rolls_over_is_read_again_as_a_whole() {
    assert_eq!(dumped_across_a_rollover(120).await, (120, false));
}

#[tokio::test]
async fn a_large_capped_collection_that_rolls_over_is_resumed_at_its_new_start_and_marked() {
    let (documents, rolled_over) = dumped_across_a_rollover(250).await;
    // The stand-in has overwritten nothing: earlier documents come again.
    assert!(rolled_over && documents > 250, "{documents}");
}
