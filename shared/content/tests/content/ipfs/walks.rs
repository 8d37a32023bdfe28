use bytes::Bytes;
use holdfast_content::ipfs::{Walk, WalkError};
use proptest::prelude::*;

use super::{
    dag::{BLAKE2B_256, BLAKE3, IDENTITY, Node, RAW, SHA2_512, shapes, v1},
    run::{LIMITS, path, walk},
};

proptest! {
    #[test]
    fn a_file_of_any_shape_comes_out_as_it_went_in(file in prop::collection::vec(any::<u8>(), 0..6000), shape in shapes()) {
        let (root, file) = shape.build(&file);
        let blocks = root.blocks();
        let (mut walk, first) = Walk::begin(&path(root.cid, &[]), LIMITS).unwrap();
        let mut out = first.concat();
        for (cid, block) in &blocks {
            prop_assert_eq!(walk.wanted(), Some(cid), "blocks are asked for depth first");
            out.extend(walk.supply(&Bytes::copy_from_slice(block)).unwrap().concat());
            prop_assert_eq!(&out[..], &file[..out.len()], "bytes come out in order");
        }
        prop_assert_eq!(walk.wanted(), None);
        prop_assert_eq!(walk.file_size(), Some(file.len() as u64));
        let walked = walk.finish().unwrap();
        prop_assert_eq!((out, walked.size, walked.file_cid), (file, root.size, root.cid));
    }

    #[test]
    fn any_flipped_byte_of_a_block_is_refused_and_the_walk_is_unchanged(
        file in prop::collection::vec(any::<u8>(), 1..2000),
        shape in shapes(),
        (at, bit) in (any::<prop::sample::Index>(), 0..8_u8),
    ) {
        let (root, file) = shape.build(&file);
        let (mut walk, first) = Walk::begin(&path(root.cid, &[]), LIMITS).unwrap();
        let mut out = first.concat();
        for (cid, block) in root.blocks() {
            if !block.is_empty() {
                let mut damaged = block.clone();
                damaged[at.index(block.len())] ^= 1 << bit;
                let refused = walk.supply(&damaged.into());
                prop_assert_eq!(refused, Err(WalkError::WrongBlock { cid: cid.to_string() }));
            }
            out.extend(walk.supply(&block.into()).unwrap().concat());
        }
        prop_assert_eq!(out, file);
    }

    #[test]
    fn a_dropped_block_is_noticed(
        file in prop::collection::vec(any::<u8>(), 1..3000),
        shape in shapes(),
        dropped in any::<prop::sample::Index>(),
    ) {
        let (root, _) = shape.build(&file);
        let mut blocks = root.blocks();
        prop_assume!(!blocks.is_empty());
        let dropped = dropped.index(blocks.len());
        blocks.remove(dropped);
        let walked = walk(&path(root.cid, &[]), &blocks);
        let noticed = matches!(walked, Err(WalkError::WrongBlock { .. } | WalkError::Incomplete { .. }));
        prop_assert!(noticed);
    }

    #[test]
    fn two_swapped_blocks_are_noticed(
        file in prop::collection::vec(any::<u8>(), 1..3000),
        shape in shapes(),
        (one, other) in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let (root, _) = shape.build(&file);
        let mut blocks = root.blocks();
        prop_assume!(!blocks.is_empty());
        let (one, other) = (one.index(blocks.len()), other.index(blocks.len()));
        prop_assume!(blocks[one].1 != blocks[other].1);
        blocks.swap(one, other);
        let walked = walk(&path(root.cid, &[]), &blocks);
        let noticed = matches!(walked, Err(WalkError::WrongBlock { .. }));
        prop_assert!(noticed);
    }
}

#[test]
fn a_file_within_its_own_cid_comes_without_a_block() {
    let root = Node::raw(b"hello");
    let root = root.under(v1(RAW, IDENTITY, b"hello"));
    let (out, walked) = walk(&path(root.cid, &[]), &Vec::new()).unwrap();
    assert_eq!(
        (&out[..], walked.size, walked.record.blocks()),
        (&b"hello"[..], 5, 0)
    );
}

#[test]
fn every_hash_of_public_content_is_checked() {
    for hash in [SHA2_512, BLAKE2B_256, BLAKE3] {
        let root = Node::raw(b"hello").under(v1(RAW, hash, b"hello"));
        assert_eq!(
            walk(&path(root.cid, &[]), &root.blocks()).unwrap().0,
            b"hello"
        );
        let other = vec![(root.cid, b"hullo".to_vec())];
        assert!(matches!(
            walk(&path(root.cid, &[]), &other),
            Err(WalkError::WrongBlock { .. })
        ));
    }
}

#[test]
fn a_block_past_the_end_is_refused() {
    let root = Node::raw(b"hello");
    let blocks = [root.blocks(), root.blocks()].concat();
    assert_eq!(
        walk(&path(root.cid, &[]), &blocks).unwrap_err(),
        WalkError::Ended
    );
}

#[test]
fn a_walk_without_its_blocks_says_which_is_missing() {
    let root = Node::raw(b"hello");
    let missing = walk(&path(root.cid, &[]), &Vec::new()).unwrap_err();
    assert_eq!(
        missing,
        WalkError::Incomplete {
            cid: root.cid.to_string()
        }
    );
}
