use proptest::prelude::*;

use super::*;

const V0: &str = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKSgeQ";
const V1: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

fn ipfs(url: &str) -> String {
    match locate(StorageType::Ipfs, url) {
        Ok(Location::Ipfs(name)) => text_of(name.path()),
        other => panic!("{url}: {other:?}"),
    }
}

fn text_of(path: &IpfsPath) -> String {
    std::iter::once(path.cid.to_string())
        .chain(path.path.clone())
        .collect::<Vec<_>>()
        .join("|")
}

/// All possible meanings of a URL.
fn meanings(url: &str) -> Vec<String> {
    match locate(StorageType::Ipfs, url) {
        Ok(Location::Ipfs(name)) => name.paths().map(text_of).collect(),
        other => panic!("{url}: {other:?}"),
    }
}

fn refused(kind: StorageType, url: &str) -> Unsupported {
    locate(kind, url)
        .map_err(|error| {
            assert!(error.reason.len() < 600, "{error}");
            error
        })
        .unwrap_err()
}

#[test]
fn every_way_to_name_a_cid_is_read() {
    for cid in [V0, V1] {
        let ways = [
            format!("ipfs://{cid}"),
            format!("ipfs://{cid}/"),
            format!("IPFS://{cid}"),
            format!("ipfs:{cid}"),
            format!("ipfs://ipfs/{cid}"),
            format!("ipfs:/ipfs/{cid}"),
            format!("/ipfs/{cid}"),
            format!("ipfs/{cid}"),
            cid.to_owned(),
            format!("  {cid}\u{20}"),
            format!("https://ipfs.io/ipfs/{cid}"),
            format!("http://127.0.0.1:8080/ipfs/{cid}?filename=a/b.png#x"),
            format!("https://host/deep/ipfs/{cid}"),
            format!("ipfs://{cid}?filename=x.png"),
            format!("https://my.ipfs.example.com/ipfs/{cid}"),
            format!("/ipfs//{cid}"),
            format!("//ipfs/{cid}"),
            format!("ipfs://ipfs/ipfs/{cid}"),
            format!("ipfs://ipfs//{cid}/"),
            format!("ipfs/ipfs/{cid}"),
            format!("https://gw//ipfs//{cid}"),
            format!("https://gw/ipfs/ipfs/{cid}"),
        ];
        for way in ways {
            assert_eq!(ipfs(&way), cid, "{way}");
        }
    }
}

#[test]
fn a_cid_in_a_host_name_is_read() {
    let base36 = V1
        .parse::<Cid>()
        .unwrap()
        .to_string_of_base(cid::multibase::Base::Base36Lower)
        .unwrap();
    for host in [V1.to_owned(), V1.to_uppercase(), base36] {
        assert_eq!(
            ipfs(&format!("https://{host}.ipfs.dweb.link/a.png")),
            format!("{V1}|a.png"),
            "{host}"
        );
    }
    assert_eq!(
        ipfs(&format!("https://{V1}.ipfs.dweb.link/ipfs/{V0}")),
        format!("{V1}|ipfs|{V0}")
    );
    for host in [
        format!("{V0}.ipfs.dweb.link"),
        "x.ipfs.dweb.link".to_owned(),
    ] {
        assert_eq!(
            refused(StorageType::Ipfs, &format!("https://{host}/")).code,
            ItemFailureCode::BadCid,
            "{host}"
        );
    }
}

#[test]
fn paths_are_decoded_segment_by_segment() {
    for prefix in [
        format!("ipfs://{V0}"),
        V0.to_owned(),
        format!("https://gw/ipfs/{V0}"),
        format!("/ipfs/{V0}"),
    ] {
        assert_eq!(
            ipfs(&format!("{prefix}/a%20b/%D7%A9/100%/c.png/")),
            format!("{V0}|a b|ש|100%|c.png")
        );
        assert_eq!(
            ipfs(&format!("{prefix}/what%3F?no#no")),
            format!("{V0}|what?")
        );
    }
}

#[test]
fn a_path_that_names_no_file_is_refused() {
    for path in [
        "..",
        "a/../..",
        "%2e%2e",
        "a/%2E%2e/../b",
        "%00",
        "a/%00",
        "%ff",
    ] {
        for prefix in [
            format!("ipfs://{V0}"),
            format!("https://gw/ipfs/{V0}"),
            format!("https://{V1}.ipfs.gw.io"),
        ] {
            let error = refused(StorageType::Ipfs, &format!("{prefix}/{path}"));
            assert_eq!(error.code, ItemFailureCode::Unsupported, "{prefix}/{path}");
        }
    }
    assert_eq!(
        refused(StorageType::Ipfs, &format!("{V0}/{}", "a/".repeat(300))).code,
        ItemFailureCode::Unsupported
    );
}

#[test]
fn paths_are_cleaned_as_gateways_clean_them() {
    for prefix in [
        format!("ipfs://{V1}"),
        format!("https://gw/ipfs/{V1}"),
        format!("https://{V1}.ipfs.gw.io"),
    ] {
        for path in [
            "/1.png",
            "//1.png",
            "/./1.png",
            "/a/../1.png",
            "/a/%2e%2e/1.png",
            "///1.png//",
            "/%2F1.png",
        ] {
            assert_eq!(
                ipfs(&format!("{prefix}{path}")),
                format!("{V1}|1.png"),
                "{prefix}{path}"
            );
        }
        assert_eq!(
            ipfs(&format!("{prefix}/a%2Fb\\c%5Cd")),
            format!("{V1}|a|b\\c\\d")
        );
    }
}

