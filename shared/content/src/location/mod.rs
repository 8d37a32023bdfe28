//! The meaning of an item's URL: a file on IPFS, a file on a Gaia hub, or an unsupported location
//! with the reason. The input is untrusted. Sends no request.

use holdfast_domain::{ItemFailureCode, StorageType};
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::ipfs::{Cid, IpfsName, IpfsPath};

/// Longer URLs are not looked into, in bytes.
const LONGEST_URL: usize = 8_192;

/// Deeper paths are not followed, in segments.
const DEEPEST_PATH: usize = 256;

/// Maximum number of longer names to try, if a URL has more than one `#` or `?`.
const MAX_LONGER_NAMES: usize = 4;

/// Location of an item's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On IPFS, from any gateway.
    Ipfs(IpfsName),
    /// On a Gaia hub, from there alone.
    Gaia(Url),
}

/// A URL without a supported file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unsupported {
    /// [`ItemFailureCode::BadCid`] if the place of a CID has other text, else
    /// [`ItemFailureCode::Unsupported`].
    pub code: ItemFailureCode,
    /// The fault of the URL.
    pub reason: String,
}

/// Parses an item's URL according to its storage type. A query or fragment of an IPFS URL may be a
/// part of a file's name: the directory decides.
///
/// # Errors
/// [`Unsupported`] if the URL names no supported file.
pub fn locate(storage_type: StorageType, url: &str) -> Result<Location, Unsupported> {
    let url = url.trim();
    if url.is_empty() {
        return Err(unsupported("the item has no URL"));
    }
    if url.len() > LONGEST_URL {
        return Err(unsupported(format!(
            "the URL is {} bytes long, more than {LONGEST_URL}",
            url.len()
        )));
    }
    if url.chars().any(char::is_control) {
        return Err(unsupported("the URL contains control characters"));
    }
    match storage_type {
        StorageType::Ipfs => locate_ipfs(url).map(Location::Ipfs),
        StorageType::Gaia => locate_gaia(url).map(Location::Gaia),
    }
}

fn locate_gaia(text: &str) -> Result<Url, Unsupported> {
    let mut url = Url::parse(text)
        .map_err(|error| unsupported(format!("the URL cannot be read: {error}")))?;
    match url.scheme() {
        "https" | "http" if url.host_str().is_some_and(|host| !host.is_empty()) => {
            url.set_fragment(None);
            Ok(url)
        }
        scheme => Err(unsupported(format!(
            "a URL of scheme {:?} is not a Gaia URL: expected https",
            shown(scheme)
        ))),
    }
}

fn locate_ipfs(text: &str) -> Result<IpfsName, Unsupported> {
    let ends: Vec<usize> = text.match_indices(['?', '#']).map(|(end, _)| end).collect();
    let Some((first, further)) = ends.split_first() else {
        return path_of(text).map(IpfsName::from);
    };
    let cut = path_of(&text[..*first])?;
    let longer = further
        .iter()
        .copied()
        .chain([text.len()])
        .rev()
        .take(MAX_LONGER_NAMES);
    let longer = longer.filter_map(|end| path_of(&with_escapes(&text[..end])).ok());
    let longer = longer
        .filter(|path| path.cid == cut.cid && path.path != cut.path)
        .collect();
    Ok(IpfsName::new(cut, &text[*first..], longer))
}

/// The same path with literal `?` and `#`.
fn with_escapes(text: &str) -> String {
    text.replace('?', "%3F").replace('#', "%23")
}

fn path_of(path: &str) -> Result<IpfsPath, Unsupported> {
    match scheme_of(path) {
        Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
            "ipfs" => content_path(rest),
            "http" | "https" => on_gateway(path, rest),
            "ipns" => Err(ipns()),
            other => Err(unsupported(format!(
                "a URL of scheme {:?} is not an IPFS URL",
                shown(other)
            ))),
        },
        None => match path
            .strip_prefix('/')
            .map(|rest| rest.trim_start_matches('/'))
        {
            Some(rest) if rest.starts_with("ipfs/") || rest.starts_with("ipns/") => {
                content_path(rest)
            }
            Some(_) => Err(unsupported("the path does not begin with /ipfs/")),
            None => content_path(path),
        },
    }
}

