//! What an item's URL means: a file on IPFS, a file on a Gaia hub, or nothing that is backed up, with the reason.
//! Reads text that anybody may have written; asks no network.

use holdfast_domain::{ItemFailureCode, StorageType};
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::ipfs::{Cid, IpfsName, IpfsPath};

/// Longer URLs are not looked into, in bytes.
const LONGEST_URL: usize = 8_192;

/// Deeper paths are not followed, in segments.
const DEEPEST_PATH: usize = 256;

/// Longer names that are looked for, where a URL has more than one `#` or `?`.
const MOST_LONGER_NAMES: usize = 4;

/// Where an item's file is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On IPFS, from any gateway.
    Ipfs(IpfsName),
    /// On a Gaia hub, from there alone.
    Gaia(Url),
}

/// A URL that names nothing that is backed up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unsupported {
    /// [`ItemFailureCode::BadCid`] where a CID must stand and something else does, else
    /// [`ItemFailureCode::Unsupported`].
    pub code: ItemFailureCode,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads an item's URL as its storage type says. A query or fragment of an IPFS URL may be a part of a file's name, which
/// its directory tells.
///
/// # Errors
/// [`Unsupported`] where it names no file that is backed up.
pub fn locate(storage_type: StorageType, url: &str) -> Result<Location, Unsupported> {
    let url = url.trim();
    if url.is_empty() {
        return Err(unsupported("the item has no URL"));
    }
    if url.len() > LONGEST_URL {
        return Err(unsupported(format!("the URL is {} bytes long, more than {LONGEST_URL}", url.len())));
    }
    if url.chars().any(char::is_control) {
        return Err(unsupported("the URL has control characters in it"));
    }
    match storage_type {
        StorageType::Ipfs => locate_ipfs(url).map(Location::Ipfs),
        StorageType::Gaia => locate_gaia(url).map(Location::Gaia),
    }
}

fn locate_gaia(text: &str) -> Result<Url, Unsupported> {
    let mut url = Url::parse(text).map_err(|error| unsupported(format!("the URL cannot be read: {error}")))?;
    match url.scheme() {
        "https" | "http" if url.host_str().is_some_and(|host| !host.is_empty()) => {
            url.set_fragment(None);
            Ok(url)
        }
        scheme => {
            Err(unsupported(format!("a URL of scheme {:?} is none of a Gaia hub: expected https", shown(scheme))))
        }
    }
}

fn locate_ipfs(text: &str) -> Result<IpfsName, Unsupported> {
    let ends: Vec<usize> = text.match_indices(['?', '#']).map(|(end, _)| end).collect();
    let Some((first, further)) = ends.split_first() else { return path_of(text).map(IpfsName::from) };
    let cut = path_of(&text[..*first])?;
    let longer = further.iter().copied().chain([text.len()]).rev().take(MOST_LONGER_NAMES);
    let longer = longer.filter_map(|end| path_of(&with_escapes(&text[..end])).ok());
    let longer = longer.filter(|path| path.cid == cut.cid && path.path != cut.path).collect();
    Ok(IpfsName::new(cut, &text[*first..], longer))
}

/// The same path, in which `?` and `#` are letters.
fn with_escapes(text: &str) -> String {
    text.replace('?', "%3F").replace('#', "%23")
}

fn path_of(path: &str) -> Result<IpfsPath, Unsupported> {
    match scheme_of(path) {
        Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
            "ipfs" => content_path(rest),
            "http" | "https" => on_gateway(path, rest),
            "ipns" => Err(ipns()),
            other => Err(unsupported(format!("a URL of scheme {:?} is none of IPFS", shown(other)))),
        },
        None => match path.strip_prefix('/').map(|rest| rest.trim_start_matches('/')) {
            Some(rest) if rest.starts_with("ipfs/") || rest.starts_with("ipns/") => content_path(rest),
            Some(_) => Err(unsupported("the path does not begin with /ipfs/")),
            None => content_path(path),
        },
    }
}

/// Splits `scheme:rest`. A CID is no scheme: its colon would have to come before any slash.
fn scheme_of(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let mut letters = scheme.bytes();
    let begins_well = letters.next().is_some_and(|first| first.is_ascii_alphabetic());
    let goes_on_well = letters.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (begins_well && goes_on_well).then_some((scheme, rest))
}

