//! What a restore is asked to do.

use holdfast_archive::ContentHash;
use holdfast_domain::Sha256Digest;

use super::{Confirmation, NamespaceMap};
use crate::{Anonymizer, Exclusion};

/// What to restore, where to, and over what.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// How namespaces are renamed.
    pub map: NamespaceMap,
    /// What to do with a target that holds something.
    pub existing: Existing,
    /// What to do with indexes that delete documents.
    pub ttl_indexes: TtlIndexes,
    /// What to do with options of collections that this version does not know.
    pub unknown_options: UnknownOptions,
    /// Find out what would be done, and write nothing.
    pub dry_run: bool,
    /// These collections alone, by their names in the archive: `collection`, or `database.collection`.
    pub only: Option<Vec<String>>,
    /// This database of the archive alone.
    pub database: Option<String>,
    /// What is never written, nor read from the archive: Holdfast's own catalogue.
    pub exclude: Vec<Exclusion>,
    /// Replaces personal data on the way. A dry run then reads the whole archive, and says what each rule would do.
    pub anonymizer: Option<Anonymizer>,
    /// Called before each target with data is dropped or replaced.
    pub confirmation: Option<Confirmation>,
}

/// What to do with a target that holds something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// Refuse the whole restore, before anything is written.
    #[default]
    Refuse,
    /// Replace it. The backup is restored into a scratch collection of the same database, compared, and given its
    /// indexes. Then the scratch collection takes the target's place. A target whose copy fails keeps what it holds.
    Drop,
    /// Drop that collection first. A restore that fails afterwards leaves less than there was.
    DropFirst,
    /// Add to it: documents whose `_id` is there already stay as they are, and are counted.
    Merge,
}

/// What to do with TTL indexes, and with `expireAfterSeconds` of a collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TtlIndexes {
    /// Create them, after everything else.
    #[default]
    Keep,
    /// Leave them out, so that nothing expires: for drills.
    Omit,
}

/// What to do with options of collections that this version does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnknownOptions {
    /// Pass them to the server. A collection that it refuses for them is not restored.
    #[default]
    Pass,
    /// Restore without them.
    LeaveOut,
}

/// What the archive must hold, as its manifest says.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// Every namespace of it.
    pub namespaces: &'a [ExpectedNamespace],
    /// Makes of a content hash what the manifest holds: the hash itself, or keyed where the backup is encrypted.
    pub digest: &'a (dyn Fn(ContentHash) -> Sha256Digest + Sync),
}

/// What one namespace must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedNamespace {
    /// The database, as in the archive.
    pub db: String,
    /// The collection, as in the archive.
    pub collection: String,
    /// Documents; of a time series, buckets.
    pub documents: u64,
    /// Its content hash as the manifest has it.
    pub content_hash: Sha256Digest,
}
