use bytes::Bytes;
use holdfast_content::ipfs::{Cid, DagFault, DagFaultKind, Walk, WalkLimits, check_supported};
use proptest::prelude::*;

use crate::{
    dag::{DAG_PB, Node, RAW, bytes, dag_pb, directory, number, shapes, unixfs_file, v1},
    run::{LIMITS, cid_of, fault_of, fault_within, path},
};

/// A node with this number of links to another, and this stated size for each link.
fn repeated(node: &Node, times: usize, stated: u64) -> Node {
    let links = vec![("", &node.cid); times];
    let block = dag_pb(&links, Some(&unixfs_file(2, None, &vec![stated; times])));
    let size = stated * times as u64;
    Node {
        cid: v1(DAG_PB, 0x12, &block),
        block,
        children: vec![node.clone()],
        size,
    }
}

#[test]
fn a_dag_that_expands_without_bound_is_refused_at_its_root() {
    let mut node = Node::raw(&[0; 1000]);
    for _ in 0..8 {
        node = repeated(&node, 100, node.size);
    }
    let (mut walk, _) = Walk::begin(&path(node.cid, &[]), LIMITS).unwrap();
    let fault = walk.supply(&Bytes::from(node.block)).unwrap_err();
    assert!(fault.to_string().starts_with("too large: "), "{fault}");
}

#[test]
fn a_part_larger_than_its_parent_states_is_refused_before_its_own_parts() {
    let leaf = Node::raw(&[0; 1000]);
    let bomb = repeated(&repeated(&leaf, 1000, 1000), 1000, 1000);
    let fault = fault_of(&repeated(&bomb, 2, 10), &[]);
    let cid = bomb.cid.to_string();
    assert_eq!(
        fault,
        DagFault::Sizes {
            cid,
            stated_bytes: 10,
            found_bytes: 1_000_000
        }
    );
}

#[test]
fn parts_without_bytes_cannot_branch() {
    let mut node = Node::raw(&[]);
    for _ in 0..6 {
        node = repeated(&node, 100, 0);
    }
    let fault = fault_of(&node, &[]);
    assert!(
        matches!(
            fault,
            DagFault::Malformed {
                reason: "it has parts, and all of them are empty",
                ..
            }
        ),
        "{fault}"
    );
}

#[test]
fn empty_leaves_without_number_end_at_the_count_of_blocks() {
    let (empty, byte) = (Node::raw(&[]), Node::raw(b"x"));
    let links: Vec<(&str, &Node)> = [("", &byte)]
        .into_iter()
        .chain(vec![("", &empty); 5000])
        .collect();
    let sizes: Vec<u64> = [1].into_iter().chain(vec![0; 5000]).collect();
    let node = Node::new(&links, &unixfs_file(2, None, &sizes), 1);
    let links = [("", &node); 10];
    let root = Node::new(&links, &unixfs_file(2, None, &[1; 10]), 10);
    assert_eq!(
        fault_of(&root, &[]),
        DagFault::TooManyBlocks {
            limit: LIMITS.blocks
        }
    );
}

#[test]
fn a_dag_deeper_than_allowed_is_refused() {
    let mut node = Node::raw(b"x");
    for _ in 0..LIMITS.depth {
        node = repeated(&node, 1, 1);
    }
    assert!(matches!(
        fault_of(&node, &[]),
        DagFault::TooDeep { limit: 40, .. }
    ));
    let names = vec!["d"; LIMITS.depth];
    let file = Node::raw(b"x");
    let deep = names
        .iter()
        .fold(file, |node, name| directory(&[(name, &node)]));
    assert!(matches!(fault_of(&deep, &names), DagFault::TooDeep { .. }));
}

#[test]
fn structure_out_of_all_proportion_is_refused() {
    let leaf = Node::raw(b"0123456789");
    let limits = WalkLimits {
        inner_bytes: 20_000,
        ..LIMITS
    };
    let fault = fault_within(limits, &repeated(&repeated(&leaf, 100, 10), 100, 1000), &[]);
    assert_eq!(
        fault,
        DagFault::TooMuchStructure {
            limit_bytes: 20_000
        }
    );
}

