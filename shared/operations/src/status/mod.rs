//! How things stand, from the catalogue: what `GET /api/backups/status` answers.

mod shapes;
mod statistics;

use holdfast_catalog::JobCounts;
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp};
use serde::Serialize;

pub use self::shapes::{
    DrillStatistics, Durations, GoodBackup, JobStatistics, RetentionStatistics, Statistics, SuccessRate, SuccessRates,
    TypeStatistics, VerificationStatistics,
};
use crate::{Holdfast, OperationError, reaper};

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
    /// Backups whose manifest is missing though no deletion was decided, as the last run of retention found them.
    pub lost_backups: u64,
    /// Hours since a backup was due, also before the first good one; 0 where none is.
    pub hours_overdue: f64,
}

/// Looks at the catalogue.
///
/// # Errors
/// Where it cannot be reached.
pub async fn status(h: &Holdfast, now: Timestamp) -> Result<Status, OperationError> {
    let counts = h.catalog.counts().await?;
    let active = h.catalog.active(None).await?;
    let lost = h.catalog.lost_jobs().await?;
    let scheduler = SchedulerStatus {
        running: h.settings.enabled,
        active_backups: active.into_iter().map(|job| job.backup_id).collect(),
        max_concurrent: h.settings.max_concurrent,
    };
    let database = SourceStatus {
        enabled: h.settings.database.enabled,
        hours_overdue: reaper::hours_overdue(h, BackupType::Database, now).await?,
        ..source(h, &counts, &lost, BackupType::Database).await?
    };
    let content = SourceStatus {
        enabled: h.settings.content.enabled,
        hours_overdue: reaper::hours_overdue(h, BackupType::Content, now).await?,
        ..source(h, &counts, &lost, BackupType::Content).await?
    };
    let statistics = statistics::statistics(h, &counts, &lost, now).await?;
    Ok(Status { status: StatusOverview { scheduler, database, content }, statistics })
}

async fn source(
    h: &Holdfast,
    counts: &JobCounts,
    lost: &[Job],
    kind: BackupType,
) -> Result<SourceStatus, OperationError> {
    Ok(SourceStatus {
        enabled: false,
        last_backup: h.catalog.newest_completed(kind).await?,
        total_backups: counts.jobs(Some(kind), |status| status != JobStatus::Deleted),
        lost_backups: lost.iter().filter(|job| job.backup_type == kind).count() as u64,
        failed_backups: counts.jobs(Some(kind), |status| status == JobStatus::Failed),
        hours_overdue: 0.0,
    })
}
