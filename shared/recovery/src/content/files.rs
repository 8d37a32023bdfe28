//! Writes one file into the directory: first to a temporary file in the same directory, then proved
//! and made durable, and only then renamed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Read, Write as _},
    path::{Path, PathBuf},
};

use holdfast_domain::ItemRecord;
use holdfast_repository::{
    InvalidRequest, RepositoryError,
    content::{
        item_list::{DOCUMENT_NAME, Document, is_safe_name},
        proof::ContentObject,
        read::{Hashing, Plain, ReadFault, blocking, digest_of},
        stored::StoredContent,
    },
};

use super::NotRestored;

/// Result for one item.
pub(super) enum Outcome {
    /// Written, with this number of bytes.
    Restored(u64),
    /// Already present.
    Kept,
    /// The backup has no file for it.
    NoFile,
    /// Not restored.
    Failed(String),
}

/// The reason for an unwritten file.
enum WriteFault {
    Read(ReadFault),
    Disk(io::Error),
}

pub(super) async fn restore_file(
    backup: &StoredContent,
    record: &ItemRecord,
    to: &Path,
) -> Result<Outcome, RepositoryError> {
    let Some(file) = &record.file else {
        return Ok(Outcome::NoFile);
    };
    let name = record.file_name.as_deref().unwrap_or_default();
    if !is_safe_name(name) {
        return Ok(Outcome::Failed(format!(
            "{name:?} is not a file name of Holdfast"
        )));
    }
    let expected = Plain {
        size: file.size,
        sha256: file.file_sha256,
    };
    let path = to.join(name);
    if let Some(outcome) = inspect(&path, expected).await? {
        return Ok(outcome);
    }
    let reader = match backup.source.open_stored(ContentObject::file(file)).await {
        Ok(reader) => reader,
        Err(fault) => return damaged(fault),
    };
    let place = path.clone();
    let written = blocking("restore a file", move || {
        write_temporary(&place, |part| copy(reader, part)).map(|(part, plain)| (place, part, plain))
    });
    match written.await? {
        Err(WriteFault::Disk(error)) => Err(unwritable(&path, &error)),
        Err(WriteFault::Read(fault)) => damaged(fault),
        Ok((path, part, plain)) if plain == expected => publish(&part, &path, expected).await,
        Ok((_, part, _)) => {
            let _ = fs::remove_file(part);
            let key = &file.object.artifact.key;
            Ok(Outcome::Failed(format!(
                "{key} holds another file than the backup's list describes: the SHA-256 differs"
            )))
        }
    }
}

/// Writes the document of all items, from the list.
pub(super) async fn restore_document(
    backup: &StoredContent,
    to: &Path,
) -> Result<Option<NotRestored>, RepositoryError> {
    let path = to.join(DOCUMENT_NAME);
    let lines = backup
        .lines()
        .await
        .map_err(|fault| fault.into_backup_error(backup.id()))?;
    let (place, of) = (path.clone(), backup.clone());
    let written = blocking("restore manifest.json", move || {
        let mut lines = lines;
        write_temporary(&place, |part| {
            let manifest = &of.manifest;
            let disk = WriteFault::Disk;
            let mut document =
                Document::begin(part, &manifest.backup_id, manifest.created_at).map_err(disk)?;
            let read =
                |error: io::Error| WriteFault::Read(ReadFault::of(&error, &of.content.item_list));
            while let Some((line, _)) = lines.next_item().map_err(read)? {
                document.item(&line).map_err(disk)?;
            }
            document.finish().map(drop).map_err(disk)
        })
    });
    let (part, ()) = match written.await? {
        Ok(written) => written,
        Err(WriteFault::Disk(error)) => return Err(unwritable(&path, &error)),
        Err(WriteFault::Read(fault)) => return Err(fault.into_backup_error(backup.id())),
    };
    let made = part.clone();
    let expected = blocking("read manifest.json", move || {
        digest_of(&mut File::open(made)?)
    })
    .await?;
    let expected = expected.map_err(|error| unwritable(&path, &error))?;
    match publish(&part, &path, expected).await? {
        Outcome::Failed(reason) => Ok(Some(NotRestored {
            content_id: None,
            file_name: DOCUMENT_NAME.to_owned(),
            reason,
        })),
        _ => Ok(None),
    }
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> RepositoryError {
    InvalidRequest::Unwritable {
        target: path.display().to_string(),
        cause: error.to_string(),
    }
    .into()
}

/// Damage affects only this file. An unavailable store affects all files.
fn damaged(fault: ReadFault) -> Result<Outcome, RepositoryError> {
    match fault {
        ReadFault::Damaged(problem) => Ok(Outcome::Failed(problem)),
        ReadFault::Other(error) => Err(error),
    }
}

/// Compares an existing file: an identical one is kept, another one stays unchanged.
async fn inspect(path: &Path, expected: Plain) -> Result<Option<Outcome>, RepositoryError> {
    let place = path.to_owned();
    let inspected = blocking("inspect a file", move || {
        match fs::symlink_metadata(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(found) if found.is_file() && found.len() == expected.size => {
                digest_of(&mut File::open(&place)?).map(Some)
            }
            Ok(found) => Ok(Some(Plain {
                size: found.len(),
                sha256: holdfast_domain::Sha256Digest::new([0; 32]),
            })),
        }
    });
    let found = inspected.await?.map_err(|error| unwritable(path, &error))?;
    Ok(found.map(|found| {
        if found == expected {
            Outcome::Kept
        } else {
            Outcome::Failed(format!(
                "{} already exists with other content: it was not changed",
                path.display()
            ))
        }
    }))
}

/// Writes a temporary file in the same directory, and makes it durable. No restored file has its
/// name.
fn write_temporary<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<T, WriteFault>,
) -> Result<(PathBuf, T), WriteFault> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.part"));
    let disk = WriteFault::Disk;
    // The remains of an interrupted restore.
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(error)),
        _ => {}
    }
    let mut out = BufWriter::new(
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&part)
            .map_err(disk)?,
    );
    let written = write(&mut out).and_then(|made| {
        let file = out.into_inner().map_err(|error| disk(error.into_error()))?;
        file.sync_all().map_err(disk)?;
        Ok(made)
    });
    match written {
        Ok(made) => Ok((part, made)),
        Err(fault) => {
            let _ = fs::remove_file(&part);
            Err(fault)
        }
    }
}

fn copy(reader: impl Read, out: &mut BufWriter<File>) -> Result<Plain, WriteFault> {
    const CHUNK_BYTES: usize = 256 * 1024;
    let mut reader = Hashing::new(reader);
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = reader.read(&mut buffer);
        let count = read.map_err(|error| WriteFault::Read(ReadFault::of(&error, &"its object")))?;
        if count == 0 {
            return Ok(reader.finish());
        }
        out.write_all(&buffer[..count]).map_err(WriteFault::Disk)?;
    }
}

/// Renames a proved file, unless its name was taken meanwhile.
async fn publish(part: &Path, path: &Path, expected: Plain) -> Result<Outcome, RepositoryError> {
    if let Some(outcome) = inspect(path, expected).await? {
        let _ = fs::remove_file(part);
        return Ok(outcome);
    }
    fs::rename(part, path).map_err(|error| unwritable(path, &error))?;
    Ok(Outcome::Restored(expected.size))
}
