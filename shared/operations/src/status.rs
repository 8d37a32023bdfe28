//! How things stand, from the catalogue: what `GET /api/backups/status` answers.

use holdfast_catalog::{JobCount, JobCounts, VerificationCount};
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp, VerificationLevel, VerificationStatus};
use serde::Serialize;

use crate::{Holdfast, OperationError, sweep};

/// How things stand.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Now.
    pub status: StatusOverview,
    /// Since the first job.
    pub statistics: Statistics,
}

/// What runs, and what ran last.
#[derive(Debug, Clone, Serialize)]
pub struct StatusOverview {
    /// Schedules and running backups.
    pub scheduler: SchedulerStatus,
    /// Database backups.
    pub database: SourceStatus,
    /// Content backups.
    pub content: SourceStatus,
}

/// Schedules and running backups.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SchedulerStatus {
    /// Whether schedules do anything.
    pub running: bool,
    /// The backups that run.
    pub active_backups: Vec<BackupId>,
    /// How many may run at a time.
    pub max_concurrent: u32,
}

/// The backups of one source.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Whether it is backed up at all.
    pub enabled: bool,
    /// The newest completed job.
    pub last_backup: Option<Job>,
    /// Jobs whose backups retention has not deleted.
    pub total_backups: u64,
    /// Jobs that failed.
    pub failed_backups: u64,
    /// Hours since a backup was due; 0 where none is.
    pub hours_overdue: f64,
}

/// Sums over all jobs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Jobs of each type in each state.
    pub jobs: Vec<JobStatistics>,
    /// Completed jobs of all that were settled by themselves, 0–100; none before the first.
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
}

/// The jobs of one type in one state.
#[derive(Debug, Clone, Serialize)]
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
#[derive(Debug, Clone, Serialize)]
pub struct VerificationStatistics {
    /// How deep they went.
    pub level: VerificationLevel,
    /// What they found.
    pub status: VerificationStatus,
    /// How many they are.
    pub count: u64,
}

/// Looks at the catalogue.
///
/// # Errors
/// Where it cannot be reached.
pub async fn status(h: &Holdfast, now: Timestamp) -> Result<Status, OperationError> {
    let counts = h.catalog.counts().await?;
    let active = h.catalog.active(None).await?;
    let scheduler = SchedulerStatus {
        running: h.settings.enabled,
        active_backups: active.into_iter().map(|job| job.backup_id).collect(),
        max_concurrent: h.settings.max_concurrent,
    };
    let database = SourceStatus {
        enabled: h.settings.database.enabled,
        hours_overdue: sweep::hours_overdue(h, BackupType::Database, now).await?,
        ..source(h, &counts, BackupType::Database).await?
    };
    let content = SourceStatus {
        enabled: h.settings.content.enabled,
        hours_overdue: sweep::hours_overdue(h, BackupType::Content, now).await?,
        ..source(h, &counts, BackupType::Content).await?
    };
    let statistics = statistics(&counts, &h.catalog.verification_counts().await?);
    Ok(Status { status: StatusOverview { scheduler, database, content }, statistics })
}

async fn source(h: &Holdfast, counts: &JobCounts, kind: BackupType) -> Result<SourceStatus, OperationError> {
    Ok(SourceStatus {
        enabled: false,
        last_backup: h.catalog.newest_completed(kind).await?,
        total_backups: counts.jobs(Some(kind), |status| status != JobStatus::Deleted),
        failed_backups: counts.jobs(Some(kind), |status| status == JobStatus::Failed),
        hours_overdue: 0.0,
    })
}

fn statistics(counts: &JobCounts, verifications: &[VerificationCount]) -> Statistics {
    let completed: Vec<&JobCount> = counts.0.iter().filter(|count| count.status == JobStatus::Completed).collect();
    let sum = |field: fn(&JobCount) -> u64| completed.iter().map(|count| field(count)).sum::<u64>();
    let (good, bad) = (sum(|count| count.jobs), counts.jobs(None, |status| status == JobStatus::Failed));
    Statistics {
        jobs: counts.0.iter().map(job_statistics).collect(),
        success_rate_percent: (good + bad > 0).then(|| percent(good, good + bad)),
        stored_bytes: sum(|count| count.size_bytes),
        original_bytes: sum(|count| count.original_size_bytes),
        mean_duration_ms: sum(|count| count.duration_ms).checked_div(good),
        deleted_backups: counts.jobs(None, |status| status == JobStatus::Deleted),
        verifications: verifications
            .iter()
            .map(|count| VerificationStatistics {
                level: count.level,
                status: count.status,
                count: count.verifications,
            })
            .collect(),
    }
}

fn job_statistics(count: &JobCount) -> JobStatistics {
    JobStatistics {
        backup_type: count.backup_type,
        status: count.status,
        count: count.jobs,
        stored_bytes: count.size_bytes,
    }
}

/// In tenths of a percent, which is as exact as anybody reads it.
fn percent(part: u64, whole: u64) -> f64 {
    let tenths = part.saturating_mul(1000) / whole;
    f64::from(u32::try_from(tenths).unwrap_or(1000)) / 10.0
}