#[test]
fn a_file_past_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let file = Node::raw(&[1; 1000]);
    let limits = |file_bytes| WalkLimits {
        file_bytes,
        ..LIMITS
    };
    let (mut walk, _) = Walk::begin(&path(file.cid, &[]), limits(1000)).unwrap();
    assert!(walk.supply(&Bytes::from(file.block.clone())).is_ok());
    let fault = fault_within(limits(999), &file, &[]);
    assert_eq!(fault.kind(), DagFaultKind::TooLarge);
}

#[test]
fn a_block_larger_than_ipfs_passes_on_is_refused() {
    let fault = fault_within(
        WalkLimits::for_file(1 << 30),
        &Node::raw(&vec![0; (4 << 20) + 1]),
        &[],
    );
    assert!(matches!(fault, DagFault::LargeBlock { .. }), "{fault}");
}

#[test]
fn a_codec_or_a_hash_that_is_not_known_is_named() {
    let named = |codec, hash, bytes| check_supported(&cid_of(codec, hash, bytes)).unwrap_err();
    assert!(named(0x71, 0x12, 32).to_string().contains("dag-cbor"));
    assert!(
        named(0x0200, 0x12, 32)
            .to_string()
            .contains("unsupported codec json")
    );
    assert!(named(0x9999, 0x12, 32).to_string().contains("0x9999"));
    assert!(
        named(RAW, 0x11, 20)
            .to_string()
            .contains("hash sha1 with 160 bits")
    );
    assert!(
        named(RAW, 0x12, 20)
            .to_string()
            .contains("sha2-256 with 160 bits")
    );
    assert!(named(RAW, 0x4444, 32).to_string().contains("0x4444"));
    let cids = [
        cid_of(0x71, 0x12, 32),
        cid_of(RAW, 0x12, 0),
        cid_of(DAG_PB, 0x1e, 64),
    ];
    assert!(
        cids.iter()
            .all(|cid| check_supported(cid).unwrap_err().kind() == DagFaultKind::Unsupported)
    );
}

#[test]
fn an_unsupported_block_within_a_file_is_named_before_it_is_asked_for() {
    let odd = Node {
        cid: cid_of(0x71, 0x12, 32),
        ..Node::raw(b"x")
    };
    assert!(matches!(
        fault_of(&repeated(&odd, 1, 1), &[]),
        DagFault::Codec { .. }
    ));
}

#[test]
fn nodes_whose_sizes_do_not_add_up_are_refused() {
    let leaf = Node::raw(b"0123456789");
    let sized =
        |unixfs: Vec<u8>| fault_of(&Node::new(&[("", &leaf), ("", &leaf)], &unixfs, 0), &[]);
    let head = |total| [number(1, 2), number(3, total)].concat();
    let wrong_total = sized([head(21), number(4, 10), number(4, 10)].concat());
    assert!(
        matches!(
            wrong_total,
            DagFault::Sizes {
                stated_bytes: 21,
                found_bytes: 20,
                ..
            }
        ),
        "{wrong_total}"
    );
    let wrong_part = sized([head(20), number(4, 9), number(4, 11)].concat());
    assert!(
        matches!(
            wrong_part,
            DagFault::Sizes {
                stated_bytes: 9,
                found_bytes: 10,
                ..
            }
        ),
        "{wrong_part}"
    );
    let overflow = sized([head(0), number(4, u64::MAX), number(4, 1)].concat());
    assert_eq!(overflow.kind(), DagFaultKind::Malformed);
    let too_few = sized([head(10), number(4, 10)].concat());
    assert!(
        too_few
            .to_string()
            .contains("does not state the size of each part"),
        "{too_few}"
    );
    let too_many = sized([head(30), number(4, 10), number(4, 10), number(4, 10)].concat());
    assert!(
        too_many
            .to_string()
            .contains("sizes of more parts than it links to"),
        "{too_many}"
    );
    let leaf_that_lies = Node::new(
        &[],
        &[number(1, 2), bytes(2, b"abc"), number(3, 4)].concat(),
        0,
    );
    assert!(matches!(
        fault_of(&leaf_that_lies, &[]),
        DagFault::Sizes {
            stated_bytes: 4,
            found_bytes: 3,
            ..
        }
    ));
}

