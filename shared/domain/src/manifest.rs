//! The manifest: a backup exists when its `manifest.json` does. It describes the contents, their
//! source, the writer, and the digests of all stored bytes.
//!
//! The file is `{"manifest": {…}, "hmac": "…"}`. Encrypted backups have the HMAC. It covers the
//! exact bytes of the `manifest` value in the file.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Artifact, BackupId, BackupType, Compression, Consistency, Encryption, EngineInfo, ItemCounts,
    ObjectKey, RepositoryId, Sha256Digest, Trigger,
};

/// The version of the manifest's and the repository's format. This code writes it, and reads no
/// newer one.
pub const FORMAT_VERSION: u32 = 1;

/// The largest manifest file, in bytes. Readers refuse a larger one, so none is written: 1 GiB in 8
/// MiB segments is 128 digests of 67 bytes, and a namespace is some 250 bytes and the names of its
/// indexes.
pub const MAX_MANIFEST_BYTES: usize = 64 * 1024 * 1024;

/// The description of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// [`FORMAT_VERSION`] at the time of writing.
    pub format_version: u32,
    /// The backup's id, the same as in the manifest's key.
    pub backup_id: BackupId,
    /// Its content.
    #[serde(rename = "type")]
    pub backup_type: BackupType,
    /// The repository it was written to.
    pub repository: RepositoryId,
    /// Its trigger.
    pub trigger: Trigger,
    /// The `full` backup it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<BackupId>,
    /// Fencing number of the writing run.
    pub fence: u64,
    /// Time of the trigger.
    pub created_at: Timestamp,
    /// Start of the writing run.
    pub started_at: Timestamp,
    /// Time at which the manifest was written.
    pub completed_at: Timestamp,
    /// Version of the writing Holdfast.
    pub holdfast_version: String,
    /// The engine of a database dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineInfo>,
    /// The moment of the dump's documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// The dumped database, or the database with the content items.
    pub source: Source,
    /// The namespaces of a dump. If the backup is encrypted, the content hashes are keyed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<NamespaceManifest>,
    /// The contents of a content backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentManifest>,
    /// Bytes before compression and encryption: of the dump, or of all files.
    pub original_size: u64,
    /// Compression of the artifacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Encryption of the artifacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// The objects of this backup alone.
    pub artifacts: Vec<Artifact>,
}

/// The contents of a content backup. Files are in shared objects, listed in the list of items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentManifest {
    /// Number of items, by result.
    pub items: ItemCounts,
    /// The artifact with the list of items, one line of JSON each.
    pub item_list: ObjectKey,
    /// The artifacts of the archive, in order. Empty if the archive is disabled.
    pub archive: Vec<ObjectKey>,
}

/// The source of a dump.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The connection string without credentials and options.
    pub uri: String,
    /// The server's version. Empty if it is unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server_version: String,
    /// The last write applied by the source member at the start of the dump. The dump contains all
    /// writes before it. None if the server does not report it: a standalone server or a
    /// router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_write_at: Option<Timestamp>,
    /// Replication lag of this member at that moment, in seconds. 0 for a primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
}

/// One collection, view or time series inside a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Namespace))]
#[serde(rename_all = "camelCase")]
pub struct NamespaceManifest {
    /// Name of the database.
    pub db: String,
    /// Name of the collection.
    pub collection: String,
    /// `collection`, `view` or `timeseries`.
    pub kind: String,
    /// Number of documents. For a time series, the number of buckets.
    pub documents: u64,
    /// Bytes of BSON.
    pub bytes: u64,
    /// Sum modulo 2²⁵⁶ of the SHA-256 of all documents. If the backup is encrypted, the HMAC of
    /// that sum.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub content_hash: Sha256Digest,
    /// Names of the indexes.
    pub indexes: Vec<String>,
    /// Whether the server overwrote documents of this capped collection during the dump. Documents
    /// between two parts are then missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolled_over: bool,
}

/// A manifest file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not the JSON it should be.
    #[error("the manifest is not readable: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer Holdfast.
    #[error(
        "the manifest has format version {0}, and this Holdfast reads up to {FORMAT_VERSION}: use a newer one"
    )]
    TooNew(u32),
    /// A well-formed manifest in another backup's place.
    #[error("the manifest of {expected} contains the id {found}: it was moved or replaced")]
    Misplaced {
        /// The backup of the folder.
        expected: BackupId,
        /// The backup it speaks of.
        found: BackupId,
    },
}

/// The file: a manifest's bytes, and the HMAC over them.
#[derive(Debug, Serialize, Deserialize)]
pub struct ManifestFile {
    manifest: Box<RawValue>,
    /// HMAC over [`ManifestFile::signed_bytes`], if the backup is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<Sha256Digest>,
}

impl ManifestFile {
    /// Creates the file of a manifest. `authenticate` computes the HMAC over its bytes.
    ///
    /// # Errors
    /// Never for a well-formed manifest. Serialisation is fallible by type.
    pub fn seal(
        manifest: &Manifest,
        authenticate: impl FnOnce(&[u8]) -> Option<Sha256Digest>,
    ) -> Result<Vec<u8>, ManifestError> {
        let manifest = RawValue::from_string(serde_json::to_string(manifest)?)?;
        let hmac = authenticate(manifest.get().as_bytes());
        Ok(serde_json::to_vec(&Self { manifest, hmac })?)
    }

    /// Reads a manifest file. Its contents are untrusted until the HMAC was checked.
    ///
    /// # Errors
    /// [`ManifestError::Malformed`] if the file has another form.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The bytes under the HMAC.
    #[must_use]
    pub fn signed_bytes(&self) -> &[u8] {
        self.manifest.get().as_bytes()
    }

    /// The manifest of backup `id`.
    ///
    /// # Errors
    /// If it is malformed, of a newer format, or of another backup.
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
            return Err(ManifestError::Misplaced {
                expected: id.clone(),
                found: manifest.backup_id,
            });
        }
        Ok(manifest)
    }
}
