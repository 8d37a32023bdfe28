//! Places of keys, and whether such a place was prepared. A directory without the mark may be the
//! mount point of a missing disk. Links below a place are not followed.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use holdfast_domain::{BackupId, ObjectKey, settings::Directories};

use super::errors::{invalid, is_absent, translate};
use crate::StoreError;

/// The mark of a prepared place. It contains the unfinished objects. It is never a part of a key.
pub(super) const MARK: &str = ".holdfast";

/// Made by the system at the top of a file system.
const LOST_AND_FOUND: &str = "lost+found";

/// The directories of a repository.
pub(super) struct Places {
    directories: Directories,
}

/// One of them, for the keys with this prefix, except those of another area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area<'a> {
    /// The directory for `prefix`.
    pub(super) directory: &'a Path,
    /// `database/`, `content/`, or empty.
    pub(super) prefix: &'static str,
    /// Its setting.
    pub(super) setting: &'static str,
}

impl Places {
    /// Ignores a part configured at its default place.
    pub(super) fn new(mut directories: Directories) -> Self {
        let Directories {
            root,
            database,
            content,
        } = &mut directories;
        for (part, name) in [(database, "database"), (content, "content")] {
            part.take_if(|directory| *directory == root.join(name));
        }
        Self { directories }
    }