/// A gateway's URL: `https://gateway/ipfs/cid/path` or `https://cid.ipfs.gateway/path`. The gateway itself is never asked.
fn on_gateway(text: &str, after_scheme: &str) -> Result<IpfsPath, Unsupported> {
    let url = Url::parse(text).map_err(|error| unsupported(format!("the URL cannot be read: {error}")))?;
    // The path as it was written: a parser would have resolved its dots already.
    let written = after_scheme.trim_start_matches('/');
    let path = written.find(['/', '\\']).map_or("", |start| written[start..].trim_start_matches(['/', '\\']));
    let labels: Vec<&str> = match url.host() {
        Some(Host::Domain(host)) => host.split('.').collect(),
        _ => Vec::new(),
    };
    let in_host = labels.get(1) == Some(&"ipfs") && labels.len() > 2;
    if in_host && let Ok(cid) = labels[0].parse::<Cid>() {
        return Ok(IpfsPath { cid, path: segments(path)? });
    }
    if let Some(rest) = path.strip_prefix("ipfs/") {
        return content_path(rest);
    }
    if in_host {
        return Err(bad_cid(
            labels[0],
            "a host name keeps no capitals, so only a CIDv1 in base32 or base36 can stand there",
        ));
    }
    if labels.get(1) == Some(&"ipns") || path.starts_with("ipns/") {
        return Err(ipns());
    }
    match path.split_once("/ipfs/") {
        Some((_, rest)) if starts_with_cid(rest) => content_path(rest),
        _ => Err(unsupported("the URL has no CID in it: expected https://<gateway>/ipfs/<cid>")),
    }
}

/// `cid/path`, with any number of `ipfs/` and slashes before it: gateways and people add them.
fn content_path(text: &str) -> Result<IpfsPath, Unsupported> {
    let mut text = text.trim_start_matches('/');
    while let Some(inner) = text.strip_prefix("ipfs/") {
        text = inner.trim_start_matches('/');
    }
    if text.starts_with("ipns/") {
        return Err(ipns());
    }
    let (cid, path) = text.split_once('/').unwrap_or((text, ""));
    let parsed = cid.parse::<Cid>().map_err(|error| bad_cid(cid, &error.to_string()))?;
    Ok(IpfsPath { cid: parsed, path: segments(path)? })
}

fn starts_with_cid(text: &str) -> bool {
    text.trim_start_matches('/').split('/').next().is_some_and(|segment| segment.parse::<Cid>().is_ok())
}

/// The names of a path, as gateways read it: decoded first, then without empty segments and dots.
fn segments(path: &str) -> Result<Vec<String>, Unsupported> {
    let decoded = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| unsupported(format!("the path {:?} is not UTF-8", shown(path))))?;
    if decoded.contains('\0') {
        return Err(unsupported(format!("the path {:?} has a NUL in it", shown(path))));
    }
    let mut names = Vec::new();
    for name in decoded.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop().ok_or_else(|| unsupported("the path leaves its root through \"..\""))?;
            }
            name => names.push(name.to_owned()),
        }
    }
    if names.len() > DEEPEST_PATH {
        return Err(unsupported(format!("the path has more than {DEEPEST_PATH} segments")));
    }
    Ok(names)
}

fn ipns() -> Unsupported {
    unsupported("an IPNS name can change what it points to, so it names no file: expected a CID")
}

fn unsupported(reason: impl Into<String>) -> Unsupported {
    Unsupported { code: ItemFailureCode::Unsupported, reason: reason.into() }
}

fn bad_cid(text: &str, why: &str) -> Unsupported {
    let reason = match text {
        "" => "no CID stands where one must".to_owned(),
        _ => format!("{:?} is not a CID: {why}", shown(text)),
    };
    Unsupported { code: ItemFailureCode::BadCid, reason }
}

