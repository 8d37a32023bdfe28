//! Files on IPFS, from real gateways, and from gateways that lie, truncate, stall or lack blocks.

use std::time::Duration;

use super::support::*;
use holdfast_content::{FetchSettings, Fetcher, Location, locate};
use holdfast_domain::{ItemFailureCode as Code, StorageType, Verified};
use holdfast_testing::{
    DirectoryShape, FileShape, IpfsNode, Origin,
    origin::{Alteration, Answer},
    parts,
};
use tokio::sync::mpsc;

/// A file of several levels: 40 leaves and 22 inner blocks.
async fn deep_file(node: &IpfsNode) -> (String, Vec<u8>) {
    let body = varied(200_000);
    (
        node.add(body.clone(), &FileShape::v1().chunk(5_000).max_links(3))
            .await,
        body,
    )
}

/// A gateway in front of the node, with these faults.
async fn altered(node: &IpfsNode, alterations: &[Alteration]) -> Origin {
    let origin = Origin::start().await;
    let answer = alterations
        .iter()
        .cloned()
        .fold(Answer::gateway(node), Answer::altered);
    origin.answer("/ipfs/", [answer]);
    origin
}

fn joined(origins: &[&str]) -> String {
    origins.join(", ")
}

/// Numbers of requested CARs and single blocks.
fn asked(origin: &Origin) -> (usize, usize) {
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
async fn where_a_gateway_breaks_the_next_goes_on_and_nothing_is_sent_twice() {
    let node = parts().ipfs_node();
    let (cid, body) = deep_file(&node).await;
    let broken = [
        Answer::gateway(&node).cut_after(90_000),
        Answer::gateway(&node).stall_after(90_000),
        Answer::gateway(&node).altered(Alteration::FlipBlock(20)),
        Answer::gateway(&node).altered(Alteration::CutCar(90_000)),
    ];
    for answer in broken {
        let first = Origin::start().await;
        first.answer("/ipfs/", [answer.clone()]);
        let second = altered(&node, &[]).await;
        let (file, bytes) = fetch_ipfs(&ipfs_by(&[first.address(), second.address()]), &cid)
            .await
            .file();
        assert!(bytes == body, "{answer:?}");
        assert_eq!((file.size, file.verified), (200_000, Verified::Cid));
        assert_eq!(file.source, joined(&[first.address(), second.address()]));
        let (cars, blocks) = asked(&second);
        assert!(
            cars == 0 && (10..50).contains(&blocks),
            "goes on, and does not begin again: {cars} {blocks}"
        );
        assert_eq!(asked(&first).0, 1);
    }
}

#[tokio::test]
async fn a_block_that_a_car_lacks_is_asked_for_alone() {
    let node = parts().ipfs_node();
    let (cid, body) = deep_file(&node).await;
    for index in [0, 1, 25, 53] {
        let gateway = altered(&node, &[Alteration::DropBlock(index)]).await;
        let (file, bytes) = fetch_ipfs(&ipfs_by(&[gateway.address()]), &cid)
            .await
            .file();
        assert!(bytes == body);
        assert_eq!(file.source, gateway.address());
        assert!(asked(&gateway).1 >= 1);
    }
}

#[tokio::test]
async fn a_gateway_without_cars_serves_by_blocks() {
    let node = parts().ipfs_node();
    let (cid, body) = deep_file(&node).await;
    for status in [400, 406, 415] {
        let gateway = altered(&node, &[Alteration::RefuseCar(status)]).await;
        let (_, bytes) = fetch_ipfs(&ipfs_by(&[gateway.address()]), &cid)
            .await
            .file();
        assert!(bytes == body, "{status}");
    }
    let page = altered(&node, &[]).await;
    page.answer("/ipfs/?format=car", [Answer::page()]);
    let (_, bytes) = fetch_ipfs(&ipfs_by(&[page.address()]), &cid).await.file();
    assert!(bytes == body);
}

#[tokio::test]
async fn cars_that_are_always_cut_still_come_to_an_end_by_blocks() {
    let node = parts().ipfs_node();
    let (cid, body) = deep_file(&node).await;
    let only = altered(&node, &[Alteration::CutCar(90_000)]).await;
    let (file, bytes) = fetch_ipfs(&ipfs_by(&[only.address()]), &cid).await.file();
    assert!(bytes == body);
    assert_eq!(file.source, only.address());
}

#[tokio::test]
async fn another_block_is_not_taken_and_the_liar_is_not_asked_again() {
    let node = parts().ipfs_node();
    let (cid, body) = deep_file(&node).await;
    let lies = [
        Alteration::RefuseCar(400),
        Alteration::OtherBlock(b"another block".as_slice().into()),
    ];
    let liar = altered(&node, &lies).await;
    let outcome = fetch_ipfs(&ipfs_by(&[liar.address()]), &cid).await;
    assert_eq!((outcome.bytes.len(), asked(&liar).1), (0, 1));
    let error = outcome.error();
    assert_eq!(error.code, Code::InvalidAnswer);
    assert!(
        error.is_transient()
            && error.message.contains(liar.address())
            && error.message.contains("lies"),
        "{error}"
    );
    let (file, bytes) = fetch_ipfs(&ipfs_by(&[liar.address(), node.address()]), &cid)
        .await
        .file();
    assert!(bytes == body);
    assert_eq!(file.source, node.address());
}

#[tokio::test]
async fn where_all_lie_nothing_false_is_handed_on() {
    let node = parts().ipfs_node();
    let (cid, body) = deep_file(&node).await;
    let first = altered(&node, &[Alteration::FlipBlock(20)]).await;
    let other = Alteration::OtherBlock(b"another block".as_slice().into());
    let second = altered(&node, std::slice::from_ref(&other)).await;
    second.answer("/ipfs/?format=car", [Answer::page()]);
    let outcome = fetch_ipfs(&ipfs_by(&[first.address(), second.address()]), &cid).await;
    assert!(body.starts_with(&outcome.bytes) && outcome.bytes.len() < body.len());
    let error = outcome.error();
    assert_eq!(error.code, Code::InvalidAnswer);
    assert!(
        error.message.contains(first.address()) && error.message.contains(second.address()),
        "{error}"
    );
}

#[tokio::test]
async fn a_missing_block_does_not_prove_a_missing_file() {
    let node = IpfsNode::start();
    let (cid, _) = deep_file(&node).await;
    let fetcher = ipfs_by(&[node.address()]);
    let location = locate(StorageType::Ipfs, &cid).unwrap();
    let (file, _) = fetch_if_changed(&fetcher, &location, None).await.file();
    let mut cids = Vec::new();
    file.dag
        .unwrap()
        .rebuild(varied(200_000).as_slice(), |cid, _| {
            cids.push(*cid);
            Ok(())
        })
        .unwrap();
    node.remove_block(&cids[30].to_string()).await;
    let error = fetch_if_changed(&fetcher, &location, None).await.error();
    assert!(error.is_transient(), "{error:?}");
    node.remove_block(&cid).await;
    assert_eq!(
        fetch_if_changed(&fetcher, &location, None).await.code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn one_gateway_without_the_file_is_followed_by_the_next() {
    let node = parts().ipfs_node();
    let (cid, body) = deep_file(&node).await;
    for status in [404, 410, 403, 500, 504, 429] {
        let first = Origin::start().await;
        first.answer("/ipfs/", [Answer::status(status)]);
        let (file, bytes) = fetch_ipfs(&ipfs_by(&[first.address(), node.address()]), &cid)
            .await
            .file();
        assert!(bytes == body, "{status}");
        assert_eq!(file.source, node.address());
    }
}

#[tokio::test]
async fn what_all_gateways_said_makes_the_error() {
    let (first, second) = (Origin::start().await, Origin::start().await);
    let cid = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
    let cases = [
        (404, 404, Code::NotFound),
        (404, 410, Code::NotFound),
        (410, 410, Code::Gone),
        (404, 500, Code::Unavailable),
        (429, 404, Code::Throttled),
        (404, 451, Code::Refused),
    ];
    for (one, other, code) in cases {
        first.answer("/ipfs/", [Answer::status(one)]);
        second.answer("/ipfs/", [Answer::status(other)]);
        let error = fetch_ipfs(&ipfs_by(&[first.address(), second.address()]), cid)
            .await
            .error();
        assert_eq!(error.code, code, "{one} {other}: {error}");
        assert!(
            error.message.contains(&one.to_string()) && error.message.contains(&other.to_string()),
            "{error}"
        );
    }
    first.answer("/ipfs/", [Answer::silence()]);
    assert_eq!(
        fetch_ipfs(&ipfs_by(&[first.address()]), cid).await.code(),
        Code::TimedOut
    );
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
    assert_eq!(without.requests().len(), 1, "it was asked first");
    let (file, _) = fetch_ipfs(&ipfs_by(&[&plain, node.address()]), &cid)
        .await
        .file();
    assert_eq!(file.verified, Verified::Cid);
}

#[tokio::test]
async fn a_plain_gateway_is_not_asked_where_something_was_handed_on() {
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
async fn endless_junk_ends_and_a_good_gateway_follows() {
    let node = parts().ipfs_node();
    let (cid, body) = deep_file(&node).await;
    let car = node
        .car(&node.add("a stray file", &FileShape::v1()).await)
        .await;
    // Its header, and then the same stray block for ever.
    let stray = car.slice(59..);
    assert!(stray.len() < 80, "one block: {}", stray.len());
    for junk in [
        Answer::ok(car),
        Answer::ok(vec![0; 65_536]),
        Answer::ok(stray),
    ] {
        let first = altered(
            &node,
            &[Alteration::OtherBlock(b"another".as_slice().into())],
        )
        .await;
        first.answer(
            "/ipfs/?format=car",
            [junk
                .with_header("content-type", "application/vnd.ipld.car; version=1")
                .endless()],
        );
        let (file, bytes) = fetch_ipfs(&ipfs_by(&[first.address(), node.address()]), &cid)
            .await
            .file();
        assert!(bytes == body);
        assert_eq!(file.source, node.address());
    }
    let endless = altered(&node, &[Alteration::RefuseCar(400)]).await;
    endless.answer("/ipfs/?format=raw", [Answer::ok(vec![7; 65_536]).endless()]);
    let error = fetch_ipfs(&ipfs_by(&[endless.address()]), &cid)
        .await
        .error();
    assert_eq!(
        error.code,
        Code::InvalidAnswer,
        "a block too large says nothing of the file: {error}"
    );
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
async fn the_same_block_again_and_again_is_asked_for_once() {
    let node = parts().ipfs_node();
    let body = vec![0; 500_000];
    let cid = node.add(body.clone(), &FileShape::v1().chunk(5_000)).await;
    let gateway = altered(&node, &[Alteration::RefuseCar(400)]).await;
    let (_, bytes) = fetch_ipfs(&ipfs_by(&[gateway.address()]), &cid)
        .await
        .file();
    assert!(bytes == body);
    assert_eq!(asked(&gateway).1, 2);
    let (_, bytes) = fetch_ipfs(&ipfs_by(&[node.address()]), &cid).await.file();
    assert!(bytes == body);
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
async fn a_redirect_of_a_gateway_into_the_inside_is_blocked_and_the_next_asked() {
    let node = parts().ipfs_node();
    let (cid, body) = deep_file(&node).await;
    let (first, inside) = (Origin::start().await, Origin::start().await);
    first.answer("/ipfs/", [Answer::redirect(&inside.url("/"))]);
    let (file, bytes) = fetch_ipfs(&ipfs_by(&[first.address(), node.address()]), &cid)
        .await
        .file();
    assert!(bytes == body);
    assert_eq!(
        (file.source.as_str(), inside.requests().len()),
        (node.address(), 0)
    );
    assert_eq!(
        fetch_ipfs(&ipfs_by(&[first.address()]), &cid).await.code(),
        Code::Blocked
    );
}

#[tokio::test]
async fn a_gateway_that_trickles_leaves_time_to_the_next() {
    let node = parts().ipfs_node();
    let (cid, body) = deep_file(&node).await;
    let slow = Origin::start().await;
    slow.answer(
        "/ipfs/",
        [Answer::gateway(&node).dripping(1, Duration::from_millis(40))],
    );
    let settings = FetchSettings {
        total_timeout: Duration::from_secs(4),
        ..settings(&[slow.address(), node.address()], &[])
    };
    let (file, bytes) = fetch_ipfs(&Fetcher::new(settings).unwrap(), &cid)
        .await
        .file();
    assert!(bytes == body);
    assert!(file.source.ends_with(node.address()), "{}", file.source);
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
async fn without_a_gateway_the_error_says_which_setting_to_make() {
    let error = fetch_ipfs(
        &ipfs_by(&[]),
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKSgeQ",
    )
    .await
    .error();
    assert!(error.message.contains("BACKUP_IPFS_GATEWAYS"), "{error}");
}

#[tokio::test]
async fn a_gateway_that_keeps_failing_is_passed_over() {
    let node = parts().ipfs_node();
    let (cid, _) = deep_file(&node).await;
    let failing = Origin::start().await;
    failing.answer("/ipfs/", [Answer::status(500)]);
    let fetcher = ipfs_by(&[failing.address(), node.address()]);
    for _ in 0..15 {
        fetch_ipfs(&fetcher, &cid).await.file();
    }
    assert_eq!(failing.requests().len(), 5);
    failing.answer("/ipfs/", [Answer::status(504)]);
    let fetcher = ipfs_by(&[failing.address(), node.address()]);
    for _ in 0..15 {
        fetch_ipfs(&fetcher, &cid).await.file();
    }
    assert_eq!(
        failing.requests().len(),
        20,
        "files that it does not find say nothing against it"
    );
}
