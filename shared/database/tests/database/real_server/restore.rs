//! Restored collections: replaced, merged, counted, and compared with the manifest.

use std::{io, io::Read, sync::Mutex};

use bson::doc;
use holdfast_database::{
    Comparison, Existing, Expected, ExpectedNamespace, RestoreFault, RestoreOptions, RestoreStep,
    TargetState, restore,
};

use super::support::{Scratch, dumped, ids, restored, summary_of};

/// An archive of collections with these `_id`s, and its scratch database.
pub(super) async fn source(collections: &[(&str, &[i32])]) -> (Scratch, Vec<u8>) {
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

pub(super) fn into(target: &Scratch, source: &Scratch, existing: Existing) -> RestoreOptions {
    RestoreOptions {
        map: target.map_from(&source.database),
        existing,
        ..RestoreOptions::default()
    }
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
async fn progress_is_reported_step_by_step() {
    let (source, archive) = source(&[("a", &[1, 2, 3])]).await;
    let target = Scratch::new().await;
    let reported = Mutex::new(Vec::new());
    let note = |progress: &holdfast_database::RestoreProgress| {
        reported
            .lock()
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
    let reported = reported.into_inner().unwrap();
    assert_eq!(
        reported,
        [
            (RestoreStep::Inserting, 3),
            (RestoreStep::Comparing, 3),
            (RestoreStep::Indexing, 3)
        ]
    );
    source.drop().await;
    target.drop().await;
}

/// The server quotes the key of a duplicate. Keys with the form of extended JSON are data.
#[tokio::test]
async fn a_duplicate_key_in_the_form_of_extended_json_is_named_and_its_batch_is_restored() {
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
