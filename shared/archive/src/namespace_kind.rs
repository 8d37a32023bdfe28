//! The kinds of namespaces, and their names in archives.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kind of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// Documents and indexes.
    #[default]
    Collection,
    /// A definition. Its block has no documents.
    View,
    /// Its documents are its buckets, as the server stores them.
    Timeseries,
    /// The oplog entries of a dump with `--oplog`: the namespace `oplog` of no database.
    Oplog,
    /// An unknown type.
    Other,
}

impl NamespaceKind {
    /// `collection`, `view`, `timeseries`, `oplog` or `other`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::View => "view",
            Self::Timeseries => "timeseries",
            Self::Oplog => "oplog",
            Self::Other => "other",
        }
    }

    /// The kind with this name in an archive or a metadata text. The oplog has no name there.
    pub(crate) fn from_archive(text: &str) -> Self {
        let known = [Self::Collection, Self::View, Self::Timeseries];
        known
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .unwrap_or(Self::Other)
    }

    /// The kind's name in an archive or a metadata text.
    pub(crate) const fn in_archive(self) -> &'static str {
        match self {
            Self::Oplog => "",
            kind => kind.as_str(),
        }
    }
}

impl fmt::Display for NamespaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
