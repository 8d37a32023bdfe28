//! Archives from other tools or made by hand. The server changes some of their collections. Each is
//! restored with the intended meaning, and the differences are reported.

use std::{
    io::{self, Read},
    time::Duration,
};

use bson::{Document, doc};
use holdfast_database::{
    Comparison, Existing, NamespaceMap, RestoreOptions, RestoreReport, RestoreResult, TtlIndexes,
    restore,
};

use super::{
    replace::{definition, names},
    support::{Scratch, Server, connect, dumped, restored},
};

fn archive(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/{name}.archive", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

async fn restored_as(target: &Scratch, from: &str, archive: Vec<u8>) -> RestoreReport {
    let options = RestoreOptions {
        map: target.map_from(from),
        ..RestoreOptions::default()
    };
    restored(&target.connection, archive, &options)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_option_called_create_neither_renames_the_collection_nor_loses_the_others() {
    let target = Scratch::new().await;
    let map = NamespaceMap::parse(
        &["t02.names".to_owned()],
        &[format!("{}.people", target.database)],
    )
    .unwrap();
    let options = RestoreOptions {
        map,
        ..RestoreOptions::default()
    };
    let report = restored(&target.connection, archive("create-in-options"), &options)
        .await
        .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    assert_eq!(names(&target).await, ["people"]);
    let found = definition(&target, "people").await;
    assert!(found.get_bool("capped").unwrap(), "{found}");
    assert_eq!(
        found
            .get("max")
            .and_then(bson::Bson::as_i64)
            .or(found.get_i32("max").ok().map(i64::from)),
        Some(5000)
    );
    target.drop().await;
}

#[tokio::test]
async fn documents_without_id_are_given_one_and_that_is_said() {
    let target = Scratch::new().await;
    let report = restored_as(&target, "t23", archive("no-id")).await;
    let one = &report.namespaces[0];
    assert_eq!(
        (&one.comparison, one.result),
        (&Comparison::Equal, RestoreResult::Restored),
        "{one:#?}"
    );
    assert!(
        one.notes.iter().any(|note| note.contains("without `_id`")),
        "{one:#?}"
    );
    assert_eq!(
        target
            .collection("one")
            .count_documents(doc! {})
            .await
            .unwrap(),
        one.documents
    );
    target.drop().await;
}

#[tokio::test]
async fn measurements_are_equal_whatever_the_order_of_their_fields() {
    for (name, collection) in [
        ("ts-as-inserted", "ts_as_inserted"),
        ("ts-in-order", "ts_in_order"),
    ] {
        let target = Scratch::new().await;
        let report = restored_as(&target, "t80", archive(name)).await;
        assert!(report.is_faithful(), "{name}: {report:#?}");
        assert_eq!(report.namespaces[0].comparison, Comparison::Equal);
        assert!(
            target
                .collection(collection)
                .count_documents(doc! {})
                .await
                .unwrap()
                > 0
        );
        target.drop().await;
    }
}

#[tokio::test]
async fn a_time_series_expires_as_before_and_not_while_it_is_compared() {
    let source = Scratch::new().await;
    let series = doc! { "create": "measured", "timeseries": { "timeField": "at" }, "expireAfterSeconds": 4_000_000_000_i64 };
    source.handle().run_command(series).await.unwrap();
    let measured =
        (0..30).map(|minute| doc! { "at": bson::DateTime::from_millis(minute * 60_000), "v": 1 });
    source
        .collection("measured")
        .insert_many(measured)
        .await
        .unwrap();
    let (archive, _) = dumped(&source.connection).await;
    for ttl_indexes in [TtlIndexes::Keep, TtlIndexes::Omit] {
        let target = Scratch::new().await;
        for existing in [Existing::Refuse, Existing::Drop] {
            let map = target.map_from(&source.database);
            let options = RestoreOptions {
                map,
                ttl_indexes,
                existing,
                ..RestoreOptions::default()
            };
            let report = restored(&target.connection, archive.clone(), &options)
                .await
                .unwrap();
            assert!(report.is_faithful(), "{report:#?}");
            let found = definition(&target, "measured").await;
            let expected = (ttl_indexes == TtlIndexes::Keep).then_some(4_000_000_000);
            assert_eq!(
                found.get_i64("expireAfterSeconds").ok(),
                expected,
                "{existing:?}: {found}"
            );
        }
        target.drop().await;
    }
    source.drop().await;
}

/// An archive. Its reader waits after the last byte, like a slow store.
struct Slow(io::Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        if count == 0 {
            std::thread::sleep(Duration::from_secs(3));
        }
        Ok(count)
    }
}

#[tokio::test]
async fn what_makes_a_collection_expire_is_set_last_and_never_in_a_drill() {
    let server = Server::start(&[]).await;
    let connection = connect(&server.uri("", "")).await;
    let often = doc! { "setParameter": 1, "ttlMonitorSleepSecs": 1 };
    connection
        .client()
        .database("admin")
        .run_command(often)
        .await
        .unwrap();
    for (ttl_indexes, database) in [(TtlIndexes::Keep, "kept"), (TtlIndexes::Omit, "drilled")] {
        let map = NamespaceMap::parse(&["*.*".to_owned()], &[format!("{database}*.*")]).unwrap();
        let options = RestoreOptions {
            map,
            ttl_indexes,
            ..RestoreOptions::default()
        };
        let reader = Slow(io::Cursor::new(archive("ttl-clustered")));
        let report = restore(&connection, reader, &options, None, &|_| ())
            .await
            .unwrap();
        let clustered = &report.namespaces[0];
        assert_eq!(clustered.comparison, Comparison::Equal, "{clustered:#?}");
        assert!(report.is_faithful(), "{clustered:#?}");
        let (database, collection) = clustered.to.split_once('.').unwrap();
        let listed = connection.client().database(database);
        let answer = listed
            .run_command(doc! { "listCollections": 1, "filter": { "name": collection } })
            .await
            .unwrap();
        let entries = answer
            .get_document("cursor")
            .unwrap()
            .get_array("firstBatch")
            .unwrap();
        let found = entries[0]
            .as_document()
            .unwrap()
            .get_document("options")
            .unwrap();
        // The stand-in confirms the change of a clustered collection but does not make it. The
        // report contains this.
        let is_reported = clustered
            .notes
            .iter()
            .any(|note| note.contains("confirmed `expireAfterSeconds` 60"));
        let is_set = found
            .get_i64("expireAfterSeconds")
            .is_ok_and(|seconds| seconds == 60);
        assert_eq!(
            is_set || is_reported,
            ttl_indexes == TtlIndexes::Keep,
            "{found} {clustered:#?}"
        );
        if ttl_indexes == TtlIndexes::Omit {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let held = listed
                .collection::<Document>(collection)
                .count_documents(doc! {})
                .await
                .unwrap();
            assert_eq!(held, clustered.documents, "nothing expires in a drill");
            assert!(
                clustered
                    .notes
                    .iter()
                    .any(|note| note.contains("expireAfterSeconds")),
                "{clustered:#?}"
            );
        }
    }
}
