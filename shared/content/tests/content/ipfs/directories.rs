use holdfast_content::ipfs::{DagFault, DagFaultKind};
use proptest::prelude::*;

use super::{
    dag::{BLAKE3, DAG_PB, IDENTITY, Node, bytes, directory, number, unixfs_file, v1},
    run::{fault_of, path, walk},
};

/// Names and their murmur3-x64-64, by the Python package mmh3.
const HASHES: [(&str, u64); 30] = [
    ("a", 0x8555_5565_f659_7889),
    ("b", 0x7a98_a957_b1d3_d1ee),
    ("index.html", 0xa06d_7ec8_7879_381d),
    ("0.json", 0x5113_3d6f_d75c_7d25),
    ("1.json", 0x53a4_8aa6_5185_2cfe),
    ("10.json", 0x2a3b_c7d3_e607_fbca),
    ("picture.png", 0xccd9_2ed0_1c2d_61af),
    ("ä b.bin", 0xb385_6138_782e_594b),
    (
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        0x4907_43c1_dd91_4c61,
    ),
    ("README", 0xdd16_6430_2f24_b239),
    ("metadata", 0x42c6_c300_f7ee_e5e6),
    ("7", 0xdcbc_ac4d_02a3_511a),
    ("A2", 0x8003_ab5f_ba2d_eaa4),
    ("FF", 0x41ba_2e66_a123_dd84),
    ("0.png", 0x599e_f032_382a_7bef),
    ("1.png", 0x039e_cc12_f77d_0c12),
    ("2.png", 0xdc5f_844b_a8a8_a7a6),
    ("3.png", 0xd5fe_4c91_5935_e619),
    ("4.png", 0xf649_1ddd_e265_5fb0),
    ("5.png", 0xe709_eff9_abfc_7031),
    ("6.png", 0x5963_7b39_ec2a_6ddd),
    ("7.png", 0x98e0_0577_fbdb_9744),
    ("8.png", 0x8b63_ea11_911d_1129),
    ("9.png", 0x05c1_9fcd_e8fd_1302),
    ("10.png", 0xcf42_69ed_76cc_ecaf),
    ("11.png", 0x4640_30d5_4da8_fce6),
    ("12.png", 0xa3c4_de5b_fc3e_5e7f),
    ("13.png", 0xe042_6902_f225_66ab),
    ("14.png", 0x521a_be3d_1d50_38d2),
    ("15.png", 0x822c_f3ef_1953_fec1),
];

fn unixfs_shard(fanout: u64) -> Vec<u8> {
    [
        number(1, 5),
        bytes(2, &[0xff]),
        number(5, 0x22),
        number(6, fanout),
    ]
    .concat()
}

/// A sharded directory: entries of one slot go into a level of their own.
fn shard(entries: &[(&str, u64, Node)], fanout: u64, used_bits: u32) -> Node {
    let width = format!("{:X}", fanout - 1).len();
    let slot_of = |hash: u64| hash << used_bits >> (64 - fanout.ilog2());
    let mut links = Vec::new();
    for slot in 0..fanout {
        let within: Vec<_> = entries
            .iter()
            .filter(|(_, hash, _)| slot_of(*hash) == slot)
            .cloned()
            .collect();
        match &within[..] {
            [] => {}
            [(name, _, node)] => links.push((format!("{slot:0width$X}{name}"), node.clone())),
            many => links.push((
                format!("{slot:0width$X}"),
                shard(many, fanout, used_bits + fanout.ilog2()),
            )),
        }
    }
    let links: Vec<(&str, &Node)> = links.iter().map(|(name, node)| (&name[..], node)).collect();
    Node::new(&links, &unixfs_shard(fanout), 0)
}

fn entries() -> Vec<(&'static str, u64, Node)> {
    HASHES
        .iter()
        .map(|(name, hash)| (*name, *hash, Node::raw(name.as_bytes())))
        .collect()
}

/// The blocks on the way to the entry of this name, and its own.
fn way(root: &Node, wanted: &Node) -> Option<Vec<Node>> {
    if root.cid == wanted.cid {
        return Some(vec![root.clone()]);
    }
    let below = root.children.iter().find_map(|child| way(child, wanted))?;
    Some([vec![root.clone()], below].concat())
}

proptest! {
    #[test]
    fn every_entry_of_a_sharded_directory_is_found(
        fanout in prop::sample::select(&[8_u64, 16, 64, 256, 1024][..]),
        wanted in prop::sample::select(&HASHES[..]),
    ) {
        let root = shard(&entries(), fanout, 0);
        let blocks: Vec<_> = way(&root, &Node::raw(wanted.0.as_bytes())).unwrap().into_iter().map(|node| (node.cid, node.block)).collect();
        let (file, walked) = walk(&path(root.cid, &[wanted.0]), &blocks).unwrap();
        prop_assert_eq!(file, wanted.0.as_bytes());
        prop_assert_eq!(walked.record.blocks(), blocks.len() as u64);
    }
}

#[test]
fn small_shards_are_several_levels_deep() {
    let root = shard(&entries(), 8, 0);
    let levels = entries()
        .iter()
        .map(|(_, _, node)| way(&root, node).unwrap().len())
        .max();
    assert!(levels >= Some(4), "{levels:?}");
}

