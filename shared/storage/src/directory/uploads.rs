//! Uploads in parts. A part goes directly to its place in one file, if all parts before it have the
//! size of the first. A part with an unknown place gets a file until the upload is completed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use holdfast_domain::{ObjectKey, Sha256Digest};
use sha2::{Digest, Sha256};

use super::{
    DirectoryStore,
    errors::{corrupt, invalid, not_found, translate},
    files::{create_anew, settle},
    place::{Area, check_readable},
    space,
    temporary::{self, Piece, Temporary},
    whole,
    writing::{check, give_name, holds},
};
use crate::{
    StoreError, Stored, UnfinishedUpload, UploadId, UploadedPart,
    upload::{MAX_PARTS, PART_BYTES},
};

/// The receipt of a part in a separate file. Other receipts contain the part's beginning.
const SEPARATE_PART: &str = "apart";

pub(super) fn begin(store: &DirectoryStore, key: &ObjectKey) -> Result<UploadId, StoreError> {
    let (area, _) = store.places.writing(key)?;
    // The total is unknown: at least one part.
    space::check(store, key.as_str(), area.directory, PART_BYTES as u64)?;
    let upload = temporary::new_upload();
    temporary::open(area, key, &upload, Piece::Data)?.keep();
    Ok(upload)
}

pub(super) fn part(
    store: &DirectoryStore,
    key: &ObjectKey,
    upload: &UploadId,
    number: u32,
    body: &Bytes,
) -> Result<UploadedPart, StoreError> {
    if !(1..=MAX_PARTS).contains(&number) {
        return Err(StoreError::Limit {
            key: key.to_string(),
            cause: format!("there is no part {number}"),
        });
    }
    let (area, _) = store.places.writing(key)?;
    let data = data(area, key, upload)?;
    let size_bytes = body.len() as u64;
    space::check(store, key.as_str(), area.directory, size_bytes)?;
    let part_bytes = store
        .part_sizes()
        .get(upload)
        .copied()
        .filter(|part_bytes| size_bytes <= *part_bytes);
    let etag = if let Some(part_bytes) = part_bytes {
        let offset = u64::from(number - 1) * part_bytes;
        let written = OpenOptions::new()
            .write(true)
            .open(&data)
            .and_then(|file| file.write_all_at(body, offset));
        written.map_err(|error| translate(key.as_str(), "write", &data, &error))?;
        offset.to_string()
    } else {
        let apart = temporary::path(area, key, upload, Piece::Part(number))?;
        let written = create_anew(&apart).and_then(|mut file| file.write_all(body));
        written.map_err(|error| translate(key.as_str(), "write", &apart, &error))?;
        SEPARATE_PART.to_owned()
    };
    Ok(UploadedPart {
        number,
        size_bytes,
        sha256: Sha256Digest::new(Sha256::digest(body).into()),
        etag,
    })
}

/// The file of an open upload.
fn data(area: Area<'_>, key: &ObjectKey, upload: &UploadId) -> Result<PathBuf, StoreError> {
    let none = || not_found(key.as_str(), format!("there is no upload {}", upload.0));
    temporary::begun_at(upload).ok_or_else(none)?;
    let path = temporary::path(area, key, upload, Piece::Data)?;
    if fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
        Ok(path)
    } else {
        Err(none())
    }
}

pub(super) fn complete(
    store: &DirectoryStore,
    key: &ObjectKey,
    upload: &UploadId,
    parts: &[UploadedPart],
) -> Result<Stored, StoreError> {
    let (area, target) = store.places.writing(key)?;
    if parts.is_empty() {
        return Err(invalid(key.as_str(), "an upload needs at least one part"));
    }
    let pieces = pieces(parts);
    if let Err(error) = data(area, key, upload) {
        // An earlier call may have succeeded with a lost answer.
        return if error.is_not_found() && holds(key, &target, &pieces)? {
            Ok(whole(parts))
        } else {
            Err(error)
        };
    }
    let written = Assembly {
        store,
        area,
        key,
        upload,
    }
    .assemble(parts)?;
    check(key, &written, &pieces)?;
    give_name(area, key, &written, &target, &pieces)?;
    abort(store, key, upload)?;
    Ok(whole(parts))
}

/// The lengths and digests of parts.
pub(super) fn pieces(parts: &[UploadedPart]) -> Vec<(u64, Sha256Digest)> {
    parts
        .iter()
        .map(|part| (part.size_bytes, part.sha256))
        .collect()
}

/// Parts to write to one file.
struct Assembly<'a> {
    store: &'a DirectoryStore,
    area: Area<'a>,
    key: &'a ObjectKey,
    upload: &'a UploadId,
}