/// The start of what was given, so that a reason stays readable whatever was sent.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
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
        std::iter::once(path.cid.to_string()).chain(path.path.clone()).collect::<Vec<_>>().join("|")
    }

    /// All that a URL may mean.
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
        let base36 = V1.parse::<Cid>().unwrap().to_string_of_base(cid::multibase::Base::Base36Lower).unwrap();
        for host in [V1.to_owned(), V1.to_uppercase(), base36] {
            assert_eq!(ipfs(&format!("https://{host}.ipfs.dweb.link/a.png")), format!("{V1}|a.png"), "{host}");
        }
        assert_eq!(ipfs(&format!("https://{V1}.ipfs.dweb.link/ipfs/{V0}")), format!("{V1}|ipfs|{V0}"));
        for host in [format!("{V0}.ipfs.dweb.link"), "x.ipfs.dweb.link".to_owned()] {
            assert_eq!(refused(StorageType::Ipfs, &format!("https://{host}/")).code, ItemFailureCode::BadCid, "{host}");
        }
    }

    #[test]
    fn paths_are_decoded_segment_by_segment() {
        for prefix in [format!("ipfs://{V0}"), V0.to_owned(), format!("https://gw/ipfs/{V0}"), format!("/ipfs/{V0}")] {
            assert_eq!(ipfs(&format!("{prefix}/a%20b/%D7%A9/100%/c.png/")), format!("{V0}|a b|ש|100%|c.png"));
            assert_eq!(ipfs(&format!("{prefix}/what%3F?no#no")), format!("{V0}|what?"));
        }
    }

    #[test]
    fn a_path_that_names_no_file_is_refused() {
        for path in ["..", "a/../..", "%2e%2e", "a/%2E%2e/../b", "%00", "a/%00", "%ff"] {
            for prefix in [format!("ipfs://{V0}"), format!("https://gw/ipfs/{V0}"), format!("https://{V1}.ipfs.gw.io")]
            {
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
        for prefix in [format!("ipfs://{V1}"), format!("https://gw/ipfs/{V1}"), format!("https://{V1}.ipfs.gw.io")] {
            for path in ["/1.png", "//1.png", "/./1.png", "/a/../1.png", "/a/%2e%2e/1.png", "///1.png//", "/%2F1.png"] {
                assert_eq!(ipfs(&format!("{prefix}{path}")), format!("{V1}|1.png"), "{prefix}{path}");
            }
            assert_eq!(ipfs(&format!("{prefix}/a%2Fb\\c%5Cd")), format!("{V1}|a|b\\c\\d"));
        }
    }

    #[test]
    fn what_follows_a_question_mark_or_a_number_sign_may_belong_to_the_name() {
        for prefix in [format!("ipfs://{V1}/"), format!("https://gw/ipfs/{V1}/"), format!("https://{V1}.ipfs.gw.io/")] {
            let names = |rest: &str| -> Vec<String> {
                let meanings = meanings(&format!("{prefix}{rest}")).into_iter();
                meanings.map(|path| path.trim_start_matches(&format!("{V1}|")).to_owned()).collect()
            };
            assert_eq!(names("Name#525.png"), ["Name#525.png", "Name"]);
            assert_eq!(names("what?.json"), ["what?.json", "what"]);
            assert_eq!(names("what%3F.json"), ["what?.json"]);
            assert_eq!(names("a%20b#1/c.png"), ["a b#1|c.png", "a b"]);
            assert_eq!(names("N#5.png?filename=x/y"), ["N#5.png?filename=x|y", "N#5.png", "N"]);
            assert_eq!(names(&"?".repeat(100)).len(), MOST_LONGER_NAMES + 1);
        }
        assert_eq!(meanings(&format!("ipfs://{V1}?filename=a/b#c")), [V1], "a CID has neither");
    }

    #[test]
    fn a_name_that_may_be_longer_is_a_source_of_its_own() {
        let locator = |url: String| match locate(StorageType::Ipfs, &url).unwrap() {
            Location::Ipfs(name) => name.locator(),
            Location::Gaia(_) => unreachable!("asked for IPFS"),
        };
        let urls = ["a", "a#1", "a?1", "a%231", "a?x=1", "a%3F1"].map(|rest| locator(format!("ipfs://{V1}/{rest}")));
        assert!((1..urls.len()).all(|index| !urls[..index].contains(&urls[index])), "{urls:?}");
        assert_eq!(locator(format!("ipfs://{V1}?filename=x")), locator(V1.to_owned()));
    }

    #[test]
    fn a_malformed_cid_is_told_from_no_cid() {
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
            assert!(matches!(code, ItemFailureCode::Unsupported), "{url:?}: {code}");
        }
        let long = "x".repeat(10_000);
        assert_eq!(refused(StorageType::Ipfs, &long).code, ItemFailureCode::Unsupported);
        assert_eq!(refused(StorageType::Gaia, &format!("https://h/{long}")).code, ItemFailureCode::Unsupported);
    }

    #[test]
    fn a_gaia_url_is_any_web_address() {
        let url = "https://gaia.example.com/hub/1abc/a%20b.png?x=1#part";
        match locate(StorageType::Gaia, url).unwrap() {
            Location::Gaia(url) => assert_eq!(url.as_str(), "https://gaia.example.com/hub/1abc/a%20b.png?x=1"),
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
            assert_eq!(refused(StorageType::Gaia, url).code, ItemFailureCode::Unsupported, "{url:?}");
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
}