#[test]
fn a_missing_name_is_not_found() {
    let file = Node::raw(b"file");
    for root in [
        directory(&[("a", &file)]),
        shard(&entries(), 8, 0),
        shard(&entries()[..1], 256, 0),
    ] {
        let fault = fault_of(&root, &["nothing of that name"]);
        assert_eq!(fault.kind(), DagFaultKind::NotFound);
        assert!(
            fault
                .to_string()
                .contains("has no entry \"nothing of that name\""),
            "{fault}"
        );
    }
}

#[test]
fn slots_of_a_sharded_directory_are_no_names() {
    let root = shard(&entries(), 8, 0);
    for slot in ["0", "1", "2", "3", "4", "5", "6"] {
        assert_eq!(fault_of(&root, &[slot]).kind(), DagFaultKind::NotFound);
    }
}

#[test]
fn the_first_of_two_entries_of_one_name_counts() {
    let (first, second) = (Node::raw(b"first"), Node::raw(b"second"));
    let root = directory(&[("a", &first), ("a", &second)]);
    let blocks = vec![(root.cid, root.block), (first.cid, first.block)];
    assert_eq!(walk(&path(root.cid, &["a"]), &blocks).unwrap().0, b"first");
}

#[test]
fn a_path_goes_through_a_directory_within_its_cid() {
    let file = Node::raw(b"file").under(v1(0x55, IDENTITY, b"file"));
    let inner = directory(&[("f", &file)]);
    let inline = v1(DAG_PB, IDENTITY, &inner.block);
    let root = directory(&[("d", &inner.under(inline))]);
    let (out, walked) = walk(&path(root.cid, &["d", "f"]), &vec![(root.cid, root.block)]).unwrap();
    assert_eq!((&out[..], walked.record.blocks()), (&b"file"[..], 1));
    walked.record.rebuild(&b"file"[..], |_, _| Ok(())).unwrap();
    assert!(walked.record.rebuild(&b"life"[..], |_, _| Ok(())).is_err());
}

#[test]
fn a_path_through_a_file_is_not_found() {
    let raw = Node::raw(b"file");
    let dag_pb = Node::new(&[], &unixfs_file(2, Some(b"file"), &[]), 4);
    let root = directory(&[("raw", &raw), ("pb", &dag_pb), ("link", &symlink())]);
    for name in ["raw", "pb", "link"] {
        let fault = fault_of(&root, &[name, "more"]);
        assert!(matches!(fault, DagFault::NoDirectory { .. }), "{fault}");
        assert_eq!(fault.kind(), DagFaultKind::NotFound);
    }
}

fn symlink() -> Node {
    Node::new(&[], &[number(1, 4), bytes(2, b"../elsewhere")].concat(), 0)
}

#[test]
fn what_is_no_file_at_the_end_of_a_path_says_what_it_is() {
    let empty = directory(&[]);
    let metadata = Node::new(
        &[],
        &[number(1, 3), bytes(2, b"\x0a\x09image/png")].concat(),
        0,
    );
    let sharded = shard(&entries(), 256, 0);
    let root = directory(&[
        ("plain", &empty),
        ("sharded", &sharded),
        ("link", &symlink()),
        ("meta", &metadata),
    ]);
    for (name, words) in [
        ("plain", "a directory"),
        ("sharded", "a sharded directory"),
        ("link", "symbolic link"),
        ("meta", "metadata"),
    ] {
        let fault = fault_of(&root, &[name]);
        assert_eq!(fault.kind(), DagFaultKind::NotAFile);
        assert!(
            fault.to_string().starts_with("not a file: ") && fault.to_string().contains(words),
            "{fault}"
        );
    }
}

#[test]
fn a_directory_sharded_by_another_hash_is_unsupported() {
    let unixfs = [number(1, 5), number(5, BLAKE3), number(6, 256)].concat();
    let fault = fault_of(&Node::new(&[], &unixfs, 0), &["a"]);
    assert!(
        matches!(fault, DagFault::Sharding { hash: BLAKE3, .. }),
        "{fault}"
    );
}

#[test]
fn a_directory_sharded_into_an_impossible_number_of_slots_is_malformed() {
    for fanout in [0, 1, 4, 9, 255, 2048, 1 << 40, u64::MAX] {
        let unixfs = [number(1, 5), number(5, 0x22), number(6, fanout)].concat();
        assert_eq!(
            fault_of(&Node::new(&[], &unixfs, 0), &["a"]).kind(),
            DagFaultKind::Malformed
        );
    }
}

#[test]
fn a_directory_sharded_past_the_bits_of_a_hash_is_malformed() {
    let (_, hash) = HASHES[0];
    let mut level = Node::new(&[], &unixfs_shard(256), 0);
    for used_bits in (0..64).step_by(8).rev() {
        let slot = format!("{:02X}", hash << used_bits >> 56);
        level = Node::new(&[(&slot, &level)], &unixfs_shard(256), 0);
    }
    let fault = fault_of(&level, &["a"]);
    assert!(
        matches!(
            fault,
            DagFault::Malformed {
                reason: "it is sharded by more bits than a hash has",
                ..
            }
        ),
        "{fault}"
    );
}

#[test]
fn a_level_of_a_sharded_directory_that_is_a_plain_one_is_malformed() {
    let slot = format!("{:02X}", HASHES[0].1 >> 56);
    let plain = directory(&[("a", &Node::raw(b"file"))]);
    let fault = fault_of(
        &Node::new(&[(&slot, &plain)], &unixfs_shard(256), 0),
        &["a"],
    );
    assert_eq!(fault.kind(), DagFaultKind::Malformed);
}
