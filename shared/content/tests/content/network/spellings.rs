//! The usual notations of paths on IPFS, each with a real gateway.

use super::support::*;
use holdfast_domain::{ItemFailureCode as Code, Verified};
use holdfast_testing::{DirectoryShape, FileShape, IpfsNode, Origin, origin::Answer, parts};

/// A directory with every special character of URLs in its names.
async fn odd_directory(node: &IpfsNode, shape: &DirectoryShape) -> String {
    let mut inner = Vec::new();
    for name in [
        "1.png",
        "Name",
        "Name#525.png",
        "what?.json",
        "a?b=c#d",
        "back\\slash",
        "100%",
    ] {
        inner.push((
            name.to_owned(),
            node.add(format!("this is {name}"), &FileShape::v1()).await,
        ));
    }
    let nested = node.add_directory(inner.clone(), shape).await;
    inner.push(("in#side".to_owned(), nested));
    node.add_directory(inner, shape).await
}

#[tokio::test]
async fn a_path_means_what_it_means_to_gateways_and_a_longer_name_goes_first() {
    let node = parts().ipfs_node();
    let fetcher = ipfs_by(&[node.address()]);
    for shape in [DirectoryShape::plain(), DirectoryShape::sharded(8)] {
        let dir = odd_directory(&node, &shape).await;
        for (url, name) in [
            (format!("ipfs://{dir}//1.png"), "1.png"),
            (format!("/ipfs//{dir}/1.png"), "1.png"),
            (format!("ipfs://ipfs/ipfs/{dir}/1.png"), "1.png"),
            (format!("https://gw/ipfs/{dir}/./x/../1.png"), "1.png"),
            (format!("ipfs://{dir}/1.png?filename=x/y.png"), "1.png"),
            (format!("ipfs://{dir}/1.png#page=3"), "1.png"),
            (format!("ipfs://{dir}/Name#525.png"), "Name#525.png"),
            (format!("ipfs://{dir}/Name%23525.png"), "Name#525.png"),
            (
                format!("https://gw/ipfs/{dir}/Name#525.png?filename=Name.png"),
                "Name#525.png",
            ),
            (format!("ipfs://{dir}/Name#526.png"), "Name"),
            (format!("ipfs://{dir}/what?.json"), "what?.json"),
            (format!("ipfs://{dir}/what%3F.json?x=1"), "what?.json"),
            (format!("ipfs://{dir}/a?b=c#d"), "a?b=c#d"),
            (format!("ipfs://{dir}/in#side/what?.json"), "what?.json"),
            (format!("ipfs://{dir}/in%23side%2F1.png"), "1.png"),
            (format!("ipfs://{dir}/back\\slash"), "back\\slash"),
            (format!("ipfs://{dir}/100%"), "100%"),
        ] {
            let (file, bytes) = fetch_ipfs(&fetcher, &url).await.file();
            assert_eq!(
                String::from_utf8_lossy(&bytes),
                format!("this is {name}"),
                "{url} {shape:?}"
            );
            assert_eq!(file.verified, Verified::Cid);
            assert_eq!(
                file.path.as_ref(),
                Some(file.dag.unwrap().path()),
                "the path that was served is recorded"
            );
        }
        for (path, name) in [
            ("//1.png", "1.png"),
            ("/./1.png", "1.png"),
            ("/in%23side%2F1.png", "1.png"),
        ] {
            assert_eq!(
                node.file(&format!("{dir}{path}")).await,
                format!("this is {name}"),
                "the gateway itself"
            );
        }
    }
}

#[tokio::test]
async fn where_neither_name_exists_the_error_says_that_the_url_was_cut() {
    let node = parts().ipfs_node();
    let dir = odd_directory(&node, &DirectoryShape::plain()).await;
    for url in [
        format!("ipfs://{dir}/none#5.png"),
        format!("ipfs://{dir}/none?.json"),
    ] {
        let error = fetch_ipfs(&ipfs_by(&[node.address()]), &url).await.error();
        assert!(
            error.code == Code::NotFound && !error.is_transient(),
            "{error:?}"
        );
        assert!(
            error.message.contains("was cut at its first") && error.message.contains("%23"),
            "{error}"
        );
        assert!(error.message.contains("has no entry \"none\""), "{error}");
    }
    let error = fetch_ipfs(&ipfs_by(&[node.address()]), &format!("ipfs://{dir}/none"))
        .await
        .error();
    assert!(!error.message.contains("was cut"), "{error}");
}

#[tokio::test]
async fn a_gateway_that_is_away_leaves_the_shorter_name_untried() {
    let node = parts().ipfs_node();
    let dir = odd_directory(&node, &DirectoryShape::plain()).await;
    let away = Origin::start().await;
    away.answer("/ipfs/", [Answer::gateway(&node)]);
    away.answer(
        &format!("/ipfs/{dir}/Name%23525.png"),
        [Answer::status(503)],
    );
    let error = fetch_ipfs(
        &ipfs_by(&[away.address()]),
        &format!("ipfs://{dir}/Name#525.png"),
    )
    .await
    .error();
    assert!(
        error.code == Code::Unavailable && error.is_transient(),
        "{error:?}"
    );
    assert_eq!(
        away.count(&format!("/ipfs/{dir}/Name")),
        0,
        "another file is not kept for it"
    );
}
