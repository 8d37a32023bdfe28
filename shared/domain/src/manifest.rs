//! The manifest: a backup exists when its `manifest.json` does. It says what is inside, from what, by whom, and how
//! every stored byte can be checked.
//!
//! The file is `{"manifest": {…}, "hmac": "…"}`. The HMAC, present where the backup is encrypted, is over the very
//! bytes of the `manifest` value as they stand in the file.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    BackupId, BackupType, Consistency, EngineInfo, ItemCounts, ObjectKey, RepositoryId, Sha256Digest, Trigger,
};

/// The version of the manifest's and the repository's format that this code writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Bytes of one segment of an artifact: each has its own digest in the manifest, so that it can be checked by itself.
pub const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;

/// The largest manifest file, in bytes. Readers refuse a larger one, so none is written: 1 GiB in 8 MiB segments is 128
/// digests of 67 bytes, and a namespace is some 250 bytes and the names of its indexes.
pub const MAX_MANIFEST_BYTES: usize = 64 * 1024 * 1024;

/// What a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// [`FORMAT_VERSION`] at the time of writing.
    pub format_version: u32,
    /// The backup's id; the same as in the manifest's key.
    pub backup_id: BackupId,
    /// What it holds.
    #[serde(rename = "type")]
    pub backup_type: BackupType,
    /// The repository it was written to.
    pub repository: RepositoryId,
    /// Why it was begun.
    pub trigger: Trigger,
    /// The `full` backup it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<BackupId>,
    /// Fencing number of the run that wrote it.
    pub fence: u64,
    /// When it was triggered.
    pub created_at: Timestamp,
    /// When the run that wrote it began.
    pub started_at: Timestamp,
    /// When the manifest was written.
    pub completed_at: Timestamp,
    /// Version of Holdfast that wrote it.
    pub holdfast_version: String,
    /// What wrote the dump of a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineInfo>,
    /// At which moment the dump's documents stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// The database that was dumped, or that named the content.
    pub source: Source,
    /// What is inside a dump. Where the backup is encrypted the content hashes are keyed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<NamespaceManifest>,
    /// What is inside a content backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentManifest>,
    /// Bytes before compression and encryption: of the dump, or of all files.
    pub original_size: u64,
    /// How the artifacts are compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// How the artifacts are encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// What was stored for this backup alone.
    pub artifacts: Vec<Artifact>,
}

/// What is inside a content backup. Files are in objects that backups share; the list of items names each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentManifest {
    /// How many items, and what became of them.
    pub items: ItemCounts,
    /// The artifact that lists them, a line of JSON each.
    pub item_list: ObjectKey,
    /// The artifacts that are the archive, in order; none where it is switched off.
    pub archive: Vec<ObjectKey>,
}

/// What was dumped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The connection string without credentials and options.
    pub uri: String,
    /// The server's version; empty where nobody asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server_version: String,
    /// The last write that the member read had applied when the dump began: writes before it are in the dump. None if
    /// the server does not report it, as a standalone server or a router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_write_at: Option<Timestamp>,
    /// Seconds that this member was behind at that moment: 0 for a primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
}

/// One collection, view or time series inside a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceManifest {
    /// The database.
    pub db: String,
    /// The collection.
    pub collection: String,
    /// `collection`, `view` or `timeseries`.
    pub kind: String,
    /// Documents; of a time series, its buckets.
    pub documents: u64,
    /// Bytes of BSON.
    pub bytes: u64,
    /// Sum modulo 2²⁵⁶ of its documents' SHA-256; where the backup is encrypted, the HMAC of that sum.
    pub content_hash: Sha256Digest,
    /// Names of its indexes.
    pub indexes: Vec<String>,
    /// The server overwrote documents of this capped collection while it was read. Those between two parts are missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolled_over: bool,
}

/// How an artifact is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Gzip in many members (RFC 1952 §2.2).
    Gzip,
}

/// How an artifact is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// `AES-256-CBC+HMAC-SHA256`.
    pub suite: String,
    /// Which of the repository's master keys.
    pub key_epoch: u32,
}

/// One stored object of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Where it is.
    pub key: ObjectKey,
    /// Bytes stored.
    pub size: u64,
    /// SHA-256 of all of it.
    pub sha256: Sha256Digest,
    /// Bytes of a segment; the last may be shorter.
    pub segment_bytes: u64,
    /// A digest for each segment: SHA-256, or HMAC-SHA256 where the artifact is encrypted.
    pub segments: Vec<Sha256Digest>,
}

/// A manifest file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not the JSON it should be.
    #[error("the manifest is not readable: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer Holdfast.
    #[error("the manifest has format version {0}; this Holdfast reads up to {FORMAT_VERSION}: use a newer one")]
    TooNew(u32),
    /// A well-formed manifest in another backup's place.
    #[error("the manifest of {expected} says that it is {found}'s: it was moved or replaced")]
    Misplaced {
        /// The backup in whose folder it lies.
        expected: BackupId,
        /// The backup it speaks of.
        found: BackupId,
    },
}

/// The file: a manifest's bytes, and the HMAC over them.
#[derive(Debug, Serialize, Deserialize)]
pub struct ManifestFile {
    manifest: Box<RawValue>,
    /// HMAC over [`ManifestFile::signed_bytes`], where the backup is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<Sha256Digest>,
}

impl ManifestFile {
    /// The file of a manifest; `authenticate` makes the HMAC over its bytes.
    ///
    /// # Errors
    /// Never for a well-formed manifest; serialisation is fallible by type.
    pub fn seal(
        manifest: &Manifest,
        authenticate: impl FnOnce(&[u8]) -> Option<Sha256Digest>,
    ) -> Result<Vec<u8>, ManifestError> {
        let manifest = RawValue::from_string(serde_json::to_string(manifest)?)?;
        let hmac = authenticate(manifest.get().as_bytes());
        Ok(serde_json::to_vec(&Self { manifest, hmac })?)
    }

    /// Reads a manifest file. Nothing in it is to be believed before the HMAC was checked.
    ///
    /// # Errors
    /// [`ManifestError::Malformed`] where it is not such a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The bytes that the HMAC is over.
    #[must_use]
    pub fn signed_bytes(&self) -> &[u8] {
        self.manifest.get().as_bytes()
    }

    /// The manifest of backup `id`.
    ///
    /// # Errors
    /// Where it is malformed, of a newer format, or another backup's.
    pub fn manifest(&self, id: &BackupId) -> Result<Manifest, ManifestError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            format_version: u32,
        }
        let version: Version = serde_json::from_str(self.manifest.get())?;
        if version.format_version > FORMAT_VERSION {
            return Err(ManifestError::TooNew(version.format_version));
        }
        let manifest: Manifest = serde_json::from_str(self.manifest.get())?;
        if manifest.backup_id != *id {
            return Err(ManifestError::Misplaced { expected: id.clone(), found: manifest.backup_id });
        }
        Ok(manifest)
    }
}
