//! What a rebuild did, or would do.

use holdfast_domain::{BackupId, BackupType};
use serde::Serialize;

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RebuildProgress {
    /// Backups dealt with.
    pub backups: u64,
    /// Backups in the bucket.
    pub of: u64,
    /// Items read.
    pub items: u64,
}

/// What a rebuild did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildReport {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Backups whose job was added, newest first, then full ones.
    pub added: Vec<RebuiltBackup>,
    /// Backups in the bucket whose job stood, wherever it stands, and was not changed.
    pub stood: u64,
    /// Those of them that were lost, and are completed again because their manifest is back.
    pub returned: Vec<BackupId>,
    /// Jobs that had failed or were cancelled although their backup is in the bucket: they are completed now.
    pub completed: Vec<BackupId>,
    /// Backups whose job stood, and which lacked rows of items.
    pub filled_up: Vec<RebuiltBackup>,
    /// Rows of items added.
    pub items: u64,
    /// Sources of which it is known now what is held; in a plan none.
    pub sources: u64,
    /// Backups in the bucket that got no job, and why.
    pub unread: Vec<UnreadBackup>,
    /// Backups whose manifest is right and whose artifacts are not: a new job says so, as a failed verification.
    pub damaged: Vec<DamagedBackup>,
    /// Folders that hold no backup, and that the catalogue does not know.
    pub without_manifest: Vec<BackupId>,
    /// Full backups that got no job: the bucket does not have both of their parts.
    pub parents_unknown: Vec<BackupId>,
    /// Types whose retention is suspended until an operator stores a policy or confirms the settings.
    pub policies_unconfirmed: Vec<BackupType>,
    /// What is wrong with the repository's own file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository_problem: Option<String>,
}

impl RebuildReport {
    /// Whether everything in the bucket could be read, and is as it was written.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.unread.is_empty() && self.damaged.is_empty() && self.repository_problem.is_none()
    }
}

/// A backup that the catalogue knows now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuiltBackup {
    /// The backup.
    pub backup_id: BackupId,
    /// Items of its list.
    pub items: u64,
}

/// Why a backup got no job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UnreadCause {
    /// It is encrypted, and no key at hand opens it: nobody can tell whether its manifest was made up.
    Key,
    /// Its manifest is not what was written.
    Damaged,
    /// It has a row, which is none that Holdfast writes.
    Row,
}

/// A backup that got no job.
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

/// A backup that is there and not good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DamagedBackup {
    /// The backup.
    pub backup_id: BackupId,
    /// What is wrong with it.
    pub problem: String,
}
