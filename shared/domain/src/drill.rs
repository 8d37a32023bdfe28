//! What a restore drill tells of each collection.

use serde::{Deserialize, Serialize};

/// One collection, view or time series of a backup, and what came of restoring it into a scratch database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrilledCollection {
    /// `database.collection` as in the backup.
    pub namespace: String,
    /// Documents that the manifest says; of a time series, buckets.
    pub expected: u64,
    /// Documents that were restored.
    pub restored: u64,
    /// Whether what was restored, and the archive, have the content hash that the manifest says. None where there is
    /// nothing to compare: a view, or what was not restored at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_content: Option<bool>,
    /// Indexes that were made, that of `_id` left aside.
    pub indexes: Vec<String>,
    /// Indexes of the backup that a drill never makes, because they delete documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes_left_out: Vec<String>,
    /// What did not work, or differs.
    pub failures: Vec<String>,
}

impl DrilledCollection {
    /// Whether it came back as the manifest says.
    #[must_use]
    pub fn is_faithful(&self) -> bool {
        self.failures.is_empty() && self.same_content != Some(false)
    }
}