/// Splits `scheme:rest`. A CID is not a scheme: a colon must precede any slash.
fn scheme_of(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let mut letters = scheme.bytes();
    let begins_well = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic());
    let goes_on_well =
        letters.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (begins_well && goes_on_well).then_some((scheme, rest))
}

/// Parses a gateway's URL: `https://gateway/ipfs/cid/path` or `https://cid.ipfs.gateway/path`. No
/// request goes to this gateway.
fn on_gateway(text: &str, after_scheme: &str) -> Result<IpfsPath, Unsupported> {
    let url = Url::parse(text)
        .map_err(|error| unsupported(format!("the URL cannot be read: {error}")))?;
    // The unchanged path: a parser would have resolved its dots.
    let written = after_scheme.trim_start_matches('/');
    let path = written
        .find(['/', '\\'])
        .map_or("", |start| written[start..].trim_start_matches(['/', '\\']));
    let labels: Vec<&str> = match url.host() {
        Some(Host::Domain(host)) => host.split('.').collect(),
        _ => Vec::new(),
    };
    let in_host = labels.get(1) == Some(&"ipfs") && labels.len() > 2;
    if in_host && let Ok(cid) = labels[0].parse::<Cid>() {
        return Ok(IpfsPath {
            cid,
            path: segments(path)?,
        });
    }
    if let Some(rest) = path.strip_prefix("ipfs/") {
        return content_path(rest);
    }
    if in_host {
        return Err(bad_cid(
            labels[0],
            "a host name keeps no capitals, so only a CIDv1 in base32 or base36 is valid there",
        ));
    }
    if labels.get(1) == Some(&"ipns") || path.starts_with("ipns/") {
        return Err(ipns());
    }
    match path.split_once("/ipfs/") {
        Some((_, rest)) if starts_with_cid(rest) => content_path(rest),
        _ => Err(unsupported(
            "the URL contains no CID: expected https://<gateway>/ipfs/<cid>",
        )),
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
    let parsed = cid
        .parse::<Cid>()
        .map_err(|error| bad_cid(cid, &error.to_string()))?;
    Ok(IpfsPath {
        cid: parsed,
        path: segments(path)?,
    })
}

fn starts_with_cid(text: &str) -> bool {
    text.trim_start_matches('/')
        .split('/')
        .next()
        .is_some_and(|segment| segment.parse::<Cid>().is_ok())
}

/// The names of a path, as gateways read it: decoded first, then without empty segments and dots.
fn segments(path: &str) -> Result<Vec<String>, Unsupported> {
    let decoded = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| unsupported(format!("the path {:?} is not UTF-8", shown(path))))?;
    if decoded.contains('\0') {
        return Err(unsupported(format!(
            "the path {:?} contains a NUL",
            shown(path)
        )));
    }
    let mut names = Vec::new();
    for name in decoded.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names
                    .pop()
                    .ok_or_else(|| unsupported("the path leaves its root through \"..\""))?;
            }
            name => names.push(name.to_owned()),
        }
    }
    if names.len() > DEEPEST_PATH {
        return Err(unsupported(format!(
            "the path has more than {DEEPEST_PATH} segments"
        )));
    }
    Ok(names)
}

fn ipns() -> Unsupported {
    unsupported("an IPNS name can change its target, so it names no fixed file: expected a CID")
}

fn unsupported(reason: impl Into<String>) -> Unsupported {
    Unsupported {
        code: ItemFailureCode::Unsupported,
        reason: reason.into(),
    }
}

fn bad_cid(text: &str, why: &str) -> Unsupported {
    let reason = match text {
        "" => "the CID is missing".to_owned(),
        _ => format!("{:?} is not a CID: {why}", shown(text)),
    };
    Unsupported {
        code: ItemFailureCode::BadCid,
        reason,
    }
}

/// The beginning of the text, so that a reason is readable for any input.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
