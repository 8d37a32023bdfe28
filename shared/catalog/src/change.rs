//! What a change of state writes beside the state.

use holdfast_domain::{
    Consistency, EngineInfo, ItemCounts, JobDeletion, JobFailure, NamespaceCount, ObjectKey, Progress, Sha256Digest,
    Timestamp,
};
use serde::Serialize;

/// Fields to be set; what is `None` stays as it is. Build it with `..JobChange::default()`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobChange {
    /// Fencing number of the run that takes the job over. The change is made only where it is larger than the row's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// What writes the dump.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineInfo>,
    /// At which moment its documents stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// When a run took it over; the earliest ever given is kept.
    #[serde(skip)]
    pub started_at: Option<Timestamp>,
    /// When it was settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// How long it took.
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
    /// Where the artifact is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<ObjectKey>,
    /// What is inside: at most [`NamespaceCount::MAX_LISTED`] namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<NamespaceCount>>,
    /// How many namespaces there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_count: Option<u64>,
    /// How many documents there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_count: Option<u64>,
    /// The last write that the member read had applied when the dump began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_write_at: Option<Timestamp>,
    /// Seconds that this member was behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// The items of a content backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
    /// How far it is. A change to `completed` clears it, whatever is given here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Why it failed. A change to `completed` clears it, whatever is given here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<JobFailure>,
    /// When its manifest was found missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Timestamp>,
    /// The decision to delete it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion: Option<JobDeletion>,
    /// Said where nothing was wrong and something is worth knowing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What a person must look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
}