#[test]
fn what_follows_a_question_mark_or_a_number_sign_may_belong_to_the_name() {
    for prefix in [
        format!("ipfs://{V1}/"),
        format!("https://gw/ipfs/{V1}/"),
        format!("https://{V1}.ipfs.gw.io/"),
    ] {
        let names = |rest: &str| -> Vec<String> {
            let meanings = meanings(&format!("{prefix}{rest}")).into_iter();
            meanings
                .map(|path| path.trim_start_matches(&format!("{V1}|")).to_owned())
                .collect()
        };
        assert_eq!(names("Name#525.png"), ["Name#525.png", "Name"]);
        assert_eq!(names("what?.json"), ["what?.json", "what"]);
        assert_eq!(names("what%3F.json"), ["what?.json"]);
        assert_eq!(names("a%20b#1/c.png"), ["a b#1|c.png", "a b"]);
        assert_eq!(
            names("N#5.png?filename=x/y"),
            ["N#5.png?filename=x|y", "N#5.png", "N"]
        );
        assert_eq!(names(&"?".repeat(100)).len(), MAX_LONGER_NAMES + 1);
    }
    assert_eq!(
        meanings(&format!("ipfs://{V1}?filename=a/b#c")),
        [V1],
        "a CID has neither"
    );
}

#[test]
fn a_name_that_may_be_longer_is_a_source_of_its_own() {
    let locator = |url: String| match locate(StorageType::Ipfs, &url).unwrap() {
        Location::Ipfs(name) => name.locator(),
        Location::Gaia(_) => unreachable!("asked for IPFS"),
    };
    let urls = ["a", "a#1", "a?1", "a%231", "a?x=1", "a%3F1"]
        .map(|rest| locator(format!("ipfs://{V1}/{rest}")));
    assert!(
        (1..urls.len()).all(|index| !urls[..index].contains(&urls[index])),
        "{urls:?}"
    );
    assert_eq!(
        locator(format!("ipfs://{V1}?filename=x")),
        locator(V1.to_owned())
    );
}

#[test]
fn a_malformed_cid_differs_from_a_missing_cid() {
    let cut = &V0[..45];
    for url in [
        "ipfs://",
        "ipfs://nothing",
        "hello",
        "/ipfs/",
        "https://gw/ipfs/",
        "https://gw/ipfs/Qm",
        cut,
        "Qm:x/y z",
        "ipfs://../x",
    ] {
        let error = refused(StorageType::Ipfs, url);
        let expected = if url.contains(':') && url.starts_with("Qm") {
            ItemFailureCode::Unsupported
        } else {
            ItemFailureCode::BadCid
        };
        assert_eq!(error.code, expected, "{url}: {error}");
    }
}

#[test]
fn what_is_not_backed_up_is_unsupported() {
    let others = [
        "",
        "   ",
        "ipns://name",
        "/ipns/name",
        "ipfs://ipns/name",
        "https://gw/ipns/name",
        "https://name.ipns.dweb.link/",
        "ar://x",
        "arweave://x",
        "data:text/plain,x",
        "ftp://h/x",
        "javascript:alert(1)",
        "https://host/a.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "a\0b",
        "https://",
        "https:///ipfs/x",
        "http://[::1",
        "https://gw/ipfsx/a",
        "ipfs\n://x",
    ];
    for url in others {
        let code = refused(StorageType::Ipfs, url).code;
        assert!(
            matches!(code, ItemFailureCode::Unsupported),
            "{url:?}: {code}"
        );
    }
    let long = "x".repeat(10_000);
    assert_eq!(
        refused(StorageType::Ipfs, &long).code,
        ItemFailureCode::Unsupported
    );
    assert_eq!(
        refused(StorageType::Gaia, &format!("https://h/{long}")).code,
        ItemFailureCode::Unsupported
    );
}

#[test]
fn a_gaia_url_is_any_web_address() {
    let url = "https://gaia.example.com/hub/1abc/a%20b.png?x=1#part";
    match locate(StorageType::Gaia, url).unwrap() {
        Location::Gaia(url) => assert_eq!(
            url.as_str(),
            "https://gaia.example.com/hub/1abc/a%20b.png?x=1"
        ),
        Location::Ipfs(_) => panic!("read as IPFS"),
    }
    let others = [
        "",
        "hub/1abc/a.png",
        "ipfs://x",
        "ftp://h/a",
        "javascript:x",
        "data:,x",
        "https://",
        "file:///a",
        "a\0",
        "blob:https://h/x",
    ];
    for url in others {
        assert_eq!(
            refused(StorageType::Gaia, url).code,
            ItemFailureCode::Unsupported,
            "{url:?}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        for kind in StorageType::ALL {
            let _ = locate(kind, &text);
        }
    }

    #[test]
    fn a_location_written_is_the_location_read(path in proptest::collection::vec("[^/\\p{Cc}]{1,12}", 0..5)) {
        prop_assume!(path.iter().all(|segment| segment != "." && segment != ".."));
        let path = IpfsPath { cid: V1.parse().unwrap(), path };
        prop_assert_eq!(locate(StorageType::Ipfs, &path.to_string()).unwrap(), Location::Ipfs(path.into()));
    }
}
