//! Archives of the real mongodump 100.18.0 are read and proved. Our writer writes the same bytes.

use crate::support::{ALL, Everything, Hashes, SOUND, expected, golden, summary, walk};
use holdfast_archive::{
    BlockWriter, NamespaceKind, NamespaceSummary, Prelude, Summary, VisitError, Visitor, WalkError,
};

#[test]
fn every_golden_holds_what_is_expected_of_it() {
    let expected = expected();
    for (name, source, db, namespaces) in [
        ("platform", "platform", "web3platform", 9),
        ("platform-parallel", "platform", "web3platform", 9),
        ("platform-gzip", "platform", "web3platform", 9),
        ("platform-one", "platform", "web3platform", 1),
        ("platform-excluded", "platform", "web3platform", 7),
        ("shapes", "shapes", "shapes", 16),
    ] {
        let (summary, hashes) = walk(&golden(name), 64 * 1024, Hashes::default()).unwrap();
        assert_eq!(summary.namespaces.len(), namespaces, "{name}");
        for (number, namespace) in summary.namespaces.iter().enumerate() {
            assert_eq!(namespace.db, db);
            let what = format!("{name}: {}", namespace.collection);
            let one = &expected[source][db][&namespace.collection];
            assert_eq!(
                namespace.kind.as_str(),
                one["type"].as_str().unwrap(),
                "{what}"
            );
            if namespace.kind != NamespaceKind::Collection {
                continue;
            }
            assert_eq!(
                namespace.documents,
                one["documents"].as_u64().unwrap(),
                "{what}"
            );
            let hash = one["sha256_of_sorted_document_sha256"].as_str().unwrap();
            assert_eq!(hashes.sorted(number), hash, "{what}");
            let mut indexes = summary.prelude.namespaces[number]
                .parsed_metadata()
                .unwrap()
                .index_names();
            indexes.sort();
            let mut named: Vec<_> = one["indexes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap())
                .collect();
            named.sort_unstable();
            assert_eq!(indexes, named, "{what}");
        }
    }
}

#[test]
fn the_time_series_and_the_view_of_shapes_are_theirs() {
    let summary = summary(&golden("shapes")).unwrap();
    let one = |collection: &str| -> NamespaceSummary {
        summary
            .namespaces
            .iter()
            .find(|namespace| namespace.collection == collection)
            .unwrap()
            .clone()
    };
    let (series, view) = (one("measurements"), one("recent"));
    assert_eq!(
        (series.kind, series.documents, series.bytes),
        (NamespaceKind::Timeseries, 196, 49_920)
    );
    assert_eq!(
        (view.kind, view.documents, view.crc),
        (NamespaceKind::View, 0, 0)
    );
    assert_eq!(summary.bytes, golden("shapes").len() as u64);
    assert_eq!(one("big").bytes, 16_777_137);
}

#[test]
fn the_same_documents_in_another_order_have_the_same_content_hash() {
    let sorted = |name| {
        let mut namespaces = summary(&golden(name)).unwrap().namespaces;
        namespaces.sort_by(|a, b| a.collection.cmp(&b.collection));
        namespaces
            .into_iter()
            .map(|one| (one.collection, one.documents, one.content_hash))
            .collect::<Vec<_>>()
    };
    assert_eq!(sorted("platform"), sorted("platform-gzip"));
    assert_eq!(sorted("platform"), sorted("platform-parallel"));
}

#[test]
fn an_empty_database_is_an_archive_without_namespaces() {
    let summary = summary(&golden("nothing")).unwrap();
    assert_eq!(
        (summary.namespaces.len(), summary.documents(), summary.bytes),
        (0, 0, 132)
    );
    assert_eq!(summary.prelude.server_version, "8.2.11");
}

#[test]
fn the_oplog_is_a_namespace_of_no_database_and_its_crc_counts() {
    let summary = summary(&golden("oplog")).unwrap();
    let oplog = summary
        .prelude
        .namespaces
        .iter()
        .position(holdfast_archive::PreludeNamespace::is_oplog)
        .unwrap();
    let namespace = &summary.namespaces[oplog];
    assert_eq!(
        (namespace.db.as_str(), namespace.collection.as_str()),
        ("", "oplog")
    );
    assert_eq!((namespace.documents, namespace.bytes), (1, 175));
    assert_eq!(namespace.crc.cast_signed(), 8_586_630_601_708_999_874);
    assert_eq!(summary.prelude.namespaces[oplog].to_string(), "oplog");
    assert!(
        summary
            .namespaces
            .iter()
            .any(|one| one.db == "admin" && one.collection == "system.version")
    );
}

#[test]
fn a_dump_whose_server_went_away_is_refused_with_the_names_of_what_is_missing() {
    for (name, never_begun_expected) in [
        (
            "cut-700k",
            vec![
                "users",
                "moderationauditlogs",
                "moderationflags",
                "moderationqueues",
                "subscriptions",
                "refunds",
            ],
        ),
        (
            "cut-1500k",
            vec![
                "moderationqueues",
                "subscriptions",
                "refunds",
                "moderationauditlogs",
            ],
        ),
    ] {
        let error = summary(&golden(name)).unwrap_err();
        let WalkError::Incomplete {
            never_begun,
            never_closed,
        } = &error
        else {
            panic!("{name}: {error}");
        };
        let names: Vec<_> = never_begun_expected
            .iter()
            .map(|collection| format!("web3platform.{collection}"))
            .collect();
        assert_eq!(*never_begun, names, "{name}");
        assert!(never_closed.is_empty(), "{name}");
        for name in names {
            assert!(error.to_string().contains(&name), "{error}");
        }
    }
}

#[test]
fn a_dump_without_the_oplog_that_it_declares_is_refused() {
    let error = summary(&golden("oplog-overflow")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the archive is incomplete, never begun: oplog"
    );
}

/// 101 of 1,200 documents with perfect framing and CRC. The archive itself reveals nothing. Only
/// the exit status and the stderr of the tool do. A dump's verdict is therefore read before its
/// commit.
#[test]
fn a_cut_dump_with_perfect_framing_passes_and_must_be_refused_by_the_engines_verdict() {
    let summary = summary(&golden("cut-but-whole")).unwrap();
    assert_eq!(summary.documents(), 101);
}

#[test]
fn every_goldens_metadata_is_rendered_as_mongodump_wrote_it() {
    for name in ALL {
        let mut prelude = Everything::default();
        let _ = walk(&golden(name), usize::MAX, &mut prelude);
        for namespace in prelude.prelude.unwrap().namespaces {
            let metadata = namespace.parsed_metadata().unwrap();
            assert_eq!(metadata.collection_name, namespace.collection, "{name}");
            assert_eq!(metadata.kind, namespace.kind, "{name}");
            if !namespace.is_oplog() {
                assert_eq!(metadata.render(), namespace.metadata, "{name}: {namespace}");
            }
        }
    }
}

#[test]
fn every_sound_golden_is_written_again_byte_for_byte() {
    for name in SOUND {
        let archive = golden(name);
        let (summary, again) = walk(&archive, 1_000_003, Again::default()).unwrap();
        let written = again.finish(&summary);
        assert_eq!(written.len(), archive.len(), "{name}");
        assert!(written == archive, "{name} differs");
    }
}

/// Writes the visited documents in mongodump's way: a block continues until another namespace
/// comes.
#[derive(Default)]
struct Again {
    writer: Option<BlockWriter>,
    out: Vec<u8>,
    block: Option<(usize, Vec<u8>)>,
}

impl Again {
    fn flush(&mut self) -> Result<(), VisitError> {
        if let (Some((namespace, documents)), Some(writer)) = (self.block.take(), &mut self.writer)
        {
            writer.documents(&mut self.out, namespace, &documents)?;
        }
        Ok(())
    }

    fn finish(self, summary: &Summary) -> Vec<u8> {
        let written = self.writer.unwrap().finish().unwrap();
        for (wrote, read) in written.namespaces.iter().zip(&summary.namespaces) {
            assert_eq!(
                (wrote.documents, wrote.bytes, wrote.crc),
                (read.documents, read.bytes, read.crc)
            );
        }
        self.out
    }
}

impl Visitor for Again {
    fn prelude(&mut self, prelude: &Prelude) -> Result<(), VisitError> {
        self.writer
            .insert(BlockWriter::new(prelude.clone())?)
            .begin(&mut self.out)?;
        Ok(())
    }

    fn begin(&mut self, namespace: usize) -> Result<(), VisitError> {
        self.flush()?;
        self.block = Some((namespace, Vec::new()));
        Ok(())
    }

    fn document(&mut self, namespace: usize, document: &[u8]) -> Result<(), VisitError> {
        if self
            .block
            .as_ref()
            .is_none_or(|(open, _)| *open != namespace)
        {
            self.flush()?;
            self.block = Some((namespace, Vec::new()));
        }
        if let Some((_, documents)) = &mut self.block {
            documents.extend_from_slice(document);
        }
        Ok(())
    }

    fn end(&mut self, namespace: usize, _: &NamespaceSummary) -> Result<(), VisitError> {
        self.flush()?;
        if let Some(writer) = &mut self.writer {
            writer.close(&mut self.out, namespace)?;
        }
        Ok(())
    }
}
