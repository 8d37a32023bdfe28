//! `repository.json`: the identity of the repository, and its master keys in wrapped form only.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{FORMAT_VERSION, RepositoryId, Sha256Digest};

/// The file at the repository's root, and its copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryFile {
    /// [`FORMAT_VERSION`] at the time of writing.
    pub format_version: u32,
    /// The repository's id.
    pub id: RepositoryId,
    /// Time of its creation.
    pub created_at: Timestamp,
    /// Number of rewraps of the keys. Of two files, the one with the higher number is newer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
    /// Every master key since the beginning, oldest first. Empty before the first use of
    /// encryption.
    pub epochs: Vec<KeyEpoch>,
}

/// One master key, wrapped under one key or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyEpoch {
    /// Counted from 1.
    pub epoch: u32,
    /// Time of its creation.
    pub created_at: Timestamp,
    /// Public identification of the master key: an unwrapped key is compared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Sha256Digest>,
    /// The same master key, wrapped under each key that opens it.
    pub keys: Vec<WrappedKey>,
}

/// A master key under one other key. Binary values are hex, as in arguments of the openssl command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "method",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum WrappedKey {
    /// AES key wrap (RFC 3394) under the 32 bytes of `BACKUP_ENCRYPTION_KEY`.
    Key {
        /// 40 bytes.
        wrapped: String,
    },
    /// AES key wrap under a key derived from a passphrase by PBKDF2-HMAC-SHA256.
    Passphrase {
        /// 32 bytes.
        salt: String,
        /// Rounds.
        iterations: u32,
        /// 40 bytes.
        wrapped: String,
    },
    /// Encrypted by AWS KMS, encryption context `holdfast:repository` = the repository's id.
    Kms {
        /// The key's ARN, as returned by KMS.
        key_id: String,
        /// KMS's ciphertext blob.
        ciphertext: String,
    },
    /// Encrypted for an age recipient. Its identity is kept offline.
    Age {
        /// `age1…`.
        recipient: String,
        /// The file that `age -d` decrypts to the key's 32 bytes.
        file: String,
    },
}

impl WrappedKey {
    /// The method's name, as the file has it.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Key { .. } => "key",
            Self::Passphrase { .. } => "passphrase",
            Self::Kms { .. } => "kms",
            Self::Age { .. } => "age",
        }
    }
}

impl KeyEpoch {
    /// Whether `newer` is the same master key, under any wrapping.
    fn is_same_key(&self, newer: &Self) -> bool {
        self.epoch == newer.epoch
            && (self.fingerprint.is_none() || self.fingerprint == newer.fingerprint)
    }
}

impl RepositoryFile {
    /// A repository without a master key.
    #[must_use]
    pub const fn new(id: RepositoryId, created_at: Timestamp) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            id,
            created_at,
            revision: 0,
            epochs: Vec::new(),
        }
    }

    /// Whether this contains everything of its copy, so that the copy may be rewritten from it: the
    /// same master keys, in the same wrapping or a newer one.
    #[must_use]
    pub fn covers(&self, copy: &Self) -> bool {
        let has = |old: &KeyEpoch| {
            self.epochs.iter().any(|epoch| {
                epoch == old || (self.revision > copy.revision && old.is_same_key(epoch))
            })
        };
        self.id == copy.id && self.revision >= copy.revision && copy.epochs.iter().all(has)
    }

    /// The master key of new artifacts.
    #[must_use]
    pub fn newest_epoch(&self) -> Option<&KeyEpoch> {
        self.epochs.iter().max_by_key(|epoch| epoch.epoch)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(revision: u64, epochs: &[(u32, u8, &str)]) -> RepositoryFile {
        let epochs = epochs.iter().map(|(epoch, fingerprint, wrapped)| KeyEpoch {
            epoch: *epoch,
            created_at: Timestamp::UNIX_EPOCH,
            fingerprint: Some(Sha256Digest::new([*fingerprint; 32])),
            keys: vec![WrappedKey::Key {
                wrapped: (*wrapped).to_owned(),
            }],
        });
        RepositoryFile {
            revision,
            epochs: epochs.collect(),
            ..RepositoryFile::new(RepositoryId::new([1; 16]), Timestamp::UNIX_EPOCH)
        }
    }

    #[test]
    fn a_wrapped_key_names_its_method() {
        let key = WrappedKey::Passphrase {
            salt: "00".into(),
            iterations: 600_000,
            wrapped: "11".into(),
        };
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(
            text,
            r#"{"method":"passphrase","salt":"00","iterations":600000,"wrapped":"11"}"#
        );
        assert_eq!(serde_json::from_str::<WrappedKey>(&text).unwrap(), key);
        let key = WrappedKey::Age {
            recipient: "age1x".into(),
            file: "22".into(),
        };
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(text, r#"{"method":"age","recipient":"age1x","file":"22"}"#);
        assert_eq!(
            serde_json::from_str::<WrappedKey>(&text).unwrap().method(),
            "age"
        );
    }

    #[test]
    fn a_file_of_before_keys_could_be_changed_is_read() {
        let text = r#"{"formatVersion":1,"id":"01010101010101010101010101010101","createdAt":"1970-01-01T00:00:00Z",
            "epochs":[{"epoch":1,"createdAt":"1970-01-01T00:00:00Z","keys":[{"method":"key","wrapped":"a"}]}]}"#;
        let old: RepositoryFile = serde_json::from_str(text).unwrap();
        assert_eq!((old.revision, old.epochs[0].fingerprint), (0, None));
        assert_eq!(
            serde_json::to_string(&old).unwrap(),
            text.split_whitespace().collect::<String>()
        );
        assert!(file(1, &[(1, 7, "b")]).covers(&old));
        assert!(
            !file(0, &[(1, 7, "a")]).covers(&old),
            "a file that changed has another number"
        );
    }

    #[test]
    fn a_copy_is_covered_by_what_has_the_same_keys_and_is_no_older() {
        let copy = file(3, &[(1, 7, "a"), (2, 8, "b")]);
        for (covers, newer) in [
            (true, copy.clone()),
            (true, file(3, &[(1, 7, "a"), (2, 8, "b"), (3, 9, "c")])),
            (true, file(4, &[(1, 7, "x"), (2, 8, "y")])),
            (false, file(3, &[(1, 7, "x"), (2, 8, "b")])),
            (false, file(2, &[(1, 7, "a"), (2, 8, "b")])),
            (false, file(4, &[(1, 7, "x")])),
            (false, file(4, &[(1, 7, "x"), (2, 9, "y")])),
            (false, file(4, &[])),
            (
                false,
                RepositoryFile {
                    id: RepositoryId::new([2; 16]),
                    ..copy.clone()
                },
            ),
        ] {
            assert_eq!(newer.covers(&copy), covers, "{newer:?}");
        }
    }
}
