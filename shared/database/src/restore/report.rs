//! What a restore did, and how it can fail.

use std::{fmt, io};

use holdfast_archive::{NamespaceKind, WalkError};
use serde::Serialize;

use super::Adjustment;
use crate::{AnonymizeReport, DatabaseError};

/// What a restore did; of a dry run, what it would do.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreReport {
    /// Nothing was written.
    pub dry_run: bool,
    /// In the archive's order.
    pub namespaces: Vec<RestoredNamespace>,
    /// Of a dry run: targets that hold something, for which the restore would be refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub in_the_way: Vec<String>,
    /// What of the archive was not to be restored.
    pub left_out: Vec<LeftOut>,
    /// Scratch collections of earlier restores that were killed. They were dropped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed_scratch: Vec<String>,
    /// What the rules did, where there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymized: Option<AnonymizeReport>,
}

/// One collection, view or time series that was restored.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredNamespace {
    /// `database.collection` in the archive.
    pub from: String,
    /// `database.collection` that it was restored to.
    pub to: String,
    /// What it is.
    pub kind: NamespaceKind,
    /// What was found in its place.
    pub target: TargetState,
    /// The kind of what was found in its place, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<NamespaceKind>,
    /// What became of the target.
    pub result: RestoreResult,
    /// Documents in the archive; of a time series, buckets.
    pub documents: u64,
    /// Documents written.
    pub inserted: u64,
    /// Documents whose `_id` was there already.
    pub skipped: u64,
    /// Indexes that are there now, `_id` left aside.
    pub indexes: Vec<String>,
    /// Whether what is there now is what the archive holds, and that what the manifest says.
    pub comparison: Comparison,
    /// In what its definition differs from the archive's, on purpose.
    pub adjustments: Vec<Adjustment>,
    /// Options, indexes and definitions that are not as in the archive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub structure: Vec<String>,
    /// What was changed or left out on purpose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What did not work.
    pub failures: Vec<String>,
}

/// What became of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RestoreResult {
    /// Nothing: a dry run.
    Planned,
    /// It holds what the archive holds; of a merge, that too.
    Restored,
    /// It is as it was before the restore.
    Kept,
    /// It was written to, and is not what the archive holds.
    Incomplete,
}

impl RestoredNamespace {
    /// Whether everything worked, and nothing that was compared differs.
    #[must_use]
    pub fn is_faithful(&self) -> bool {
        self.failures.is_empty() && self.structure.is_empty() && !matches!(self.comparison, Comparison::Differs(_))
    }
}

/// What was found where a namespace goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state", content = "documents")]
pub enum TargetState {
    /// Nothing.
    Absent,
    /// The same, without documents; or the very same view.
    Empty,
    /// So many documents, which were dropped first.
    Dropped(u64),
    /// So many documents, whose place the restored ones take once they are proved.
    Replaced(u64),
    /// So many documents, which stay.
    Merged(u64),
    /// So many documents, or none and another definition. A restore is refused because of them.
    InTheWay(u64),
}

/// The outcome of comparing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "outcome", content = "difference")]
pub enum Comparison {
    /// There was nothing to compare: a dry run, a view, or a merge.
    NotDone,
    /// Count and content hash are the same.
    Equal,
    /// The archive is what the manifest says, and the target holds, document for document, what the rules made of it.
    Anonymized,
    /// They are not, and in what.
    Differs(String),
}

/// A namespace of the archive that was not restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// `database.collection` in the archive.
    pub namespace: String,
    /// Why.
    pub reason: String,
}

/// How far a restore has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreProgress {
    /// What is being done.
    pub step: RestoreStep,
    /// Documents written so far; while comparing, read back.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a restore is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RestoreStep {
    /// The stored bytes are read and checked as a whole, before the first write.
    Authenticating,
    /// Documents are being written.
    Inserting,
    /// What was written is read back.
    Comparing,
    /// Indexes and views are being made.
    Indexing,
}

impl RestoreReport {
    /// Whether everything worked, and nothing that was compared differs.
    #[must_use]
    pub fn is_faithful(&self) -> bool {
        self.in_the_way.is_empty() && self.namespaces.iter().all(RestoredNamespace::is_faithful)
    }

    /// Documents written.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.namespaces.iter().map(|namespace| namespace.inserted).sum()
    }
}

/// A restore that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub struct RestoreError {
    /// Why.
    #[source]
    pub cause: RestoreFault,
    /// The targets that are incomplete now. Empty if no target was written to; scratch collections are no targets.
    pub incomplete: Vec<String>,
}

/// Why a restore did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreFault {
    /// Targets hold something already.
    #[error(
        "these targets are not empty: {}; replace each of them (--drop), keep what they hold and add to it (--merge), \
         or restore under other names (--ns-from, --ns-to)",
        .0.join(", ")
    )]
    NotEmpty(Vec<String>),
    /// The archive does not hold what was named.
    #[error("{0}")]
    Absent(String),
    /// What was asked cannot be done.
    #[error("{0}")]
    Invalid(String),
    /// Rules for anonymising turned out not to fit the archive. What they did not reach may stand in the target as it
    /// was.
    #[error("the rules do not fit the archive: {0}")]
    Rules(String),
    /// The archive is not whole, or not an archive.
    #[error("the archive is refused: {0}")]
    Archive(WalkError),
    /// What the archive is read from failed: a file, a store, or the check of what came from it.
    #[error("the archive could not be read: {0}")]
    Source(io::Error),
    /// The target failed.
    #[error("{0}")]
    Database(#[from] DatabaseError),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        if self.incomplete.is_empty() {
            return f.write_str("; nothing was written, no target was changed");
        }
        write!(
            f,
            "; incomplete now, and without indexes: {}. Run the restore again with --drop: it replaces these \
             collections and no others",
            self.incomplete.join(", ")
        )
    }
}

impl From<RestoreFault> for RestoreError {
    fn from(cause: RestoreFault) -> Self {
        Self { cause, incomplete: Vec::new() }
    }
}

impl From<DatabaseError> for RestoreError {
    fn from(error: DatabaseError) -> Self {
        RestoreFault::from(error).into()
    }
}
