//! Copies an object. If the file system has hard links, the copy is a second name of the same file:
//! it needs no space and no time, because files are never changed in place. Otherwise the copy is a
//! new file. In both cases the bytes are read and compared with the parts.

use std::{fs::File, io, path::Path, time::SystemTime};

use holdfast_domain::{ObjectKey, Sha256Digest};

use super::{
    DirectoryStore,
    errors::{corrupt, is_unsupported, taken, translate},
    files::{digests, link_if_absent, publish, settle},
    place::Area,
    reading::open,
    space,
    temporary::{self, Piece},
    uploads::pieces,
    whole,
    writing::{check, give_name, holds},
};
use crate::{StoreError, Stored, UploadedPart};

pub(super) fn copy(
    store: &DirectoryStore,
    from: &ObjectKey,
    to: &ObjectKey,
    parts: &[UploadedPart],
) -> Result<Stored, StoreError> {
    let pieces = pieces(parts);
    let source_path = store.places.reading(from)?;
    let (source, found) = open(from, &source_path)?;
    check_source(from, &source, found.len(), &pieces)?;
    let (area, target) = store.places.writing(to)?;
    match link(area, from, to, &source_path, &target)? {
        Linked::Done => return Ok(whole(parts)),
        Linked::Taken if holds(to, &target, &pieces)? => return Ok(whole(parts)),
        Linked::Taken => {
            return Err(taken(
                to.as_str(),
                format!("{} has other content", target.display()),
            ));
        }
        Linked::Impossible => {}
    }
    space::check(store, to.as_str(), area.directory, found.len())?;
    let mut written = temporary::open(area, to, &temporary::new_upload(), Piece::Data)?;
    let copied = io::copy(&mut &source, &mut written.file).and_then(|_| settle(&written.file));
    copied.map_err(|error| translate(to.as_str(), "write", &written.path, &error))?;
    check(to, &written, &pieces)?;
    give_name(area, to, &written, &target, &pieces)?;
    Ok(whole(parts))
}

/// Checks the source against these parts, and returns to its beginning.
fn check_source(
    from: &ObjectKey,
    source: &File,
    length: u64,
    pieces: &[(u64, Sha256Digest)],
) -> Result<(), StoreError> {
    let expected = pieces.iter().map(|(length, _)| length).sum::<u64>();
    if pieces.is_empty() || length != expected {
        let cause = format!(
            "it has {length} bytes, but its {} parts have {expected}",
            pieces.len()
        );
        return Err(corrupt(from.as_str(), cause));
    }
    let failed = |error: &io::Error| StoreError::Unavailable {
        key: from.to_string(),
        cause: format!("cannot read it for a copy: {error}"),
    };
    let found = digests(source, pieces.iter().map(|(length, _)| *length))
        .map_err(|error| failed(&error))?;
    if let Some(index) = pieces
        .iter()
        .zip(&found)
        .position(|((_, sent), found)| sent != found)
    {
        return Err(corrupt(
            from.as_str(),
            format!(
                "the SHA-256 of part {} differs from the sent one",
                index + 1
            ),
        ));
    }
    let mut reader = source;
    io::Seek::rewind(&mut reader).map_err(|error| failed(&error))
}

enum Linked {
    Done,
    Taken,
    /// The two are in different file systems, or their file system has no hard links.
    Impossible,
}

fn link(
    area: Area<'_>,
    from: &ObjectKey,
    to: &ObjectKey,
    source: &Path,
    target: &Path,
) -> Result<Linked, StoreError> {
    let mut is_impossible = false;
    let rename = || match link_if_absent(source, target) {
        Err(error) if is_unsupported(&error) || is_elsewhere(&error) => {
            is_impossible = true;
            Ok(false)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(translate(from.as_str(), "copy", source, &error))
        }
        linked => linked.map_err(|error| translate(to.as_str(), "copy to", target, &error)),
    };
    let is_done = publish(to.as_str(), area, target, rename)?;
    if is_done {
        // It is an object from now on.
        let stamped = File::open(target).and_then(|file| file.set_modified(SystemTime::now()));
        stamped.map_err(|error| translate(to.as_str(), "set the time of", target, &error))?;
    }
    Ok(match (is_done, is_impossible) {
        (true, _) => Linked::Done,
        (false, true) => Linked::Impossible,
        (false, false) => Linked::Taken,
    })
}

fn is_elsewhere(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::CrossesDevices | io::ErrorKind::TooManyLinks
    )
}
