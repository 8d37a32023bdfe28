use std::{cell::RefCell, io};

use holdfast_content::ipfs::{DagRecord, RebuildError, RecordError};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::{
    dag::{Node, directory, shapes},
    run::{Blocks, path, walk},
};

fn rebuild(record: &DagRecord, file: &[u8]) -> Result<Blocks, RebuildError> {
    let blocks = RefCell::new(Vec::new());
    record.rebuild(file, |cid, block| {
        blocks.borrow_mut().push((*cid, block.to_vec()));
        Ok(())
    })?;
    Ok(blocks.into_inner())
}

fn sealed(said: &[u8]) -> Vec<u8> {
    [said, &Sha256::digest(said)].concat()
}

/// A file of several leaves at the end of a path, and its record.
fn example() -> (Vec<u8>, DagRecord, Blocks) {
    let file: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let sizes = [1000_u64; 3];
    let leaves: Vec<Node> = file.chunks(1000).map(Node::raw).collect();
    let links: Vec<(&str, &Node)> = leaves.iter().map(|leaf| ("", leaf)).collect();
    let root = Node::new(&links, &super::dag::unixfs_file(2, None, &sizes), 3000);
    let inner = directory(&[("file.bin", &root)]);
    let outer = directory(&[("a", &inner), ("b", &root)]);
    let blocks = [&outer, &inner]
        .map(|node| (node.cid, node.block.clone()))
        .into_iter()
        .chain(root.blocks())
        .collect();
    let (out, walked) = walk(&path(outer.cid, &["a", "file.bin"]), &blocks).unwrap();
    assert_eq!(out, file);
    assert_eq!(
        (walked.file_cid, walked.record.file_cid()),
        (root.cid, &root.cid)
    );
    (file, walked.record, blocks)
}

proptest! {
    #[test]
    fn the_very_blocks_come_again_from_the_file_and_its_record(
        file in prop::collection::vec(any::<u8>(), 0..6000),
        shape in shapes(),
    ) {
        let (root, file) = shape.build(&file);
        let (_, walked) = walk(&path(root.cid, &[]), &root.blocks()).unwrap();
        let record = DagRecord::from_bytes(&walked.record.to_bytes()).unwrap();
        prop_assert_eq!(&record, &walked.record);
        prop_assert_eq!(record.blocks(), root.blocks().len() as u64);
        prop_assert_eq!(rebuild(&record, &file).unwrap(), root.blocks());
    }

    #[test]
    fn any_flipped_byte_of_the_file_is_noticed(
        file in prop::collection::vec(any::<u8>(), 1..3000),
        shape in shapes(),
        (at, bit) in (any::<prop::sample::Index>(), 0..8_u8),
    ) {
        let (root, mut file) = shape.build(&file);
        let (_, walked) = walk(&path(root.cid, &[]), &root.blocks()).unwrap();
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        let noticed = matches!(rebuild(&walked.record, &file), Err(RebuildError::OtherFile { .. }));
        prop_assert!(noticed);
    }

    #[test]
    fn a_file_that_ends_elsewhere_is_noticed(
        file in prop::collection::vec(any::<u8>(), 1..3000),
        shape in shapes(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (root, file) = shape.build(&file);
        let (_, walked) = walk(&path(root.cid, &[]), &root.blocks()).unwrap();
        let short = rebuild(&walked.record, &file[..cut.index(file.len())]);
        let long = rebuild(&walked.record, &[&file[..], b"!"].concat());
        let noticed = [short, long].map(|rebuilt| matches!(rebuilt, Err(RebuildError::OtherSize { .. })));
        prop_assert_eq!(noticed, [true, true]);
    }

    #[test]
    fn bytes_that_only_look_like_a_record_never_panic(
        tail in prop::collection::vec(any::<u8>(), 0..300),
        kept in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
    ) {
        let (file, record, _) = example();
        let bytes = record.to_bytes();
        let said = &bytes[..bytes.len() - 32];
        let changed = [&said[..kept.index(said.len())], &tail].concat();
        let mut flipped = said.to_vec();
        flipped[at.index(said.len())] ^= 0x40;
        for bytes in [changed, flipped] {
            if let Ok(hostile) = DagRecord::from_bytes(&sealed(&bytes)) {
                let same = hostile == record;
                prop_assert_eq!(rebuild(&hostile, &file).is_ok(), same, "only the true record makes blocks to the end");
            }
        }
    }
}

#[test]
fn blocks_of_the_path_come_first() {
    let (file, record, blocks) = example();
    assert_eq!(record.path().path, ["a", "file.bin"]);
    assert_eq!(rebuild(&record, &file).unwrap(), blocks);
}

#[test]
fn a_record_is_small_compared_with_its_blocks() {
    let (_, record, blocks) = example();
    let all: usize = blocks.iter().map(|(_, block)| block.len()).sum();
    let inner: usize = blocks[..3].iter().map(|(_, block)| block.len()).sum();
    assert_eq!(all, inner + 3000);
    assert!(
        record.to_bytes().len() < inner + 200,
        "{} bytes",
        record.to_bytes().len()
    );
}

#[test]
fn any_flipped_byte_of_a_record_is_rejected() {
    let (_, record, _) = example();
    let bytes = record.to_bytes();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(DagRecord::from_bytes(&damaged).is_err(), "byte {at}");
    }
}

