//! The origin has exactly the requested faults.

use std::time::{Duration, Instant};

use holdfast_testing::{
    FileShape, IpfsNode, Origin,
    origin::{Alteration, Answer},
};
use reqwest::{Client, Response, StatusCode, redirect::Policy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const BODY: &str = "0123456789";
const SOON: Duration = Duration::from_millis(300);

async fn origin(path: &str, answers: impl IntoIterator<Item = Answer>) -> (Origin, String) {
    let origin = Origin::start().await;
    origin.answer(path, answers);
    let url = origin.url(path);
    (origin, url)
}

async fn get(url: &str) -> Response {
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    client.get(url).send().await.unwrap()
}

/// The bytes on the wire, until the origin closes.
async fn on_the_wire(origin: &Origin, target: &str) -> String {
    let mut client = TcpStream::connect(origin.address().strip_prefix("http://").unwrap())
        .await
        .unwrap();
    client
        .write_all(format!("GET {target} HTTP/1.1\r\nhost: origin\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_script_is_answered_in_order_and_its_last_answer_stays() {
    let throttled = Answer::status(429).with_header("retry-after", 7);
    let (origin, url) = origin("/file", [throttled, Answer::status(503), Answer::ok(BODY)]).await;
    let first = get(&url).await;
    assert_eq!(
        (
            first.status().as_u16(),
            first.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "7")
    );
    assert_eq!(get(&url).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    for _ in 0..2 {
        assert_eq!(get(&url).await.text().await.unwrap(), BODY);
    }
    assert_eq!(
        get(&origin.url("/else")).await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!((origin.count("/file"), origin.count("/else")), (4, 1));
}

#[tokio::test]
async fn the_longest_pattern_that_fits_goes() {
    let origin = Origin::start().await;
    origin.answer("/ipfs/", [Answer::status(500)]);
    origin.answer("/ipfs/?format=car", [Answer::status(501)]);
    origin.answer("/ipfs/cid", [Answer::ok(BODY)]);
    origin.answer("/ipfs/cid", [Answer::status(410)]);
    for (target, status) in [
        ("/ipfs/x/y", 500),
        ("/ipfs/x?a=b&format=car", 501),
        ("/ipfs/cid", 410),
        ("/ipfs", 404),
    ] {
        assert_eq!(
            get(&origin.url(target)).await.status().as_u16(),
            status,
            "{target}"
        );
    }
}

#[tokio::test]
async fn requests_are_recorded_with_their_headers() {
    let (origin, url) = origin("/a", [Answer::ok(BODY)]).await;
    Client::new()
        .head(format!("{url}?b=c"))
        .header("X-Test", "seen")
        .send()
        .await
        .unwrap();
    let request = origin.requests().pop().unwrap();
    assert_eq!(
        (
            request.method.as_str(),
            request.target.as_str(),
            request.path()
        ),
        ("HEAD", "/a?b=c", "/a")
    );
    assert_eq!(request.header("x-TEST"), Some("seen"));
}

#[tokio::test]
async fn a_validator_that_still_holds_is_answered_304() {
    let answer = Answer::ok(BODY)
        .with_header("ETag", "\"one\"")
        .with_header("Last-Modified", "yesterday");
    let (_origin, url) = origin("/file", [answer]).await;
    for (name, value, status) in [
        ("if-none-match", "\"one\"", 304),
        ("if-modified-since", "yesterday", 304),
        ("if-none-match", "\"two\"", 200),
    ] {
        let response = Client::new()
            .get(&url)
            .header(name, value)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), status, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_body_is_cut_short_of_its_length() {
    let (origin, url) = origin("/file", [Answer::ok(BODY).cut_after(4)]).await;
    assert!(get(&url).await.bytes().await.is_err());
    let wire = on_the_wire(&origin, "/file").await;
    assert!(
        wire.contains("content-length: 10\r\n") && wire.ends_with("\r\n\r\n0123"),
        "{wire}"
    );
}

#[tokio::test]
async fn a_length_is_said_that_is_not_true() {
    let (origin, _) = origin("/short", [Answer::ok(BODY).saying_length(3)]).await;
    origin.answer("/long", [Answer::ok(BODY).saying_length(300)]);
    for (target, length) in [("/short", 3), ("/long", 300)] {
        let wire = on_the_wire(&origin, target).await;
        assert!(
            wire.contains(&format!("content-length: {length}\r\n")) && wire.ends_with(BODY),
            "{wire}"
        );
    }
}

#[tokio::test]
async fn silence_is_before_the_headers_and_a_stall_in_the_body() {
    let (origin, url) = origin("/silence", [Answer::silence()]).await;
    origin.answer("/stall", [Answer::ok(BODY).stall_after(4)]);
    assert!(timeout(SOON, get(&url)).await.is_err());
    let mut response = get(&origin.url("/stall")).await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "0123");
    assert!(timeout(SOON, response.chunk()).await.is_err());
}

#[tokio::test]
async fn a_connection_is_closed_without_an_answer() {
    let (_origin, url) = origin("/file", [Answer::nothing()]).await;
    assert!(Client::new().get(&url).send().await.is_err());
}

#[tokio::test]
async fn drops_come_slowly_and_chunks_without_a_length() {
    let (origin, url) = origin(
        "/drip",
        [Answer::ok(BODY).dripping(2, Duration::from_millis(50))],
    )
    .await;
    let began = Instant::now();
    assert_eq!(get(&url).await.text().await.unwrap(), BODY);
    assert!(began.elapsed() >= Duration::from_millis(200));
    origin.answer("/chunked", [Answer::ok(BODY).chunked()]);
    let chunked = get(&origin.url("/chunked")).await;
    assert_eq!(
        (
            chunked.content_length(),
            chunked.text().await.unwrap().as_str()
        ),
        (None, BODY)
    );
}

#[tokio::test]
async fn an_endless_body_goes_on_until_the_client_leaves() {
    let (_origin, url) = origin("/file", [Answer::ok(vec![7; 65_536]).endless()]).await;
    let mut response = get(&url).await;
    let mut received = 0;
    while received < 10_000_000 {
        received += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn redirects_pages_and_unrequested_compression() {
    let (origin, url) = origin("/loop", [Answer::redirect("/loop")]).await;
    let followed = Client::new().get(&url).send().await.unwrap_err();
    assert!(followed.is_redirect(), "{followed}");
    origin.answer("/page", [Answer::page()]);
    assert!(
        get(&origin.url("/page")).await.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    origin.answer("/gzip", [Answer::gzipped(BODY.as_bytes())]);
    let compressed = get(&origin.url("/gzip")).await;
    assert_eq!(compressed.headers()["content-encoding"], "gzip");
    assert!(compressed.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
}

#[tokio::test]
async fn connections_at_the_same_time_are_counted() {
    let (origin, url) = origin(
        "/slow",
        [Answer::ok(BODY).dripping(2, Duration::from_millis(50))],
    )
    .await;
    tokio::join!(get(&url), get(&url), get(&url));
    assert_eq!(origin.most_connections(), 3);
    let one = Origin::start().await;
    for _ in 0..3 {
        get(&one.url("/")).await.bytes().await.unwrap();
    }
    assert_eq!(one.most_connections(), 1);
}

#[tokio::test]
async fn an_honest_gateway_answers_as_the_node_does() {
    let node = IpfsNode::start();
    let cid = node
        .add(vec![5; 100_000], &FileShape::v0().chunk(9_000))
        .await;
    let origin = Origin::start().await;
    origin.answer("/ipfs/", [Answer::gateway(&node)]);
    let through = IpfsNode::at(origin.address());
    assert_eq!(through.car(&cid).await, node.car(&cid).await);
    assert_eq!(through.block(&cid).await, node.block(&cid).await);
    assert_eq!(through.file(&cid).await, node.file(&cid).await);
}

#[tokio::test]
async fn a_lying_gateway_has_exactly_the_requested_faults() {
    let (node, fresh, origin) = (IpfsNode::start(), IpfsNode::start(), Origin::start().await);
    let cid = node
        .add(
            (0..=255).cycle().take(50_000).collect::<Vec<u8>>(),
            &FileShape::v1().chunk(9_000),
        )
        .await;
    let (car, root) = (node.car(&cid).await, node.block(&cid).await);
    let through = IpfsNode::at(origin.address());
    let alter = |alteration| origin.answer("/ipfs/", [Answer::gateway(&node).altered(alteration)]);

    alter(Alteration::FlipBlock(2));
    let flipped = through.car(&cid).await;
    assert_eq!(
        flipped
            .iter()
            .zip(&car)
            .filter(|(one, other)| one != other)
            .count(),
        1
    );
    assert!(
        fresh
            .import(flipped)
            .await
            .unwrap_err()
            .error
            .contains("block 2")
    );

    alter(Alteration::DropBlock(3));
    assert!(
        fresh
            .import(through.car(&cid).await)
            .await
            .unwrap_err()
            .missing
            .is_some()
    );

    alter(Alteration::CutCar(20_000));
    assert_eq!(through.car(&cid).await, car.slice(..20_000));

    alter(Alteration::OtherBlock("another".into()));
    assert_eq!(
        (through.block(&cid).await, through.car(&cid).await),
        ("another".into(), car)
    );

    alter(Alteration::RefuseCar(406));
    assert_eq!(
        get(&origin.url(&format!("/ipfs/{cid}?format=car")))
            .await
            .status(),
        StatusCode::NOT_ACCEPTABLE
    );
    assert_eq!(through.block(&cid).await, root);
}
