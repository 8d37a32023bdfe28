//! Ids: of a backup (`db_<unix ms>_<8 hex>`) and of a repository.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};

/// Content of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupType {
    /// The platform's MongoDB database.
    Database,
    /// The files of content items.
    Content,
    /// The parent of one of each.
    Full,
}

impl BackupType {
    /// Every type, in the order they are listed to people.
    pub const ALL: [Self; 3] = [Self::Database, Self::Content, Self::Full];

    /// The word used in settings, the API and store keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Content => "content",
            Self::Full => "full",
        }
    }

    /// The prefix of the ids of its backups, before the first `_`.
    #[must_use]
    pub const fn id_prefix(self) -> &'static str {
        match self {
            Self::Database => "db",
            Self::Content => "content",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for BackupType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BackupType {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| IdError::Type(shown(text)))
    }
}

/// Text that is not a valid id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a backup id.
    #[error(
        "backup id {0:?} is malformed: expected (db|content|full)_<digits>_<letters and digits in lower case>"
    )]
    Backup(String),
    /// Not a backup type.
    #[error("backup type {0:?} is unknown: expected database, content or full")]
    Type(String),
    /// Not a repository id.
    #[error("repository id {0:?} is malformed: expected 32 hex digits in lower case")]
    Repository(String),
}

/// Distinguishes the id of a removal of objects from a backup's id, which ends in hex digits.
const COLLECTION: &str = "retention";

/// A backup's id. It is always well-formed, so it is safe in a query and in a store key.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackupId(String);

impl BackupId {
    /// The longest accepted id, in characters.
    const MAX_LENGTH: usize = 64;

    /// A new id: created at `at`. 4 random bytes distinguish ids of the same millisecond.
    #[must_use]
    pub fn new(kind: BackupType, at: Timestamp, random: [u8; 4]) -> Self {
        Self(format!(
            "{}_{}_{}",
            kind.id_prefix(),
            at.as_millisecond(),
            hex::encode(random)
        ))
    }

    /// The id of the scheduled run of this tick. The same tick gives the same backup, even if its
    /// event is redelivered.
    #[must_use]
    pub fn from_tick(kind: BackupType, tick: Timestamp) -> Self {
        let hash = Sha256::digest(format!("holdfast/tick/{kind}/{}", tick.as_millisecond()));
        Self::new(kind, tick, [hash[0], hash[1], hash[2], hash[3]])
    }

    /// The id that holds the content lease during a removal of unreferenced objects. It is never a
    /// backup's id.
    #[must_use]
    pub fn from_collection(at: Timestamp, random: [u8; 4]) -> Self {
        Self(format!(
            "{}_{}_{COLLECTION}{}",
            BackupType::Content.id_prefix(),
            at.as_millisecond(),
            hex::encode(random)
        ))
    }

    /// Whether this is the id of such a removal, not of a backup.
    #[must_use]
    pub fn is_collection(&self) -> bool {
        self.0
            .split('_')
            .nth(2)
            .is_some_and(|unique| unique.starts_with(COLLECTION))
    }

    /// The time in the id, if it is valid.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.0.split('_').nth(1)?.parse().ok()?).ok()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The content of the backup, from its prefix.
    #[must_use]
    pub fn backup_type(&self) -> BackupType {
        match self.0.as_bytes().first() {
            Some(b'd') => BackupType::Database,
            Some(b'c') => BackupType::Content,
            _ => BackupType::Full,
        }
    }
}

impl FromStr for BackupId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let parts: Vec<&str> = text.split('_').collect();
        let well_formed = text.len() <= Self::MAX_LENGTH
            && matches!(parts[..], [kind, at, unique]
                if matches!(kind, "db" | "content" | "full")
                && !at.is_empty() && at.bytes().all(|b| b.is_ascii_digit())
                && !unique.is_empty() && unique.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()));
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::Backup(shown(text)))
        }
    }
}

/// A repository's id: 16 random bytes in hex, made once with its `repository.json`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryId(String);

impl RepositoryId {
    /// The id with these random bytes.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(hex::encode(random))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let well_formed =
            text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::Repository(shown(text)))
        }
    }
}

/// The beginning of the text, so that an error is readable for any input.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

macro_rules! text_id {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(D::Error::custom)
            }
        }
    };
}

text_id!(BackupId);
text_id!(RepositoryId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_same_tick_is_the_same_backup() {
        let tick = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let later = Timestamp::from_millisecond(1_700_000_060_000).unwrap();
        assert_eq!(
            BackupId::from_tick(BackupType::Database, tick),
            BackupId::from_tick(BackupType::Database, tick)
        );
        assert_ne!(
            BackupId::from_tick(BackupType::Database, tick),
            BackupId::from_tick(BackupType::Database, later)
        );
        assert_ne!(
            BackupId::from_tick(BackupType::Database, tick),
            BackupId::from_tick(BackupType::Content, tick)
        );
    }

    #[test]
    fn the_id_of_a_removal_differs_from_every_backup_id() {
        let id = BackupId::from_collection(Timestamp::from_millisecond(12).unwrap(), [1, 2, 3, 4]);
        assert_eq!(id.as_str(), "content_12_retention01020304");
        assert_eq!(id.as_str().parse::<BackupId>().unwrap(), id);
        assert!(id.is_collection());
    }

    #[test]
    fn malformed_ids_are_refused() {
        for text in [
            "",
            "db",
            "db_1",
            "db__a",
            "db_1_",
            "db_1_A",
            "db_1_a_b",
            "x_1_a",
            "db_1_a/..",
            "db_1_ä",
            "db_x_a",
        ] {
            assert!(text.parse::<BackupId>().is_err(), "{text}");
        }
        assert!(
            format!("db_1_{}", "a".repeat(100))
                .parse::<BackupId>()
                .is_err()
        );
        assert_eq!(
            "content_12_0z9".parse::<BackupId>().unwrap().backup_type(),
            BackupType::Content
        );
    }

    proptest! {
        #[test]
        fn an_id_made_is_an_id_read(ms in 0_i64..=4_000_000_000_000, random: [u8; 4]) {
            for kind in BackupType::ALL {
                let id = BackupId::new(kind, Timestamp::from_millisecond(ms).unwrap(), random);
                prop_assert_eq!(id.as_str().parse::<BackupId>().unwrap(), id.clone());
                prop_assert_eq!(id.backup_type(), kind);
                prop_assert_eq!(id.created_at().map(Timestamp::as_millisecond), Some(ms));
                prop_assert!(!id.is_collection());
            }
        }
    }
}
