use holdfast_content::ipfs::{CarBlock, CarFault, CarReader, CarWriter, Cid};
use proptest::prelude::*;

use super::{
    dag::{DAG_PB, IDENTITY, Node, RAW, shapes, v1, varint},
    run::{Blocks, path, walk},
};

/// `{"roots": [], "version": 1}`.
const NO_ROOTS: &[u8] = b"\x11\xa2\x65roots\x80\x67version\x01";

fn section(cid: &[u8], block: &[u8]) -> Vec<u8> {
    [&varint((cid.len() + block.len()) as u64), cid, block].concat()
}

fn car(blocks: &Blocks) -> Vec<u8> {
    let sections = blocks
        .iter()
        .flat_map(|(cid, block)| section(&cid.to_bytes(), block));
    NO_ROOTS.iter().copied().chain(sections).collect()
}

/// Reads a CAR in pieces of these lengths, after one another.
pub(crate) fn read(car: &[u8], lengths: &[usize]) -> Result<Blocks, CarFault> {
    let (mut reader, mut blocks, mut rest) = (CarReader::new(), Vec::new(), car);
    for length in lengths.iter().cycle() {
        let (piece, more) = rest.split_at((*length).min(rest.len()));
        reader.push(piece);
        while let Some(CarBlock { cid, bytes }) = reader.next_block()? {
            blocks.push((cid, bytes.to_vec()));
        }
        rest = more;
        if rest.is_empty() {
            break;
        }
    }
    reader.finish().map(|()| blocks)
}

proptest! {
    #[test]
    fn a_car_in_any_pieces_walks_to_the_same_file(
        file in prop::collection::vec(any::<u8>(), 0..4000),
        shape in shapes(),
        lengths in prop::collection::vec(1_usize..300, 1..5),
    ) {
        let (root, file) = shape.build(&file);
        let blocks = read(&car(&root.blocks()), &lengths).unwrap();
        prop_assert_eq!(&blocks, &root.blocks());
        prop_assert_eq!(walk(&path(root.cid, &[]), &blocks).unwrap().0, file);
    }

    #[test]
    fn a_car_is_written_as_it_is_read(file in prop::collection::vec(any::<u8>(), 0..4000), shape in shapes()) {
        let (root, _) = shape.build(&file);
        let mut writer = CarWriter::new(Vec::new(), &[]).unwrap();
        for (cid, block) in root.blocks() {
            writer.block(&cid, &block).unwrap();
        }
        prop_assert_eq!(writer.finish().unwrap(), car(&root.blocks()));
    }

    #[test]
    fn bytes_that_are_no_car_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&bytes, &[7]);
        let _ = read(&[NO_ROOTS, &bytes].concat(), &[7]);
    }
}

#[test]
fn a_cut_inside_a_block_differs_from_an_end_between_two() {
    let blocks: Blocks = [Node::raw(b"first block"), Node::raw(&[7; 300])]
        .map(|node| (node.cid, node.block))
        .into();
    let car = car(&blocks);
    let first_end = NO_ROOTS.len() + section(&blocks[0].0.to_bytes(), &blocks[0].1).len();
    for length in 0..car.len() {
        let read = read(&car[..length], &[64]);
        if length == NO_ROOTS.len() {
            assert_eq!(read, Ok(Vec::new()));
        } else if length == first_end {
            assert_eq!(read, Ok(blocks[..1].to_vec()));
        } else {
            let inside = if length < NO_ROOTS.len() {
                "its header"
            } else {
                "a block"
            };
            assert_eq!(
                read,
                Err(CarFault::Cut {
                    offset: length as u64,
                    inside
                }),
                "{length} bytes"
            );
        }
    }
}

#[test]
fn roots_are_named_and_read() {
    let roots: Vec<Cid> = vec![v1(RAW, 0x12, b"one"), v1(DAG_PB, 0x12, b"two")];
    let mut reader = CarReader::new();
    assert_eq!(reader.roots(), None);
    reader.push(
        &CarWriter::new(Vec::new(), &roots)
            .unwrap()
            .finish()
            .unwrap(),
    );
    assert_eq!(reader.next_block(), Ok(None));
    assert_eq!(reader.roots(), Some(&roots[..]));
}

#[test]
fn a_block_within_its_cid_is_passed_over() {
    let inline = v1(RAW, IDENTITY, b"hello");
    let real = Node::raw(b"world");
    let blocks = vec![
        (inline, b"anything".to_vec()),
        (real.cid, real.block.clone()),
        (inline, Vec::new()),
    ];
    assert_eq!(read(&car(&blocks), &[9]), Ok(real.blocks()));
}

#[test]
fn version_2_is_refused() {
    let car = b"\x0a\xa1\x67version\x02\0\0\0\0";
    assert_eq!(read(car, &[64]), Err(CarFault::Version(2)));
}

#[test]
fn a_header_or_a_block_past_the_limits_is_refused_before_it_comes() {
    let header = read(&varint(40_000), &[64]).unwrap_err();
    assert!(
        matches!(
            header,
            CarFault::TooLarge {
                what: "a header",
                size_bytes: 40_000,
                offset: 0,
                ..
            }
        ),
        "{header}"
    );
    for length in [5 << 20, u64::MAX] {
        let block = read(&[NO_ROOTS, &varint(length)].concat(), &[64]).unwrap_err();
        assert!(
            matches!(
                block,
                CarFault::TooLarge {
                    what: "a block",
                    offset: 18,
                    ..
                }
            ),
            "{block}"
        );
    }
}

#[test]
fn a_block_of_the_greatest_size_is_read_and_one_byte_more_is_not() {
    let node = Node::raw(&vec![1; 4 << 20]);
    assert_eq!(read(&car(&node.blocks()), &[100_000]), Ok(node.blocks()));
    let larger = Node::raw(&vec![1; (4 << 20) + 1]);
    assert!(matches!(
        read(&car(&larger.blocks()), &[100_000]),
        Err(CarFault::TooLarge { .. })
    ));
}

#[test]
fn an_empty_section_and_one_without_a_cid_are_refused() {
    let padded = read(&[NO_ROOTS, &[0, 0, 0]].concat(), &[64]);
    assert_eq!(
        padded,
        Err(CarFault::Malformed {
            offset: 18,
            reason: "a section is empty"
        })
    );
    let nameless = read(&[NO_ROOTS, &section(b"no CID", b"block")].concat(), &[64]);
    assert_eq!(
        nameless,
        Err(CarFault::Malformed {
            offset: 18,
            reason: "a block has no CID"
        })
    );
}

#[test]
fn a_page_that_is_no_car_is_refused() {
    let page =
        read(b"<!DOCTYPE html><html><body>404 page not found, and what else a gateway may say</body></html>", &[64]);
    assert!(matches!(page, Err(CarFault::Header(_))), "{page:?}");
}
