//! The statistics, figure by figure. A figure without data is absent instead of zero.

use holdfast_domain::{
    BackupId, BackupType, JobStatus, Timestamp, VerificationLevel, VerificationStatus,
};
use serde::Serialize;

use crate::measure::Stored;

/// Sums over all jobs, and the history of each type.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Jobs of each type in each status.
    pub jobs: Vec<JobStatistics>,
    /// Percentage of backups, including deleted ones, among all completed and failed jobs, 0–100.
    /// `None` before the first.
    pub success_rate_percent: Option<f64>,
    /// Bytes stored by completed jobs.
    pub stored_bytes: u64,
    /// Their bytes before compression and encryption.
    pub original_bytes: u64,
    /// Mean duration of a completed job. `None` before the first.
    pub mean_duration_ms: Option<u64>,
    /// Number of backups deleted by retention.
    pub deleted_backups: u64,
    /// Verifications by level and result.
    pub verifications: Vec<VerificationStatistics>,
    /// The newest restore drill.
    pub last_drill: Option<DrillStatistics>,
    /// Deleted and kept backups of retention.
    pub retention: RetentionStatistics,
    /// Database backups.
    pub database: TypeStatistics,
    /// Content backups.
    pub content: TypeStatistics,
}

/// The jobs of one type in one status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStatistics {
    /// Their type.
    #[serde(rename = "type")]
    pub backup_type: BackupType,
    /// Their status.
    pub status: JobStatus,
    /// Their number.
    pub count: u64,
    /// Bytes stored by all of them.
    pub stored_bytes: u64,
}

/// The verifications of one level with one result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerificationStatistics {
    /// Their depth.
    pub level: VerificationLevel,
    /// Their result.
    pub status: VerificationStatus,
    /// Their number.
    pub count: u64,
}

/// A restore drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrillStatistics {
    /// Its backup.
    pub backup_id: BackupId,
    /// Its result.
    pub status: VerificationStatus,
    /// Its time.
    pub at: Timestamp,
}

/// Deleted and kept backups, by the jobs' rows. For content without the shared objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetentionStatistics {
    /// Number of deleted backups.
    pub deleted_backups: u64,
    /// Their stored bytes.
    pub deleted_bytes: u64,
    /// Number of kept backups.
    pub kept_backups: u64,
    /// Their stored bytes.
    pub kept_bytes: u64,
}

/// The history of the backups of one type.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeStatistics {
    /// The newest backup without a failed verification.
    pub last_good_backup: Option<GoodBackup>,
    /// Due time of the next backup, by the interval of the settings. `None` if the type is
    /// disabled, or before the first good backup.
    pub next_due_at: Option<Timestamp>,
    /// Proportion of jobs with a backup.
    pub success_rate: SuccessRates,
    /// Durations of backups.
    pub durations: Durations,
    /// Stored data, by the catalogue.
    pub stored: Stored,
    /// Bytes of those backups before compression and encryption.
    pub original_bytes: u64,
    /// Stored bytes in percent of the original bytes. For content without the objects. `None` for
    /// empty backups.
    pub stored_percent: Option<f64>,
    /// Growth of the newest backup in percent, compared with those of the week before it. `None`
    /// before there are enough.
    pub growth_percent: Option<f64>,
}

/// A reliable backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GoodBackup {
    /// Its id.
    pub backup_id: BackupId,
    /// Time of its trigger. Later writes are not in it.
    pub created_at: Timestamp,
    /// Seconds since then.
    pub age_seconds: u64,
}

/// Proportion of jobs with a backup, over three periods.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SuccessRates {
    /// Triggered in the last 7 days.
    pub last_7_days: SuccessRate,
    /// Triggered in the last 30 days.
    pub last_30_days: SuccessRate,
    /// All in the catalogue.
    pub all: SuccessRate,
}

/// Proportion of jobs with a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SuccessRate {
    /// Number of completed jobs.
    pub completed: u64,
    /// Number of failed jobs.
    pub failed: u64,
    /// Completed in percent of both, 0–100. `None` without any.
    pub percent: Option<f64>,
}

/// Durations of the backups triggered in the last 30 days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Durations {
    /// Their number: the newest 10,000 at most.
    pub count: u64,
    /// The newest.
    pub last_ms: Option<u64>,
    /// Half took no longer.
    pub median_ms: Option<u64>,
    /// Nineteen in twenty took no longer.
    pub p95_ms: Option<u64>,
}
