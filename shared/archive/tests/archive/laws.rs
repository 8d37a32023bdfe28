//! Laws: written archives are readable in pieces of any size. Incomplete or changed archives are
//! refused.

use crate::support::{Everything, golden, summary, walk};
use bson::{Document, doc};
use holdfast_archive::{
    BlockWriter, ContentHash, Metadata, NamespaceKind, Prelude, PreludeNamespace,
};
use proptest::prelude::*;

/// Namespaces of every kind. Each step writes some documents of one of them.
#[derive(Debug, Clone)]
struct Plan {
    kinds: Vec<NamespaceKind>,
    steps: Vec<(prop::sample::Index, Vec<Vec<u8>>)>,
    piece: usize,
}

fn plans() -> impl Strategy<Value = Plan> {
    let kind = prop_oneof![
        3 => Just(NamespaceKind::Collection),
        1 => Just(NamespaceKind::View),
        1 => Just(NamespaceKind::Timeseries),
    ];
    let payload = prop::collection::vec(any::<u8>(), 0..300);
    let step = (
        any::<prop::sample::Index>(),
        prop::collection::vec(payload, 0..5),
    );
    (
        prop::collection::vec(kind, 0..5),
        prop::collection::vec(step, 0..12),
        1_usize..400,
    )
        .prop_map(|(kinds, steps, piece)| Plan {
            kinds,
            steps,
            piece,
        })
}

fn prelude(kinds: &[NamespaceKind]) -> Prelude {
    let namespaces = kinds.iter().enumerate().map(|(number, kind)| {
        let options = match kind {
            NamespaceKind::View => doc! { "viewOn": "c0", "pipeline": [] },
            NamespaceKind::Timeseries => doc! { "timeseries": { "timeField": "at" } },
            _ => Document::new(),
        };
        let metadata = Metadata {
            options,
            collection_name: format!("c{number}"),
            kind: *kind,
            ..Metadata::default()
        };
        PreludeNamespace::new("shop", &metadata)
    });
    Prelude {
        concurrent_collections: 4,
        server_version: "8.2.11".to_owned(),
        tool_version: "holdfast".to_owned(),
        namespaces: namespaces.collect(),
    }
}

fn document(payload: &[u8]) -> Vec<u8> {
    let binary = bson::Binary {
        subtype: bson::spec::BinarySubtype::Generic,
        bytes: payload.to_vec(),
    };
    doc! { "payload": binary }.to_vec().unwrap()
}

/// The archive of a plan, and the documents in written order.
fn write(plan: &Plan) -> (Vec<u8>, Vec<(usize, Vec<u8>)>) {
    let mut writer = BlockWriter::new(prelude(&plan.kinds)).unwrap();
    let (mut out, mut documents) = (Vec::new(), Vec::new());
    writer.begin(&mut out).unwrap();
    let holding: Vec<usize> = (0..plan.kinds.len())
        .filter(|number| plan.kinds[*number] != NamespaceKind::View)
        .collect();
    for (index, payloads) in &plan.steps {
        if holding.is_empty() {
            continue;
        }
        let namespace = holding[index.index(holding.len())];
        let whole: Vec<_> = payloads.iter().map(|payload| document(payload)).collect();
        let count = writer
            .documents(&mut out, namespace, &whole.concat())
            .unwrap();
        assert_eq!(count, whole.len() as u64);
        documents.extend(whole.into_iter().map(|document| (namespace, document)));
    }
    for namespace in 0..plan.kinds.len() {
        writer.close(&mut out, namespace).unwrap();
    }
    writer.finish().unwrap();
    (out, documents)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read_in_pieces_of_any_size(plan in plans()) {
        let (archive, documents) = write(&plan);
        let (summary, seen) = walk(&archive, plan.piece, Everything::default()).unwrap();
        prop_assert_eq!(&summary, &walk(&archive, usize::MAX, ()).unwrap().0);
        prop_assert_eq!(seen.prelude.unwrap(), prelude(&plan.kinds));
        prop_assert_eq!(summary.documents(), documents.len() as u64);
        prop_assert_eq!(summary.bytes, archive.len() as u64);
        for (number, namespace) in summary.namespaces.iter().enumerate() {
            let own = documents.iter().filter(|(of, _)| *of == number).map(|(_, document)| document);
            let hash = own.clone().fold(ContentHash::default(), |sum, document| sum + ContentHash::of(document));
            prop_assert_eq!(namespace.content_hash, hash);
            prop_assert_eq!(namespace.bytes, own.clone().map(|document| document.len() as u64).sum::<u64>());
            prop_assert_eq!(namespace.documents, own.count() as u64);
        }
        prop_assert_eq!(seen.documents, documents);
        prop_assert_eq!(seen.ended.len(), plan.kinds.len());
        prop_assert!(seen.ended.iter().all(|(number, ended)| *ended == summary.namespaces[*number]));
    }

    #[test]
    fn any_cut_is_refused(plan in plans(), cut in any::<prop::sample::Index>()) {
        let (archive, _) = write(&plan);
        let cut = cut.index(archive.len());
        prop_assert!(walk(&archive[..cut], plan.piece, ()).is_err(), "cut after {} of {}", cut, archive.len());
    }

    #[test]
    fn anything_that_follows_is_refused(plan in plans(), more in prop::collection::vec(any::<u8>(), 1..40)) {
        let (mut archive, _) = write(&plan);
        archive.extend(more);
        prop_assert!(walk(&archive, plan.piece, ()).is_err());
    }

    #[test]
    fn a_piece_taken_out_is_refused(
        plan in plans(), from in any::<prop::sample::Index>(), length in 1_usize..60,
    ) {
        let (archive, _) = write(&plan);
        let whole = summary(&archive).unwrap();
        let from = from.index(archive.len());
        let until = (from + length).min(archive.len());
        let shorter = [&archive[..from], &archive[until..]].concat();
        prop_assert!(summary(&shorter).map_or(true, |found| found.prelude != whole.prelude));
    }

    #[test]
    fn nonsense_is_refused_and_never_panics(
        nonsense in prop::collection::vec(any::<u8>(), 0..200), piece in 1_usize..50, after_magic in any::<bool>(),
    ) {
        let start: &[u8] = if after_magic { &holdfast_archive::MAGIC } else { &[] };
        prop_assert!(walk(&[start, &nonsense].concat(), piece, ()).is_err());
    }
}

