//! The status of the backups, from the catalogue: the answer of `GET /api/backups/status`.

mod shapes;
mod statistics;

use holdfast_catalog::{Catalog, JobCounts};
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp};
use serde::Serialize;

pub use self::shapes::{
    DrillStatistics, Durations, GoodBackup, JobStatistics, RetentionStatistics, Statistics,
    SuccessRate, SuccessRates, TypeStatistics, VerificationStatistics,
};
use crate::{Holdfast, OperationError, schedule};

/// Status of the system.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// Active and newest backups.
    pub status: StatusOverview,
    /// Totals over all jobs, and statistics of each type over time.
    pub statistics: Statistics,
}

/// Active and newest backups.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatusOverview {
    /// Schedules and active backups.
    pub scheduler: SchedulerStatus,
    /// Database backups.
    pub database: SourceStatus,
    /// Content backups.
    pub content: SourceStatus,
}

/// Schedules and active backups.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SchedulerStatus {
    /// Whether schedules are enabled.
    pub running: bool,
    /// IDs of the active backups.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub active_backups: Vec<BackupId>,
    /// Maximum number of concurrent backups.
    pub max_concurrent: u32,
}

/// The backups of one source.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    /// Whether backups of this source are enabled.
    pub enabled: bool,
    /// The newest completed job.
    pub last_backup: Option<Job>,
    /// Number of jobs whose backups are not deleted.
    pub total_backups: u64,
    /// Number of failed jobs.
    pub failed_backups: u64,
    /// Number of backups with a missing manifest and without a decided deletion, according to the
    /// last run of retention.
    pub lost_backups: u64,
    /// Hours since the next backup was due, also before the first good one. 0 if no backup is
    /// overdue.
    pub hours_overdue: f64,
}

/// Reads the catalogue.
///
/// # Errors
/// If it is unavailable.
pub async fn status(holdfast: &Holdfast, now: Timestamp) -> Result<Status, OperationError> {
    let now = holdfast.catalog.by_server_clock(now).await?;
    let counts = holdfast.catalog.counts().await?;
    let active = holdfast.catalog.active(None).await?;
    let lost = holdfast.catalog.lost_jobs().await?;
    let scheduler = SchedulerStatus {
        running: holdfast.settings.enabled,
        active_backups: active.into_iter().map(|job| job.backup_id).collect(),
        max_concurrent: holdfast.settings.max_concurrent,
    };
    let database = SourceStatus {
        enabled: holdfast.settings.database.enabled,
        hours_overdue: schedule::hours_overdue(
            &holdfast.catalog,
            &holdfast.settings,
            BackupType::Database,
            now,
        )
        .await?,
        ..source(&holdfast.catalog, &counts, &lost, BackupType::Database).await?
    };
    let content = SourceStatus {
        enabled: holdfast.settings.content.enabled,
        hours_overdue: schedule::hours_overdue(
            &holdfast.catalog,
            &holdfast.settings,
            BackupType::Content,
            now,
        )
        .await?,
        ..source(&holdfast.catalog, &counts, &lost, BackupType::Content).await?
    };
    let statistics =
        statistics::statistics(&holdfast.catalog, &holdfast.settings, &counts, &lost, now).await?;
    Ok(Status {
        status: StatusOverview {
            scheduler,
            database,
            content,
        },
        statistics,
    })
}

async fn source(
    catalog: &Catalog,
    counts: &JobCounts,
    lost: &[Job],
    kind: BackupType,
) -> Result<SourceStatus, OperationError> {
    Ok(SourceStatus {
        enabled: false,
        last_backup: catalog.newest_completed(kind).await?,
        total_backups: counts.jobs(Some(kind), |status| status != JobStatus::Deleted),
        lost_backups: lost.iter().filter(|job| job.backup_type == kind).count() as u64,
        failed_backups: counts.jobs(Some(kind), |status| status == JobStatus::Failed),
        hours_overdue: 0.0,
    })
}
