//! Unfinished objects: files in a place's mark, in the same file system as the finished ones. Their
//! name is `<upload>.<piece>.<key>`. So the remains of a killed process show their upload, and can
//! be swept.

use std::{
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io,
    path::{Path, PathBuf},
};

use holdfast_domain::{ObjectKey, Timestamp};

use super::{
    errors::translate,
    files::{create, create_directory},
    place::{Area, MARK},
};
use crate::{StoreError, UploadId};

/// Twelve hex digits of its beginning in milliseconds, and sixteen random ones.
const ID_LENGTH: usize = 28;

/// Longest name in file systems.
const LONGEST_NAME: usize = 255;

/// Age limit of unfinished objects outside `database/` and `content/`.
const STALE_AFTER_MS: i64 = 24 * 60 * 60 * 1000;

/// Content of an upload's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// The object so far.
    Data,
    /// One part, with a still unknown place in the object.
    Part(u32),
    /// The object, assembled again.
    Whole,
}

/// A file of an unfinished object.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) upload: UploadId,
    pub(super) key: ObjectKey,
    pub(super) path: PathBuf,
}

/// A new name for an upload.
pub(super) fn new_upload() -> UploadId {
    let now = Timestamp::now().as_millisecond();
    UploadId(format!(
        "{now:012x}{:016x}",
        RandomState::new().hash_one(now)
    ))
}

/// Time of an upload's beginning. `None` for another kind of name.
pub(super) fn begun_at(upload: &UploadId) -> Option<Timestamp> {
    let id = &upload.0;
    let is_id = id.len() == ID_LENGTH
        && id
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let milliseconds = is_id.then(|| i64::from_str_radix(&id[..12], 16).ok())??;
    Timestamp::from_millisecond(milliseconds).ok()
}

fn directory(area: Area<'_>) -> PathBuf {
    area.directory.join(MARK).join("unfinished")
}

/// The path of this piece of an upload.
pub(super) fn path(
    area: Area<'_>,
    key: &ObjectKey,
    upload: &UploadId,
    piece: Piece,
) -> Result<PathBuf, StoreError> {
    let piece = match piece {
        Piece::Data => "data".to_owned(),
        Piece::Part(number) => format!("part-{number}"),
        Piece::Whole => "whole".to_owned(),
    };
    let name = format!("{}.{piece}.{}", upload.0, escaped(key));
    if name.len() > LONGEST_NAME {
        let cause = format!(
            "the key is too long for a directory ({} characters)",
            key.as_str().len()
        );
        return Err(StoreError::Limit {
            key: key.to_string(),
            cause,
        });
    }
    Ok(directory(area).join(name))
}

/// Makes the file of a piece.
pub(super) fn open(
    area: Area<'_>,
    key: &ObjectKey,
    upload: &UploadId,
    piece: Piece,
) -> Result<Temporary, StoreError> {
    let path = path(area, key, upload, piece)?;
    let made = create_directory(&directory(area)).and_then(|_| create(&path));
    let file = made.map_err(|error| translate(key.as_str(), "write", &path, &error))?;
    Ok(Temporary {
        file,
        path,
        is_kept: false,
    })
}

/// A file that is deleted on drop, unless it was kept or renamed.
pub(super) struct Temporary {
    pub(super) file: File,
    pub(super) path: PathBuf,
    is_kept: bool,
}

impl Temporary {
    /// A file with the lifetime of its upload.
    pub(super) fn from_upload(file: File, path: PathBuf) -> Self {
        Self {
            file,
            path,
            is_kept: true,
        }
    }

    /// Keeps the file.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Every unfinished object's file in this area.
pub(super) fn all(area: Area<'_>) -> io::Result<Vec<Unfinished>> {
    let entries = match fs::read_dir(directory(area)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        found.extend(read_name(&path).map(|(upload, key)| Unfinished { upload, key, path }));
    }
    Ok(found)
}

fn read_name(path: &Path) -> Option<(UploadId, ObjectKey)> {
    let mut fields = path.file_name()?.to_str()?.splitn(3, '.');
    let upload = UploadId(fields.next()?.to_owned());
    begun_at(&upload)?;
    let key = fields
        .nth(1)?
        .replace("%2F", "/")
        .replace("%25", "%")
        .parse()
        .ok()?;
    Some((upload, key))
}

/// The key in a file's name. Only ambiguous characters are escaped.
fn escaped(key: &ObjectKey) -> String {
    key.as_str().replace('%', "%25").replace('/', "%2F")
}

/// Removes old unfinished objects outside `database/` and `content/`. No sweep finds them.
pub(super) fn remove_stale(area: Area<'_>, key: &ObjectKey) {
    let is_swept = |key: &ObjectKey| {
        ["database/", "content/"]
            .iter()
            .any(|prefix| key.as_str().starts_with(prefix))
    };
    if is_swept(key) {
        return;
    }
    let now = Timestamp::now().as_millisecond();
    for one in all(area).unwrap_or_default() {
        let is_stale =
            begun_at(&one.upload).is_some_and(|at| now - at.as_millisecond() > STALE_AFTER_MS);
        if is_stale && !is_swept(&one.key) && fs::remove_file(&one.path).is_ok() {
            tracing::info!(key = %one.key, "removed the remains of an interrupted write");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_file_has_its_key_in_its_name() {
        let area = Area {
            directory: Path::new("/backups"),
            prefix: "",
            setting: "BACKUP_STORE",
        };
        for text in [
            "a",
            "odd/%2F",
            "a.b/c.%25",
            "content/objects/ab/abc.gz.enc",
            "odd/...",
            "a b/~\\:\"'",
        ] {
            let (key, upload): (ObjectKey, _) = (text.parse().unwrap(), new_upload());
            for piece in [Piece::Data, Piece::Part(17), Piece::Whole] {
                let path = path(area, &key, &upload, piece).unwrap();
                assert_eq!(path.parent(), Some(directory(area).as_path()));
                assert_eq!(
                    read_name(&path),
                    Some((upload.clone(), key.clone())),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn an_upload_id_contains_its_time_and_other_names_are_refused() {
        let age = Timestamp::now().duration_since(begun_at(&new_upload()).unwrap());
        assert!(age.as_secs().abs() < 60, "{age:?}");
        for other in [
            "never-was",
            "",
            "../../../../../../etc/passwd",
            &"g".repeat(ID_LENGTH),
        ] {
            assert_eq!(begun_at(&UploadId(other.to_owned())), None, "{other}");
        }
    }
}
