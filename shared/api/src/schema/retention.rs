//! The schemas of retention.

use utoipa::ToSchema;

/// The decisions of a run of retention for each backup.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RetentionPlan {
    /// Time for which the decisions hold.
    #[schema(format = DateTime)]
    at: String,
    /// Why the run deletes no content object. Present if expected manifests are missing.
    #[schema(required = false)]
    collection_suspended: Option<String>,
    /// Database backups.
    database: TypePlan,
    /// Content backups.
    content: TypePlan,
}

/// The decisions for the backups of one type.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct TypePlan {
    /// Origin of the policy.
    origin: PolicyOrigin,
    /// The policy. Null keeps all backups.
    policy: Option<RetentionPolicy>,
    /// Why the policy cannot be read.
    #[schema(required = false)]
    problem: Option<String>,
    /// Time of a catalogue rebuild. Present until an operator confirms the policy.
    #[schema(required = false, format = DateTime)]
    unconfirmed_since: Option<String>,
    /// Number of backups to delete.
    delete: u64,
    /// Number of backups to keep.
    keep: u64,
    /// Bytes of the backups to delete.
    bytes: u64,
    /// Backups whose manifest is missing although no deletion was decided. Retention deletes
    /// nothing of them.
    lost: Vec<String>,
    /// Lost backups whose manifest exists again. The run sets them back to `completed`.
    returned: Vec<String>,
    /// Why the run changes nothing. Present if the store holds fewer than half of the catalogue's
    /// completed backups, or if the policy is not confirmed since a rebuild. In the second
    /// case the plan follows the settings.
    #[schema(required = false)]
    suspended: Option<String>,
    /// Every backup, newest first.
    backups: Vec<PlannedBackup>,
}

/// Origin of a policy.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum PolicyOrigin {
    Stored,
    Settings,
    Unreadable,
    Unconfirmed,
}

/// Backups past a limit are deleted, unless a rule keeps them.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RetentionPolicy {
    /// Maximum age in days, counted from the trigger of the backup.
    max_age_days: Option<u32>,
    /// Maximum number of good backups, the newest first.
    max_count: Option<u32>,
    /// Minimum number of good backups that always stay.
    min_count: u32,
    /// Keeps the newest backup of each day, for this many days that have a backup.
    keep_daily: Option<u32>,
    /// Keeps the newest backup of each ISO week, for this many weeks that have a backup.
    keep_weekly: Option<u32>,
    /// Keeps the newest backup of each month, for this many months that have a backup.
    keep_monthly: Option<u32>,
    /// Keeps the newest backup of each year, for this many years that have a backup.
    keep_yearly: Option<u32>,
}

/// A backup and the decision about it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct PlannedBackup {
    /// ID of the backup.
    backup_id: String,
    /// When the backup was triggered.
    #[schema(format = DateTime)]
    created_at: String,
    /// Whether the backup is completed and no verification of it failed.
    is_good: bool,
    /// The decision.
    verdict: Verdict,
    /// The reasons, one sentence each.
    reasons: Vec<String>,
    /// Bytes of the backup's objects.
    size: u64,
}

/// A decision about a backup.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Keep,
    Delete,
}
