//! Azure's answers: the headers of a blob, and lists in XML.

use std::collections::BTreeMap;

use holdfast_domain::{ObjectKey, Timestamp};
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::HeaderMap;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{Lock, StoreError};

/// The checksum of the sent bytes, in the form of [`crate::Checksum`], in the blob's metadata.
pub(super) const CHECKSUM: &str = "x-ms-meta-holdfastsha256";

/// Marks the short-lived blob of an aborted upload. In lists, the name has no `x-ms-meta-`.
pub(super) const REMAINS: &str = "x-ms-meta-holdfastaborted";
const REMAINS_IN_LISTS: &str = "holdfastaborted";

/// The result of a HEAD request for a blob.
pub(super) struct Seen {
    pub(super) size_bytes: u64,
    pub(super) etag: String,
    pub(super) last_modified: Option<String>,
    /// The checksum of the sent bytes. `None` for a blob of another program.
    pub(super) checksum: Option<String>,
    /// Whether it is the remainder of an aborted upload.
    pub(super) is_remains: bool,
    retained_until: Option<String>,
    legal_hold: Option<String>,
}

impl Seen {
    pub(super) fn read(key: &str, headers: &HeaderMap) -> Result<Self, StoreError> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(ToOwned::to_owned)
        };
        let length = text("content-length").and_then(|length| length.parse().ok());
        Ok(Self {
            size_bytes: length.ok_or_else(|| malformed(key, "no length"))?,
            etag: text("etag").unwrap_or_default(),
            last_modified: text("last-modified"),
            checksum: text(CHECKSUM),
            is_remains: headers.contains_key(REMAINS),
            retained_until: text("x-ms-immutability-policy-until-date"),
            legal_hold: text("x-ms-legal-hold"),
        })
    }

    pub(super) fn lock(&self, key: &ObjectKey) -> Result<Lock, StoreError> {
        let until = self.retained_until.as_deref();
        let retained_until = until
            .map(|until| timestamp(key.as_str(), Some(until)))
            .transpose()?;
        // Every value except a clear "off" counts as a hold.
        let legal_hold = self
            .legal_hold
            .as_deref()
            .is_some_and(|hold| !hold.eq_ignore_ascii_case("false"));
        Ok(Lock {
            retained_until,
            legal_hold,
        })
    }
}

/// A page of a container's list.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    blobs: Blobs,
    next_marker: Option<String>,
}

#[derive(Default, Deserialize)]
struct Blobs {
    #[serde(rename = "Blob", default)]
    all: Vec<Blob>,
}

/// A blob in a list.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Blob {
    name: Name,
    properties: Properties,
    metadata: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Deserialize)]
struct Name {
    /// For names invalid in XML.
    #[serde(rename = "@Encoded")]
    encoded: Option<String>,
    #[serde(rename = "$text", default)]
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    #[serde(rename = "Last-Modified")]
    last_modified: Option<String>,
    etag: Option<String>,
    #[serde(rename = "Content-Length")]
    content_length: Option<u64>,
}

impl Page {
    /// The blobs, and the beginning of the next page.
    pub(super) fn into_parts(self) -> (Vec<Blob>, Option<String>) {
        (
            self.blobs.all,
            self.next_marker.filter(|marker| !marker.is_empty()),
        )
    }
}

impl Blob {
    /// The blob's name. `None` for an impossible name of an object.
    pub(super) fn name(&self) -> Option<&str> {
        self.name
            .encoded
            .is_none()
            .then_some(self.name.text.as_str())
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.properties.content_length.unwrap_or(0)
    }

    pub(super) fn last_modified(&self) -> Option<&str> {
        self.properties.last_modified.as_deref()
    }

    /// The form of headers. Lists leave the quotation marks out.
    pub(super) fn etag(&self) -> String {
        format!(
            "\"{}\"",
            self.properties
                .etag
                .as_deref()
                .unwrap_or_default()
                .trim_matches('"')
        )
    }

    pub(super) fn is_remains(&self) -> bool {
        let names = self.metadata.iter().flat_map(BTreeMap::keys);
        names
            .into_iter()
            .any(|name| name.eq_ignore_ascii_case(REMAINS_IN_LISTS))
    }
}

/// The uncommitted blocks of a blob.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BlockList {
    #[serde(default)]
    uncommitted_blocks: Blocks,
}

#[derive(Default, Deserialize)]
struct Blocks {
    #[serde(rename = "Block", default)]
    all: Vec<Block>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Block {
    name: String,
}

impl BlockList {
    /// Their names.
    pub(super) fn uncommitted(&self) -> impl Iterator<Item = &str> {
        self.uncommitted_blocks
            .all
            .iter()
            .map(|block| block.name.as_str())
    }
}

/// Reads an answer in XML.
pub(super) fn read<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, StoreError> {
    let unreadable = |error| malformed(key, &format!("no list: {error}"));
    quick_xml::de::from_str(text.trim_start_matches('\u{feff}')).map_err(unreadable)
}

pub(super) fn timestamp(key: &str, text: Option<&str>) -> Result<Timestamp, StoreError> {
    let text = text.ok_or_else(|| malformed(key, "no modification time"))?;
    DateTimeParser::new()
        .parse_timestamp(text)
        .or_else(|_| text.parse())
        .map_err(|_| malformed(key, "an impossible time"))
}

/// An answer that violates the protocol. Such a server is temporarily unreliable, so the error is
/// transient.
fn malformed(key: &str, what: &str) -> StoreError {
    StoreError::Unavailable {
        key: key.to_owned(),
        cause: format!("its answer is malformed: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_with_its_odd_names() {
        let text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs>\
            <Blob><Name>a &amp; &lt;b&gt;</Name><Properties><Last-Modified>Mon, 23 Nov 2026 18:31:14 GMT</Last-Modified>\
            <Etag>0x8D1</Etag><Content-Length>3</Content-Length></Properties>\
            <Metadata><Other /><HoldfastAborted>x</HoldfastAborted></Metadata></Blob>\
            <Blob><Name Encoded=\"true\">%EF</Name><Properties /></Blob></Blobs><NextMarker>n</NextMarker></EnumerationResults>";
        let (blobs, next) = read::<Page>("", text).unwrap().into_parts();
        assert_eq!(
            (blobs[0].name(), blobs[0].size_bytes(), next.as_deref()),
            (Some("a & <b>"), 3, Some("n"))
        );
        assert_eq!(blobs[0].etag(), "\"0x8D1\"");
        assert_eq!(
            timestamp("", blobs[0].last_modified()).unwrap().to_string(),
            "2026-11-23T18:31:14Z"
        );
        assert!(blobs[0].is_remains() && !blobs[1].is_remains());
        assert_eq!(blobs[1].name(), None);
    }

    #[test]
    fn an_empty_list_is_one() {
        let text = "<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>";
        let (blobs, next) = read::<Page>("", text).unwrap().into_parts();
        assert!(blobs.is_empty() && next.is_none());
        let blocks = "<BlockList><UncommittedBlocks><Block><Name>QQ==</Name><Size>1</Size></Block></UncommittedBlocks></BlockList>";
        assert_eq!(
            read::<BlockList>("", blocks)
                .unwrap()
                .uncommitted()
                .collect::<Vec<_>>(),
            ["QQ=="]
        );
        assert_eq!(
            read::<BlockList>("", "<BlockList />")
                .unwrap()
                .uncommitted()
                .count(),
            0
        );
        assert!(read::<Page>("", "<html>").is_err());
    }
}
