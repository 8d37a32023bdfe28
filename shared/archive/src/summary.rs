//! The content of a proved archive. An incomplete archive has no summary.

use serde::{Deserialize, Serialize};

use crate::{ContentHash, NamespaceKind, Prelude};

/// The content of a walked archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The prelude of the archive.
    pub prelude: Prelude,
    /// One for each namespace of the prelude, in its order.
    pub namespaces: Vec<NamespaceSummary>,
    /// Bytes of the complete archive.
    pub bytes: u64,
}

impl Summary {
    /// Documents of all namespaces together.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.namespaces
            .iter()
            .map(|namespace| namespace.documents)
            .sum()
    }
}

/// The content of one namespace of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSummary {
    /// The database. Empty for the oplog.
    pub db: String,
    /// The collection. For a time series its own name.
    pub collection: String,
    /// Kind of the namespace.
    pub kind: NamespaceKind,
    /// Documents. For a time series, buckets.
    pub documents: u64,
    /// Bytes of these documents' BSON.
    pub bytes: u64,
    /// CRC-64/XZ over these bytes, in the archive's order.
    pub crc: u64,
    /// The documents' hash, independent of their order.
    pub content_hash: ContentHash,
}
