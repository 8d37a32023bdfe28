//! Dump and restore of a MongoDB database: the native engine, the official tool as a child process,
//! the restore, and their connection.
//!
//! Dumps are archives of mongodump's format (`holdfast-archive`). Documents pass through undecoded
//! in both directions. Storing an archive's bytes is the caller's task.

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
mod scratch_name;
mod values;

pub use anonymize::{
    AnonymizeReport, AnonymizeRules, Anonymizer, AppliedRule, RuleFault, RulesError, Sample,
    SecretTooShort,
};
pub use connection::{Connection, redacted_uri};
pub use content::{CollectionContent, content_hash_of};
pub use dump::{
    DumpError, DumpPlan, DumpReport, DumpSelection, DumpTrial, DumpedNamespace, Exclusion, Survey,
    dump, plan, survey, temporary_collections, try_dump, unmatched_exclusions,
};
pub use error::DatabaseError;
pub(crate) use error::classify;
pub use freshness::Freshness;
pub use items::{ContentItems, ListedItem};
pub use mongodump::{Invocation, Tool, ToolFault, ToolReport, Unfit, mongodump};
pub use restore::{
    AdjustedPart, Adjustment, Change, Comparison, Confirmation, Existing, Expected,
    ExpectedNamespace, LeftOut, MapError, NamespaceMap, OnlyCopy, Remedy, RestoreError,
    RestoreFault, RestoreOptions, RestoreProgress, RestoreReport, RestoreResult, RestoreStep,
    RestoredNamespace, ScratchCollection, TargetState, TtlIndexes, UnknownOptions, restore,
    scratch_collections,
};
