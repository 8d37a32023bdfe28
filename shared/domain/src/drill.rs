//! The result of a restore drill for each collection.

use serde::{Deserialize, Serialize};

/// One collection, view or time series of a backup, and the result of its restore into a scratch
/// database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DrilledCollection {
    /// `database.collection` as in the backup.
    pub namespace: String,
    /// Number of documents according to the manifest. For a time series, the number of buckets.
    pub expected: u64,
    /// Number of restored documents.
    pub restored: u64,
    /// Whether the archive and the restored data have the content hash of the manifest. Absent
    /// without a comparison: for a view, or a namespace that was not restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_content: Option<bool>,
    /// Created indexes, without the one on `_id`.
    pub indexes: Vec<String>,
    /// Indexes of the backup that a drill never creates, because they delete documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes_left_out: Vec<String>,
    /// Failures and differences.
    pub failures: Vec<String>,
}

impl DrilledCollection {
    /// Whether the restored namespace equals the manifest.
    #[must_use]
    pub fn is_faithful(&self) -> bool {
        self.failures.is_empty() && self.same_content != Some(false)
    }
}
