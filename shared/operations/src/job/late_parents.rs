//! Full backups with a late end of a part. A part may become a backup after its parent failed, was
//! cancelled or was deleted.

use holdfast_catalog::Catalog;
use holdfast_domain::{BackupId, BackupType, JobStatus, Timestamp};
use jiff::SignedDuration;
use serde::Serialize;

use super::finish::parent::finish_if_parts_ended;
use crate::{Observer, OperationError};

/// The age of full backups considered here: late manifests of older parts are rare, and each full
/// backup costs calls.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Full backups read in one call.
const PAGE: u32 = 100;

/// A full backup with a reversed deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReinstatedParent {
    /// The full backup.
    pub backup_id: BackupId,
    /// Its status now.
    pub status: JobStatus,
}

/// The result for such full backups.
#[derive(Debug, Default)]
pub(crate) struct LateParents {
    /// Failed or cancelled ones with completed parts. They are completed now.
    pub(crate) completed: Vec<BackupId>,
    /// Full backups with a reversed deletion, because a part is a backup again.
    pub(crate) brought_back: Vec<ReinstatedParent>,
    /// Those with a failed step, and its error.
    pub(crate) problems: Vec<(BackupId, OperationError)>,
}

/// Completes each full backup that failed or was cancelled although all of its parts are completed
/// by now. Reverses the deletion of a full backup if a part is a backup again. A failure of one
/// full backup does not stop the others.
///
/// # Errors
/// If the catalogue cannot list the full backups.
pub(crate) async fn finish_late(
    catalog: &Catalog,
    observer: &dyn Observer,
    now: Timestamp,
) -> Result<LateParents, OperationError> {
    let mut late = LateParents::default();
    reinstate(catalog, observer, now, &mut late).await?;
    complete(catalog, observer, now, &mut late).await?;
    Ok(late)
}

async fn reinstate(
    catalog: &Catalog,
    observer: &dyn Observer,
    now: Timestamp,
    late: &mut LateParents,
) -> Result<(), OperationError> {
    for id in catalog.deleted_parents_of_backups(now - MAX_AGE).await? {
        match finish_if_parts_ended(catalog, observer, &id, now).await {
            Ok(Some(job)) => late.brought_back.push(ReinstatedParent {
                backup_id: id,
                status: job.status,
            }),
            Ok(None) => {}
            Err(error) => late.problems.push((id, error)),
        }
    }
    Ok(())
}

async fn complete(
    catalog: &Catalog,
    observer: &dyn Observer,
    now: Timestamp,
    late: &mut LateParents,
) -> Result<(), OperationError> {
    let mut after = None;
    loop {
        let page = catalog
            .unsuccessful_since(BackupType::Full, now - MAX_AGE, after.as_ref(), PAGE)
            .await?;
        let Some(last) = page.last().map(|job| job.backup_id.clone()) else {
            return Ok(());
        };
        for parent in page {
            match finish_if_parts_ended(catalog, observer, &parent.backup_id, now).await {
                Ok(Some(_)) => late.completed.push(parent.backup_id),
                Ok(None) => {}
                Err(error) => late.problems.push((parent.backup_id, error)),
            }
        }
        after = Some(last);
    }
}
