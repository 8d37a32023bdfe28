//! The statistics, figure by figure. A figure without data is absent instead of zero.

use holdfast_domain::{
    BackupId, BackupType, JobStatus, Timestamp, VerificationLevel, VerificationStatus,
};
use serde::Serialize;

use crate::measure::Stored;

/// Totals over all jobs, and statistics of each type over time. A figure without data is null.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Jobs by type and state.
    pub jobs: Vec<JobStatistics>,
    /// Percentage (0–100) of completed backups among completed and failed ones, including backups
    /// deleted since then. Null before the first.
    pub success_rate_percent: Option<f64>,
    /// Bytes stored by completed jobs. Here and below, a full backup counts as its parts.
    pub stored_bytes: u64,
    /// Bytes of completed jobs before compression and encryption.
    pub original_bytes: u64,
    /// Mean duration of a completed job in milliseconds. Null before the first.
    pub mean_duration_ms: Option<u64>,
    /// Number of backups deleted by retention.
    pub deleted_backups: u64,
    /// Verifications by level and result.
    pub verifications: Vec<VerificationStatistics>,
    /// The newest restore drill.
    pub last_drill: Option<DrillStatistics>,
    /// Deleted and kept backups.
    pub retention: RetentionStatistics,
    /// Database backups.
    pub database: TypeStatistics,
    /// Content backups.
    pub content: TypeStatistics,
}

/// The jobs of one type in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct JobStatistics {
    /// Type of the jobs.
    #[serde(rename = "type")]
    pub backup_type: BackupType,
    /// State of the jobs.
    pub status: JobStatus,
    /// Number of the jobs.
    pub count: u64,
    /// Bytes stored by the jobs.
    pub stored_bytes: u64,
}

/// The verifications of one level with one result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerificationStatistics {
    /// Level of the verifications.
    pub level: VerificationLevel,
    /// Result of the verifications.
    pub status: VerificationStatus,
    /// Number of the verifications.
    pub count: u64,
}

/// A restore drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct DrillStatistics {
    /// ID of the backup.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub backup_id: BackupId,
    /// Result of the drill.
    pub status: VerificationStatus,
    /// Time of the drill.
    pub at: Timestamp,
}

/// Deleted and kept backups, according to the jobs. Shared content objects are not included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RetentionStatistics {
    /// Number of deleted backups.
    pub deleted_backups: u64,
    /// Stored bytes of the deleted backups before their deletion.
    pub deleted_bytes: u64,
    /// Number of existing backups.
    pub kept_backups: u64,
    /// Bytes stored by the existing backups.
    pub kept_bytes: u64,
}

/// Statistics of the backups of one type.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TypeStatistics {
    /// The newest backup without a failed verification.
    pub last_good_backup: Option<GoodBackup>,
    /// When the next backup is due, by the interval of the settings. Null if backups of this type
    /// are disabled, or before the first good backup.
    pub next_due_at: Option<Timestamp>,
    /// Success rates of the jobs.
    pub success_rate: SuccessRates,
    /// Durations of the backups.
    pub durations: Durations,
    /// Stored data, according to the catalogue.
    pub stored: Stored,
    /// Bytes of the existing backups before compression and encryption.
    pub original_bytes: u64,
    /// Stored bytes as a percentage of the original bytes. Shared content objects are not included.
    /// Null for empty backups.
    pub stored_percent: Option<f64>,
    /// Growth of the newest backup in percent, compared with the backups of the week before it.
    /// Null if there are too few backups.
    pub growth_percent: Option<f64>,
}

/// A backup without a failed verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct GoodBackup {
    /// ID of the backup.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub backup_id: BackupId,
    /// When the backup was triggered. Later writes may be missing from it.
    pub created_at: Timestamp,
    /// Seconds since `createdAt`.
    pub age_seconds: u64,
}

/// Success rates over three periods.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SuccessRates {
    /// Jobs triggered in the last 7 days.
    pub last_7_days: SuccessRate,
    /// Jobs triggered in the last 30 days.
    pub last_30_days: SuccessRate,
    /// All jobs in the catalogue.
    pub all: SuccessRate,
}

/// Success rate of jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SuccessRate {
    /// Number of completed backups, including backups deleted since then.
    pub completed: u64,
    /// Number of failed jobs.
    pub failed: u64,
    /// Percentage (0–100) of completed backups among both. Null without any.
    pub percent: Option<f64>,
}

/// Durations of the backups triggered in the last 30 days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Durations {
    /// Number of backups included, at most the newest 10,000.
    pub count: u64,
    /// Duration of the newest backup.
    pub last_ms: Option<u64>,
    /// Median duration.
    pub median_ms: Option<u64>,
    /// 95th percentile of the durations.
    pub p95_ms: Option<u64>,
}
