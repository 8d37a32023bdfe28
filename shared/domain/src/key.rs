//! Where things lie in the store. Every key is made here and nowhere else.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{BackupId, BackupType};

/// The key of an object, relative to the repository's root: `/`-separated, never empty, never outside the root.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

/// Text that cannot be a key in the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("object key {0:?} is malformed: expected segments of printable ASCII joined by '/', none empty, '.' or '..'")]
pub struct KeyError(String);

impl ObjectKey {
    /// The longest key, in bytes: S3's 1,024 less room for a repository's prefix.
    pub const MAX_LENGTH: usize = 900;

    /// `repository.json`: format version, id, wrapped master keys.
    #[must_use]
    pub fn repository() -> Self {
        Self("repository.json".to_owned())
    }

    /// `repository.copy.json`: the same again.
    #[must_use]
    pub fn repository_copy() -> Self {
        Self("repository.copy.json".to_owned())
    }

    /// `database/<id>/dump.<fence>.archive[.gz][.enc]`. The fencing number keeps a run thought dead from replacing
    /// another's dump.
    #[must_use]
    pub fn database_dump(id: &BackupId, fence: u64, compressed: bool, encrypted: bool) -> Self {
        let gz = if compressed { ".gz" } else { "" };
        let enc = if encrypted { ".enc" } else { "" };
        Self(format!("{}dump.{fence}.archive{gz}{enc}", Self::backup_prefix(id)))
    }

    /// `<type>/<id>/manifest.json`: the commit point.
    #[must_use]
    pub fn manifest(id: &BackupId) -> Self {
        Self(format!("{}manifest.json", Self::backup_prefix(id)))
    }

    /// `<type>/<id>/RESTORE.md`: how to get it back with stock tools.
    #[must_use]
    pub fn restore_guide(id: &BackupId) -> Self {
        Self(format!("{}RESTORE.md", Self::backup_prefix(id)))
    }

    /// `<type>/<id>/`: what every object of one backup starts with.
    #[must_use]
    pub fn backup_prefix(id: &BackupId) -> String {
        format!("{}{id}/", Self::type_prefix(id.backup_type()))
    }

    /// `<type>/`: what every object of one type of backup starts with.
    #[must_use]
    pub fn type_prefix(kind: BackupType) -> String {
        format!("{kind}/")
    }

    /// The id whose manifest this is, if it is one.
    #[must_use]
    pub fn manifest_of(&self) -> Option<BackupId> {
        let id = self.backup()?;
        (*self == Self::manifest(&id)).then_some(id)
    }

    /// The id of the backup this object belongs to, if it lies in one's folder.
    #[must_use]
    pub fn backup(&self) -> Option<BackupId> {
        let mut segments = self.0.split('/');
        let kind: BackupType = segments.next()?.parse().ok()?;
        let id: BackupId = segments.next()?.parse().ok()?;
        (id.backup_type() == kind && segments.next().is_some()).then_some(id)
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the last `/`.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl FromStr for ObjectKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let well_formed = !text.is_empty()
            && text.len() <= Self::MAX_LENGTH
            && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
            && text.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        if well_formed { Ok(Self(text.to_owned())) } else { Err(KeyError(text.chars().take(80).collect())) }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ObjectKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ObjectKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_leaves_the_root() {
        for text in ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a\u{0}", "ä"] {
            assert!(text.parse::<ObjectKey>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_manifest_names_its_backup_and_nothing_else_does() {
        let id: BackupId = "db_1_aa".parse().unwrap();
        assert_eq!(ObjectKey::manifest(&id).manifest_of(), Some(id.clone()));
        assert_eq!(ObjectKey::database_dump(&id, 2, true, true).manifest_of(), None);
        assert_eq!(ObjectKey::database_dump(&id, 2, true, true).as_str(), "database/db_1_aa/dump.2.archive.gz.enc");
        assert_eq!("content/db_1_aa/manifest.json".parse::<ObjectKey>().unwrap().manifest_of(), None);
        assert_eq!("database/db_1_aa/x/manifest.json".parse::<ObjectKey>().unwrap().manifest_of(), None);
    }
}
