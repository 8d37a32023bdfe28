//! What a whole archive was found to hold. There is none of an archive that is not whole.

use serde::{Deserialize, Serialize};

use crate::{ContentHash, NamespaceKind, Prelude};

/// What a walked archive holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// As it stands in the archive.
    pub prelude: Prelude,
    /// One for each namespace of the prelude, in its order.
    pub namespaces: Vec<NamespaceSummary>,
    /// Bytes of the whole archive.
    pub bytes: u64,
}

impl Summary {
    /// Documents of all namespaces together.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.namespaces.iter().map(|namespace| namespace.documents).sum()
    }
}

/// What one namespace of an archive holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSummary {
    /// The database; empty for the oplog.
    pub db: String,
    /// The collection; of a time series its own name.
    pub collection: String,
    /// What it is.
    pub kind: NamespaceKind,
    /// Documents; of a time series, buckets.
    pub documents: u64,
    /// Bytes of these documents' BSON.
    pub bytes: u64,
    /// CRC-64/XZ over these bytes, in the archive's order.
    pub crc: u64,
    /// The documents' hash, whatever their order.
    pub content_hash: ContentHash,
}
