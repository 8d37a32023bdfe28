//! Deletes full backups after their last part.

use holdfast_catalog::{CatalogError, JobChange, JobFilter};
use holdfast_domain::{BackupId, BackupType, Job, JobDeletion, JobStatus, Timestamp};

use super::RetentionReport;
use crate::job::run::is_late;
use crate::{Holdfast, OperationError, RunLimits, job::finish::parent::is_gone};

/// Jobs read in one call, and the maximum of pages per status.
const PAGE: u32 = 500;
const PAGES: u64 = 10;

/// Marks each full backup without remaining parts as deleted. Marked rows are not read again, so
/// the next run resumes after them.
pub(super) async fn delete(
    h: &Holdfast,
    limits: RunLimits,
    now: Timestamp,
    report: &mut RetentionReport,
) -> Result<(), OperationError> {
    for status in [
        JobStatus::Completed,
        JobStatus::Failed,
        JobStatus::Cancelled,
    ] {
        for parent in settled(h, status).await? {
            if is_late(limits) {
                report.unfinished.push("full backups".to_owned());
                return Ok(());
            }
            if is_gone(&h.catalog.children(&parent.backup_id).await?) {
                report
                    .full_deleted
                    .extend(mark_deleted(h, &parent.backup_id, now).await?);
            }
        }
    }
    Ok(())
}

/// Reads all jobs of one status before any change: a change would shift the pages.
async fn settled(h: &Holdfast, status: JobStatus) -> Result<Vec<Job>, OperationError> {
    let filter = JobFilter {
        backup_type: Some(BackupType::Full),
        status: Some(status),
    };
    let mut all = Vec::new();
    for page in 1..=PAGES {
        let (jobs, _) = h.catalog.list(filter, page, PAGE).await?;
        let is_last = jobs.len() < PAGE as usize;
        all.extend(jobs);
        if is_last {
            break;
        }
    }
    Ok(all)
}

async fn mark_deleted(
    h: &Holdfast,
    id: &BackupId,
    now: Timestamp,
) -> Result<Option<BackupId>, OperationError> {
    let change = JobChange {
        deletion: Some(JobDeletion::by_retention(now)),
        ..JobChange::default()
    };
    match h
        .catalog
        .transition(id, JobStatus::Deleted, change, None)
        .await
    {
        Ok(job) => {
            h.observer.job_changed(&job).await;
            Ok(Some(job.backup_id))
        }
        // Another run changed it first.
        Err(CatalogError::Conflict { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
