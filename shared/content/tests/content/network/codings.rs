//! Content codings, as stores and proxies state them.

use std::io::Write as _;

use super::support::*;
use flate2::{Compression, write::ZlibEncoder};
use holdfast_domain::ItemFailureCode as Code;
use holdfast_testing::{FileShape, Origin, origin::Answer, parts};

async fn answered(answer: Answer) -> Outcome {
    let origin = Origin::start().await;
    origin.answer("/file", [answer]);
    fetch_gaia(&gaia_of(&[origin.address()]), &origin.url("/file")).await
}

#[tokio::test]
async fn a_word_that_is_no_coding_leaves_the_file_as_it_is() {
    for word in [
        "aws-chunked",
        "UTF-8",
        "identity",
        "none",
        "",
        "iso-8859-1",
        "base64",
        "aws-chunked,UTF-8",
    ] {
        let (file, bytes) = answered(Answer::ok("text").with_header("content-encoding", word))
            .await
            .file();
        assert_eq!(
            (bytes.as_slice(), file.content_encoding),
            (b"text".as_slice(), None),
            "{word:?}"
        );
    }
}

#[tokio::test]
async fn a_coded_body_is_decoded_and_its_coding_is_recorded() {
    let body = varied(300_000);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&body).unwrap();
    let zlib = Answer::ok(zlib.finish().unwrap()).with_header("content-encoding", "deflate");
    for (answer, coding) in [
        (Answer::gzipped(&body), "gzip"),
        (Answer::gzipped(&body).chunked(), "gzip"),
        (
            Answer::gzipped(&body).with_header("content-encoding", "aws-chunked"),
            "gzip",
        ),
        (zlib, "deflate"),
    ] {
        let (file, bytes) = answered(answer).await.file();
        assert!(bytes == body);
        assert_eq!(
            (file.size, file.content_encoding.as_deref()),
            (300_000, Some(coding))
        );
    }
    let (file, bytes) = answered(Answer::ok("").with_header("content-encoding", "gzip"))
        .await
        .file();
    assert_eq!((file.size, bytes.len()), (0, 0));
}

#[tokio::test]
async fn a_bomb_is_ended_by_the_limit_of_a_file() {
    let outcome = answered(Answer::gzipped(&vec![0; 100 << 20])).await;
    assert!(outcome.bytes.len() <= 4 << 20, "{}", outcome.bytes.len());
    let error = outcome.error();
    assert!(
        error.code == Code::TooLarge && error.message.contains("sent a body of more than"),
        "{error}"
    );
}

#[tokio::test]
async fn what_cannot_be_decoded_fails_for_good_and_says_why() {
    let cut = |answer: Answer| answer.with_header("content-encoding", "gzip");
    for (answer, words) in [
        (
            Answer::ok("text").with_header("content-encoding", "br"),
            "\"br\"",
        ),
        (
            Answer::ok("text").with_header("content-encoding", "zstd"),
            "\"zstd\"",
        ),
        (
            Answer::gzipped(b"text").with_header("content-encoding", "gzip"),
            "\"gzip, gzip\"",
        ),
        (
            cut(Answer::ok("no gzip at all, though it says so")),
            "another coding than gzip",
        ),
        (
            cut(Answer::ok(vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1])),
            "another coding than gzip",
        ),
    ] {
        let error = answered(answer).await.error();
        assert_eq!(error.code, Code::InvalidAnswer, "{error}");
        assert!(
            !error.is_transient() && error.message.contains(words),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_unchanged_file_is_known_whatever_coding_its_answer_names() {
    let origin = Origin::start().await;
    origin.answer(
        "/file",
        [Answer::ok("x")
            .with_header("etag", "\"1\"")
            .with_header("content-encoding", "br")],
    );
    let validator = holdfast_domain::Validator {
        etag: Some("\"1\"".to_owned()),
        last_modified: None,
    };
    let location =
        holdfast_content::locate(holdfast_domain::StorageType::Gaia, &origin.url("/file")).unwrap();
    let outcome =
        fetch_if_changed(&gaia_of(&[origin.address()]), &location, Some(&validator)).await;
    assert_eq!(outcome.fetched, Ok(holdfast_content::Fetched::NotModified));
}

#[tokio::test]
async fn blocks_that_a_gateway_sends_compressed_are_proved_all_the_same() {
    let node = parts().ipfs_node();
    let body = varied(200_000);
    let cid = node
        .add(body.clone(), &FileShape::v1().chunk(5_000).max_links(3))
        .await;
    let gateway = Origin::start().await;
    let car = Answer::gzipped(&node.car(&cid).await)
        .with_header("content-type", "application/vnd.ipld.car");
    gateway.answer("/ipfs/", [car]);
    let (_, bytes) = fetch_ipfs(&ipfs_by(&[gateway.address()]), &cid)
        .await
        .file();
    assert!(bytes == body);
}
