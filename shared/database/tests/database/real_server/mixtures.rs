//! Random mixtures of accepted and refused namespaces, restored over live data of every kind. No
//! target ever has less than before and less than the archive.

use std::time::Duration;

use bson::{Document, doc};
use holdfast_database::{RestoreResult, restore};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{
    replace::{live, names, replacing},
    support::{Namespace, Scratch, archive_of, restored},
};

/// The archive's namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Archived {
    Plain,
    Capped,
    Clustered,
    Indexed,
    View,
    CreateRefused,
    InsertRefused,
    IndexRefused,
    ViewRefused,
}

/// The target before the restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Plain,
    Capped,
    View,
    Series,
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    archived: Archived,
    before: Before,
    documents: i32,
}

use Archived::{
    Capped, Clustered, CreateRefused, IndexRefused, Indexed, InsertRefused, Plain, View,
    ViewRefused,
};

impl Pair {
    fn is_refused(self) -> bool {
        matches!(
            self.archived,
            CreateRefused | InsertRefused | IndexRefused | ViewRefused
        )
    }

    fn namespace(self, name: &str) -> Namespace {
        let of_ids = || Namespace::of_ids(name, 0..self.documents);
        match self.archived {
            Plain => of_ids(),
            Capped => of_ids().with_options(doc! { "capped": true, "size": 1_000_000 }),
            Clustered => of_ids()
                .with_options(doc! { "clusteredIndex": { "key": { "_id": 1 }, "unique": true } }),
            Indexed => of_ids().with_index(doc! { "v": 2, "key": { "from": 1 }, "name": "from_1" }),
            CreateRefused => of_ids().with_options(doc! { "noSuchOption": 1 }),
            InsertRefused => of_ids().with_document(doc! { "_id": [1] }),
            IndexRefused => {
                let unique =
                    doc! { "v": 2, "key": { "from": 1 }, "name": "from_1", "unique": true };
                of_ids().with_index(unique)
            }
            View => Namespace::view(name, "base", vec![]),
            ViewRefused => Namespace::view(name, "base", vec![doc! { "$noSuchStage": {} }]),
        }
    }

    /// Expected number of documents under the target's name after the restore.
    fn wanted(self) -> u64 {
        if self.archived == View {
            3
        } else {
            u64::try_from(self.documents).unwrap()
        }
    }

    async fn prepare(self, target: &Scratch, name: &str) {
        match self.before {
            Before::Nothing => {}
            Before::Plain => live(target, name, 500..507).await,
            Before::Capped => {
                target
                    .handle()
                    .create_collection(name)
                    .capped(true)
                    .size(100_000)
                    .await
                    .unwrap();
                live(target, name, 500..507).await;
            }
            Before::View => {
                target
                    .handle()
                    .create_collection(name)
                    .view_on("base")
                    .await
                    .unwrap();
            }
            Before::Series => {
                let series = doc! { "create": name, "timeseries": { "timeField": "at" } };
                target.handle().run_command(series).await.unwrap();
                let measured = (0..7)
                    .map(|minute| doc! { "at": bson::DateTime::from_millis(minute * 60_000) });
                target.collection(name).insert_many(measured).await.unwrap();
            }
        }
    }

    fn held_before(self) -> u64 {
        match self.before {
            Before::Nothing => 0,
            Before::View => 3,
            Before::Plain | Before::Capped | Before::Series => 7,
        }
    }
}

fn pairs(archived: Vec<Archived>, before: Vec<Before>) -> impl Strategy<Value = Vec<Pair>> {
    let pair = (
        prop::sample::select(archived),
        prop::sample::select(before),
        2..400_i32,
    )
        .prop_map(|(archived, before, documents)| Pair {
            archived,
            before,
            documents,
        });
    prop::collection::vec(pair, 1..7)
}

/// A few cases in the suite, many on request.
fn runner(cases: u32) -> TestRunner {
    let is_long = std::env::var_os("HOLDFAST_TEST_LONG").is_some();
    let cases = if is_long { cases * 25 } else { cases };
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20,
        ..Config::default()
    })
}

