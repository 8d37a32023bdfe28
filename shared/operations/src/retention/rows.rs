//! Deletes rows of items without a backup: those of deleted backups at once, those of failed or
//! cancelled backups later.

use holdfast_catalog::Catalog;
use holdfast_domain::{BackupId, JobStatus, ObjectKey, Timestamp};
use holdfast_repository::Repository;
use holdfast_storage::StoreError;
use jiff::SignedDuration;

use super::RetentionReport;
use crate::job::run::is_late;
use crate::{OperationError, RunLimits};

/// Retention time of the items of failed or cancelled backups, because the items record the
/// failures.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Deletes the rows in pages. Deleted rows are not read again, so the next run resumes after them.
pub(super) async fn delete(
    repository: &Repository,
    catalog: &Catalog,
    limits: RunLimits,
    now: Timestamp,
    report: &mut RetentionReport,
) -> Result<(), OperationError> {
    let backups = catalog.backups_with_items().await?;
    for page in backups.chunks(1000) {
        let mut standings = catalog.standings(page).await?;
        for id in page {
            if is_late(limits) {
                report.unfinished.push("rows of items".to_owned());
                return Ok(());
            }
            let status = match standings.remove(id) {
                // Its manifest may come back, and then needs these rows.
                Some(Ok(job)) if job.is_lost => continue,
                Some(Ok(job)) => Some(job.status),
                None => None,
                // In doubt the rows stay.
                Some(Err(_)) => continue,
            };
            if is_over(id, status, now) && !has_manifest(repository, id).await? {
                report.item_rows_deleted +=
                    catalog.delete_items_while(id, || !is_late(limits)).await?;
            }
        }
    }
    Ok(())
}

fn is_over(id: &BackupId, status: Option<JobStatus>, now: Timestamp) -> bool {
    let is_old = || {
        id.created_at()
            .is_some_and(|at| now.duration_since(at) > KEPT_FOR)
    };
    match status {
        Some(JobStatus::Deleted) => true,
        Some(JobStatus::Failed | JobStatus::Cancelled) | None => is_old(),
        Some(_) => false,
    }
}

/// The manifest has precedence over the job's status.
async fn has_manifest(repository: &Repository, id: &BackupId) -> Result<bool, OperationError> {
    match repository.store().head(&ObjectKey::manifest(id)).await {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
