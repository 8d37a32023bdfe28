//! Files from gateways without blocks are proved as far as their CIDs permit.

use super::support::*;
use holdfast_content::{FetchSettings, Fetcher, ipfs::Cid};
use holdfast_domain::{ItemFailureCode as Code, Verified};
use holdfast_testing::{DirectoryShape, FileShape, Origin, origin::Answer, parts};
use sha2::{Digest as _, Sha256};

/// A plain gateway with these bytes for this path.
async fn sending(path: &str, body: impl Into<Vec<u8>>) -> Origin {
    let origin = Origin::start().await;
    origin.answer(&format!("/ipfs/{path}"), [Answer::ok(body.into())]);
    origin
}

fn plain(origin: &Origin) -> String {
    format!("plain+{}", origin.address())
}

#[tokio::test]
async fn a_file_of_one_block_is_proved_by_its_bytes_alone() {
    let node = parts().ipfs_node();
    let shapes = [
        FileShape::v0(),
        FileShape::v1(),
        FileShape::v1().wrapped_leaves(),
        FileShape::v0().raw_leaves(),
        FileShape::v1().hash("blake3"),
    ];
    for shape in shapes {
        for body in [varied(200_000), b"x".to_vec(), Vec::new()] {
            let cid = node.add(body.clone(), &shape).await;
            let gateway = sending(&cid, body.clone()).await;
            let (file, bytes) = fetch_ipfs(&ipfs_by(&[&plain(&gateway)]), &cid).await.file();
            assert!(bytes == body, "{shape:?}");
            assert_eq!(
                (file.verified, file.size),
                (Verified::Cid, body.len() as u64),
                "{shape:?} {}",
                body.len()
            );
            let mut blocks = Vec::new();
            let rebuilt = file.dag.unwrap().rebuild(body.as_slice(), |cid, _| {
                blocks.push(cid.to_string());
                Ok(())
            });
            rebuilt.unwrap();
            assert_eq!(blocks, [cid]);
        }
    }
}

#[tokio::test]
async fn a_lie_about_a_raw_cid_is_not_kept_and_the_next_gateway_is_asked() {
    let node = parts().ipfs_node();
    let body = varied(50_000);
    let cid = node.add(body.clone(), &FileShape::v1()).await;
    let mut other = body.clone();
    other[7] ^= 1;
    for lie in [other, body[..49_999].to_vec(), Vec::new()] {
        let (liar, honest) = (sending(&cid, lie).await, sending(&cid, body.clone()).await);
        let outcome = fetch_ipfs(&ipfs_by(&[&plain(&liar)]), &cid).await;
        assert_eq!(outcome.bytes.len(), 0);
        let error = outcome.error();
        assert!(
            error.code == Code::InvalidAnswer && error.message.contains("lies"),
            "{error}"
        );
        let (file, bytes) = fetch_ipfs(&ipfs_by(&[&plain(&liar), &plain(&honest)]), &cid)
            .await
            .file();
        assert!(bytes == body);
        assert_eq!(
            (file.verified, file.source.as_str()),
            (Verified::Cid, honest.address())
        );
    }
}

#[tokio::test]
async fn a_raw_file_larger_than_any_block_is_proved_by_its_hash() {
    let body = varied(9 << 20);
    let digest = Sha256::digest(&body);
    let cid = Cid::new_v1(
        0x55,
        cid::multihash::Multihash::wrap(0x12, digest.as_slice()).unwrap(),
    )
    .to_string();
    let settings = |gateway: &Origin| FetchSettings {
        max_file_size: 16 << 20,
        ..settings(&[&plain(gateway)], &[])
    };
    let gateway = sending(&cid, body.clone()).await;
    let (file, bytes) = fetch_ipfs(&Fetcher::new(settings(&gateway)).unwrap(), &cid)
        .await
        .file();
    assert!(bytes == body);
    assert_eq!((file.verified, file.size), (Verified::Cid, 9 << 20));
    let liar = sending(&cid, varied((9 << 20) + 1)).await;
    let error = fetch_ipfs(&Fetcher::new(settings(&liar)).unwrap(), &cid)
        .await
        .error();
    assert!(
        error.code == Code::InvalidAnswer && error.message.contains("lies"),
        "{error}"
    );
}

#[tokio::test]
async fn what_no_cid_can_prove_by_the_bytes_alone_is_marked() {
    let node = parts().ipfs_node();
    let body = varied(200_000);
    let several = node.add(body.clone(), &FileShape::v1().chunk(5_000)).await;
    let dated = node
        .add(body.clone(), &FileShape::v0().modified(1_000_000))
        .await;
    let leaf = node.add(body.clone(), &FileShape::v1()).await;
    let directory = node
        .add_directory([("a", &leaf)], &DirectoryShape::plain())
        .await;
    for path in [several, dated, format!("{directory}/a")] {
        let gateway = sending(&path, body.clone()).await;
        let (file, bytes) = fetch_ipfs(&ipfs_by(&[&plain(&gateway)]), &path)
            .await
            .file();
        assert!(bytes == body);
        assert_eq!(
            (file.verified, file.dag),
            (Verified::Transport, None),
            "{path}"
        );
    }
}