async fn prepared(pairs: &[Pair]) -> (Scratch, Vec<u8>) {
    let target = Scratch::new().await;
    live(&target, "base", 0..3).await;
    let mut namespaces = Vec::new();
    for (number, pair) in pairs.iter().enumerate() {
        let name = format!("c{number}");
        pair.prepare(&target, &name).await;
        namespaces.push(pair.namespace(&name));
    }
    (target, archive_of(&namespaces))
}

async fn held(target: &Scratch, number: usize) -> u64 {
    target
        .collection(&format!("c{number}"))
        .count_documents(Document::new())
        .await
        .unwrap()
}

async fn restores_what_it_can_and_keeps_the_rest(pairs: Vec<Pair>) {
    let (target, archive) = prepared(&pairs).await;
    let report = restored(&target.connection, archive, &replacing(&target))
        .await
        .unwrap();
    for (number, pair) in pairs.iter().enumerate() {
        let (found, result) = (held(&target, number).await, &report.namespaces[number]);
        if !pair.is_refused() {
            assert_eq!(
                (found, result.result),
                (pair.wanted(), RestoreResult::Restored),
                "{pair:?} {result:#?}"
            );
        } else if pair.before == Before::Nothing {
            assert_ne!(
                result.result,
                RestoreResult::Restored,
                "{pair:?} {result:#?}"
            );
        } else {
            assert_eq!(
                (found, result.result),
                (pair.held_before(), RestoreResult::Kept),
                "{pair:?} {result:#?}"
            );
        }
        assert_eq!(
            result.failures.is_empty(),
            !pair.is_refused(),
            "{pair:?} {result:#?}"
        );
    }
    let left: Vec<_> = names(&target)
        .await
        .into_iter()
        .filter(|name| name.starts_with("holdfast_restore_"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    target.drop().await;
}

#[test]
fn no_target_ever_holds_less_than_before_and_less_than_the_archive() {
    let archived = vec![
        Plain,
        Capped,
        Clustered,
        Indexed,
        View,
        CreateRefused,
        InsertRefused,
        IndexRefused,
        ViewRefused,
    ];
    let before = vec![
        Before::Nothing,
        Before::Plain,
        Before::Capped,
        Before::View,
        Before::Series,
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let checked = runner(12).run(&pairs(archived, before), |pairs| {
        runtime.block_on(restores_what_it_can_and_keeps_the_rest(pairs));
        Ok(())
    });
    checked.unwrap();
}

async fn leaves_whole_targets_when_killed(pairs: Vec<Pair>, after: Duration) {
    let (target, archive) = prepared(&pairs).await;
    let options = replacing(&target);
    let running = restore(
        &target.connection,
        std::io::Cursor::new(archive),
        &options,
        None,
        &|_| (),
    );
    let _ = tokio::time::timeout(after, running).await;
    // The server may still run its last request.
    tokio::time::sleep(Duration::from_millis(200)).await;
    for (number, pair) in pairs.iter().enumerate() {
        let found = held(&target, number).await;
        let is_whole =
            found == pair.held_before() || (!pair.is_refused() && found == pair.wanted());
        assert!(is_whole, "{pair:?} after {after:?}: {found}");
    }
    target.drop().await;
}

#[test]
fn a_restore_that_is_killed_leaves_every_target_as_before_or_as_the_archive() {
    let archived = vec![
        Plain,
        Capped,
        Clustered,
        Indexed,
        CreateRefused,
        InsertRefused,
        IndexRefused,
    ];
    let cases = (
        pairs(archived, vec![Before::Plain, Before::Capped]),
        0..400_u64,
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let checked = runner(12).run(&cases, |(pairs, after)| {
        runtime.block_on(leaves_whole_targets_when_killed(
            pairs,
            Duration::from_millis(after),
        ));
        Ok(())
    });
    checked.unwrap();
}
