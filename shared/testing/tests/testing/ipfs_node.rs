//! The real node, through its client.

use cid::Cid;
use holdfast_testing::{
    DirectoryShape, FileShape, GaiaRequests, GatewayRequests, IpfsNode, Requests, parts,
};
use reqwest::{Client, StatusCode};
use sha2::{Digest as _, Sha256};

const RAW: u64 = 0x55;
const SHA2_256: u64 = 0x12;

/// Larger than a default chunk, and of no repeating blocks.
fn file() -> Vec<u8> {
    (0..100_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn every_shape() -> Vec<FileShape> {
    let deep = |shape: FileShape| shape.chunk(5_000).max_links(3);
    vec![
        FileShape::v0(),
        FileShape::v1(),
        FileShape::v0().raw_leaves(),
        FileShape::v1().wrapped_leaves(),
        deep(FileShape::v0()),
        deep(FileShape::v1()),
        deep(FileShape::v0().raw_leaves()),
        deep(FileShape::v1().wrapped_leaves()),
        deep(FileShape::v1()).trickle(),
        deep(FileShape::v0()).trickle(),
        deep(FileShape::v1()).modified(1_700_000_000),
    ]
}

/// The blocks of a CAR, in its order.
fn blocks(car: &[u8]) -> Vec<(Cid, Vec<u8>)> {
    let mut rest = car;
    take_frame(&mut rest);
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let mut section = take_frame(&mut rest);
        let cid = Cid::read_bytes(&mut section).unwrap();
        blocks.push((cid, section.to_vec()));
    }
    blocks
}

fn take_frame<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let mut length = 0;
    for shift in (0..).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        length |= usize::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    let (frame, rest) = bytes.split_at(length);
    *bytes = rest;
    frame
}

#[tokio::test]
async fn a_file_of_every_shape_is_there_as_car_as_blocks_and_plain() {
    let node = IpfsNode::start();
    for shape in every_shape() {
        let cid = node.add(file(), &shape).await;
        assert_eq!(node.file(&cid).await, file(), "{shape:?}");
        let blocks = blocks(&node.car(&cid).await);
        assert_eq!(
            blocks[0].0.to_string(),
            cid,
            "{shape:?}: the root comes first"
        );
        assert!(blocks.len() > 1, "{shape:?}");
        for (cid, block) in blocks {
            assert_eq!(cid.hash().code(), SHA2_256);
            assert_eq!(cid.hash().digest(), Sha256::digest(&block).as_slice());
            assert_eq!(node.block(&cid.to_string()).await, block);
        }
    }
}

#[tokio::test]
async fn shapes_are_what_they_are_called() {
    let node = IpfsNode::start();
    let small = "a few bytes";
    let v0 = node.add(small, &FileShape::v0()).await;
    assert!(v0.starts_with("Qm"), "{v0}");
    let v1: Cid = node.add(small, &FileShape::v1()).await.parse().unwrap();
    assert_eq!(v1.codec(), RAW);
    let inline: Cid = node
        .add(small, &FileShape::v1().inline(64))
        .await
        .parse()
        .unwrap();
    assert_eq!(
        (inline.hash().code(), inline.hash().digest()),
        (0, small.as_bytes())
    );
    assert_eq!(node.file(&inline.to_string()).await, small);
    let other: Cid = node
        .add(small, &FileShape::v1().hash("blake3"))
        .await
        .parse()
        .unwrap();
    assert_eq!(other.hash().code(), 0x1e);
    for (shape, leaves) in [(FileShape::v1(), 80), (FileShape::v1().wrapped_leaves(), 0)] {
        let cid = node.add(file(), &shape.chunk(5_000)).await;
        let blocks = blocks(&node.car(&cid).await);
        assert_eq!(
            blocks.iter().filter(|(cid, _)| cid.codec() == RAW).count(),
            leaves
        );
    }
}

#[tokio::test]
async fn files_are_found_by_path_in_plain_nested_and_sharded_directories() {
    let node = IpfsNode::start();
    let files: Vec<_> = (0..500).map(|number| format!("file {number}")).collect();
    let cids = node.add_many(&files, &FileShape::v1()).await;
    let entries = || {
        cids.iter()
            .enumerate()
            .map(|(number, cid)| (format!("f {number}.txt"), cid))
    };
    let shapes = [
        DirectoryShape::plain(),
        DirectoryShape::sharded(256),
        DirectoryShape::sharded(8).v1(),
    ];
    for shape in shapes {
        let directory = node.add_directory(entries(), &shape).await;
        let outer = node
            .add_directory([("inner", &directory)], &DirectoryShape::plain().v1())
            .await;
        assert_eq!(
            node.file(&format!("{outer}/inner/f%20321.txt")).await,
            "file 321",
            "{shape:?}"
        );
        let car = blocks(&node.car(&format!("{outer}/inner/f%20321.txt")).await);
        assert_eq!(
            car.last().unwrap().1,
            b"file 321",
            "{shape:?}: the file follows what leads to it"
        );
    }
}

