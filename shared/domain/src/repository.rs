//! `repository.json`: which repository this is, and its master keys, each only wrapped.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{FORMAT_VERSION, RepositoryId};

/// The file at the repository's root, and its copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryFile {
    /// [`FORMAT_VERSION`] at the time of writing.
    pub format_version: u32,
    /// The repository's id.
    pub id: RepositoryId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Every master key there ever was, oldest first. Empty until encryption is first asked for.
    pub epochs: Vec<KeyEpoch>,
}

/// One master key, wrapped under one key or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyEpoch {
    /// Counted from 1.
    pub epoch: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// The same master key, under each key that opens it.
    pub keys: Vec<WrappedKey>,
}

/// A master key under one other key. Binary values are hex, as the openssl command takes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case", rename_all_fields = "camelCase")]
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
        /// The key's ARN, as KMS answered it.
        key_id: String,
        /// KMS's ciphertext blob.
        ciphertext: String,
    },
}

impl RepositoryFile {
    /// A repository without a master key.
    #[must_use]
    pub const fn new(id: RepositoryId, created_at: Timestamp) -> Self {
        Self { format_version: FORMAT_VERSION, id, created_at, epochs: Vec::new() }
    }

    /// The master key that new artifacts are encrypted under.
    #[must_use]
    pub fn newest_epoch(&self) -> Option<&KeyEpoch> {
        self.epochs.iter().max_by_key(|epoch| epoch.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_says_its_method() {
        let key = WrappedKey::Passphrase { salt: "00".into(), iterations: 600_000, wrapped: "11".into() };
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(text, r#"{"method":"passphrase","salt":"00","iterations":600000,"wrapped":"11"}"#);
        assert_eq!(serde_json::from_str::<WrappedKey>(&text).unwrap(), key);
    }
}
