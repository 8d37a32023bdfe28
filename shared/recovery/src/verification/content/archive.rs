//! Compares the archive with the list: the same files under the same names in the same order, and
//! the document of all items.

use std::io::{self, Write};

use holdfast_domain::{ItemRecord, Sha256Digest};
use holdfast_repository::{
    RepositoryError,
    artifact_reader::ArtifactReader,
    content::{
        item_list::{DOCUMENT_NAME, Document, ItemLines},
        read::{Plain, ReadFault, digest_of},
        stored::{StoredContent, Volumes},
    },
};
use sha2::{Digest as _, Sha256};
use tar::Archive;
use tokio::runtime::Handle;

/// Returns the differences. The first difference in order ends the comparison.
pub(super) fn differences(
    backup: &StoredContent,
    handle: &Handle,
    lines: ItemLines<ArtifactReader>,
) -> Result<Vec<String>, ReadFault> {
    let in_archive = |error: io::Error| ReadFault::of(&error, &"the archive");
    let mut listed = Listed::begin(backup, lines)?;
    let mut archive = Archive::new(Volumes::new(backup, handle));
    let mut problems = Vec::new();
    for entry in archive.entries().map_err(in_archive)? {
        let mut entry = entry.map_err(in_archive)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(expected) = listed.next_entry()? else {
            problems.push(format!(
                "the archive holds {name} after the last entry of its list"
            ));
            break;
        };
        if name != expected.name {
            problems.push(format!(
                "the archive has {name} instead of {} in its list",
                expected.name
            ));
            break;
        }
        if digest_of(&mut entry).map_err(in_archive)? != expected.plain {
            problems.push(format!(
                "the archive holds another {name} than its list describes"
            ));
        }
    }
    if problems.is_empty()
        && let Some(missing) = listed.next_entry()?
    {
        problems.push(format!(
            "{} is in the list but not in the archive",
            missing.name
        ));
    }
    // The last checks of each volume are at its end.
    digest_of(&mut archive.into_inner()).map_err(in_archive)?;
    Ok(problems)
}

/// An expected entry of the archive.
struct Expected {
    name: String,
    plain: Plain,
}

/// The archive expected from the list, entry by entry.
struct Listed<'a> {
    backup: &'a StoredContent,
    lines: ItemLines<ArtifactReader>,
    document: Option<Document<Hasher>>,
}

impl<'a> Listed<'a> {
    fn begin(
        backup: &'a StoredContent,
        lines: ItemLines<ArtifactReader>,
    ) -> Result<Self, ReadFault> {
        let hasher = Hasher {
            size: 0,
            sha256: Sha256::new(),
        };
        let document =
            Document::begin(hasher, backup.id(), backup.manifest.created_at).map_err(hashing)?;
        Ok(Self {
            backup,
            lines,
            document: Some(document),
        })
    }

    /// The next file of the list. After the last file it is the document.
    fn next_entry(&mut self) -> Result<Option<Expected>, ReadFault> {
        let list = &self.backup.content.item_list;
        let Some(mut document) = self.document.take() else {
            return Ok(None);
        };
        while let Some((line, record)) = self
            .lines
            .next_item()
            .map_err(|error| ReadFault::of(&error, list))?
        {
            document.item(&line).map_err(hashing)?;
            if let Some(expected) = self.file_of(record) {
                self.document = Some(document);
                return Ok(Some(expected));
            }
        }
        let plain = document.finish().map_err(hashing)?.plain();
        Ok(Some(Expected {
            name: self.name(DOCUMENT_NAME),
            plain,
        }))
    }

    fn file_of(&self, record: ItemRecord) -> Option<Expected> {
        let file = record.file?;
        let name = self.name(&record.file_name.unwrap_or_default());
        Some(Expected {
            name,
            plain: Plain {
                size: file.size,
                sha256: file.file_sha256,
            },
        })
    }

    fn name(&self, file: &str) -> String {
        format!("{}/{file}", self.backup.id())
    }
}

/// Hashing cannot fail to write.
#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn hashing(error: io::Error) -> ReadFault {
    ReadFault::Other(RepositoryError::internal("hash the list of items", &error))
}

struct Hasher {
    size: u64,
    sha256: Sha256,
}

impl Hasher {
    fn plain(self) -> Plain {
        Plain {
            size: self.size,
            sha256: Sha256Digest::new(self.sha256.finalize().into()),
        }
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
