//! Every fault has a name, and a test to cause it.

use bson::{Document, doc};
use holdfast_archive::{
    BlockWriter, MAX_DOCUMENT_BYTES, Metadata, Prelude, PreludeNamespace, VisitError, Visitor,
    WalkError, Walker, WriteError,
};

use crate::support::{Everything, summary, walk};

pub(super) const TERMINATOR: [u8; 4] = [0xff; 4];

pub(super) fn namespace(collection: &str) -> PreludeNamespace {
    let metadata = Metadata {
        collection_name: collection.to_owned(),
        ..Metadata::default()
    };
    PreludeNamespace::new("shop", &metadata)
}

pub(super) fn prelude(collections: &[&str]) -> Prelude {
    Prelude {
        concurrent_collections: 1,
        server_version: "8.0.0".to_owned(),
        tool_version: "100.18.0".to_owned(),
        namespaces: collections
            .iter()
            .map(|collection| namespace(collection))
            .collect(),
    }
}

/// An archive by hand: the prelude, then blocks as they are given.
pub(super) struct ByHand(pub(super) Vec<u8>);

impl ByHand {
    pub(super) fn new(collections: &[&str]) -> Self {
        let mut bytes = Vec::new();
        prelude(collections).write_to(&mut bytes).unwrap();
        Self(bytes)
    }

    pub(super) fn document(mut self, document: &Document) -> Self {
        self.0.extend(document.to_vec().unwrap());
        self
    }

