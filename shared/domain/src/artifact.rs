//! A stored object of a backup, with its compression and encryption.

use serde::{Deserialize, Serialize};

use crate::{ObjectKey, Sha256Digest};

/// Bytes of one segment of an artifact. Each segment has its own digest in the manifest, so that it
/// can be checked alone.
pub const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;

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
    /// The epoch of the master key.
    pub key_epoch: u32,
}

/// One stored object of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Its store key.
    pub key: ObjectKey,
    /// Bytes stored.
    pub size: u64,
    /// SHA-256 of all of it.
    pub sha256: Sha256Digest,
    /// Bytes of a segment. The last one may be shorter.
    pub segment_bytes: u64,
    /// A digest for each segment: SHA-256, or HMAC-SHA256 if the artifact is encrypted.
    pub segments: Vec<Sha256Digest>,
}
