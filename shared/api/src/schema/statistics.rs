//! The schemas of statistics.

use utoipa::ToSchema;

use super::{BackupType, JobStatus, VerificationLevel, VerificationStatus};

/// Totals over all jobs, and statistics of each type over time. A figure without data is null.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Statistics {
    /// Jobs by type and state.
    jobs: Vec<JobStatistics>,
    /// Percentage (0–100) of completed backups among completed and failed ones, including backups
    /// deleted since then. Null before the first.
    success_rate_percent: Option<f64>,
    /// Bytes stored by completed jobs. Here and below, a full backup counts as its parts.
    stored_bytes: u64,
    /// Bytes of completed jobs before compression and encryption.
    original_bytes: u64,
    /// Mean duration of a completed job. Null before the first.
    mean_duration_ms: Option<u64>,
    /// Number of backups that retention deleted.
    deleted_backups: u64,
    /// Verifications by level and result.
    verifications: Vec<VerificationStatistics>,
    /// The newest restore drill.
    last_drill: Option<DrillStatistics>,
    /// Deleted and kept backups.
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
    /// Type of the jobs.
    r#type: BackupType,
    /// State of the jobs.
    status: JobStatus,
    /// Number of entries.
    count: u64,
    /// Bytes stored by these jobs.
    stored_bytes: u64,
}

/// The verifications of one level with one result.
#[derive(ToSchema)]
pub(crate) struct VerificationStatistics {
    /// Level of the verifications.
    level: VerificationLevel,
    /// Result of the verifications.
    status: VerificationStatus,
    /// Number of entries.
    count: u64,
}

/// A restore drill.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct DrillStatistics {
    /// ID of the backup.
    backup_id: String,
    /// Result of the drill.
    status: VerificationStatus,
    /// Time of the drill.
    #[schema(format = DateTime)]
    at: String,
}

/// Deleted and kept backups, according to the jobs. Shared content objects are not included.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RetentionStatistics {
    /// Number of deleted backups.
    deleted_backups: u64,
    /// Bytes that the deleted backups had stored.
    deleted_bytes: u64,
    /// Number of existing backups.
    kept_backups: u64,
    /// Bytes stored by the existing backups.
    kept_bytes: u64,
}

/// Statistics of the backups of one type.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct TypeStatistics {
    /// The newest backup without a failed verification.
    last_good_backup: Option<GoodBackup>,
    /// When the next backup is due, according to the configured interval. Null if backups of this
    /// type are disabled, or before the first good backup.
    #[schema(format = DateTime)]
    next_due_at: Option<String>,
    /// Success rates of the jobs.
    success_rate: SuccessRates,
    /// Durations of the backups.
    durations: Durations,
    /// Stored data, according to the catalogue.
    stored: Stored,
    /// Bytes of the existing backups before compression and encryption.
    original_bytes: u64,
    /// Stored bytes as a percentage of the original bytes. Shared content objects are not
    /// included.
    stored_percent: Option<f64>,
    /// Percentage by which the newest backup is larger than the backups of the week before it.
    /// Null if there are too few backups.
    growth_percent: Option<f64>,
}

/// A backup without a failed verification.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct GoodBackup {
    /// ID of the backup.
    backup_id: String,
    /// When the backup was triggered. It may lack writes after this time.
    #[schema(format = DateTime)]
    created_at: String,
    /// Seconds since `createdAt`.
    age_seconds: u64,
}

/// Success rates over three periods.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SuccessRates {
    /// Jobs triggered in the last 7 days.
    #[schema(rename = "last7Days")]
    last_7_days: SuccessRate,
    /// Jobs triggered in the last 30 days.
    #[schema(rename = "last30Days")]
    last_30_days: SuccessRate,
    /// All jobs in the catalogue.
    all: SuccessRate,
}

/// Success rate of jobs.
#[derive(ToSchema)]
pub(crate) struct SuccessRate {
    /// Number of completed backups, including backups deleted since then.
    completed: u64,
    /// Number of failed jobs.
    failed: u64,
    /// Percentage of completed backups among both, 0–100.
    percent: Option<f64>,
}

/// Durations of the backups triggered in the last 30 days.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Durations {
    /// Number of backups included, at most the newest 10,000.
    count: u64,
    /// Duration of the newest backup.
    last_ms: Option<u64>,
    /// Median duration.
    median_ms: Option<u64>,
    /// 95th percentile of the duration.
    p95_ms: Option<u64>,
}

/// Stored data of one type, according to the rows of jobs and of sources with stored files.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Stored {
    /// Number of existing backups.
    backups: u64,
    /// Bytes of the backups' own artifacts: dumps, or item lists and archives.
    backup_bytes: u64,
    /// Number of content objects, which backups share. Null if there are too many to count in
    /// time.
    objects: Option<u64>,
    /// Bytes of the content objects.
    object_bytes: Option<u64>,
}
