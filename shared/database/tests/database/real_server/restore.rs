//! Refusals, merges and reports of a restore.

use std::{io, io::Read, sync::Mutex};

use bson::{Bson, Document, Timestamp, doc};
use holdfast_archive::NamespaceKind;
use holdfast_database::{
    Comparison, Exclusion, Existing, Expected, ExpectedNamespace, NamespaceMap, RestoreFault,
    RestoreOptions, RestoreStep, TargetState, TtlIndexes, restore,
};
use holdfast_testing::golden;

use super::support::{Scratch, dumped, ids, restored, summary_of};

/// An archive of collections with these `_id`s, and its scratch database.
async fn source(collections: &[(&str, &[i32])]) -> (Scratch, Vec<u8>) {
    let scratch = Scratch::new().await;
    for (name, ids) in collections {
        let documents = ids.iter().map(|id| doc! { "_id": id, "from": "archive" });
        scratch
            .collection(name)
            .insert_many(documents)
            .await
            .unwrap();
    }
    let (archive, _) = dumped(&scratch.connection).await;
    (scratch, archive)
}

fn into(target: &Scratch, source: &Scratch, existing: Existing) -> RestoreOptions {
    RestoreOptions {
        map: target.map_from(&source.database),
        existing,
        ..RestoreOptions::default()
    }
}

