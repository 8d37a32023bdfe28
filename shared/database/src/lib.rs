//! How a MongoDB database is dumped and restored: the native engine, the official tool as a child, the restore, and the
//! connection they use.
//!
//! Dumps are archives of mongodump's format (`holdfast-archive`); documents pass through undecoded in both directions.
//! What becomes of an archive's bytes is the caller's.

mod anonymize;
mod connection;
mod content;
mod denied;
mod dump;
mod error;
mod freshness;
mod items;
mod listing;
mod mongodump;
mod raw;
mod reading;
mod restore;
mod rights;
mod values;

pub use anonymize::{
    AnonymizeReport, AnonymizeRules, Anonymizer, AppliedRule, RuleFault, RulesError, Sample, SecretTooShort,
};
pub use connection::{Connection, redacted_uri};
pub use content::{CollectionContent, content_hash_of};
pub use dump::{
    DumpError, DumpPlan, DumpReport, DumpSelection, DumpTrial, DumpedNamespace, Exclusion, Survey, dump, plan, survey,
    temporary_collections, try_dump, unmatched_exclusions,
};
pub use error::{DatabaseError, classify};
pub use freshness::Freshness;
pub use items::{ContentItems, ListedItem, MAX_TITLE_CHARACTERS, MAX_URL_BYTES};
pub use mongodump::{Invocation, Tool, ToolFault, ToolReport, Unfit, mongodump};
pub use restore::{
    AdjustedPart, Adjustment, Change, Comparison, Confirmation, Existing, Expected, ExpectedNamespace, LeftOut,
    MapError, NamespaceMap, OnlyCopy, Remedy, RestoreError, RestoreFault, RestoreOptions, RestoreProgress,
    RestoreReport, RestoreResult, RestoreStep, RestoredNamespace, ScratchCollection, TargetState, TtlIndexes,
    UnknownOptions, restore, scratch_collections,
};
