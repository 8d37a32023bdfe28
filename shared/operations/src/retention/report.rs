//! The result of a retention run, in numbers and ids.

use holdfast_domain::{BackupId, BackupType, RetentionReason, Timestamp};
use serde::Serialize;

use super::CollectionReport;

/// A deleted backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletedBackup {
    /// The backup.
    pub backup_id: BackupId,
    /// Bytes of its objects. A bucket with versioning frees them after its versions expire.
    pub bytes: u64,
    /// The reasons for its deletion.
    pub reasons: Vec<RetentionReason>,
}

/// An expired backup, retained by the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedBackup {
    /// The backup.
    pub backup_id: BackupId,
    /// The lock on it.
    pub lock: String,
}

/// Result for the backups of one type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeReport {
    /// Deleted backups, oldest first.
    pub deleted: Vec<DeletedBackup>,
    /// Expired backups under a retention period or a legal hold.
    pub blocked: Vec<BlockedBackup>,
    /// Number of backups after the run, including blocked ones.
    pub retained: u64,
    /// Number of these that count towards a keep.
    pub good: u64,
    /// Bytes of the deleted backups.
    pub bytes_freed: u64,
    /// Number of expired, unlocked backups after the run, without returned ones. A deletion
    /// failed, or the time ended.
    pub past_limits: u64,
    /// Number of good backups missing from the policy's minimum, if the minimum was reached once.
    pub too_few: u64,
    /// Backups with a missing manifest, but without a decided deletion. They stay here until the
    /// manifest is back or the loss is accepted.
    pub lost: Vec<BackupId>,
    /// Lost backups, completed again by this run after their manifest returned.
    pub returned: Vec<BackupId>,
    /// The reason for a suspended run: the store holds fewer than half of the catalogue's
    /// completed backups, or the policy is not confirmed since a rebuild.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<String>,
    /// Number of removed objects from the deletions of killed runs.
    pub leftovers: u64,
    /// Failed steps.
    pub problems: Vec<String>,
}

impl TypeReport {
    /// Number of violations of the policy.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.past_limits + self.too_few + self.lost.len() as u64
    }
}

/// Result of a retention run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetentionReport {
    /// Time of its start.
    pub at: Timestamp,
    /// Database backups.
    pub database: TypeReport,
    /// Content backups.
    pub content: TypeReport,
    /// Full backups, deleted after their last part.
    pub full_deleted: Vec<BackupId>,
    /// Number of deleted rows of items without a backup.
    pub item_rows_deleted: u64,
    /// Result for unreferenced content objects.
    pub collection: CollectionReport,
    /// Steps interrupted by the end of the time. The next run resumes them.
    pub unfinished: Vec<String>,
    /// Failed steps of no single type.
    pub problems: Vec<String>,
}

impl RetentionReport {
    pub(super) fn new(at: Timestamp) -> Self {
        Self {
            at,
            database: TypeReport::default(),
            content: TypeReport::default(),
            full_deleted: Vec::new(),
            item_rows_deleted: 0,
            collection: CollectionReport::default(),
            unfinished: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The result for this type of backup. For a full backup it is the result of its content part.
    #[must_use]
    pub const fn of(&self, kind: BackupType) -> &TypeReport {
        match kind {
            BackupType::Database => &self.database,
            BackupType::Content | BackupType::Full => &self.content,
        }
    }

    pub(super) const fn of_mut(&mut self, kind: BackupType) -> &mut TypeReport {
        match kind {
            BackupType::Database => &mut self.database,
            BackupType::Content | BackupType::Full => &mut self.content,
        }
    }

    /// Whether an operator must decide: a manifest is missing, or the store does not match the
    /// catalogue.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        let needs = |of_type: &TypeReport| !of_type.lost.is_empty() || of_type.suspended.is_some();
        needs(&self.database) || needs(&self.content) || self.collection.suspended.is_some()
    }

    /// All failed steps.
    pub fn all_problems(&self) -> impl Iterator<Item = &String> {
        [
            &self.database.problems,
            &self.content.problems,
            &self.collection.problems,
            &self.problems,
        ]
        .into_iter()
        .flatten()
    }
}
