//! A fault of one file is never charged to its neighbours at the same host.

use super::support::*;
use holdfast_content::Fetcher;
use holdfast_testing::{
    FileShape, IpfsNode, Origin,
    origin::{Alteration, Answer},
    parts,
};

/// Number of files in a run, of odd responses among them, and of attempts for one file.
const FILES: usize = 40;
const ODD: usize = 4;
const ATTEMPTS: usize = 3;

/// Responses about one file only, each with its name.
fn odd_answers(origin: &Origin) -> Vec<(String, Answer)> {
    let statuses = [
        202, 203, 204, 205, 206, 300, 302, 304, 400, 401, 403, 404, 408, 410, 415, 421, 425, 451,
        499,
    ];
    let body = || Answer::ok(varied(1_000));
    let others = [
        ("circle", Answer::redirect(&origin.url("/circle"))),
        ("br", body().with_header("content-encoding", "br")),
        ("not-gzip", body().with_header("content-encoding", "gzip")),
        ("cut", body().cut_after(500)),
        ("longer", body().saying_length(1_001)),
        ("two-lengths", body().with_header("content-length", 7)),
        ("no-length", body().with_header("content-length", "many")),
        ("no-end", body().with_header("transfer-encoding", "gzip")),
        ("large", body().saying_length(1 << 40)),
    ];
    let statuses = statuses.map(|status| (format!("status-{status}"), Answer::status(status)));
    statuses
        .into_iter()
        .chain(others.map(|(name, answer)| (name.to_owned(), answer)))
        .collect()
}

/// Retries a file as often as a backup, each time at once.
async fn attempt_all(fetcher: &Fetcher, url: &str) {
    for _ in 0..ATTEMPTS {
        let error = fetch_gaia(fetcher, url).await.error();
        assert!(error.was_asked, "{url}: {error}");
        if !error.is_transient() {
            return;
        }
    }
}

#[tokio::test]
async fn odd_answers_of_every_kind_never_delay_healthy_files() {
    let origin = Origin::start().await;
    origin.answer("/good/", [Answer::ok("good")]);
    let fetcher = gaia_of(&[origin.address()]);
    for (name, answer) in odd_answers(&origin) {
        let before = origin.requests().len();
        origin.answer(&format!("/{name}/"), [answer.clone()]);
        origin.answer(&format!("/{name}"), [answer]);
        for number in 0..ODD {
            attempt_all(&fetcher, &origin.url(&format!("/{name}/{number}"))).await;
        }
        for number in 0..FILES - ODD {
            let outcome = fetch_gaia(&fetcher, &origin.url(&format!("/good/{number}"))).await;
            assert_eq!(outcome.bytes, b"good", "{name}: {:?}", outcome.fetched);
        }
        let requests = origin.requests().len() - before;
        assert!(requests <= FILES + ODD * ATTEMPTS, "{name}: {requests}");
    }
}

#[tokio::test]
async fn an_answer_that_is_the_same_tomorrow_is_not_asked_for_again() {
    let origin = Origin::start().await;
    let fetcher = gaia_of(&[origin.address()]);
    let passing = [
        "status-202",
        "status-408",
        "status-421",
        "status-425",
        "cut",
        "longer",
        "two-lengths",
        "no-length",
    ];
    for (name, answer) in odd_answers(&origin) {
        origin.answer(&format!("/{name}"), [answer]);
        let error = fetch_gaia(&fetcher, &origin.url(&format!("/{name}")))
            .await
            .error();
        assert_eq!(
            error.is_transient(),
            passing.contains(&name.as_str()),
            "{name}: {error:?}"
        );
    }
}

/// Wrong responses of a gateway for one CID.
fn odd_gateways(node: &IpfsNode) -> Vec<(&'static str, Answer)> {
    let car = |body: &'static [u8]| {
        Answer::ok(body).with_header("content-type", "application/vnd.ipld.car")
    };
    vec![
        ("no CAR", car(b"this is no CAR")),
        ("empty CAR", car(b"")),
        ("page", Answer::page()),
        ("203", Answer::status(203)),
        ("br", car(b"x").with_header("content-encoding", "br")),
        ("cut", Answer::gateway(node).cut_after(300)),
        ("504", Answer::status(504)),
        (
            "lie",
            Answer::gateway(node).altered(Alteration::OtherBlock(b"other".as_slice().into())),
        ),
        (
            "flipped",
            Answer::gateway(node).altered(Alteration::FlipBlock(0)),
        ),
    ]
}

#[tokio::test]
async fn a_gateway_that_is_wrong_about_one_file_is_asked_for_the_next_and_each_attempt_counts() {
    let node = parts().ipfs_node();
    for (name, answer) in odd_gateways(&node) {
        let gateway = Origin::start().await;
        let odd = node.add(varied(3_000), &FileShape::v1().chunk(1_000)).await;
        let good = node.add("a good file", &FileShape::v1()).await;
        gateway.answer("/ipfs/", [Answer::gateway(&node)]);
        gateway.answer(&format!("/ipfs/{odd}"), [answer.clone()]);
        if name == "lie" {
            let refused = answer.altered(Alteration::RefuseCar(400));
            gateway.answer(&format!("/ipfs/{odd}"), [refused]);
        }
        if name == "flipped" || name == "cut" {
            // The rest of the file is not available as blocks.
            gateway.answer(&format!("/ipfs/{odd}?format=raw"), [Answer::status(404)]);
        }
        let fetcher = ipfs_by(&[gateway.address()]);
        for _ in 0..10 {
            let outcome = fetch_ipfs(&fetcher, &odd).await;
            if name == "cut" && outcome.fetched.is_ok() {
                continue;
            }
            let error = outcome.error();
            assert!(error.was_asked, "{name}: {error}");
        }
        let (_, bytes) = fetch_ipfs(&fetcher, &good).await.file();
        assert_eq!(bytes, b"a good file", "{name}");
    }
}

#[tokio::test]
async fn only_what_speaks_of_the_host_leaves_it_alone() {
    for (answer, expected) in [
        (Answer::status(500), 5),
        (Answer::status(503), 5),
        (Answer::status(504), 5),
        (Answer::nothing(), 5),
        (Answer::silence(), 5),
        (Answer::ok(varied(9_000)).stall_after(4_000), 5),
        (Answer::status(429), 1),
        (Answer::status(203), 12),
        (Answer::status(408), 12),
    ] {
        let origin = Origin::start().await;
        origin.answer("/file", [answer.clone()]);
        let fetcher = gaia_of(&[origin.address()]);
        for _ in 0..12 {
            fetch_gaia(&fetcher, &origin.url("/file")).await.error();
        }
        assert_eq!(origin.requests().len(), expected, "{answer:?}");
    }
}
