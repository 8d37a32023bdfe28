//! One item of a content backup: its row in the catalogue, its line in the list of items, its
//! message in the queue.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Artifact, BackupId, Compression, Encryption, ItemFailureCode, Sha256Digest, StorageType,
    Validator, Verified,
};

/// A content item as the platform's database has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentItem {
    /// The platform's id of it, as text.
    pub content_id: String,
    /// Its title, as its creator wrote it.
    pub title: String,
    /// Address of its file, as its creator wrote it.
    pub url: String,
    /// Storage of the file, according to the platform.
    pub storage_type: StorageType,
    /// Its creator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// Fields that are cut to a bound here, with their length in the database in bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cut: BTreeMap<String, u64>,
}

/// State of an item of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemStatus {
    /// Not settled yet.
    Pending,
    /// Its file was fetched by this backup, and is stored.
    Done,
    /// Its file was already stored, and is unchanged.
    Unchanged,
    /// Its file was not available. The error has the reason.
    Failed,
}

impl ItemStatus {
    /// The word used in the catalogue and in lists of items.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

/// A stored object. Many backups may share it. It has everything needed to read it alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredObject {
    /// The object.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// Its compression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Its encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

/// A stored file, and its origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredFile {
    /// Bytes of the file.
    #[serde(rename = "fileSize")]
    pub size: u64,
    /// SHA-256 of the file.
    pub file_sha256: Sha256Digest,
    /// Its object in the store.
    pub object: StoredObject,
    /// The record that rebuilds its IPFS blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dag: Option<StoredObject>,
    /// The requested CID, and the path under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid: Option<String>,
    /// How its bytes were verified.
    pub verified: Verified,
    /// The gateway or origin of the response.
    pub served_by: String,
    /// The origin's marks of this very content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator: Option<Validator>,
    /// The content type from the origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The content coding of the response. It was removed: the file is stored decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// Time of the download.
    pub fetched_at: Timestamp,
}

/// Why an item's file was not available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemFailure {
    /// The kind of failure.
    pub code: ItemFailureCode,
    /// The failure, its object and its cause.
    pub message: String,
}

/// An item of a backup, with its present state: a line of the list of items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemRecord {
    /// The item.
    #[serde(flatten)]
    pub item: ContentItem,
    /// Its state.
    pub status: ItemStatus,
    /// Started downloads.
    #[serde(default)]
    pub attempts: u32,
    /// Name of the file in the archive and in a restored directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// The file, if it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<StoredFile>,
    /// Why the file is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ItemFailure>,
}

/// Number of items of a content backup, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ItemCounts {
    /// Items found by the discovery.
    pub expected: u64,
    /// Items with a downloaded file.
    pub done: u64,
    /// Items with a file that was already stored.
    pub unchanged: u64,
    /// Items without an available file.
    pub failed: u64,
    /// Bytes of the stored files.
    pub bytes: u64,
    /// Items settled per minute since the start of a running backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u64>,
}

impl ItemCounts {
    /// Counts an item, and the bytes of its file.
    pub fn add(&mut self, record: &ItemRecord) {
        self.expected += 1;
        match record.status {
            ItemStatus::Done => self.done += 1,
            ItemStatus::Unchanged => self.unchanged += 1,
            ItemStatus::Failed => self.failed += 1,
            ItemStatus::Pending => {}
        }
        self.bytes += record.file.as_ref().map_or(0, |file| file.size);
    }

    /// Settled items.
    #[must_use]
    pub const fn settled(&self) -> u64 {
        self.done + self.unchanged + self.failed
    }

    /// Whether more than `percent` of all items failed.
    #[must_use]
    pub fn fails(&self, percent: u32) -> bool {
        u128::from(self.failed) * 100 > u128::from(self.expected) * u128::from(percent)
    }
}

/// An item in a queue: its identity only. The row has the rest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DownloadMessage {
    /// The backup.
    pub backup_id: BackupId,
    /// The item in it.
    pub content_id: String,
}