    pub(super) fn root(&self) -> Area<'_> {
        Area {
            directory: &self.directories.root,
            prefix: "",
            setting: "BACKUP_STORE",
        }
    }

    /// The parts elsewhere.
    pub(super) fn aside(&self) -> impl Iterator<Item = Area<'_>> {
        let Directories {
            database, content, ..
        } = &self.directories;
        let parts = [
            (database, "database/", "BACKUP_DATABASE_DIR"),
            (content, "content/", "BACKUP_CONTENT_DIR"),
        ];
        parts
            .into_iter()
            .filter_map(|(directory, prefix, setting)| {
                Some(Area {
                    directory: directory.as_deref()?,
                    prefix,
                    setting,
                })
            })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Area<'_>> {
        [self.root()].into_iter().chain(self.aside())
    }

    /// The area for all keys with this prefix.
    pub(super) fn area(&self, prefix: &str) -> Area<'_> {
        self.aside()
            .find(|area| prefix.starts_with(area.prefix))
            .unwrap_or_else(|| self.root())
    }

    /// The path for reading the object. Its place exists.
    pub(super) fn reading(&self, key: &ObjectKey) -> Result<PathBuf, StoreError> {
        let area = self.area(key.as_str());
        self.check_record(key.as_str(), area)?;
        check_readable(key.as_str(), area)?;
        path(area, key)
    }

    /// The path for writing or deleting the object. Its place was prepared.
    pub(super) fn writing(&self, key: &ObjectKey) -> Result<(Area<'_>, PathBuf), StoreError> {
        let area = self.area(key.as_str());
        self.check_record(key.as_str(), area)?;
        check_ready(key.as_str(), area)?;
        Ok((area, path(area, key)?))
    }

    /// Refuses a part of the repository made elsewhere.
    pub(super) fn check_record(&self, key: &str, area: Area<'_>) -> Result<(), StoreError> {
        if !area.prefix.is_empty() {
            return self.check_distinct(key);
        }
        for (prefix, setting) in [
            ("database/", "BACKUP_DATABASE_DIR"),
            ("content/", "BACKUP_CONTENT_DIR"),
        ] {
            if key.starts_with(prefix)
                && let Some(there) = recorded(area.directory, setting)
            {
                let root = area.directory.display();
                return Err(invalid(
                    key,
                    format!(
                        "the repository in {root} has its {prefix} in {there}: set {setting} to {there}"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Refuses two parts in the same directory.
    pub(super) fn check_distinct(&self, key: &str) -> Result<(), StoreError> {
        let all: Vec<Area<'_>> = self.all().collect();
        for (index, area) in all.iter().enumerate() {
            if let Some(same) = all[..index]
                .iter()
                .find(|other| other.directory == area.directory)
            {
                let (setting, other, directory) =
                    (area.setting, same.setting, area.directory.display());
                return Err(invalid(
                    key,
                    format!(
                        "{setting} and {other} both name {directory}: use a separate directory for each"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Whether a path is another place.
    pub(super) fn is_other_place(&self, path: &Path) -> bool {
        self.aside().any(|area| area.directory == path)
    }
}

/// Whether an entry at the top of a place is the mark or `lost+found`, and not an object.
pub(super) fn is_reserved(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name == MARK || name == LOST_AND_FOUND)
}

/// The file in the root's mark with the place of this part of the repository.
pub(super) fn record(root: &Path, setting: &str) -> PathBuf {
    root.join(MARK).join(setting)
}

pub(super) fn recorded(root: &Path, setting: &str) -> Option<String> {
    fs::read_to_string(record(root, setting))
        .ok()
        .map(|text| text.trim_end().to_owned())
}

/// The file of a key in its existing place. Fails if a link is part of the path.
fn path(area: Area<'_>, key: &ObjectKey) -> Result<PathBuf, StoreError> {
    let below = key
        .as_str()
        .strip_prefix(area.prefix)
        .unwrap_or(key.as_str());
    let mut path = area.directory.to_owned();
    for (depth, segment) in below.split('/').enumerate() {
        path.push(segment);
        if depth == 0 && (segment == MARK || segment == LOST_AND_FOUND) {
            return Err(invalid(
                key.as_str(),
                format!("{} cannot contain objects", path.display()),
            ));
        }
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            let cause = format!(
                "{} is a symbolic link, and links are not followed",
                path.display()
            );
            return Err(invalid(
                key.as_str(),
                format!("{cause}: for another disk, set BACKUP_CONTENT_DIR or BACKUP_DATABASE_DIR"),
            ));
        }
    }
    Ok(path)
}

/// Refuses a missing place and an empty mount point. A copied place without its mark is readable.
pub(super) fn check_readable(key: &str, area: Area<'_>) -> Result<(), StoreError> {
    if is_marked(area.directory) {
        return Ok(());
    }
    let mut entries = fs::read_dir(area.directory).map_err(|error| absent(key, area, &error))?;
    if entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(is_own)))
    {
        return Ok(());
    }
    Err(not_ready(key, area, "holds nothing of a repository"))
}

/// Whether a repository has this name at the top of a place.
fn is_own(name: &str) -> bool {
    const NAMES: [&str; 7] = [
        "repository.json",
        "repository.copy.json",
        "database",
        "content",
        "objects",
        "dags",
        "incoming",
    ];
    NAMES.contains(&name) || name.parse::<BackupId>().is_ok()
}

/// Refuses a place without preparation.
pub(super) fn check_ready(key: &str, area: Area<'_>) -> Result<(), StoreError> {
    if is_marked(area.directory) {
        return Ok(());
    }
    fs::read_dir(area.directory).map_err(|error| absent(key, area, &error))?;
    Err(not_ready(
        key,
        area,
        &format!("has no {MARK}: no repository was created there"),
    ))
}

pub(super) fn is_marked(directory: &Path) -> bool {
    fs::symlink_metadata(directory.join(MARK)).is_ok_and(|found| found.is_dir())
}

fn absent(key: &str, area: Area<'_>, error: &std::io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::NotFound => not_ready(key, area, "does not exist"),
        _ if is_absent(error) => invalid(
            key,
            format!(
                "{} ({}) is not a directory",
                area.directory.display(),
                area.setting
            ),
        ),
        _ => translate(key, "read", area.directory, error),
    }
}

fn not_ready(key: &str, area: Area<'_>, what: &str) -> StoreError {
    let (directory, setting) = (area.directory.display(), area.setting);
    StoreError::Missing {
        key: key.to_owned(),
        cause: format!(
            "repository directory {directory} ({setting}) {what}. Is its disk mounted? To create a new repository, run \
             `holdfast init`"
        ),
    }
}
