//! What statistics are, figure by figure. Where there is nothing to make one of, it is absent and no number.

use holdfast_domain::{BackupId, BackupType, JobStatus, Timestamp, VerificationLevel, VerificationStatus};
use serde::Serialize;

use crate::measure::Stored;

/// Sums over all jobs, and how each type did over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Jobs of each type in each state.
    pub jobs: Vec<JobStatistics>,
    /// Backups, deleted since or not, of all that were completed or failed, 0–100; none before the first.
    pub success_rate_percent: Option<f64>,
    /// Bytes stored by completed jobs.
    pub stored_bytes: u64,
    /// Bytes that they hold before compression and encryption.
    pub original_bytes: u64,
    /// Mean duration of a completed job; none before the first.
    pub mean_duration_ms: Option<u64>,
    /// Backups that retention has deleted.
    pub deleted_backups: u64,
    /// Verifications by level and result.
    pub verifications: Vec<VerificationStatistics>,
    /// The newest restore drill.
    pub last_drill: Option<DrillStatistics>,
    /// What retention deleted and left.
    pub retention: RetentionStatistics,
    /// Database backups.
    pub database: TypeStatistics,
    /// Content backups.
    pub content: TypeStatistics,
}

/// The jobs of one type in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStatistics {
    /// Their type.
    #[serde(rename = "type")]
    pub backup_type: BackupType,
    /// Their state.
    pub status: JobStatus,
    /// How many they are.
    pub count: u64,
    /// Bytes stored by all of them.
    pub stored_bytes: u64,
}

/// The verifications of one level with one result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerificationStatistics {
    /// How deep they went.
    pub level: VerificationLevel,
    /// What they found.
    pub status: VerificationStatus,
    /// How many they are.
    pub count: u64,
}

/// A restore drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrillStatistics {
    /// Of which backup.
    pub backup_id: BackupId,
    /// What it found.
    pub status: VerificationStatus,
    /// When.
    pub at: Timestamp,
}

/// What retention deleted and left, by the jobs' rows: of content without the objects, which backups share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetentionStatistics {
    /// Backups that were deleted.
    pub deleted_backups: u64,
    /// Bytes that those had stored.
    pub deleted_bytes: u64,
    /// Backups that are there.
    pub kept_backups: u64,
    /// Bytes that those store.
    pub kept_bytes: u64,
}

/// How the backups of one type did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeStatistics {
    /// The newest backup that no verification found damaged.
    pub last_good_backup: Option<GoodBackup>,
    /// When the next one is due, by the interval of the settings; none if it is switched off, or before the first good backup.
    pub next_due_at: Option<Timestamp>,
    /// How many of the jobs became a backup.
    pub success_rate: SuccessRates,
    /// How long backups take.
    pub durations: Durations,
    /// What is stored, by the catalogue.
    pub stored: Stored,
    /// Bytes of those backups before compression and encryption.
    pub original_bytes: u64,
    /// Bytes stored by backups of what they hold, in percent: of content without the objects. None where they hold nothing.
    pub stored_percent: Option<f64>,
    /// By how many percent the newest backup is larger than those of the week before it; none before there are enough.
    pub growth_percent: Option<f64>,
}

/// A backup that can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GoodBackup {
    /// Which.
    pub backup_id: BackupId,
    /// When it was triggered: what was written later is not in it.
    pub created_at: Timestamp,
    /// Seconds since then.
    pub age_seconds: u64,
}

/// How many jobs became a backup, over three spans.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SuccessRates {
    /// Triggered in the last 7 days.
    pub last_7_days: SuccessRate,
    /// Triggered in the last 30 days.
    pub last_30_days: SuccessRate,
    /// All that the catalogue knows.
    pub all: SuccessRate,
}

/// How many jobs became a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SuccessRate {
    /// Those that did.
    pub completed: u64,
    /// Those that failed.
    pub failed: u64,
    /// The first of both, 0–100; none where there is neither.
    pub percent: Option<f64>,
}

/// How long the backups took that were triggered in the last 30 days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Durations {
    /// How many they are: the newest 10,000 at most.
    pub count: u64,
    /// The newest.
    pub last_ms: Option<u64>,
    /// Half took no longer.
    pub median_ms: Option<u64>,
    /// Nineteen in twenty took no longer.
    pub p95_ms: Option<u64>,
}