/// `<contentId>_<safe title><ext>`: letters and digits of the title, anything else as `_`, at most
/// 50 characters. The extension comes from the URL, or from the content type.
#[must_use]
pub fn file_name(item: &ContentItem, content_type: Option<&str>) -> String {
    let title: String = item.title.chars().take(50).map(safe).collect();
    let id: String = item.content_id.chars().take(64).map(safe).collect();
    let extension = extension_of_url(&item.url)
        .or_else(|| content_type.and_then(extension_of_type).map(str::to_owned));
    format!(
        "{id}_{title}{}",
        extension
            .map(|extension| format!(".{extension}"))
            .unwrap_or_default()
    )
}

const fn safe(character: char) -> char {
    if character.is_ascii_alphanumeric() {
        character
    } else {
        '_'
    }
}

/// The extension of the last segment of a URL's path, if it resembles one. A host has no extension.
fn extension_of_url(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let (_, name) = path.rsplit_once('/')?;
    let (stem, extension) = name.rsplit_once('.')?;
    let plausible = !stem.is_empty()
        && (1..=8).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plausible.then(|| extension.to_ascii_lowercase())
}

fn extension_of_type(content_type: &str) -> Option<&'static str> {
    let essence = content_type.split(';').next()?.trim().to_ascii_lowercase();
    Some(match essence.as_str() {
        "application/json" => "json",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        "audio/mpeg" => "mp3",
        "audio/ogg" => "ogg",
        "audio/wav" => "wav",
        "image/avif" => "avif",
        "image/gif" => "gif",
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/svg+xml" => "svg",
        "image/webp" => "webp",
        "text/html" => "html",
        "text/markdown" => "md",
        "text/plain" => "txt",
        "video/mp4" => "mp4",
        "video/quicktime" => "mov",
        "video/webm" => "webm",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(content_id: &str, title: &str, url: &str) -> ContentItem {
        let (content_id, title, url) = (content_id.to_owned(), title.to_owned(), url.to_owned());
        ContentItem {
            content_id,
            title,
            url,
            storage_type: StorageType::Ipfs,
            creator: None,
            cut: BTreeMap::new(),
        }
    }

    #[test]
    fn a_file_is_named_by_id_title_and_extension() {
        let name = |title, url, kind| file_name(&item("7", title, url), kind);
        assert_eq!(
            name("My Song!", "ipfs://bafy/song.MP3", None),
            "7_My_Song_.mp3"
        );
        assert_eq!(
            name("Bild", "https://gaia.example/hub/a.tar.gz?x=1.png#y", None),
            "7_Bild.gz"
        );
        assert_eq!(
            name("Bild", "https://gateway.example", Some("image/png; q=1")),
            "7_Bild.png"
        );
        assert_eq!(
            name("Bild", "https://gateway.example/x/.hidden", Some("x/y")),
            "7_Bild"
        );
        assert_eq!(name("", "bafy", None), "7_");
    }

    #[test]
    fn hostile_titles_stay_one_short_name() {
        for title in [
            "../../x",
            "a\0b",
            "\u{202e}gpj.exe",
            "CON",
            &"x".repeat(10_000),
            "a/b\\c",
        ] {
            let name = file_name(&item("../1", title, "ipfs://cid/../../etc/passwd"), None);
            assert!(
                name.len() < 128 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
                "{name}"
            );
        }
    }

    #[test]
    fn the_share_of_failures_is_exact_at_its_limit() {
        let counts = |expected, failed| ItemCounts {
            expected,
            failed,
            ..ItemCounts::default()
        };
        assert!(!counts(1000, 100).fails(10));
        assert!(counts(1000, 101).fails(10));
        assert!(!counts(0, 0).fails(0));
        assert!(counts(u64::MAX, u64::MAX).fails(99));
    }

    proptest! {
        #[test]
        fn every_file_name_is_one_plain_segment(id in ".*", title in ".*", url in ".*", kind in proptest::option::of(".*")) {
            let name = file_name(&item(&id, &title, &url), kind.as_deref());
            prop_assert!(!name.is_empty() && name.len() <= 64 + 1 + 50 + 9);
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')));
            prop_assert!(!name.starts_with('.') && !name.contains(".."));
        }
    }
}
