//! Files on IPFS, from real gateways.

use holdfast_content::{Location, locate};
use holdfast_domain::{ItemFailureCode as Code, StorageType, Verified};
use holdfast_testing::{
    DirectoryShape, FileShape, IpfsNode, Origin,
    origin::{Alteration, Answer},
    parts,
};
use tokio::sync::mpsc;

use super::support::*;

/// A file of several levels: 40 leaves and 22 inner blocks.
pub(super) async fn deep_file(node: &IpfsNode) -> (String, Vec<u8>) {
    let body = varied(200_000);
    (
        node.add(body.clone(), &FileShape::v1().chunk(5_000).max_links(3))
            .await,
        body,
    )
}

/// A gateway in front of the node, with these faults.
pub(super) async fn altered(node: &IpfsNode, alterations: &[Alteration]) -> Origin {
    let origin = Origin::start().await;
    let answer = alterations
        .iter()
        .cloned()
        .fold(Answer::gateway(node), Answer::altered);
    origin.answer("/ipfs/", [answer]);
    origin
}

/// Numbers of requested CARs and single blocks.
pub(super) fn request_counts(origin: &Origin) -> (usize, usize) {
    let of = |format: &str| {
        origin
            .requests()
            .iter()
            .filter(|request| request.target.contains(format))
            .count()
    };
    (of("format=car"), of("format=raw"))
}

#[tokio::test]
async fn every_shape_of_file_comes_whole_from_one_car() {
    let node = IpfsNode::start();
    let body = varied(600_000);
    let shapes = [
        FileShape::v0(),
        FileShape::v1(),
        FileShape::v0().raw_leaves(),
        FileShape::v1().wrapped_leaves(),
        FileShape::v1().chunk(4_000).max_links(3),
        FileShape::v0().chunk(4_000).max_links(4),
        FileShape::v1().trickle().chunk(9_000),
        FileShape::v1().hash("blake3"),
    ];
    for (number, shape) in shapes.iter().enumerate() {
        let cid = node.add(body.clone(), shape).await;
        let (file, bytes) = fetch_ipfs(&ipfs_by(&[node.address()]), &format!("ipfs://{cid}"))
            .await
            .file();
        assert!(bytes == body, "{shape:?}");
        assert_eq!(
            (file.size, file.verified, file.source.as_str()),
            (600_000, Verified::Cid, node.address())
        );
        assert_eq!(file.dag.unwrap().path().to_string(), cid);
        let requests = node.requests().await.gateway;
        assert_eq!(
            (requests.car, requests.raw, requests.plain),
            (number + 1, 0, 0),
            "{shape:?}"
        );
    }
}

#[tokio::test]
async fn small_empty_and_inline_files_come_too() {
    let node = parts().ipfs_node();
    let fetcher = ipfs_by(&[node.address()]);
    for body in ["", "x", "a small file"] {
        for shape in [FileShape::v0(), FileShape::v1()] {
            let cid = node.add(body, &shape).await;
            let (file, bytes) = fetch_ipfs(&fetcher, &cid).await.file();
            assert_eq!(
                (bytes.as_slice(), file.size),
                (body.as_bytes(), body.len() as u64),
                "{shape:?}"
            );
        }
    }
    let inline = node
        .add("held in the CID", &FileShape::v1().inline(64))
        .await;
    let (file, bytes) = fetch_ipfs(&ipfs_by(&["http://127.0.0.1:1"]), &inline)
        .await
        .file();
    assert_eq!(
        (bytes.as_slice(), file.verified),
        (b"held in the CID".as_slice(), Verified::Cid)
    );
}

#[tokio::test]
async fn a_file_is_found_by_its_path_in_plain_and_sharded_directories() {
    let node = parts().ipfs_node();
    let fetcher = ipfs_by(&[node.address()]);
    let (file, body) = deep_file(&node).await;
    let other = node.add("another", &FileShape::v1()).await;
    let names = (0..300).map(|number| {
        (
            format!("f {number} %?#é.bin"),
            if number == 7 { &file } else { &other },
        )
    });
    let names: Vec<_> = names.collect();
    for shape in [
        DirectoryShape::plain(),
        DirectoryShape::sharded(256),
        DirectoryShape::sharded(8).v1(),
    ] {
        let directory = node.add_directory(names.clone(), &shape).await;
        let outer = node
            .add_directory([("in", &directory)], &DirectoryShape::plain())
            .await;
        let url = format!(
            "https://any.gateway/ipfs/{outer}/in/f%207%20%25%3F%23%C3%A9.bin?filename=x.png"
        );
        let (found, bytes) = fetch_ipfs(&fetcher, &url).await.file();
        assert!(bytes == body, "{shape:?}");
        assert_eq!(found.dag.unwrap().file_cid().to_string(), file);
        assert_eq!(
            fetch_ipfs(&fetcher, &format!("{outer}/in")).await.code(),
            Code::BadDag,
            "a directory is no file"
        );
        assert_eq!(
            fetch_ipfs(&fetcher, &format!("{outer}/in/none"))
                .await
                .code(),
            Code::NotFound,
            "{shape:?}"
        );
    }
}

