//! The result of a verification.

use utoipa::ToSchema;

use super::{ItemCounts, VerificationLevel, VerificationStatus};

/// What a verification found.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Verification {
    /// The backup.
    backup_id: String,
    /// How deep it went.
    level: VerificationLevel,
    /// What it found.
    status: VerificationStatus,
    /// What exactly was wrong. Empty where nothing was.
    problems: Vec<String>,
    /// What is wrong with the repository's own files. The status of the backup does not depend on it.
    repository_problems: Option<Vec<String>>,
    /// What is worth knowing, and wrong with nothing that was stored.
    notes: Option<Vec<String>>,
    /// Bytes read from the store.
    bytes_read: u64,
    /// What a database backup holds, by its manifest.
    namespaces: Vec<Namespace>,
    /// What a content backup holds, by its manifest.
    items: Option<ItemCounts>,
    /// When it began.
    #[schema(format = DateTime)]
    started_at: String,
    /// How long it took.
    duration_ms: u64,
}

/// One collection, view or time series.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Namespace {
    /// The database.
    db: String,
    /// The collection.
    collection: String,
    /// `collection`, `view` or `timeseries`.
    kind: String,
    /// Documents; of a time series, its buckets.
    documents: u64,
    /// Bytes of BSON.
    bytes: u64,
    /// Sum modulo 2²⁵⁶ of its documents' SHA-256; where the backup is encrypted, the HMAC of that sum.
    content_hash: String,
    /// Names of its indexes.
    indexes: Vec<String>,
}
