//! The shapes of statistics.

use utoipa::ToSchema;

use super::{BackupType, JobStatus, VerificationLevel, VerificationStatus};

/// Sums over all jobs, and how each type did over time. A figure that there is nothing to make of is null.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Statistics {
    /// Jobs of each type in each state.
    jobs: Vec<JobStatistics>,
    /// Backups, deleted since or not, of all that were completed or failed, 0–100; none before the first.
    success_rate_percent: Option<f64>,
    /// Bytes stored by completed jobs; a full backup's parts stand for it, here and below.
    stored_bytes: u64,
    /// Bytes that they hold before compression and encryption.
    original_bytes: u64,
    /// Mean duration of a completed job; none before the first.
    mean_duration_ms: Option<u64>,
    /// Backups that retention has deleted.
    deleted_backups: u64,
    /// Verifications by level and result.
    verifications: Vec<VerificationStatistics>,
    /// The newest restore drill.
    last_drill: Option<DrillStatistics>,
    /// What retention deleted and left.
    retention: RetentionStatistics,
    /// Database backups.
    database: TypeStatistics,
    /// Content backups.
    content: TypeStatistics,
}

/// The jobs of one type in one state.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct JobStatistics {
    /// Their type.
    r#type: BackupType,
    /// Their state.
    status: JobStatus,
    /// How many they are.
    count: u64,
    /// Bytes stored by all of them.
    stored_bytes: u64,
}

/// The verifications of one level with one result.
#[derive(ToSchema)]
pub(crate) struct VerificationStatistics {
    /// How deep they went.
    level: VerificationLevel,
    /// What they found.
    status: VerificationStatus,
    /// How many they are.
    count: u64,
}

/// A restore drill.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct DrillStatistics {
    /// Of which backup.
    backup_id: String,
    /// What it found.
    status: VerificationStatus,
    /// When.
    #[schema(format = DateTime)]
    at: String,
}

/// What retention deleted and left, by the jobs' rows: of content without the objects, which backups share.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RetentionStatistics {
    /// Backups that were deleted.
    deleted_backups: u64,
    /// Bytes that those had stored.
    deleted_bytes: u64,
    /// Backups that are there.
    kept_backups: u64,
    /// Bytes that those store.
    kept_bytes: u64,
}

/// How the backups of one type did.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct TypeStatistics {
    /// The newest backup that no verification found damaged.
    last_good_backup: Option<GoodBackup>,
    /// When the next one is due, by the interval of the settings; none if it is switched off, or before the first good backup.
    #[schema(format = DateTime)]
    next_due_at: Option<String>,
    /// How many of the jobs became a backup.
    success_rate: SuccessRates,
    /// How long backups take.
    durations: Durations,
    /// What is stored, by the catalogue.
    stored: Stored,
    /// Bytes of the backups that are there, before compression and encryption.
    original_bytes: u64,
    /// Bytes stored by those of what they hold, in percent: of content without the objects.
    stored_percent: Option<f64>,
    /// By how many percent the newest backup is larger than those of the week before it; none before there are enough.
    growth_percent: Option<f64>,
}

/// A backup that can be relied on.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct GoodBackup {
    /// Which.
    backup_id: String,
    /// When it was triggered: what was written later is not in it.
    #[schema(format = DateTime)]
    created_at: String,
    /// Seconds since then.
    age_seconds: u64,
}

/// How many jobs became a backup, over three spans.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SuccessRates {
    /// Triggered in the last 7 days.
    #[schema(rename = "last7Days")]
    last_7_days: SuccessRate,
    /// Triggered in the last 30 days.
    #[schema(rename = "last30Days")]
    last_30_days: SuccessRate,
    /// All that the catalogue knows.
    all: SuccessRate,
}

/// How many jobs became a backup.
#[derive(ToSchema)]
pub(crate) struct SuccessRate {
    /// Those that did, deleted since or not.
    completed: u64,
    /// Those that failed.
    failed: u64,
    /// The first of both, 0–100.
    percent: Option<f64>,
}

/// How long the backups took that were triggered in the last 30 days.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Durations {
    /// How many they are: the newest 10,000 at most.
    count: u64,
    /// The newest.
    last_ms: Option<u64>,
    /// Half took no longer.
    median_ms: Option<u64>,
    /// Nineteen in twenty took no longer.
    p95_ms: Option<u64>,
}

/// What is stored of one type, by the rows of jobs and of the sources whose files are held.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Stored {
    /// Backups that are there.
    backups: u64,
    /// Bytes of their own artifacts: dumps, or lists and archives.
    backup_bytes: u64,
    /// Content objects, which backups share; null where there are too many to be counted in time.
    objects: Option<u64>,
    /// Bytes of those.
    object_bytes: Option<u64>,
}
