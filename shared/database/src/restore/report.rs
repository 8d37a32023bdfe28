//! The result of a restore, and its failures.

use std::{fmt, io};

use holdfast_archive::{NamespaceKind, WalkError};
use serde::Serialize;

use super::Adjustment;
use crate::{AnonymizeReport, DatabaseError};

/// The result of a restore. For a dry run, the expected result.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreReport {
    /// Nothing was written.
    pub dry_run: bool,
    /// In the archive's order.
    pub namespaces: Vec<RestoredNamespace>,
    /// For a dry run: targets with content. A restore would be refused because of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub in_the_way: Vec<String>,
    /// The parts of the archive left out.
    pub left_out: Vec<LeftOut>,
    /// Dropped scratch collections of earlier, killed restores.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed_scratch: Vec<String>,
    /// Results of the rules, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymized: Option<AnonymizeReport>,
}

/// One restored collection, view or time series.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoredNamespace {
    /// `database.collection` in the archive.
    pub from: String,
    /// Target `database.collection`.
    pub to: String,
    /// Kind of the namespace.
    pub kind: NamespaceKind,
    /// The earlier content of the target.
    pub target: TargetState,
    /// The earlier kind of the target, if it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<NamespaceKind>,
    /// The result for the target.
    pub result: RestoreResult,
    /// Documents in the archive. For a time series, buckets.
    pub documents: u64,
    /// Documents written.
    pub inserted: u64,
    /// Documents with an existing `_id`.
    pub skipped: u64,
    /// Names of the present indexes, except that of `_id`.
    pub indexes: Vec<String>,
    /// Result of comparing the target with the archive, and the archive with the manifest.
    pub comparison: Comparison,
    /// Intended differences from the archive's definition.
    pub adjustments: Vec<Adjustment>,
    /// Unintended differences of options, indexes and definitions from the archive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub structure: Vec<String>,
    /// Intended changes and omissions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Failures.
    pub failures: Vec<String>,
}

/// The result for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RestoreResult {
    /// None: a dry run.
    Planned,
    /// It has the archive's content. After a merge, in addition to its own.
    Restored,
    /// It is unchanged.
    Kept,
    /// It was written to, but does not have the archive's content.
    Incomplete,
}

impl RestoredNamespace {
    /// Whether there was no failure and no difference.
    #[must_use]
    pub fn is_faithful(&self) -> bool {
        self.failures.is_empty()
            && self.structure.is_empty()
            && !matches!(self.comparison, Comparison::Differs(_))
    }
}

/// The earlier content of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state", content = "documents")]
pub enum TargetState {
    /// Nothing.
    Absent,
    /// The same, without documents. Or an equal view.
    Empty,
    /// This many documents, dropped first.
    Dropped(u64),
    /// This many documents, replaced by the restored ones after their proof.
    Replaced(u64),
    /// This many kept documents.
    Merged(u64),
    /// This many documents, or another definition without documents. The restore is refused because
    /// of them.
    InTheWay(u64),
}

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "outcome", content = "difference")]
pub enum Comparison {
    /// No comparison: a dry run, a view, or a merge.
    NotDone,
    /// Count and content hash are the same.
    Equal,
    /// The archive equals its manifest, and the target has exactly the documents after the rules.
    Anonymized,
    /// The difference.
    Differs(String),
}

/// An omitted namespace of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// `database.collection` in the archive.
    pub namespace: String,
    /// Why.
    pub reason: String,
}

/// Progress of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreProgress {
    /// The present step.
    pub step: RestoreStep,
    /// Documents written so far. During the comparison, documents read back.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A step of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RestoreStep {
    /// The stored bytes are read and authenticated completely, before the first write.
    Authenticating,
    /// Documents are being written.
    Inserting,
    /// The written documents are read back.
    Comparing,
    /// Indexes and views are being created.
    Indexing,
}

impl RestoreReport {
    /// Whether there was no failure and no difference.
    #[must_use]
    pub fn is_faithful(&self) -> bool {
        self.in_the_way.is_empty() && self.namespaces.iter().all(RestoredNamespace::is_faithful)
    }

    /// Documents written.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.namespaces
            .iter()
            .map(|namespace| namespace.inserted)
            .sum()
    }
}

/// An incomplete restore.
#[derive(Debug, thiserror::Error)]
pub struct RestoreError {
    /// Why.
    #[source]
    pub cause: RestoreFault,
    /// The targets left incomplete. Empty if no target was written to. Scratch collections are not
    /// listed.
    pub incomplete: Vec<String>,
}

/// Reason for an incomplete restore.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreFault {
    /// Targets have content.
    #[error(
        "these targets are not empty: {}. Replace each of them (--drop), add to their content (--merge), or restore \
         under other names (--ns-from, --ns-to)",
        .0.join(", ")
    )]
    NotEmpty(Vec<String>),
    /// A requested name is not in the archive.
    #[error("{0}")]
    Absent(String),
    /// An impossible request.
    #[error("{0}")]
    Invalid(String),
    /// The caller refused to drop or replace a target, because nothing protects the backup any
    /// more. Targets dropped before are incomplete.
    #[error("{0}. Restore a newer backup")]
    Unprotected(String),
    /// The anonymising rules do not fit the archive. Original values may remain in the target.
    #[error("the rules do not fit the archive: {0}")]
    Rules(String),
    /// The archive is incomplete, damaged, or not an archive.
    #[error("the archive is refused: {0}")]
    Archive(WalkError),
    /// The archive's source failed: a file, a store, or the authentication of its bytes.
    #[error("cannot read the archive: {0}")]
    Source(io::Error),
    /// The target failed.
    #[error("{0}")]
    Database(#[from] DatabaseError),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        if self.incomplete.is_empty() {
            return f.write_str(". Nothing was written, no target was changed");
        }
        write!(
            f,
            ". Incomplete now, and without indexes: {}",
            self.incomplete.join(", ")
        )?;
        match self.cause {
            // This backup cannot complete them.
            RestoreFault::Unprotected(_) => Ok(()),
            _ => f.write_str(
                ". Run the restore again with --drop: it replaces these collections and no others",
            ),
        }
    }
}

impl From<RestoreFault> for RestoreError {
    fn from(cause: RestoreFault) -> Self {
        Self {
            cause,
            incomplete: Vec::new(),
        }
    }
}

impl From<DatabaseError> for RestoreError {
    fn from(error: DatabaseError) -> Self {
        RestoreFault::from(error).into()
    }
}