    pub(super) fn end_of_block(self) -> Self {
        self.bytes(&TERMINATOR)
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(super) fn open(self, collection: &str) -> Self {
        self.document(&doc! { "db": "shop", "collection": collection, "EOF": false, "CRC": 0_i64 })
    }

    pub(super) fn end(self, collection: &str, crc: i64) -> Self {
        self.document(&doc! { "db": "shop", "collection": collection, "EOF": true, "CRC": crc })
            .end_of_block()
    }

    /// An open block and an end, both empty.
    pub(super) fn empty(self, collection: &str) -> Self {
        self.open(collection).end_of_block().end(collection, 0)
    }

    pub(super) fn fault(self) -> WalkError {
        let whole = summary(&self.0).unwrap_err();
        let in_pieces = walk(&self.0, 1, ()).unwrap_err();
        assert_eq!(whole.to_string(), in_pieces.to_string());
        whole
    }
}

#[test]
fn translated_line_endings_are_named_as_the_cause_of_any_fault() {
    let mut writer = BlockWriter::new(prelude(&["orders"])).unwrap();
    let mut archive = Vec::new();
    writer.begin(&mut archive).unwrap();
    for number in 0..40 {
        writer
            .documents(
                &mut archive,
                0,
                &doc! { "_id": number, "text": "one\ntwo" }.to_vec().unwrap(),
            )
            .unwrap();
    }
    writer.close(&mut archive, 0).unwrap();
    writer.finish().unwrap();
    let mut translated = Vec::new();
    for byte in &archive {
        if *byte == b'\n' {
            translated.push(b'\r');
        }
        translated.push(*byte);
    }
    for piece in [1000, 65_536] {
        let error = walk(&translated, piece, ()).unwrap_err();
        assert!(
            matches!(&error, WalkError::LineEndingsTranslated { .. }),
            "{error}"
        );
    }
    let half = walk(&translated[..translated.len() / 2], 65_536, ()).unwrap_err();
    assert!(
        half.to_string().contains("perl -pe 's/\\r\\n/\\n/'"),
        "{half}"
    );
    assert!(summary(&archive).is_ok());
}

#[test]
fn an_impossible_length_is_refused_at_its_offset() {
    let too_long = i32::try_from(MAX_DOCUMENT_BYTES).unwrap() + 1;
    for length in [0, 4, -2, i32::MIN, too_long] {
        let archive = ByHand::new(&["orders"]).open("orders");
        let at = archive.0.len() as u64;
        let error = archive.bytes(&length.to_le_bytes()).fault();
        assert!(
            error
                .to_string()
                .contains("in the documents of shop.orders"),
            "{error}"
        );
        assert!(
            matches!(error, WalkError::DocumentLength { offset, length: found, .. } if (offset, found) == (at, length))
        );
    }
}

#[test]
fn a_document_without_its_last_nul_is_refused() {
    let error = ByHand::new(&["orders"])
        .open("orders")
        .bytes(&[5, 0, 0, 0, 1])
        .fault();
    assert!(
        matches!(error, WalkError::DocumentEnd { namespace, .. } if namespace == "shop.orders")
    );
}

#[test]
fn a_block_without_a_header_is_refused() {
    let error = ByHand::new(&["orders"]).end_of_block().fault();
    assert!(matches!(error, WalkError::BadBlockHeader { .. }));
    let error = ByHand::new(&["orders"])
        .document(&doc! { "_id": 1 })
        .fault();
    assert!(matches!(error, WalkError::BadBlockHeader { .. }));
}

#[test]
fn a_block_of_a_namespace_that_is_not_declared_is_refused() {
    let error = ByHand::new(&["orders"]).open("users").fault();
    assert!(
        matches!(error, WalkError::UndeclaredNamespace { namespace, .. } if namespace == "shop.users")
    );
}

#[test]
fn a_block_after_its_namespaces_end_is_refused() {
    let error = ByHand::new(&["orders", "users"])
        .empty("orders")
        .open("orders")
        .fault();
    assert!(
        matches!(error, WalkError::BlockAfterEnd { namespace, .. } if namespace == "shop.orders")
    );
    let error = ByHand::new(&["orders", "users"])
        .empty("orders")
        .end("orders", 0)
        .fault();
    assert!(matches!(error, WalkError::BlockAfterEnd { .. }));
}

#[test]
fn an_end_without_a_block_before_it_is_refused() {
    let error = ByHand::new(&["orders", "users"]).end("orders", 0).fault();
    assert!(
        matches!(error, WalkError::EndBeforeBegin { namespace, .. } if namespace == "shop.orders")
    );
}

#[test]
fn a_document_in_the_block_that_ends_its_namespace_is_refused() {
    let end = doc! { "db": "shop", "collection": "orders", "EOF": true, "CRC": 0_i64 };
    let error = ByHand::new(&["orders"])
        .open("orders")
        .end_of_block()
        .document(&end)
        .document(&doc! { "_id": 1 })
        .fault();
    assert!(
        matches!(error, WalkError::DocumentInEndBlock { namespace, .. } if namespace == "shop.orders")
    );
}

#[test]
fn a_wrong_crc_is_refused_with_both() {
    let archive = ByHand::new(&["orders"])
        .open("orders")
        .document(&doc! { "_id": 1 })
        .end_of_block();
    let error = archive.end("orders", -1).fault();
    assert!(matches!(
        error,
        WalkError::CrcMismatch { namespace, documents: 1, expected: u64::MAX, found } if namespace == "shop.orders" && found != 0
    ));
}

#[test]
fn namespaces_never_begun_and_never_closed_are_named() {
    let error = ByHand::new(&["orders", "users", "refunds"])
        .empty("refunds")
        .open("users")
        .end_of_block()
        .fault();
    assert_eq!(
        error.to_string(),
        "the archive is incomplete, never begun: shop.orders, never closed: shop.users"
    );
}

#[test]
fn an_end_inside_a_document_is_a_cut_there() {
    let error = ByHand::new(&["orders"])
        .open("orders")
        .bytes(&[50, 0, 0, 0, 1])
        .fault();
    assert!(
        matches!(error, WalkError::CutShort { inside, .. } if inside == "the documents of shop.orders")
    );
    let mut end = ByHand::new(&["orders"]).empty("orders");
    end.0.pop();
    assert!(
        matches!(end.fault(), WalkError::CutShort { inside, .. } if inside == "the end of shop.orders")
    );
}

#[test]
fn what_follows_the_last_end_is_trailing() {
    let archive = ByHand::new(&["orders"]).empty("orders");
    let length = archive.0.len() as u64;
    let error = archive.bytes(&[0]).fault();
    assert!(matches!(error, WalkError::TrailingData { offset } if offset == length));
}

#[test]
fn swapped_blocks_and_swapped_namespaces_are_refused() {
    let parts = || {
        let mut writer = BlockWriter::new(prelude(&["orders", "users"])).unwrap();
        let mut parts: [Vec<u8>; 6] = Default::default();
        writer.begin(&mut parts[0]).unwrap();
        writer
            .documents(&mut parts[1], 0, &doc! { "_id": 1 }.to_vec().unwrap())
            .unwrap();
        writer
            .documents(&mut parts[2], 0, &doc! { "_id": 2 }.to_vec().unwrap())
            .unwrap();
        writer
            .documents(&mut parts[3], 1, &doc! { "_id": 3 }.to_vec().unwrap())
            .unwrap();
        writer.close(&mut parts[4], 0).unwrap();
        writer.close(&mut parts[5], 1).unwrap();
        writer.finish().unwrap();
        parts
    };
    assert!(summary(&parts().concat()).is_ok());
    for (one, other) in [(0, 1), (1, 2), (2, 4), (1, 4), (3, 5)] {
        let mut swapped = parts();
        swapped.swap(one, other);
        assert!(summary(&swapped.concat()).is_err(), "{one} and {other}");
    }
    // Blocks of two namespaces may have any order, but their documents cannot change places.
    let mut order = parts();
    order.swap(2, 3);
    assert!(summary(&order.concat()).is_ok());
    let mut exchanged = parts();
    let (orders, users) = (exchanged[1].len() - 4 - 14, exchanged[3].len() - 4 - 14);
    let first: Vec<u8> = exchanged[1][orders..].to_vec();
    exchanged[1].truncate(orders);
    let second = exchanged[3].split_off(users);
    exchanged[1].extend(second);
    exchanged[3].extend(first);
    assert!(matches!(
        summary(&exchanged.concat()).unwrap_err(),
        WalkError::CrcMismatch { .. }
    ));
}

#[test]
fn a_time_series_is_read_under_either_of_its_names() {
    for name in ["system.buckets.m", "m"] {
        let metadata = Metadata::parse(
            r#"{"options":{"timeseries":{"timeField":"at"}},"collectionName":"m"}"#,
        )
        .unwrap();
        let mut bytes = Vec::new();
        let namespaces = vec![PreludeNamespace::new("shop", &metadata)];
        Prelude {
            namespaces,
            ..prelude(&[])
        }
        .write_to(&mut bytes)
        .unwrap();
        let archive = ByHand(bytes).open(name).end_of_block().end(name, 0);
        assert_eq!(summary(&archive.0).unwrap().namespaces[0].collection, "m");
    }
}

#[test]
fn a_failed_walk_never_succeeds() {
    let archive = ByHand::new(&[]).0;
    let mut walker = Walker::new(());
    assert!(walker.feed(b"nonsense").is_err());
    assert!(matches!(
        walker.feed(&archive),
        Err(WalkError::AlreadyFailed)
    ));
    assert!(matches!(walker.finish(), Err(WalkError::AlreadyFailed)));
}

#[test]
fn a_visitor_can_stop_the_walk() {
    struct Full;
    impl Visitor for Full {
        fn document(&mut self, _: usize, _: &[u8]) -> Result<(), VisitError> {
            Err("the disk is full".into())
        }
    }
    let archive = ByHand::new(&["orders"])
        .open("orders")
        .document(&doc! { "_id": 1 })
        .0;
    let mut walker = Walker::new(Full);
    let error = walker.feed(&archive).unwrap_err();
    assert!(matches!(&error, WalkError::Visitor(_)));
    assert_eq!(error.to_string(), "the disk is full");
    assert!(walker.finish().is_err());
}

#[test]
fn the_longest_document_goes_through_in_small_pieces() {
    let text = "x".repeat(MAX_DOCUMENT_BYTES - doc! { "a": "" }.to_vec().unwrap().len());
    let longest = doc! { "a": text }.to_vec().unwrap();
    assert_eq!(longest.len(), MAX_DOCUMENT_BYTES);
    let mut writer = BlockWriter::new(prelude(&["orders"])).unwrap();
    let mut archive = Vec::new();
    writer.begin(&mut archive).unwrap();
    writer.documents(&mut archive, 0, &longest).unwrap();
    writer.close(&mut archive, 0).unwrap();
    writer.finish().unwrap();
    let (summary, seen) = walk(&archive, 65_536, Everything::default()).unwrap();
    assert_eq!(summary.documents(), 1);
    assert!(seen.documents[0].1 == longest);
}

#[test]
fn the_writer_refuses_what_would_not_be_an_archive() {
    let document = doc! { "_id": 1 }.to_vec().unwrap();
    let mut out = Vec::new();
    let mut writer = BlockWriter::new(prelude(&["orders", "users"])).unwrap();
    assert!(matches!(
        writer.documents(&mut out, 0, &document),
        Err(WriteError::NotBegun)
    ));
    assert!(matches!(
        writer.close(&mut out, 0),
        Err(WriteError::NotBegun)
    ));
    writer.begin(&mut out).unwrap();
    assert!(matches!(
        writer.begin(&mut out),
        Err(WriteError::BegunTwice)
    ));
    assert!(matches!(
        writer.documents(&mut out, 2, &document),
        Err(WriteError::UnknownNamespace(2))
    ));
    for broken in [
        &document[..document.len() - 1],
        &[1, 0, 0, 0, 0],
        &[5, 0, 0],
        &[5, 0, 0, 0, 9],
    ] {
        let error = writer.documents(&mut out, 0, broken).unwrap_err();
        assert!(
            matches!(error, WriteError::BadDocuments { at: 0, .. }),
            "{error}"
        );
    }
    writer.close(&mut out, 0).unwrap();
    assert!(matches!(
        writer.documents(&mut out, 0, &document),
        Err(WriteError::AlreadyClosed(_))
    ));
    assert!(matches!(
        writer.close(&mut out, 0),
        Err(WriteError::AlreadyClosed(_))
    ));
    let error = writer.finish().unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot end the archive: open namespaces shop.users"
    );
    assert!(matches!(
        summary(&out).unwrap_err(),
        WalkError::Incomplete { .. }
    ));
    assert!(matches!(
        BlockWriter::new(prelude(&[])).unwrap().finish(),
        Err(WriteError::NotBegun)
    ));
}