#[test]
fn blocks_that_are_no_nodes_of_a_file_say_why() {
    let of_block = |block: Vec<u8>| {
        let node = Node {
            cid: v1(DAG_PB, 0x12, &block),
            block,
            children: vec![Node::raw(b"x")],
            size: 0,
        };
        fault_of(&node, &[]).to_string()
    };
    let leaf = Node::raw(b"x");
    let file = unixfs_file(2, Some(b"x"), &[]);
    let cases = [
        (dag_pb(&[("", &leaf.cid)], None), "it has no data"),
        (b"\xff\xff\xff".to_vec(), "it ends within a number"),
        (bytes(1, &file)[..5].to_vec(), "it ends within a field"),
        (
            [bytes(1, &file), bytes(1, &file)].concat(),
            "a field comes twice",
        ),
        (
            [bytes(1, &file), bytes(7, b"?")].concat(),
            "it is not a dag-pb node",
        ),
        (
            [number(2, 1), bytes(1, &file)].concat(),
            "a field of bytes has another type",
        ),
        (
            [bytes(2, b""), bytes(1, &file)].concat(),
            "one of its links has no CID",
        ),
        (
            [bytes(2, &bytes(9, b"?")), bytes(1, &file)].concat(),
            "one of its links is not a dag-pb link",
        ),
        (bytes(1, b""), "UnixFS type is unknown"),
        (bytes(1, &number(1, 6)), "UnixFS type is unknown"),
        (bytes(1, &[0x0b]), "a field has an unknown type"),
        (
            dag_pb(&[("", &leaf.cid)], Some(&unixfs_file(0, None, &[1]))),
            "a raw leaf has links",
        ),
        (
            [
                bytes(2, &bytes(1, b"no CID")),
                bytes(1, &unixfs_file(2, None, &[1])),
            ]
            .concat(),
            "a link in it is not a CID",
        ),
    ];
    for (block, reason) in cases {
        let fault = of_block(block);
        assert!(
            fault.contains("is malformed: ") && fault.contains(reason),
            "{fault} / {reason}"
        );
    }
    let within = fault_of(&repeated(&directory(&[]), 1, 1), &[]).to_string();
    assert!(
        within.contains("it is inside a file, but not a part of one"),
        "{within}"
    );
}

proptest! {
    #[test]
    fn damaged_nodes_under_true_cids_never_panic(
        file in prop::collection::vec(any::<u8>(), 0..2000),
        shape in shapes(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        names in prop::collection::vec("[a-z0-9]{0,3}", 0..3),
    ) {
        let (root, _) = shape.build(&file);
        let mut block = if names.is_empty() { root.block } else { directory(&[(&names[0], &root)]).block };
        prop_assume!(!block.is_empty());
        for (at, byte) in damage {
            let at = at.index(block.len());
            block[at] = byte;
        }
        walk_blindly(v1(DAG_PB, 0x12, &block), &names, block);
    }

    #[test]
    fn arbitrary_bytes_under_true_cids_never_panic(block in prop::collection::vec(any::<u8>(), 0..300)) {
        walk_blindly(v1(DAG_PB, 0x12, &block), &[], block.clone());
        walk_blindly(v1(DAG_PB, 0x12, &block), &["a".to_owned()], block);
    }
}

/// Supplies one block, then the same block for every request.
fn walk_blindly(cid: Cid, names: &[String], block: Vec<u8>) {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let block = Bytes::from(block);
    let (mut walk, _) = Walk::begin(&path(cid, &names), LIMITS).unwrap();
    let _ = walk.supply(&block);
    let _ = walk.supply(&block);
    let _ = walk.finish();
}
