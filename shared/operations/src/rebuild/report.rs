//! The result of a rebuild, or of its plan.

use holdfast_domain::{BackupId, BackupType};
use serde::Serialize;

use crate::job::late_parents::ReinstatedParent;

/// Progress of a rebuild.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RebuildProgress {
    /// Processed backups.
    pub backups: u64,
    /// Backups in the bucket.
    pub of: u64,
    /// Items read.
    pub items: u64,
}

/// The result of a rebuild, or of its plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildReport {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Backups with an added job, newest first, then full ones.
    pub added: Vec<RebuiltBackup>,
    /// Number of backups in the bucket with an existing job, in any status. It was not changed.
    pub stood: u64,
    /// Lost backups among them, completed again because their manifest is back.
    pub returned: Vec<BackupId>,
    /// Failed or cancelled jobs with a backup in the bucket, and full ones with completed parts.
    /// They are completed now.
    pub completed: Vec<BackupId>,
    /// Deleted full backups brought back, because a part is a backup again.
    pub brought_back: Vec<ReinstatedParent>,
    /// Backups with an existing job and added rows of items.
    pub filled_up: Vec<RebuiltBackup>,
    /// Number of added rows of items.
    pub items: u64,
    /// Number of sources with restored objects. Zero in a plan.
    pub sources: u64,
    /// Backups in the bucket without a new job, with the reason.
    pub unread: Vec<UnreadBackup>,
    /// Backups with a right manifest but damaged artifacts. The new job records a failed
    /// verification.
    pub damaged: Vec<DamagedBackup>,
    /// Folders without a backup and without a job.
    pub without_manifest: Vec<BackupId>,
    /// Full backups without a new job, because the bucket lacks one of their parts.
    pub parents_unknown: Vec<BackupId>,
    /// Types with suspended retention, until an operator stores a policy or confirms the settings.
    pub policies_unconfirmed: Vec<BackupType>,
    /// The problem of the repository's own file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository_problem: Option<String>,
}

impl RebuildReport {
    /// Whether everything in the bucket is readable and undamaged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.unread.is_empty() && self.damaged.is_empty() && self.repository_problem.is_none()
    }
}

/// A backup with a job in the catalogue now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuiltBackup {
    /// The backup.
    pub backup_id: BackupId,
    /// Items of its list.
    pub items: u64,
}

/// Kind of reason against a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UnreadCause {
    /// It is encrypted, and no key at hand opens it. Its manifest may be forged.
    Key,
    /// Its manifest is damaged.
    Damaged,
    /// It has a row of an invalid form.
    Row,
}

/// A backup without a new job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnreadBackup {
    /// The backup.
    pub backup_id: BackupId,
    /// The kind of reason.
    pub cause: UnreadCause,
    /// The reason.
    pub reason: String,
}

/// An existing but damaged backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DamagedBackup {
    /// The backup.
    pub backup_id: BackupId,
    /// Its problem.
    pub problem: String,
}
