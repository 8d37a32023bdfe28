//! The fields written together with a change of state.

use holdfast_domain::{
    Consistency, EngineInfo, ItemCounts, JobDeletion, JobFailure, NamespaceCount, ObjectKey,
    Progress, Sha256Digest, Timestamp,
};
use serde::Serialize;

/// Fields to set. A field with `None` stays unchanged. Build it with `..JobChange::default()`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobChange {
    /// Fencing number of the run that takes the job over. The change is made only if it is larger
    /// than the row's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// The engine of the dump.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineInfo>,
    /// The point in time of its documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// When a run took it over. The row keeps the earliest value.
    #[serde(skip)]
    pub started_at: Option<Timestamp>,
    /// When it was settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Its duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Bytes of the archive before compression and encryption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_size: Option<u64>,
    /// Bytes stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Whether it is compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed: Option<bool>,
    /// Whether it is encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// SHA-256 of the artifact as stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Sha256Digest>,
    /// The key of the artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<ObjectKey>,
    /// Its content: at most [`NamespaceCount::MAX_LISTED`] namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<NamespaceCount>>,
    /// Number of namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_count: Option<u64>,
    /// Number of documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_count: Option<u64>,
    /// The last write applied by the server member when the dump began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_write_at: Option<Timestamp>,
    /// Lag of this member in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// The items of a content backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
    /// Its progress. A change to `completed` clears it and ignores this value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Why it failed. A change to `completed` clears it and ignores this value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<JobFailure>,
    /// When its manifest was found missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Timestamp>,
    /// The decision to delete it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion: Option<JobDeletion>,
    /// A note for a job without a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Warnings for an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
}
