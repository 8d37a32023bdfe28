//! Options of a restore.

use holdfast_archive::ContentHash;
use holdfast_domain::Sha256Digest;

use super::{Confirmation, NamespaceMap};
use crate::{Anonymizer, Exclusion};

/// Source, targets and behaviour of a restore.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// The rules for renaming namespaces.
    pub map: NamespaceMap,
    /// Behaviour for a target with content.
    pub existing: Existing,
    /// Behaviour for indexes that delete documents.
    pub ttl_indexes: TtlIndexes,
    /// Behaviour for unknown options of collections.
    pub unknown_options: UnknownOptions,
    /// Only plan, without a write.
    pub dry_run: bool,
    /// Only these collections, by their names in the archive: `collection`, or
    /// `database.collection`.
    pub only: Option<Vec<String>>,
    /// Only this database of the archive.
    pub database: Option<String>,
    /// Collections never written, nor read from the archive: Holdfast's own catalogue.
    pub exclude: Vec<Exclusion>,
    /// Replaces personal data on the way. A dry run then reads the complete archive, and reports
    /// the results of each rule.
    pub anonymizer: Option<Anonymizer>,
    /// Called before each target with data is dropped or replaced.
    pub confirmation: Option<Confirmation>,
}

/// Behaviour for a target with content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// Refuse the complete restore, before the first write.
    #[default]
    Refuse,
    /// Replace it. The backup is restored into a scratch collection of the same database, compared,
    /// and indexed. Then the scratch collection replaces the target. If the copy fails, the
    /// target keeps its content.
    Drop,
    /// Drop the collection first. A later failure of the restore loses content.
    DropFirst,
    /// Add to it: documents with an existing `_id` stay unchanged, and are counted.
    Merge,
}

/// Behaviour for TTL indexes, and for `expireAfterSeconds` of a collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TtlIndexes {
    /// Create them, after everything else.
    #[default]
    Keep,
    /// Leave them out, so that documents never expire: for drills.
    Omit,
}

/// Behaviour for unknown options of collections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnknownOptions {
    /// Pass them to the server. If the server refuses them, the collection is not restored.
    #[default]
    Pass,
    /// Restore without them.
    LeaveOut,
}

/// The expected content of the archive, from its manifest.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// All its namespaces.
    pub namespaces: &'a [ExpectedNamespace],
    /// Converts a content hash to the manifest's value: the hash itself, or keyed for an encrypted
    /// backup.
    pub digest: &'a (dyn Fn(ContentHash) -> Sha256Digest + Sync),
}

/// The expected content of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedNamespace {
    /// The database, as in the archive.
    pub db: String,
    /// The collection, as in the archive.
    pub collection: String,
    /// Documents. For a time series, buckets.
    pub documents: u64,
    /// Its content hash in the manifest.
    pub content_hash: Sha256Digest,
}
