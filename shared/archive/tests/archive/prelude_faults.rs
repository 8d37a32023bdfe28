//! Every fault of the first part of an archive has a name, and a test to cause it.

use bson::doc;
use holdfast_archive::{
    BlockWriter, ForeignFile, MAGIC, MAX_NAMESPACES, Prelude, WalkError, WriteError,
};

use super::faults::{ByHand, TERMINATOR, namespace, prelude};
use crate::support::summary;

fn raw(bytes: &[u8]) -> WalkError {
    summary(bytes).unwrap_err()
}

#[test]
fn another_file_is_no_archive() {
    let text = WalkError::NotAnArchive {
        file: ForeignFile::Text,
    }
    .to_string();
    assert_eq!(raw(b"BSON file").to_string(), text);
    assert!(
        raw(&[0x1f, 0x8b, 8, 0, 0])
            .to_string()
            .contains("compressed with gzip")
    );
    assert!(matches!(raw(b"hi"), WalkError::NotAnArchive { .. }));
}

#[test]
fn an_empty_file_and_a_cut_magic_number_are_refused() {
    assert!(matches!(raw(&[]), WalkError::Empty));
    let error = raw(&MAGIC[..3]);
    assert_eq!(
        error.to_string(),
        "the archive is cut short: it ends after 3 bytes, inside the magic number"
    );
}

#[test]
fn a_prelude_without_its_header_or_of_another_version_is_bad() {
    assert!(matches!(
        raw(&[MAGIC, TERMINATOR].concat()),
        WalkError::BadPrelude { offset: 4, .. }
    ));
    let header = doc! {
        "concurrent_collections": 1, "version": "0.2", "server_version": "8.0.0", "tool_version": "100.18.0",
    };
    let error = raw(&[&MAGIC[..], &header.to_vec().unwrap()].concat());
    assert!(
        error.to_string().contains("its format version is `0.2`"),
        "{error}"
    );
}

#[test]
fn unreadable_metadata_concern_their_namespace_alone() {
    let mut broken = prelude(&["orders", "users"]);
    broken.namespaces[0].metadata = "{\"indexes\":".to_owned();
    let mut bytes = Vec::new();
    broken.write_to(&mut bytes).unwrap();
    let archive = ByHand(bytes).empty("orders").empty("users");
    let prelude = summary(&archive.0).unwrap().prelude;
    let error = prelude.namespaces[0].parsed_metadata().unwrap_err();
    assert_eq!(
        error.to_string(),
        "it is not JSON: expected a value at byte 11"
    );
    assert!(prelude.namespaces[1].parsed_metadata().is_ok());
}

#[test]
fn a_namespace_declared_twice_is_refused() {
    let error = ByHand::new(&["orders", "users", "orders"]).fault();
    assert!(
        matches!(error, WalkError::DuplicateNamespace { namespace } if namespace == "shop.orders")
    );
    assert!(matches!(
        BlockWriter::new(prelude(&["a", "a"])),
        Err(WriteError::DuplicateNamespace(_))
    ));
}

#[test]
fn more_namespaces_than_the_limit_are_refused() {
    let mut bytes = Vec::new();
    Prelude {
        namespaces: vec![namespace("c"); MAX_NAMESPACES + 1],
        ..prelude(&[])
    }
    .write_to(&mut bytes)
    .unwrap();
    assert!(matches!(
        raw(&bytes),
        WalkError::LimitExceeded {
            what: "namespaces",
            ..
        }
    ));
}

#[test]
fn a_larger_prelude_than_the_limit_is_refused() {
    let mut large = namespace("c");
    large.metadata = format!(r#"{{"options":{{"comment":"{}"}}}}"#, "x".repeat(9_000_000));
    let mut bytes = Vec::new();
    Prelude {
        namespaces: vec![large; 8],
        ..prelude(&[])
    }
    .write_to(&mut bytes)
    .unwrap();
    assert!(matches!(
        raw(&bytes),
        WalkError::LimitExceeded {
            what: "bytes of prelude",
            ..
        }
    ));
}