#[tokio::test]
async fn ten_thousand_small_files_are_added_in_one_call() {
    let node = IpfsNode::start();
    let files: Vec<_> = (0..10_000)
        .map(|number| format!("small file {number}"))
        .collect();
    let cids = node.add_many(&files, &FileShape::v1()).await;
    assert_eq!((cids.len(), node.block_count().await), (10_000, 10_000));
    assert_eq!(node.file(&cids[9_999]).await, files[9_999]);
}

#[tokio::test]
async fn a_fresh_node_answers_for_what_it_imported() {
    let (node, fresh) = (IpfsNode::start(), IpfsNode::start());
    let cid = node
        .add(file(), &FileShape::v0().chunk(5_000).max_links(3))
        .await;
    let imported = fresh.import(node.car(&cid).await).await.unwrap();
    assert_eq!(imported.roots, [cid.as_str()]);
    assert_eq!(imported.blocks, blocks(&node.car(&cid).await).len());
    assert_eq!(fresh.file(&cid).await, file());
}

#[tokio::test]
async fn an_import_is_refused_where_a_block_is_missing_and_names_it() {
    let (node, fresh) = (IpfsNode::start(), IpfsNode::start());
    let cid = node
        .add(file(), &FileShape::v1().chunk(5_000).max_links(3))
        .await;
    let car = node.car(&cid).await;
    let (missing, block) = blocks(&car).pop().unwrap();
    // The last section: its length, its CID, its block.
    let whole_but_one = car.slice(..car.len() - block.len() - missing.to_bytes().len() - 2);
    let refused = fresh.import(whole_but_one).await.unwrap_err();
    assert_eq!(
        refused.missing.as_deref(),
        Some(missing.to_string().as_str()),
        "{}",
        refused.error
    );
}

#[tokio::test]
async fn an_import_is_refused_where_the_car_is_cut_or_altered_or_none() {
    let (node, fresh) = (IpfsNode::start(), IpfsNode::start());
    let cid = node.add(file(), &FileShape::v1()).await;
    let car = node.car(&cid).await;
    let mut altered = car.to_vec();
    *altered.last_mut().unwrap() ^= 1;
    for bad in [car.slice(..car.len() - 1), altered.into(), "no CAR".into()] {
        assert_eq!(fresh.import(bad).await.unwrap_err().missing, None);
    }
}

#[tokio::test]
async fn a_removed_block_is_missing_and_a_reset_node_is_empty() {
    let node = IpfsNode::start();
    let cid = node.add("here", &FileShape::v0()).await;
    node.remove_block(&cid).await;
    let asked = Client::new()
        .get(format!("{}/ipfs/{cid}?format=raw", node.address()))
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), StatusCode::NOT_FOUND);
    let hostile = node.add_block(vec![0xff; 3], "dag-pb").await;
    assert_eq!(node.block(&hostile).await, vec![0xff; 3]);
    node.put_gaia("kept", "a file").await;
    node.reset().await;
    assert_eq!(
        (node.block_count().await, node.requests().await),
        (0, Requests::default())
    );
    let asked = Client::new()
        .get(format!("{}/gaia/kept", node.address()))
        .send()
        .await
        .unwrap();
    assert_eq!(asked.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn gaia_answers_304_until_the_file_changes() {
    let node = IpfsNode::start();
    let url = node.put_gaia("hub/profile.json", "first").await;
    let response = Client::new().get(&url).send().await.unwrap();
    let header = |name: &str| response.headers()[name].clone();
    let (etag, modified) = (header("etag"), header("last-modified"));
    assert_eq!(response.text().await.unwrap(), "first");
    for (condition, validator) in [("if-none-match", &etag), ("if-modified-since", &modified)] {
        let again = Client::new()
            .get(&url)
            .header(condition, validator)
            .send()
            .await
            .unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{condition}");
    }
    node.put_gaia("hub/profile.json", "second").await;
    let changed = Client::new()
        .get(&url)
        .header("if-none-match", &etag)
        .send()
        .await
        .unwrap();
    assert_eq!(changed.text().await.unwrap(), "second");
    Client::new().head(&url).send().await.unwrap();
    node.remove_gaia("hub/profile.json").await;
    assert_eq!(
        Client::new().get(&url).send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    let counted = node.requests().await.gaia;
    assert_eq!(
        counted,
        GaiaRequests {
            full: 2,
            not_modified: 2,
            head: 1,
            missing: 1
        }
    );
}

#[tokio::test]
async fn requests_are_counted_by_kind() {
    let node = IpfsNode::start();
    let cid = node.add("counted", &FileShape::v1()).await;
    node.car(&cid).await;
    node.block(&cid).await;
    node.block(&cid).await;
    node.file(&cid).await;
    assert_eq!(
        node.requests().await.gateway,
        GatewayRequests {
            car: 1,
            raw: 2,
            plain: 1
        }
    );
    node.reset_requests().await;
    assert_eq!(node.requests().await, Requests::default());
}

#[tokio::test]
async fn the_shared_node_answers() {
    let node = parts().ipfs_node();
    let cid = node.add("on the node of all tests", &FileShape::v1()).await;
    assert_eq!(node.file(&cid).await, "on the node of all tests");
}
