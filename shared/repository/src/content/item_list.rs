//! The list of items, one line of JSON each. It is also the document `manifest.json` in an archive
//! and in a restored directory. The document made from the rows and the one made from the list are
//! byte-identical.

use std::io::{self, BufRead, BufReader, Read, Write};

use holdfast_domain::{BackupId, ItemRecord, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::RepositoryError;

/// The document's name in an archive and in a restored directory.
pub const DOCUMENT_NAME: &str = "manifest.json";

/// Longest line. Holdfast writes no longer one.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;

/// The line of an item without its line end, and the item in it. The item has its name in the
/// archive.
///
/// # Errors
/// [`RepositoryError::Internal`] if the item cannot be encoded.
pub fn line_of(mut record: ItemRecord) -> Result<(String, ItemRecord), RepositoryError> {
    record.file_name = archive_name(&record);
    let line = serde_json::to_string(&record)
        .map_err(|error| RepositoryError::internal("encode an item", &error))?;
    Ok((line, record))
}

/// The name of an item's file. The name in the row is unique if the content id has only letters and
/// digits. For any other id, 16 digits of its SHA-256 are added, because two ids could give the
/// same name.
fn archive_name(record: &ItemRecord) -> Option<String> {
    let name = record.file_name.as_deref()?;
    let id = &record.item.content_id;
    if (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Some(name.to_owned());
    }
    let mark = &hex::encode(Sha256::digest(id))[..16];
    let (stem, extension) = name
        .split_once('.')
        .map_or((name, ""), |(stem, _)| (stem, &name[stem.len()..]));
    Some(format!("{stem}~{mark}{extension}"))
}

/// Whether a name from a list is one plain file in the directory: letters, digits, `_`, `~` and
/// single dots inside.
#[must_use]
pub fn is_safe_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'~' | b'.');
    let dots_inside = !name.starts_with('.') && !name.ends_with('.') && !name.contains("..");
    (1..=200).contains(&name.len())
        && name.bytes().all(plain)
        && dots_inside
        && name != DOCUMENT_NAME
}

/// Writes the document, one item after another.
pub struct Document<W> {
    out: W,
    items: u64,
}

impl<W: Write> Document<W> {
    /// Writes the beginning.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(mut out: W, id: &BackupId, created_at: Timestamp) -> io::Result<Self> {
        write!(
            out,
            "{{\"backupId\":\"{id}\",\"createdAt\":\"{created_at}\",\"items\":["
        )?;
        Ok(Self { out, items: 0 })
    }

    /// Writes the next item, in the form of [`line_of`].
    ///
    /// # Errors
    /// Those of the writer.
    pub fn item(&mut self, line: &str) -> io::Result<()> {
        self.out
            .write_all(if self.items == 0 { b"\n" } else { b",\n" })?;
        self.items += 1;
        self.out.write_all(line.as_bytes())
    }

    /// Writes the end, and returns the writer.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(b"\n]}\n")?;
        Ok(self.out)
    }
}

/// Reads a list of items, line by line.
pub struct ItemLines<R> {
    lines: BufReader<R>,
    read: u64,
}

impl<R: Read> ItemLines<R> {
    pub(crate) fn new(list: R) -> Self {
        Self {
            lines: BufReader::with_capacity(256 * 1024, list),
            read: 0,
        }
    }

    /// The next line and its item. Returns `None` at the end of the list, after the last checks.
    ///
    /// # Errors
    /// `InvalidData` if a line has no end within 16 MiB, or is no item. Otherwise those of the
    /// list's reader.
    pub fn next_item(&mut self) -> io::Result<Option<(String, ItemRecord)>> {
        let mut line = Vec::new();
        let length = self
            .lines
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(None);
        }
        self.read += 1;
        let broken = |cause: &dyn std::fmt::Display| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("line {} of the list of items: {cause}", self.read),
            )
        };
        if line.pop() != Some(b'\n') {
            return Err(broken(&"it has no end"));
        }
        let line = String::from_utf8(line).map_err(|error| broken(&error))?;
        let record = serde_json::from_str(&line).map_err(|error| broken(&error))?;
        Ok(Some((line, record)))
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{ContentItem, ItemStatus, StorageType};
    use proptest::prelude::*;

    use super::*;

    fn record(content_id: &str, title: &str) -> ItemRecord {
        let item = ContentItem {
            content_id: content_id.to_owned(),
            title: title.to_owned(),
            url: "https://gaia.example/hub/a.png".to_owned(),
            storage_type: StorageType::Gaia,
            creator: None,
            cut: std::collections::BTreeMap::new(),
        };
        let file_name = Some(holdfast_domain::file_name(&item, None));
        ItemRecord {
            item,
            status: ItemStatus::Done,
            attempts: 1,
            file_name,
            file: None,
            error: None,
        }
    }

    #[test]
    fn an_ordinary_item_keeps_the_platforms_name() {
        assert_eq!(
            archive_name(&record("7", "My Song")).unwrap(),
            "7_My_Song.png"
        );
    }

    #[test]
    fn ids_that_are_written_alike_have_names_of_their_own() {
        let names: Vec<_> = ["a/b", "a_b", "a\u{0}b", "a b"]
            .map(|id| archive_name(&record(id, "x")).unwrap())
            .into();
        for (index, name) in names.iter().enumerate() {
            assert!(
                is_safe_name(name) && !names[..index].contains(name),
                "{names:?}"
            );
        }
    }

    #[test]
    fn a_document_is_json_with_a_line_for_each_item() {
        let id = "content_1_aa".parse().unwrap();
        let lines = ["1", "2"].map(|id| line_of(record(id, "t")).unwrap().0);
        let mut document = Document::begin(Vec::new(), &id, Timestamp::UNIX_EPOCH).unwrap();
        for line in &lines {
            document.item(line).unwrap();
        }
        let text = String::from_utf8(document.finish().unwrap()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["backupId"], "content_1_aa");
        assert_eq!(value["items"].as_array().unwrap().len(), 2);
        assert_eq!(text.lines().count(), 4);
        let empty = Document::begin(Vec::new(), &id, Timestamp::UNIX_EPOCH)
            .unwrap()
            .finish()
            .unwrap();
        assert!(
            serde_json::from_slice::<serde_json::Value>(&empty).unwrap()["items"]
                .as_array()
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_list_that_was_cut_is_an_error_and_not_an_end() {
        let (line, item) = line_of(record("1", "t")).unwrap();
        let mut lines = ItemLines::new(line.as_bytes());
        assert!(lines.next_item().is_err());
        let whole = format!("{line}\n");
        let mut lines = ItemLines::new(whole.as_bytes());
        assert_eq!(lines.next_item().unwrap(), Some((line, item)));
        assert_eq!(lines.next_item().unwrap(), None);
    }

    #[test]
    fn a_path_is_no_name() {
        for name in [
            "",
            ".",
            "..",
            "../a",
            "a/b",
            "/a",
            "a\\b",
            ".hidden",
            "a..b",
            "a.",
            "manifest.json",
            "a\u{0}",
            "ä",
        ] {
            assert!(!is_safe_name(name), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn every_name_given_is_safe(id in ".+", title in ".*") {
            prop_assert!(is_safe_name(&archive_name(&record(&id, &title)).unwrap()));
        }
    }
}
