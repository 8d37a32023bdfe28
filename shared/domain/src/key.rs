//! The keys of all objects in the store. Only this file makes them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{BackupId, BackupType, Sha256Digest};

/// The key of an object, relative to the repository's root: `/`-separated, never empty, never
/// outside the root.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

/// How an object is encoded: the suffixes of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    /// `.gz`
    pub compressed: bool,
    /// `.enc`, after compression.
    pub encrypted: bool,
}

impl Encoding {
    /// No suffix.
    pub const PLAIN: Self = Self {
        compressed: false,
        encrypted: false,
    };
    /// `.gz`
    pub const GZIP: Self = Self {
        compressed: true,
        encrypted: false,
    };
    /// `.enc`
    pub const ENCRYPTED: Self = Self {
        compressed: false,
        encrypted: true,
    };
    /// `.gz.enc`
    pub const GZIP_ENCRYPTED: Self = Self {
        compressed: true,
        encrypted: true,
    };

    const fn suffixes(self) -> &'static str {
        match (self.compressed, self.encrypted) {
            (false, false) => "",
            (true, false) => ".gz",
            (false, true) => ".enc",
            (true, true) => ".gz.enc",
        }
    }
}

/// Text that is not a valid store key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "object key {0:?} is malformed: expected segments of printable ASCII joined by '/', none empty, '.' or '..'"
)]
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

    /// `database/<id>/dump.<fence>.archive[.gz][.enc]`. The fencing number keeps a run thought dead
    /// from replacing another's dump.
    #[must_use]
    pub fn database_dump(id: &BackupId, fence: u64, encoding: Encoding) -> Self {
        Self(format!(
            "{}dump.{fence}.archive{}",
            Self::backup_prefix(id),
            encoding.suffixes()
        ))
    }

    /// `content/incoming/<32 hex>`: an unfinished upload, before its content is known. A lifecycle
    /// rule removes it.
    #[must_use]
    pub fn content_incoming(random: [u8; 16]) -> Self {
        Self(format!("{}{}", Self::INCOMING, hex::encode(random)))
    }

    /// `content/objects/<2 hex>/<address>[.gz][.enc]`: one object for each distinct file.
    #[must_use]
    pub fn content_object(address: &Sha256Digest, encoding: Encoding) -> Self {
        Self::addressed(Self::OBJECTS, address, encoding)
    }

    /// `content/dags/<2 hex>/<address>[.enc]`: the record that rebuilds the blocks of an IPFS file.
    #[must_use]
    pub fn content_dag(address: &Sha256Digest, encoding: Encoding) -> Self {
        Self::addressed(Self::DAGS, address, encoding)
    }

    fn addressed(folder: &str, address: &Sha256Digest, encoding: Encoding) -> Self {
        let address = address.to_string();
        Self(format!(
            "{folder}{}/{address}{}",
            &address[..2],
            encoding.suffixes()
        ))
    }

    /// `content/<id>/items.<fence>.ndjson[.gz][.enc]`: a line for each item.
    #[must_use]
    pub fn content_items(id: &BackupId, fence: u64, encoding: Encoding) -> Self {
        let suffixes = encoding.suffixes();
        Self(format!(
            "{}items.{fence}.ndjson{suffixes}",
            Self::backup_prefix(id)
        ))
    }

    /// `content/<id>/<id>.<fence>.tar[.gz][.enc]`, then `.001` and so on for the later volumes.
    #[must_use]
    pub fn content_archive(id: &BackupId, fence: u64, volume: u32, encoding: Encoding) -> Self {
        let number = if volume == 0 {
            String::new()
        } else {
            format!(".{volume:03}")
        };
        let suffixes = encoding.suffixes();
        Self(format!(
            "{}{id}.{fence}.tar{suffixes}{number}",
            Self::backup_prefix(id)
        ))
    }

    /// `exports/backup_metadata_<ms>.json`: all metadata at this moment.
    #[must_use]
    pub fn metadata_export(at: jiff::Timestamp) -> Self {
        Self(format!(
            "{}backup_metadata_{}.json",
            Self::EXPORTS,
            at.as_millisecond()
        ))
    }

    /// `exports/`.
    pub const EXPORTS: &str = "exports/";
    /// `content/incoming/`.
    pub const INCOMING: &str = "content/incoming/";
    /// `content/objects/`.
    pub const OBJECTS: &str = "content/objects/";
    /// `content/dags/`.
    pub const DAGS: &str = "content/dags/";

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

    /// `<type>/<id>/`: the common prefix of every object of one backup.
    #[must_use]
    pub fn backup_prefix(id: &BackupId) -> String {
        format!("{}{id}/", Self::type_prefix(id.backup_type()))
    }

    /// `<type>/`: the common prefix of every object of one type of backup.
    #[must_use]
    pub fn type_prefix(kind: BackupType) -> String {
        format!("{kind}/")
    }

    /// `<type>/<start of an id>`: the common prefix of every object in a backup's folder. Shared
    /// objects never begin with it.
    #[must_use]
    pub fn backups_prefix(kind: BackupType) -> String {
        format!("{}{}_", Self::type_prefix(kind), kind.id_prefix())
    }

    /// The id of the backup, if this is the key of a manifest.
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

    /// The address of a content object. None for another object.
    #[must_use]
    pub fn content_address(&self) -> Option<Sha256Digest> {
        let (folder, name) = self.0.strip_prefix(Self::OBJECTS)?.split_once('/')?;
        let address = name.split('.').next()?;
        let is_its_folder = address.get(..2) == Some(folder);
        address.parse().ok().filter(|_| is_its_folder)
    }

    /// The fencing number of the run that wrote this artifact: a dump, a list of items, a volume.
    /// Manifests and guides have none.
    #[must_use]
    pub fn fence(&self) -> Option<u64> {
        self.backup()?;
        self.file_name().split('.').nth(1)?.parse().ok()
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
            && text
                .split('/')
                .all(|segment| !matches!(segment, "" | "." | ".."));
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyError(text.chars().take(80).collect()))
        }
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
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_of_a_backup_names_the_run_that_wrote_it() {
        let (database, content): (BackupId, BackupId) =
            ("db_1_aa".parse().unwrap(), "content_1_aa".parse().unwrap());
        for (key, fence) in [
            (
                ObjectKey::database_dump(&database, 7, Encoding::GZIP_ENCRYPTED),
                Some(7),
            ),
            (
                ObjectKey::content_items(&content, 12, Encoding::GZIP),
                Some(12),
            ),
            (
                ObjectKey::content_archive(&content, 3, 0, Encoding::ENCRYPTED),
                Some(3),
            ),
            (
                ObjectKey::content_archive(&content, 3, 2, Encoding::GZIP_ENCRYPTED),
                Some(3),
            ),
            (ObjectKey::manifest(&content), None),
            (ObjectKey::restore_guide(&database), None),
            (ObjectKey::repository(), None),
        ] {
            assert_eq!(key.fence(), fence, "{key}");
        }
    }

    #[test]
    fn what_is_shared_by_backups_belongs_to_none() {
        let address = Sha256Digest::new([0xab; 32]);
        let object = ObjectKey::content_object(&address, Encoding::GZIP_ENCRYPTED);
        assert_eq!(
            object.as_str(),
            format!("content/objects/ab/{address}.gz.enc")
        );
        for key in [
            object,
            ObjectKey::content_dag(&address, Encoding::PLAIN),
            ObjectKey::content_incoming([1; 16]),
        ] {
            assert_eq!((key.backup(), key.manifest_of()), (None, None), "{key}");
            assert!(
                !key.as_str()
                    .starts_with(&ObjectKey::backups_prefix(BackupType::Content)),
                "{key}"
            );
            assert_eq!(key.as_str().parse::<ObjectKey>().unwrap(), key);
        }
    }

    #[test]
    fn the_address_of_a_content_object_is_read_back_from_its_key_and_from_no_other() {
        let address = Sha256Digest::new([0xab; 32]);
        for encoding in [
            Encoding::PLAIN,
            Encoding::GZIP,
            Encoding::ENCRYPTED,
            Encoding::GZIP_ENCRYPTED,
        ] {
            let key = ObjectKey::content_object(&address, encoding);
            assert_eq!(key.content_address(), Some(address), "{key}");
        }
        let elsewhere = format!("content/objects/cd/{address}.gz");
        for other in [
            ObjectKey::content_dag(&address, Encoding::PLAIN).as_str(),
            &elsewhere,
            "content/objects/ab/abab",
            "a",
        ] {
            assert_eq!(
                other.parse::<ObjectKey>().unwrap().content_address(),
                None,
                "{other}"
            );
        }
    }

    #[test]
    fn an_export_belongs_to_no_backup() {
        let export = ObjectKey::metadata_export(
            jiff::Timestamp::from_millisecond(1_700_000_000_123).unwrap(),
        );
        assert_eq!(
            export.as_str(),
            "exports/backup_metadata_1700000000123.json"
        );
        assert_eq!((export.backup(), export.manifest_of()), (None, None));
    }

    #[test]
    fn a_key_never_leaves_the_root() {
        for text in [
            "", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a\u{0}", "ä",
        ] {
            assert!(text.parse::<ObjectKey>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_manifest_names_its_backup_and_nothing_else_does() {
        let id: BackupId = "db_1_aa".parse().unwrap();
        assert_eq!(ObjectKey::manifest(&id).manifest_of(), Some(id.clone()));
        assert!(
            ObjectKey::manifest(&id)
                .as_str()
                .starts_with(&ObjectKey::backups_prefix(BackupType::Database))
        );
        assert_eq!(
            ObjectKey::database_dump(&id, 2, Encoding::GZIP_ENCRYPTED).manifest_of(),
            None
        );
        assert_eq!(
            ObjectKey::database_dump(&id, 2, Encoding::GZIP_ENCRYPTED).as_str(),
            "database/db_1_aa/dump.2.archive.gz.enc"
        );
        let content: BackupId = "content_1_aa".parse().unwrap();
        let archive =
            |volume| ObjectKey::content_archive(&content, 2, volume, Encoding::GZIP).to_string();
        assert_eq!(archive(0), "content/content_1_aa/content_1_aa.2.tar.gz");
        assert_eq!(archive(1), "content/content_1_aa/content_1_aa.2.tar.gz.001");
        assert_eq!(
            "content/db_1_aa/manifest.json"
                .parse::<ObjectKey>()
                .unwrap()
                .manifest_of(),
            None
        );
        assert_eq!(
            "database/db_1_aa/x/manifest.json"
                .parse::<ObjectKey>()
                .unwrap()
                .manifest_of(),
            None
        );
    }
}