fn small_archive() -> Vec<u8> {
    let mut writer = BlockWriter::new(prelude(&[
        NamespaceKind::Collection,
        NamespaceKind::View,
        NamespaceKind::Timeseries,
        NamespaceKind::Collection,
    ]))
    .unwrap();
    let mut out = Vec::new();
    writer.begin(&mut out).unwrap();
    let documents = |from: u8| [document(&[from; 3]), document(&[]), document(&[from, 9])].concat();
    writer.documents(&mut out, 0, &documents(1)).unwrap();
    writer.documents(&mut out, 2, &documents(2)).unwrap();
    writer.documents(&mut out, 0, &documents(3)).unwrap();
    for namespace in [0, 3, 1, 2] {
        writer.close(&mut out, namespace).unwrap();
    }
    writer.finish().unwrap();
    out
}

/// Every flipped bit of an archive is refused, or is visible in the prelude's fields.
#[test]
fn any_flipped_bit_is_refused_or_seen_in_the_prelude() {
    let archive = small_archive();
    let whole = summary(&archive).unwrap();
    let blocks_from = {
        let mut prelude = Vec::new();
        whole.prelude.write_to(&mut prelude).unwrap();
        prelude.len()
    };
    for position in 0..archive.len() {
        for bit in 0..8 {
            let mut flipped = archive.clone();
            flipped[position] ^= 1 << bit;
            if let Ok(found) = summary(&flipped) {
                assert!(
                    position < blocks_from,
                    "bit {bit} of byte {position} is not missed"
                );
                assert_ne!(
                    found.prelude, whole.prelude,
                    "bit {bit} of byte {position} is not missed"
                );
            }
        }
    }
}

#[test]
fn every_cut_of_a_small_archive_is_refused() {
    let archive = small_archive();
    for cut in 0..archive.len() {
        assert!(summary(&archive[..cut]).is_err(), "cut after {cut}");
    }
}

#[test]
fn every_cut_of_a_golden_at_a_block_is_refused() {
    let archive = golden("platform-excluded");
    let terminators = archive
        .windows(4)
        .enumerate()
        .filter(|(_, four)| *four == [0xff; 4]);
    let cuts: Vec<_> = terminators
        .map(|(at, _)| at + 4)
        .filter(|cut| *cut < archive.len())
        .collect();
    assert!(cuts.len() >= 14);
    for cut in cuts {
        assert!(summary(&archive[..cut]).is_err(), "cut after {cut}");
    }
}

#[test]
fn a_small_archive_is_the_same_in_pieces_of_every_size() {
    let archive = small_archive();
    let whole = walk(&archive, usize::MAX, Everything::default()).unwrap();
    for piece in 1..archive.len() {
        assert_eq!(
            walk(&archive, piece, Everything::default()).unwrap(),
            whole,
            "pieces of {piece}"
        );
    }
}
