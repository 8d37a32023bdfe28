//! Redirects: each hop is checked like the first one, regardless of its sender.

use super::support::*;
use holdfast_content::Fetcher;
use holdfast_domain::ItemFailureCode as Code;
use holdfast_testing::{FileShape, IpfsNode, Origin, origin::Answer};

#[tokio::test]
async fn up_to_three_redirects_are_followed_and_the_last_origin_is_named() {
    let (first, last) = (Origin::start().await, Origin::start().await);
    first.answer("/0", [Answer::redirect("/1")]);
    first.answer("/1", [Answer::redirect("2?x=1#part")]);
    first.answer("/2", [Answer::redirect(&last.url("/3"))]);
    last.answer("/3", [Answer::ok("here")]);
    let fetcher = gaia_of(&[first.address(), last.address()]);
    let (file, bytes) = fetch_gaia(&fetcher, &first.url("/0")).await.file();
    assert_eq!(
        (bytes.as_slice(), file.source.as_str()),
        (b"here".as_slice(), last.address())
    );
    first.answer("/start", [Answer::redirect("/0")]);
    let error = fetch_gaia(&fetcher, &first.url("/start")).await.error();
    assert_eq!(error.code, Code::InvalidAnswer);
    assert!(error.message.contains("more than 3 times"), "{error}");
    assert_eq!(last.requests().len(), 1);
}

#[tokio::test]
async fn a_circle_of_redirects_ends_with_a_clear_error() {
    let origin = Origin::start().await;
    origin.answer("/a", [Answer::redirect("/b")]);
    origin.answer("/b", [Answer::redirect("/a")]);
    origin.answer("/self", [Answer::redirect("/self")]);
    for path in ["/a", "/self"] {
        let error = fetch_gaia(&gaia_of(&[origin.address()]), &origin.url(path))
            .await
            .error();
        assert_eq!(error.code, Code::InvalidAnswer);
        assert!(error.message.contains("circle"), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_into_the_inside_is_blocked_before_anything_is_asked() {
    let (origin, inside) = (Origin::start().await, Origin::start().await);
    inside.answer("/", [Answer::ok("secret")]);
    let port = inside.address().rsplit(':').next().unwrap().to_owned();
    let targets = [
        inside.url("/"),
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        "http://127.0.0.1/".to_owned(),
        "https://127.0.0.1/".to_owned(),
        "https://2130706433/".to_owned(),
        "https://[::ffff:127.0.0.1]/".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://169.254.169.254/".to_owned(),
        "https://[fd00:ec2::254]/".to_owned(),
        "https://10.0.0.1/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ftp://1.1.1.1/".to_owned(),
        "data:text/plain,x".to_owned(),
        "http://1.1.1.1/".to_owned(),
        "https://1.1.1.1:8443/".to_owned(),
        "https://user:pass@1.1.1.1/".to_owned(),
        "//127.0.0.1/".to_owned(),
    ];
    for target in targets {
        origin.answer("/file", [Answer::redirect(&target)]);
        let error = fetch_gaia(&gaia_of(&[origin.address()]), &origin.url("/file"))
            .await
            .error();
        assert_eq!(error.code, Code::Blocked, "{target}: {error}");
        assert!(!error.message.contains("pass@"), "{error}");
    }
    assert_eq!(inside.requests().len(), 0);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_blocked_in_a_url_and_in_a_redirect() {
    let origin = Origin::start().await;
    origin.answer("/file", [Answer::redirect("https://inside.example/")]);
    for inside in [
        ["127.0.0.1", "127.0.0.1"],
        ["169.254.169.254", "1.1.1.1"],
        ["1.1.1.1", "::1"],
        ["fd00::1", "10.0.0.1"],
    ] {
        let fetcher = resolving(&[origin.address()], &inside);
        for url in [origin.url("/file"), "https://inside.example/".to_owned()] {
            let error = fetch_gaia(&fetcher, &url).await.error();
            assert_eq!(error.code, Code::Blocked, "{error}");
            assert!(
                error.message.contains("inside.example")
                    && error.message.contains("resolves to a forbidden address"),
                "{error}"
            );
            assert!(
                !inside.iter().any(|address| error.message.contains(address)),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn an_unknown_origin_is_untrusted() {
    let origin = Origin::start().await;
    assert_eq!(
        fetch_gaia(&gaia_of(&[]), &origin.url("/file")).await.code(),
        Code::Blocked
    );
    let other_scheme = origin.address().replace("http:", "https:");
    assert_eq!(
        fetch_gaia(&gaia_of(&[&other_scheme]), &origin.url("/file"))
            .await
            .code(),
        Code::Blocked
    );
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn a_gateway_inside_is_asked_for_its_own_files_alone() {
    let (node, origin) = (IpfsNode::start(), Origin::start().await);
    let cid = node.add("on the gateway", &FileShape::v1()).await;
    let url = node.put_gaia("secret", "inside").await;
    origin.answer("/file", [Answer::redirect(&url)]);
    origin.answer("/near", [Answer::ok("allowed")]);
    for gateway in [
        node.address().to_owned(),
        format!("plain+{}", node.address()),
    ] {
        let fetcher = Fetcher::new(settings(&[&gateway], &[origin.address()])).unwrap();
        for stranger in [
            url.clone(),
            format!("{}/ipfs/{cid}", node.address()),
            origin.url("/file"),
        ] {
            let error = fetch_gaia(&fetcher, &stranger).await.error();
            assert_eq!(error.code, Code::Blocked, "{stranger}: {error}");
        }
        assert_eq!(fetch_ipfs(&fetcher, &cid).await.file().1, b"on the gateway");
        assert_eq!(
            fetch_gaia(&fetcher, &origin.url("/near")).await.file().1,
            b"allowed"
        );
    }
    let both = Fetcher::new(settings(&[node.address()], &[node.address()])).unwrap();
    assert_eq!(fetch_gaia(&both, &url).await.file().1, b"inside");
}

#[tokio::test]
async fn a_gateway_does_not_lead_to_another_inside() {
    let (node, first) = (IpfsNode::start(), Origin::start().await);
    let cid = node.add("on the other", &FileShape::v1()).await;
    first.answer(
        "/ipfs/",
        [Answer::redirect(&format!(
            "{}/ipfs/{cid}?format=raw",
            node.address()
        ))],
    );
    let absent = IpfsNode::start().add("on neither", &FileShape::v1()).await;
    let fetcher = ipfs_by(&[first.address(), node.address()]);
    assert_eq!(fetch_ipfs(&fetcher, &absent).await.code(), Code::Blocked);
    assert_eq!(
        fetch_ipfs(&fetcher, &cid).await.file().0.source,
        node.address()
    );
}

#[tokio::test]
async fn a_redirect_that_says_no_place_is_no_answer() {
    let origin = Origin::start().await;
    origin.answer("/file", [Answer::status(302)]);
    origin.answer("/odd", [Answer::redirect("http://[::1")]);
    for path in ["/file", "/odd"] {
        assert_eq!(
            fetch_gaia(&gaia_of(&[origin.address()]), &origin.url(path))
                .await
                .code(),
            Code::InvalidAnswer
        );
    }
}