/// A part, its file, and its place in the object.
struct Placed {
    source: PathBuf,
    from: u64,
    to: u64,
    length: u64,
}

impl Assembly<'_> {
    /// One file of all parts, on the disk. The upload stays until it is aborted.
    fn assemble(&self, parts: &[UploadedPart]) -> Result<Temporary, StoreError> {
        let placed = self.placed(parts)?;
        let data = self.path(Piece::Data)?;
        let fits = |part: &Placed| part.source != data || part.from == part.to;
        let (target, missing): (PathBuf, Vec<&Placed>) = if placed.iter().all(fits) {
            (
                data.clone(),
                placed.iter().filter(|part| part.source != data).collect(),
            )
        } else {
            (self.path(Piece::Whole)?, placed.iter().collect())
        };
        let room = missing.iter().map(|part| part.length).sum();
        space::check(self.store, self.key.as_str(), self.area.directory, room)?;
        let length = placed.iter().map(|part| part.length).sum();
        let file = fill(&target, &missing, length);
        let file =
            file.map_err(|error| translate(self.key.as_str(), "put together", &target, &error))?;
        Ok(Temporary::from_upload(file, target))
    }

    fn path(&self, piece: Piece) -> Result<PathBuf, StoreError> {
        temporary::path(self.area, self.key, self.upload, piece)
    }

    fn placed(&self, parts: &[UploadedPart]) -> Result<Vec<Placed>, StoreError> {
        let mut to = 0;
        let mut placed = Vec::new();
        for part in parts {
            let unknown = || {
                corrupt(
                    self.key.as_str(),
                    format!(
                        "the receipt of part {} comes from another store",
                        part.number
                    ),
                )
            };
            let (source, from) = if part.etag == SEPARATE_PART {
                (self.path(Piece::Part(part.number))?, 0)
            } else {
                (
                    self.path(Piece::Data)?,
                    part.etag.parse().map_err(|_| unknown())?,
                )
            };
            placed.push(Placed {
                source,
                from,
                to,
                length: part.size_bytes,
            });
            to += part.size_bytes;
        }
        Ok(placed)
    }
}

/// Copies the missing parts to their places, and syncs the file.
fn fill(target: &Path, missing: &[&Placed], length: u64) -> io::Result<File> {
    let mut file = match OpenOptions::new().read(true).write(true).open(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create_anew(target)?,
        opened => opened?,
    };
    for part in missing {
        let mut source = File::open(&part.source)?;
        source.seek(SeekFrom::Start(part.from))?;
        file.seek(SeekFrom::Start(part.to))?;
        io::copy(&mut source.take(part.length), &mut file)?;
    }
    file.set_len(length)?;
    settle(&file)?;
    Ok(file)
}

pub(super) fn abort(
    store: &DirectoryStore,
    key: &ObjectKey,
    upload: &UploadId,
) -> Result<(), StoreError> {
    store.part_sizes().remove(upload);
    let (area, _) = store.places.writing(key)?;
    for one in all(area, key.as_str())? {
        if one.upload == *upload && one.key == *key {
            remove(key, &one.path)?;
        }
    }
    Ok(())
}

fn remove(key: &ObjectKey, path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(translate(key.as_str(), "delete", path, &error))
        }
        _ => Ok(()),
    }
}

pub(super) fn unfinished(
    store: &DirectoryStore,
    prefix: &str,
) -> Result<Vec<UnfinishedUpload>, StoreError> {
    let area = store.places.area(prefix);
    let areas: Vec<Area<'_>> = if area.prefix.is_empty() {
        store.places.all().collect()
    } else {
        vec![area]
    };
    let mut uploads = Vec::new();
    for area in areas {
        store.places.check_record(prefix, area)?;
        check_readable(prefix, area)?;
        for one in all(area, prefix)?
            .into_iter()
            .filter(|one| one.key.as_str().starts_with(prefix))
        {
            let initiated_at = temporary::begun_at(&one.upload).unwrap_or_default();
            uploads.push(UnfinishedUpload {
                key: one.key,
                upload_id: one.upload,
                initiated_at,
            });
        }
    }
    uploads
        .sort_by(|one, other| (&one.key, &one.upload_id.0).cmp(&(&other.key, &other.upload_id.0)));
    uploads.dedup();
    Ok(uploads)
}

fn all(area: Area<'_>, key: &str) -> Result<Vec<temporary::Unfinished>, StoreError> {
    temporary::all(area)
        .map_err(|error| translate(key, "list the uploads in", area.directory, &error))
}
