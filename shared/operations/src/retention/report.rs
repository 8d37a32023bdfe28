//! What a run of retention came to, in numbers and in names.

use holdfast_domain::{BackupId, BackupType, RetentionReason, Timestamp};
use serde::Serialize;

use super::CollectionReport;

/// A backup that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletedBackup {
    /// The backup.
    pub backup_id: BackupId,
    /// Bytes of its objects. Where the bucket keeps versions they are freed once the versions expire.
    pub bytes: u64,
    /// Why it went.
    pub reasons: Vec<RetentionReason>,
}

/// A backup that had to go and is retained by the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedBackup {
    /// The backup.
    pub backup_id: BackupId,
    /// What keeps it.
    pub lock: String,
}

/// What became of the backups of one type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeReport {
    /// Those that were deleted, oldest first.
    pub deleted: Vec<DeletedBackup>,
    /// Those that had to go and are under a retention period or a legal hold.
    pub blocked: Vec<BlockedBackup>,
    /// How many are there after the run, blocked ones among them.
    pub retained: u64,
    /// How many of these count towards a keep.
    pub good: u64,
    /// Bytes of what was deleted.
    pub bytes_freed: u64,
    /// How many are past their limits, unlocked, and there all the same: a delete failed, or time ran out.
    pub past_limits: u64,
    /// How many good ones are missing that the policy always wants left, where there once were enough.
    pub too_few: u64,
    /// Backups whose manifest is missing though no deletion was decided, until the manifest is back or the loss is accepted.
    pub lost: Vec<BackupId>,
    /// Lost backups that this run completed again, because their manifest is back.
    pub returned: Vec<BackupId>,
    /// Why nothing was changed: the store holds fewer than half of the completed backups of the catalogue, or the policy
    /// is not confirmed since a rebuild.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<String>,
    /// Objects removed that an earlier, killed run had left.
    pub leftovers: u64,
    /// Steps that failed.
    pub problems: Vec<String>,
}

impl TypeReport {
    /// In how many ways the policy is not kept.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.past_limits + self.too_few + self.lost.len() as u64
    }
}

/// What a run of retention did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetentionReport {
    /// When it began.
    pub at: Timestamp,
    /// Database backups.
    pub database: TypeReport,
    /// Content backups.
    pub content: TypeReport,
    /// Full backups that went with their last part.
    pub full_deleted: Vec<BackupId>,
    /// Rows of items that belonged to no backup any more.
    pub item_rows_deleted: u64,
    /// Content objects that no backup refers to.
    pub collection: CollectionReport,
    /// Steps that the time ended before their end. The next run continues them.
    pub unfinished: Vec<String>,
    /// Steps that failed, beside those of one type.
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

    /// What became of the backups of this type; of a full backup its content part.
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

    /// Whether a person must decide something: a manifest is missing, or the store does not fit the catalogue.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        let needs = |of_type: &TypeReport| !of_type.lost.is_empty() || of_type.suspended.is_some();
        needs(&self.database) || needs(&self.content) || self.collection.suspended.is_some()
    }

    /// Everything that failed.
    pub fn all_problems(&self) -> impl Iterator<Item = &String> {
        [&self.database.problems, &self.content.problems, &self.collection.problems, &self.problems]
            .into_iter()
            .flatten()
    }
}
