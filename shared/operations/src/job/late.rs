//! Failed or cancelled jobs with manifests in the store. The manifest decides about the job: a run
//! paused past the end of its lease may write it late.

use std::collections::BTreeMap;

use holdfast_domain::BackupId;

use super::finish;
use crate::{Holdfast, OperationError};

/// Backups whose jobs are read in one call.
const PAGE: usize = 500;

/// The result for such jobs.
#[derive(Debug, Default)]
pub(crate) struct LateJobs {
    /// Jobs that are completed now.
    pub(crate) completed: Vec<BackupId>,
    /// Possibly complete backups, with the reason for the doubt: the store or the catalogue did not
    /// answer.
    pub(crate) unsure: BTreeMap<BackupId, String>,
    /// Why others could not be completed.
    pub(crate) problems: Vec<String>,
}

/// Completes the failed or cancelled jobs of these backups, if every part of the backup is in the
/// store. A failure of one job does not stop the others.
///
/// # Errors
/// If the catalogue cannot list the jobs.
pub(crate) async fn complete_committed(
    holdfast: &Holdfast,
    committed: &[BackupId],
) -> Result<LateJobs, OperationError> {
    let mut late = LateJobs::default();
    for page in committed.chunks(PAGE) {
        for job in holdfast.catalog.unsuccessful_among(page).await? {
            match finish::complete_if_committed(holdfast, &job).await {
                Ok(true) => late.completed.push(job.backup_id),
                Ok(false) => {}
                Err(error) => {
                    late.problems
                        .push(format!("job {}: {error}", job.backup_id));
                    if !matches!(error, OperationError::Corrupt { .. }) {
                        late.unsure.insert(job.backup_id, error.to_string());
                    }
                }
            }
        }
    }
    Ok(late)
}