#[tokio::test]
async fn a_target_that_is_not_empty_is_refused_before_anything_is_written() {
    let (source, archive) = source(&[("a", &[1, 2]), ("b", &[1])]).await;
    let target = Scratch::new().await;
    target
        .collection("b")
        .insert_one(doc! { "_id": 7 })
        .await
        .unwrap();
    let error = restored(
        &target.connection,
        archive,
        &into(&target, &source, Existing::Refuse),
    )
    .await
    .unwrap_err();
    assert!(
        matches!(&error.cause, RestoreFault::NotEmpty(names) if names.len() == 1),
        "{error}"
    );
    assert!(
        error.to_string().contains("(1 documents)") && error.to_string().contains("--merge"),
        "{error}"
    );
    assert!(error.incomplete.is_empty());
    assert_eq!(
        target.handle().list_collection_names().await.unwrap(),
        ["b"]
    );
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn drop_replaces_the_collections_of_the_archive_and_no_other() {
    let (source, archive) = source(&[("a", &[1, 2])]).await;
    let target = Scratch::new().await;
    target
        .collection("a")
        .insert_one(doc! { "_id": 7 })
        .await
        .unwrap();
    target
        .collection("other")
        .insert_one(doc! { "_id": 8 })
        .await
        .unwrap();
    let report = restored(
        &target.connection,
        archive,
        &into(&target, &source, Existing::Drop),
    )
    .await
    .unwrap();
    assert!(report.is_faithful());
    assert_eq!(report.namespaces[0].target, TargetState::Replaced(1));
    assert_eq!(
        (ids(&target, "a").await, ids(&target, "other").await),
        (vec![1, 2], vec![8])
    );
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn merge_keeps_what_is_there_and_counts_it() {
    let (source, archive) = source(&[("a", &[1, 2, 3]), ("b", &[1])]).await;
    let target = Scratch::new().await;
    target
        .collection("a")
        .insert_one(doc! { "_id": 2, "from": "target" })
        .await
        .unwrap();
    target
        .collection("a")
        .insert_one(doc! { "_id": 9, "from": "target" })
        .await
        .unwrap();
    let report = restored(
        &target.connection,
        archive,
        &into(&target, &source, Existing::Merge),
    )
    .await
    .unwrap();
    let a = &report.namespaces[0];
    assert_eq!(
        (a.documents, a.inserted, a.skipped, a.target),
        (3, 2, 1, TargetState::Merged(2))
    );
    assert_eq!(a.comparison, Comparison::NotDone);
    assert_eq!(report.namespaces[1].comparison, Comparison::Equal);
    assert!(report.is_faithful());
    let kept = target
        .collection("a")
        .find_one(doc! { "_id": 2 })
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.get_str("from").unwrap(), "target");
    assert_eq!(ids(&target, "a").await, [1, 2, 3, 9]);
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn a_document_that_another_unique_index_refuses_is_a_failure() {
    let (source, archive) = source(&[("a", &[1, 2])]).await;
    let target = Scratch::new().await;
    let unique = doc! { "createIndexes": "a", "indexes": [{ "key": { "from": 1 }, "name": "one", "unique": true }] };
    target.handle().run_command(unique).await.unwrap();
    let report = restored(
        &target.connection,
        archive,
        &into(&target, &source, Existing::Merge),
    )
    .await
    .unwrap();
    let a = &report.namespaces[0];
    assert_eq!((a.inserted, a.skipped, a.failures.len()), (1, 0, 1));
    assert!(!report.is_faithful());
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn an_empty_target_with_other_options_is_refused() {
    let (source, archive) = source(&[("a", &[1])]).await;
    let target = Scratch::new().await;
    target
        .handle()
        .create_collection("a")
        .capped(true)
        .size(4096)
        .await
        .unwrap();
    let options = into(&target, &source, Existing::Refuse);
    let error = restored(&target.connection, archive.clone(), &options)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("other options"), "{error}");
    target.collection("a").drop().await.unwrap();
    target.handle().create_collection("a").await.unwrap();
    let report = restored(&target.connection, archive, &options)
        .await
        .unwrap();
    assert_eq!(report.namespaces[0].target, TargetState::Empty);
    assert!(report.is_faithful());
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn a_dry_run_reports_and_writes_nothing() {
    let (source, archive) = source(&[("a", &[1]), ("b", &[1])]).await;
    let target = Scratch::new().await;
    target
        .collection("b")
        .insert_one(doc! { "_id": 7 })
        .await
        .unwrap();
    let options = RestoreOptions {
        dry_run: true,
        ..into(&target, &source, Existing::Drop)
    };
    let report = restored(&target.connection, archive, &options)
        .await
        .unwrap();
    let found: Vec<_> = report
        .namespaces
        .iter()
        .map(|namespace| namespace.target)
        .collect();
    assert_eq!(
        (report.dry_run, found),
        (true, vec![TargetState::Absent, TargetState::Replaced(1)])
    );
    assert_eq!(ids(&target, "b").await, [7]);
    assert_eq!(
        target.handle().list_collection_names().await.unwrap(),
        ["b"]
    );
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn a_dry_run_shows_its_plan_although_targets_are_in_the_way() {
    let (source, archive) = source(&[("a", &[1]), ("b", &[1]), ("c", &[1])]).await;
    let target = Scratch::new().await;
    target
        .collection("b")
        .insert_many([doc! { "_id": 7 }, doc! { "_id": 8 }])
        .await
        .unwrap();
    target
        .handle()
        .create_collection("c")
        .capped(true)
        .size(4096)
        .await
        .unwrap();
    let options = RestoreOptions {
        dry_run: true,
        ..into(&target, &source, Existing::Refuse)
    };
    let report = restored(&target.connection, archive.clone(), &options)
        .await
        .unwrap();
    let found: Vec<_> = report
        .namespaces
        .iter()
        .map(|namespace| namespace.target)
        .collect();
    assert_eq!(
        found,
        [
            TargetState::Absent,
            TargetState::InTheWay(2),
            TargetState::InTheWay(0)
        ]
    );
    let refused = restored(
        &target.connection,
        archive,
        &into(&target, &source, Existing::Refuse),
    )
    .await
    .unwrap_err();
    assert!(
        matches!(&refused.cause, RestoreFault::NotEmpty(names) if *names == report.in_the_way),
        "{refused}"
    );
    assert!(
        !report.is_faithful() && report.in_the_way[1].contains("other options"),
        "{report:#?}"
    );
    source.drop().await;
    target.drop().await;
}

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
async fn indexes_that_expire_documents_are_left_out_when_asked() {
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

/// Returns the beginning of an archive, then the error of a reader with inauthentic bytes.
struct Forged(io::Cursor<Vec<u8>>);

impl Read for Forged {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "segment 3 is not authentic",
            )),
            count => Ok(count),
        }
    }
}

#[tokio::test]
async fn a_reader_that_fails_ends_the_restore_and_names_what_is_incomplete() {
    let ids: Vec<i32> = (0..60_000).collect();
    let (source, archive) = source(&[("a", &ids), ("b", &ids)]).await;
    let target = Scratch::new().await;
    let options = into(&target, &source, Existing::Refuse);
    let forged = Forged(io::Cursor::new(archive[..archive.len() - 100].to_vec()));
    let error = restore(&target.connection, forged, &options, None, &|_| ())
        .await
        .unwrap_err();
    assert!(
        matches!(&error.cause, RestoreFault::Source(error) if error.to_string().contains("segment 3")),
        "{error}"
    );
    assert_eq!(
        error.incomplete,
        [
            format!("{}.a", target.database),
            format!("{}.b", target.database)
        ]
    );
    let nothing = Forged(io::Cursor::new(archive[..50].to_vec()));
    let error = restore(&target.connection, nothing, &options, None, &|_| ())
        .await
        .unwrap_err();
    assert!(
        error.incomplete.is_empty() && error.to_string().contains("Nothing was written"),
        "{error}"
    );
    source.drop().await;
    target.drop().await;
}

fn manifest(archive: &[u8]) -> Vec<ExpectedNamespace> {
    let held = summary_of(archive).namespaces.into_iter();
    held.map(|held| ExpectedNamespace {
        db: held.db,
        collection: held.collection,
        documents: held.documents,
        content_hash: held.content_hash.digest(),
    })
    .collect()
}

#[tokio::test]
async fn an_archive_that_is_not_the_manifests_is_found_out() {
    let (source, archive) = source(&[("a", &[1, 2])]).await;
    let target = Scratch::new().await;
    let options = into(&target, &source, Existing::Drop);
    let digest = &|hash: holdfast_archive::ContentHash| hash.digest();
    let connection = target.connection.clone();
    let restored = async |namespaces: &[ExpectedNamespace]| {
        let expected = Some(Expected { namespaces, digest });
        restore(
            &connection,
            io::Cursor::new(archive.clone()),
            &options,
            expected,
            &|_| (),
        )
        .await
    };
    let right = manifest(&archive);
    assert!(restored(&right).await.unwrap().is_faithful());
    let mut other_count = right.clone();
    other_count[0].documents = 3;
    let report = restored(&other_count).await.unwrap();
    assert!(
        matches!(&report.namespaces[0].comparison, Comparison::Differs(text) if text.contains("manifest 3"))
    );
    let mut other_hash = right.clone();
    other_hash[0].content_hash = holdfast_domain::Sha256Digest::new([7; 32]);
    assert!(!restored(&other_hash).await.unwrap().is_faithful());
    let mut more = right.clone();
    more.push(ExpectedNamespace {
        collection: "gone".to_owned(),
        ..right[0].clone()
    });
    let error = restored(&more).await.unwrap_err();
    assert!(
        error.incomplete.is_empty() && error.to_string().contains("gone"),
        "{error}"
    );
    assert!(
        restored(&[])
            .await
            .unwrap_err()
            .to_string()
            .contains("manifest does not list it")
    );
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn an_impossible_request_is_refused_before_the_first_write() {
    let (source, archive) = source(&[("a", &[1]), ("b", &[1])]).await;
    let target = Scratch::new().await;
    let onto_one = NamespaceMap::parse(
        &[
            format!("{}.a", source.database),
            format!("{}.b", source.database),
        ],
        &[
            format!("{}.c", target.database),
            format!("{}.c", target.database),
        ],
    )
    .unwrap();
    let to_admin = NamespaceMap::parse(&["*.*".to_owned()], &["admin.*_*".to_owned()]).unwrap();
    let base = RestoreOptions::default();
    let catalogue = vec![Exclusion {
        database: target.database.clone(),
        collections: vec!["a".to_owned()],
    }];
    for options in [
        RestoreOptions {
            map: onto_one,
            ..base.clone()
        },
        RestoreOptions {
            map: to_admin,
            ..base.clone()
        },
        RestoreOptions {
            only: Some(vec!["no-such".to_owned()]),
            ..base.clone()
        },
        RestoreOptions {
            database: Some("no-such".to_owned()),
            ..base.clone()
        },
        RestoreOptions {
            map: target.map_from(&source.database),
            exclude: catalogue,
            ..base
        },
    ] {
        let error = restored(&target.connection, archive.clone(), &options)
            .await
            .unwrap_err();
        let is_refused = matches!(
            error.cause,
            RestoreFault::Invalid(_) | RestoreFault::Absent(_)
        );
        assert!(is_refused && error.incomplete.is_empty(), "{error}");
    }
    assert!(
        target
            .handle()
            .list_collection_names()
            .await
            .unwrap()
            .is_empty()
    );
    source.drop().await;
}

#[tokio::test]
async fn progress_is_reported_step_by_step() {
    let (source, archive) = source(&[("a", &[1, 2, 3])]).await;
    let target = Scratch::new().await;
    let told = Mutex::new(Vec::new());
    let note = |progress: &holdfast_database::RestoreProgress| {
        told.lock()
            .unwrap()
            .push((progress.step, progress.documents));
    };
    let options = into(&target, &source, Existing::Refuse);
    restore(
        &target.connection,
        io::Cursor::new(archive),
        &options,
        None,
        &note,
    )
    .await
    .unwrap();
    let told = told.into_inner().unwrap();
    assert_eq!(
        told,
        [
            (RestoreStep::Inserting, 3),
            (RestoreStep::Comparing, 3),
            (RestoreStep::Indexing, 3)
        ]
    );
    source.drop().await;
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

/// The server quotes the key of a duplicate. Keys with the form of extended JSON are data.
#[tokio::test]
async fn a_duplicate_key_that_looks_like_extended_json_is_named_and_its_batch_is_restored() {
    let wrappers = [
        doc! { "$oid": "x" },
        doc! { "$date": "never" },
        doc! { "$numberLong": "one" },
    ];
    for wrapper in wrappers {
        let (source, target) = (Scratch::new().await, Scratch::new().await);
        let there = doc! { "_id": 9, "owner": wrapper.clone() };
        let more = [
            doc! { "_id": 1, "owner": wrapper },
            doc! { "_id": 2, "owner": 2 },
            doc! { "_id": 9, "owner": 9 },
        ];
        for (scratch, documents) in [(&source, more.to_vec()), (&target, vec![there])] {
            let inserted = scratch
                .handle()
                .run_command(doc! { "insert": "odd", "documents": documents })
                .await;
            assert!(inserted.unwrap().get("writeErrors").is_none());
        }
        let index = doc! { "key": { "owner": 1 }, "name": "one", "unique": true };
        target
            .handle()
            .run_command(doc! { "createIndexes": "odd", "indexes": [index] })
            .await
            .unwrap();
        let archive = dumped(&source.connection).await.0;
        let report = restored(
            &target.connection,
            archive,
            &into(&target, &source, Existing::Merge),
        )
        .await
        .unwrap();
        let odd = &report.namespaces[0];
        assert_eq!(
            (odd.inserted, odd.skipped, odd.failures.len()),
            (1, 1, 1),
            "{report:#?}"
        );
        assert!(odd.failures[0].contains("E11000"), "{report:#?}");
        source.drop().await;
        target.drop().await;
    }
}