#[tokio::test]
async fn a_plain_gateway_comes_last_and_its_file_is_marked() {
    let node = parts().ipfs_node();
    let (cid, body) = deep_file(&node).await;
    let plain = format!("plain+{}", node.address());
    let without = Origin::start().await;
    let (file, bytes) = fetch_ipfs(&ipfs_by(&[&plain, without.address()]), &cid)
        .await
        .file();
    assert!(bytes == body);
    assert_eq!(
        (file.verified, file.dag.is_some(), file.source.as_str()),
        (Verified::Transport, false, node.address())
    );
    assert_eq!(without.requests().len(), 1, "it received a request first");
    let (file, _) = fetch_ipfs(&ipfs_by(&[&plain, node.address()]), &cid)
        .await
        .file();
    assert_eq!(file.verified, Verified::Cid);
}

#[tokio::test]
async fn a_plain_gateway_gets_no_request_after_the_first_passed_bytes() {
    let node = parts().ipfs_node();
    let (cid, _) = deep_file(&node).await;
    let cut = altered(&node, &[Alteration::FlipBlock(20)]).await;
    let plain = altered(&node, &[]).await;
    let outcome = fetch_ipfs(
        &ipfs_by(&[cut.address(), &format!("plain+{}", plain.address())]),
        &cid,
    )
    .await;
    assert_eq!(outcome.code(), Code::InvalidAnswer);
    assert_eq!(plain.requests().len(), 0);
}

#[tokio::test]
async fn a_listing_of_a_directory_is_no_file() {
    let node = parts().ipfs_node();
    let file = node.add("a file", &FileShape::v1()).await;
    let directory = node
        .add_directory([("file", &file)], &DirectoryShape::plain())
        .await;
    let error = fetch_ipfs(
        &ipfs_by(&[&format!("plain+{}", node.address())]),
        &directory,
    )
    .await
    .error();
    assert!(error.message.contains("listing"), "{error}");
}

#[tokio::test]
async fn a_file_larger_than_allowed_is_refused_by_its_root() {
    let node = parts().ipfs_node();
    let cid = node.add(varied(5 * 1024 * 1024), &FileShape::v1()).await;
    let outcome = fetch_ipfs(&ipfs_by(&[node.address()]), &cid).await;
    assert_eq!((outcome.bytes.len(), outcome.code()), (0, Code::TooLarge));
    let outcome = fetch_ipfs(&ipfs_by(&[&format!("plain+{}", node.address())]), &cid).await;
    assert_eq!((outcome.bytes.len(), outcome.code()), (0, Code::TooLarge));
}

#[tokio::test]
async fn what_is_no_file_is_unsupported_or_bad_for_good() {
    let node = parts().ipfs_node();
    let fetcher = ipfs_by(&[node.address()]);
    let cbor = node.add_block(vec![0xa0], "dag-cbor").await;
    assert_eq!(fetch_ipfs(&fetcher, &cbor).await.code(), Code::Unsupported);
    let hostile = node.add_block(vec![0xff; 30], "dag-pb").await;
    let error = fetch_ipfs(&fetcher, &hostile).await.error();
    assert!(
        error.code == Code::BadDag && !error.is_transient(),
        "{error}"
    );
}

#[tokio::test]
async fn a_fetch_stops_without_a_receiver_of_its_blocks() {
    let node = parts().ipfs_node();
    let (cid, _) = deep_file(&node).await;
    let fetcher = ipfs_by(&[node.address()]);
    let location: Location = locate(StorageType::Ipfs, &cid).unwrap();
    let (out, mut coming) = mpsc::channel(1);
    let fetching = tokio::spawn(async move { fetcher.fetch(&location, None, &out).await });
    coming.recv().await.unwrap();
    drop(coming);
    assert_eq!(fetching.await.unwrap().unwrap_err().code, Code::Stopped);
}

#[tokio::test]
async fn without_a_gateway_the_error_names_the_setting() {
    let error = fetch_ipfs(
        &ipfs_by(&[]),
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKSgeQ",
    )
    .await
    .error();
    assert!(error.message.contains("BACKUP_IPFS_GATEWAYS"), "{error}");
}
