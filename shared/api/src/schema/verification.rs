//! The result of a verification.

use utoipa::ToSchema;

use super::{ItemCounts, VerificationLevel, VerificationStatus};

/// Result of a verification.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Verification {
    /// ID of the backup.
    backup_id: String,
    /// Level of the verification.
    level: VerificationLevel,
    /// Whether the verification passed.
    status: VerificationStatus,
    /// The problems found. Empty without problems.
    problems: Vec<String>,
    /// Problems of the repository's own files. The status of the backup does not depend on them.
    repository_problems: Option<Vec<String>>,
    /// Informational notes. They are not problems of the stored data.
    notes: Option<Vec<String>>,
    /// Bytes read from the store.
    bytes_read: u64,
    /// Namespaces of a database backup, from its manifest.
    namespaces: Vec<Namespace>,
    /// Item counts of a content backup, from its manifest.
    items: Option<ItemCounts>,
    /// When the verification started.
    #[schema(format = DateTime)]
    started_at: String,
    /// Duration of the verification in milliseconds.
    duration_ms: u64,
}

/// One collection, view or time series.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Namespace {
    /// Name of the database.
    db: String,
    /// Name of the collection.
    collection: String,
    /// `collection`, `view` or `timeseries`.
    kind: String,
    /// Number of documents. For a time series, the number of buckets.
    documents: u64,
    /// Bytes of BSON.
    bytes: u64,
    /// Sum modulo 2²⁵⁶ of the SHA-256 of all documents. If the backup is encrypted, the HMAC of
    /// that sum.
    content_hash: String,
    /// Names of the indexes.
    indexes: Vec<String>,
}
