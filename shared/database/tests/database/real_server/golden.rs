//! Archives of the real mongodump: restored to the expected content, and dumped again to the same
//! content.

use std::io::Read;

use super::support::{Scratch, dumped, restored, sorted_hash, summary_of};
use holdfast_archive::{NamespaceKind, Summary};
use holdfast_database::{Comparison, RestoreFault, RestoreOptions, RestoreReport};
use holdfast_testing::{ExpectedCollection, expected, golden};

/// The archive, without the internal gzip of `mongodump --gzip`.
fn archive(name: &str) -> Vec<u8> {
    let bytes = golden(name);
    if bytes[..2] != [0x1f, 0x8b] {
        return bytes;
    }
    let mut archive = Vec::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "a fixture of one member and known size"
    )]
    let mut unzipped = flate2::read::GzDecoder::new(&bytes[..]);
    unzipped.read_to_end(&mut archive).unwrap();
    archive
}

async fn restored_from(database: &str, scratch: &Scratch, archive: Vec<u8>) -> RestoreReport {
    let options = RestoreOptions {
        map: scratch.map_from(database),
        ..RestoreOptions::default()
    };
    let report = restored(&scratch.connection, archive, &options)
        .await
        .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    report
}

async fn assert_is_as_expected(scratch: &Scratch, collection: &str, expected: &ExpectedCollection) {
    let (Some(documents), Some(hash)) = (
        expected.documents,
        &expected.sha256_of_sorted_document_sha256,
    ) else {
        return;
    };
    let (count, found) = sorted_hash(&scratch.handle(), collection).await;
    assert_eq!((count, &found), (documents, hash), "{collection}");
    let mut names = scratch
        .handle()
        .collection::<bson::Document>(collection)
        .list_index_names()
        .await
        .unwrap();
    let mut wanted = expected.indexes.clone();
    names.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(names, wanted, "{collection}");
}

/// Compares each namespace with its metadata, except the new UUIDs and the tool's name.
fn assert_same_content(ours: &Summary, theirs: &Summary) {
    assert_eq!(ours.namespaces.len(), theirs.namespaces.len());
    for (number, namespace) in theirs.prelude.namespaces.iter().enumerate() {
        let same =
            |other: &&holdfast_archive::PreludeNamespace| other.collection == namespace.collection;
        let at = ours
            .prelude
            .namespaces
            .iter()
            .position(|other| same(&other))
            .unwrap();
        let mut found = ours.prelude.namespaces[at].parsed_metadata().unwrap();
        let mut wanted = namespace.parsed_metadata().unwrap();
        assert_eq!(found.uuid.is_some(), wanted.uuid.is_some(), "{namespace}");
        (found.uuid, wanted.uuid) = (None, None);
        found
            .indexes
            .sort_by_key(|index| index.get_str("name").unwrap().to_owned());
        wanted
            .indexes
            .sort_by_key(|index| index.get_str("name").unwrap().to_owned());
        assert_eq!(found.render(), wanted.render(), "{namespace}");
        let (found, wanted) = (&ours.namespaces[at], &theirs.namespaces[number]);
        assert_eq!(found.kind, wanted.kind);
        // A server with measurements makes new buckets. The restore has compared the measurements.
        if wanted.kind != NamespaceKind::Timeseries {
            assert_eq!(
                (found.documents, found.bytes),
                (wanted.documents, wanted.bytes),
                "{namespace}"
            );
            assert_eq!(found.content_hash, wanted.content_hash, "{namespace}");
        }
    }
}

#[tokio::test]
async fn every_shape_is_restored_as_expected_and_dumped_as_it_was() {
    let scratch = Scratch::new().await;
    let archive = archive("shapes");
    let report = restored_from("shapes", &scratch, archive.clone()).await;
    for (collection, expected) in &expected()["shapes"]["shapes"] {
        assert_is_as_expected(&scratch, collection, expected).await;
    }
    let compared = report
        .namespaces
        .iter()
        .filter(|namespace| namespace.kind != NamespaceKind::View);
    assert!(
        compared
            .clone()
            .all(|namespace| namespace.comparison == Comparison::Equal)
    );
    assert_eq!(compared.count(), summary_of(&archive).namespaces.len() - 1);
    let (ours, _) = dumped(&scratch.connection).await;
    assert_same_content(&summary_of(&ours), &summary_of(&archive));
    scratch.drop().await;
}

#[tokio::test]
async fn the_platforms_archives_are_restored_as_expected_each_its_part() {
    for name in [
        "platform",
        "platform-parallel",
        "platform-gzip",
        "platform-one",
        "platform-excluded",
    ] {
        let scratch = Scratch::new().await;
        let archive = archive(name);
        let report = restored_from("web3platform", &scratch, archive.clone()).await;
        let restored: Vec<_> = summary_of(&archive)
            .namespaces
            .into_iter()
            .map(|held| held.collection)
            .collect();
        assert_eq!(report.namespaces.len(), restored.len());
        for collection in &restored {
            assert_is_as_expected(
                &scratch,
                collection,
                &expected()["platform"]["web3platform"][collection],
            )
            .await;
        }
        let (ours, _) = dumped(&scratch.connection).await;
        assert_same_content(&summary_of(&ours), &summary_of(&archive));
        scratch.drop().await;
    }
}

#[tokio::test]
async fn nothing_is_restored_to_nothing_and_dumped_as_nothing() {
    let scratch = Scratch::new().await;
    let report = restored(
        &scratch.connection,
        archive("nothing"),
        &RestoreOptions::default(),
    )
    .await
    .unwrap();
    assert!(report.is_faithful() && report.namespaces.is_empty());
    let (ours, dump) = dumped(&scratch.connection).await;
    assert!(dump.namespaces.is_empty() && summary_of(&ours).namespaces.is_empty());
}

#[tokio::test]
async fn an_archive_with_an_oplog_is_restored_without_it_and_this_is_reported() {
    let scratch = Scratch::new().await;
    let archive = archive("oplog");
    let report = restored_from("web3platform", &scratch, archive.clone()).await;
    let left_out: Vec<_> = report
        .left_out
        .iter()
        .map(|left| left.namespace.as_str())
        .collect();
    assert_eq!(left_out, ["oplog", "admin.system.version"]);
    let held = summary_of(&archive);
    for namespace in &report.namespaces {
        let name = namespace.from.strip_prefix("web3platform.").unwrap();
        let held = held
            .namespaces
            .iter()
            .find(|held| held.collection == name)
            .unwrap();
        assert_eq!(
            (namespace.documents, namespace.inserted),
            (held.documents, held.documents)
        );
        assert_eq!(namespace.comparison, Comparison::Equal);
    }
    scratch.drop().await;
}

#[tokio::test]
async fn archives_of_dumps_that_failed_are_refused_and_say_what_is_incomplete() {
    for name in ["cut-700k", "cut-1500k", "oplog-overflow"] {
        let scratch = Scratch::new().await;
        let options = RestoreOptions {
            map: scratch.map_from("web3platform"),
            ..RestoreOptions::default()
        };
        let error = restored(&scratch.connection, archive(name), &options)
            .await
            .unwrap_err();
        assert!(
            matches!(error.cause, RestoreFault::Archive(_)),
            "{name}: {error}"
        );
        assert!(
            !error.incomplete.is_empty() && error.to_string().contains("--drop"),
            "{name}: {error}"
        );
        scratch.drop().await;
    }
}