#[test]
fn a_record_cut_anywhere_is_rejected() {
    let (_, record, _) = example();
    let bytes = record.to_bytes();
    for length in 0..bytes.len() {
        assert!(
            DagRecord::from_bytes(&bytes[..length]).is_err(),
            "{length} bytes"
        );
    }
}

#[test]
fn a_later_format_differs_from_other_bytes() {
    assert_eq!(
        DagRecord::from_bytes(b"HOLDFAST-DAG-2\n..."),
        Err(RecordError::Later)
    );
    assert_eq!(
        DagRecord::from_bytes(b"HOLDFAST1\n"),
        Err(RecordError::Magic)
    );
}

#[test]
fn a_record_keeps_its_form() {
    let root = Node::raw(b"hello");
    let top = directory(&[("h", &root)]);
    let (_, walked) = walk(
        &path(top.cid, &["h"]),
        &vec![(top.cid, top.block.clone()), (root.cid, root.block.clone())],
    )
    .unwrap();
    let said = [
        b"HOLDFAST-DAG-1\n",
        &[36][..],
        &top.cid.to_bytes(),
        &[1, 1, b'h'],
        &[36],
        &root.cid.to_bytes(),
        &[5, 2],
        &[0, 0, u8::try_from(top.block.len()).unwrap()],
        &top.block,
        &[0, 5, 0],
    ]
    .concat();
    assert_eq!(walked.record.to_bytes(), sealed(&said));
}

#[test]
fn numbers_past_all_bounds_allocate_nothing() {
    let cid = Node::raw(b"").cid.to_bytes();
    let head = [b"HOLDFAST-DAG-1\n", &[36][..], &cid].concat();
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let file = [&[0, 36][..], &cid, &most, &[1]].concat();
    let tails = [
        most.to_vec(),
        [&[1][..], &most].concat(),
        [&file[..], &most].concat(),
        [&file[..], &[0], &most, &[0]].concat(),
        [&file[..], &[0, 0], &most].concat(),
    ];
    for tail in tails {
        let read = DagRecord::from_bytes(&sealed(&[&head[..], &tail].concat()));
        assert!(matches!(read, Err(RecordError::Malformed(_))), "{read:?}");
    }
}

#[test]
fn a_writer_that_fails_ends_the_rebuilding() {
    let (file, record, _) = example();
    let failed = record.rebuild(&file[..], |_, _| Err(io::Error::other("disk full")));
    assert_eq!(failed.unwrap_err().to_string(), "disk full");
}
