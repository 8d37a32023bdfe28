//! The shapes of retention.

use utoipa::ToSchema;

/// What a run of retention decides, backup by backup.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RetentionPlan {
    /// For which moment.
    #[schema(format = DateTime)]
    at: String,
    /// Why a run collects no content object: expected manifests are missing.
    #[schema(required = false)]
    collection_suspended: Option<String>,
    /// Database backups.
    database: TypePlan,
    /// Content backups.
    content: TypePlan,
}

/// What becomes of the backups of one type.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct TypePlan {
    /// Where the policy comes from.
    origin: PolicyOrigin,
    /// The policy; none keeps all.
    policy: Option<RetentionPolicy>,
    /// Why it cannot be read.
    #[schema(required = false)]
    problem: Option<String>,
    /// When the catalogue was rebuilt, if nobody has confirmed the policy since.
    #[schema(required = false, format = DateTime)]
    unconfirmed_since: Option<String>,
    /// Backups that go.
    delete: u64,
    /// Backups that stay.
    keep: u64,
    /// Bytes of those that go.
    bytes: u64,
    /// Backups whose manifest is missing though no deletion was decided. Nothing of them is deleted.
    lost: Vec<String>,
    /// Lost backups whose manifest is back: a run completes them again.
    returned: Vec<String>,
    /// Why a run changes nothing: the store holds fewer than half of the completed backups of the catalogue, or the
    /// policy is not confirmed since a rebuild. In the second case the plan is that of the settings.
    #[schema(required = false)]
    suspended: Option<String>,
    /// Every backup, newest first.
    backups: Vec<PlannedBackup>,
}

/// Where a policy comes from.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum PolicyOrigin {
    Stored,
    Settings,
    Unreadable,
    Unconfirmed,
}

/// What is past a limit goes, unless a rule keeps it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RetentionPolicy {
    /// Days since a backup was triggered.
    max_age_days: Option<u32>,
    /// The newest good ones.
    max_count: Option<u32>,
    /// Good ones that are always left.
    min_count: u32,
    /// The newest of each day, of so many days that have one.
    keep_daily: Option<u32>,
    /// The newest of each ISO week.
    keep_weekly: Option<u32>,
    /// The newest of each month.
    keep_monthly: Option<u32>,
    /// The newest of each year.
    keep_yearly: Option<u32>,
}

/// A backup, and what becomes of it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct PlannedBackup {
    /// The backup.
    backup_id: String,
    /// When it was triggered.
    #[schema(format = DateTime)]
    created_at: String,
    /// Whether it is completed, and no verification of it failed.
    is_good: bool,
    /// What becomes of it.
    verdict: Verdict,
    /// Why, a sentence each.
    reasons: Vec<String>,
    /// Bytes of its objects.
    size: u64,
}

/// What becomes of a backup.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Keep,
    Delete,
}
