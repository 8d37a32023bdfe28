//! Writes and deletes complete objects. The written bytes are read back from the disk before the
//! file gets its name.

use std::{fs, io::Write, path::Path};

use bytes::Bytes;
use holdfast_domain::{ObjectKey, Sha256Digest};
use sha2::{Digest, Sha256};

use super::{
    DirectoryStore,
    errors::{corrupt, taken, translate},
    files::{self, digests, publish, rename_if_absent, settle},
    place::Area,
    reading::{mark, metadata_of, open},
    space,
    temporary::{self, Piece, Temporary},
};
use crate::{Checksum, PutMode, StoreError, Stored};

pub(super) fn put(
    store: &DirectoryStore,
    key: &ObjectKey,
    body: &Bytes,
    mode: &PutMode,
) -> Result<Stored, StoreError> {
    let (area, target) = store.places.writing(key)?;
    temporary::remove_stale(area, key);
    let digest = Sha256Digest::new(Sha256::digest(body).into());
    let stored = Stored {
        size_bytes: body.len() as u64,
        checksum: Checksum::Full(digest),
    };
    space::check(store, key.as_str(), area.directory, stored.size_bytes)?;
    let written = write(area, key, body, digest)?;
    match mode {
        PutMode::Replace => replace(area, key, &written, &target, None)?,
        PutMode::IfUnchanged(etag) => replace(area, key, &written, &target, Some(etag))?,
        PutMode::IfAbsent => {
            give_name(area, key, &written, &target, &[(stored.size_bytes, digest)])?
        }
    }
    Ok(stored)
}

fn write(
    area: Area<'_>,
    key: &ObjectKey,
    body: &Bytes,
    digest: Sha256Digest,
) -> Result<Temporary, StoreError> {
    let mut written = temporary::open(area, key, &temporary::new_upload(), Piece::Data)?;
    let outcome = written
        .file
        .write_all(body)
        .and_then(|()| settle(&written.file));
    outcome.map_err(|error| translate(key.as_str(), "write", &written.path, &error))?;
    check(key, &written, &[(body.len() as u64, digest)])?;
    Ok(written)
}

/// Compares a file's bytes with these pieces.
pub(super) fn check(
    key: &ObjectKey,
    written: &Temporary,
    pieces: &[(u64, Sha256Digest)],
) -> Result<(), StoreError> {
    let failed =
        |error: &std::io::Error| translate(key.as_str(), "read back", &written.path, error);
    let length = written
        .file
        .metadata()
        .map_err(|error| failed(&error))?
        .len();
    let expected: u64 = pieces.iter().map(|(length, _)| length).sum();
    if length != expected {
        return Err(corrupt(
            key.as_str(),
            format!("{expected} bytes were sent, but {length} written"),
        ));
    }
    let found = digests(&written.file, pieces.iter().map(|(length, _)| *length))
        .map_err(|error| failed(&error))?;
    match pieces
        .iter()
        .zip(&found)
        .position(|((_, sent), found)| sent != found)
    {
        None => Ok(()),
        Some(index) => {
            let cause = format!(
                "read back from the disk, the SHA-256 of part {} differs from the sent one",
                index + 1
            );
            Err(corrupt(key.as_str(), cause))
        }
    }
}

/// Replaces the existing object. With an `etag`, only the content with this mark.
fn replace(
    area: Area<'_>,
    key: &ObjectKey,
    written: &Temporary,
    target: &Path,
    etag: Option<&String>,
) -> Result<(), StoreError> {
    let rename = || {
        if let Some(etag) = etag {
            let found = metadata_of(key, target).map(|found| mark(&found));
            if found.as_ref().is_ok_and(|found| found != etag) {
                return Err(taken(key.as_str(), "it changed in the meantime"));
            }
            found?;
        }
        fs::rename(&written.path, target)
            .map_err(|error| translate(key.as_str(), "rename to", target, &error))?;
        Ok(true)
    };
    publish(key.as_str(), area, target, rename).map(drop)
}

/// Gives the file a free name. An existing object with the same content is success.
pub(super) fn give_name(
    area: Area<'_>,
    key: &ObjectKey,
    written: &Temporary,
    target: &Path,
    pieces: &[(u64, Sha256Digest)],
) -> Result<(), StoreError> {
    let rename = || {
        rename_if_absent(&written.path, target)
            .map_err(|error| translate(key.as_str(), "rename to", target, &error))
    };
    if publish(key.as_str(), area, target, rename)? || holds(key, target, pieces)? {
        return Ok(());
    }
    Err(taken(
        key.as_str(),
        format!("{} has other content", target.display()),
    ))
}

/// Whether the object exists with exactly these pieces.
pub(super) fn holds(
    key: &ObjectKey,
    path: &Path,
    pieces: &[(u64, Sha256Digest)],
) -> Result<bool, StoreError> {
    let (file, found) = match open(key, path) {
        Ok(opened) => opened,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(error),
    };
    if found.len() != pieces.iter().map(|(length, _)| length).sum::<u64>() {
        return Ok(false);
    }
    let read = digests(&file, pieces.iter().map(|(length, _)| *length));
    let read = read.map_err(|error| translate(key.as_str(), "read", path, &error))?;
    Ok(read.iter().eq(pieces.iter().map(|(_, digest)| digest)))
}

pub(super) fn delete(store: &DirectoryStore, key: &ObjectKey) -> Result<(), StoreError> {
    let (area, target) = store.places.writing(key)?;
    files::remove(key.as_str(), area, &target)
}
