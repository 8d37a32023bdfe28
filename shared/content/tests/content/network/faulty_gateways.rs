//! Files on IPFS, from gateways that lie, truncate, stall or lack blocks.

use std::time::Duration;

use holdfast_content::{FetchSettings, Fetcher, locate};
use holdfast_domain::{ItemFailureCode as Code, StorageType, Verified};
use holdfast_testing::{
    FileShape, IpfsNode, Origin,
    origin::{Alteration, Answer},
    parts,
};

use super::{
    gateways::{altered, deep_file, request_counts},
    support::*,
};

fn joined(origins: &[&str]) -> String {
    origins.join(", ")
}

#[tokio::test]
async fn the_next_gateway_continues_after_a_failure_and_nothing_is_sent_twice() {
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
        let (cars, blocks) = request_counts(&second);
        assert!(
            cars == 0 && (10..50).contains(&blocks),
            "goes on, and does not begin again: {cars} {blocks}"
        );
        assert_eq!(request_counts(&first).0, 1);
    }
}

#[tokio::test]
async fn a_block_missing_in_a_car_is_requested_alone() {
    let node = parts().ipfs_node();
    let (cid, body) = deep_file(&node).await;
    for index in [0, 1, 25, 53] {
        let gateway = altered(&node, &[Alteration::DropBlock(index)]).await;
        let (file, bytes) = fetch_ipfs(&ipfs_by(&[gateway.address()]), &cid)
            .await
            .file();
        assert!(bytes == body);
        assert_eq!(file.source, gateway.address());
        assert!(request_counts(&gateway).1 >= 1);
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
async fn a_wrong_block_is_rejected_and_its_gateway_gets_no_further_request() {
    let node = parts().ipfs_node();
    let (cid, body) = deep_file(&node).await;
    let lies = [
        Alteration::RefuseCar(400),
        Alteration::OtherBlock(b"another block".as_slice().into()),
    ];
    let liar = altered(&node, &lies).await;
    let outcome = fetch_ipfs(&ipfs_by(&[liar.address()]), &cid).await;
    assert_eq!((outcome.bytes.len(), request_counts(&liar).1), (0, 1));
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
async fn the_error_follows_from_the_answers_of_all_gateways() {
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
async fn a_repeated_block_is_requested_once() {
    let node = parts().ipfs_node();
    let body = vec![0; 500_000];
    let cid = node.add(body.clone(), &FileShape::v1().chunk(5_000)).await;
    let gateway = altered(&node, &[Alteration::RefuseCar(400)]).await;
    let (_, bytes) = fetch_ipfs(&ipfs_by(&[gateway.address()]), &cid)
        .await
        .file();
    assert!(bytes == body);
    assert_eq!(request_counts(&gateway).1, 2);
    let (_, bytes) = fetch_ipfs(&ipfs_by(&[node.address()]), &cid).await.file();
    assert!(bytes == body);
}

#[tokio::test]
async fn a_redirect_of_a_gateway_into_the_internal_network_is_blocked_and_the_next_is_tried() {
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
