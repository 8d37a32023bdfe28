//! Rows of items that belong to no backup: of those that were deleted, and, after a while, of those that came to nothing.

use holdfast_domain::{BackupId, JobStatus, ObjectKey, Timestamp};
use holdfast_storage::StoreError;
use jiff::SignedDuration;

use crate::{Holdfast, OperationError};

/// The items of a backup that failed or was cancelled say why, for so long.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Deletes them, and says how many they were.
pub(super) async fn delete(h: &Holdfast, now: Timestamp) -> Result<u64, OperationError> {
    let backups = h.catalog.backups_with_items().await?;
    let mut deleted = 0;
    for page in backups.chunks(1000) {
        let mut standings = h.catalog.standings(page).await?;
        for id in page {
            let status = match standings.remove(id) {
                // Its manifest may come back, and then these rows are needed.
                Some(Ok(job)) if job.is_lost => continue,
                Some(Ok(job)) => Some(job.status),
                None => None,
                // Unsure: they stay.
                Some(Err(_)) => continue,
            };
            if is_over(id, status, now) && !has_manifest(h, id).await? {
                deleted += h.catalog.delete_items(id).await?;
            }
        }
    }
    Ok(deleted)
}

fn is_over(id: &BackupId, status: Option<JobStatus>, now: Timestamp) -> bool {
    let is_old = || id.created_at().is_some_and(|at| now.duration_since(at) > KEPT_FOR);
    match status {
        Some(JobStatus::Deleted) => true,
        Some(JobStatus::Failed | JobStatus::Cancelled) | None => is_old(),
        Some(_) => false,
    }
}

/// The manifest is right, whatever the job says.
async fn has_manifest(h: &Holdfast, id: &BackupId) -> Result<bool, OperationError> {
    match h.repository.store().head(&ObjectKey::manifest(id)).await {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
