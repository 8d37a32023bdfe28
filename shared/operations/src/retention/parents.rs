//! Deletes full backups after their last part.

use holdfast_catalog::{CatalogError, JobChange, JobFilter};
use holdfast_domain::{BackupId, BackupType, Job, JobDeletion, JobStatus, Timestamp};

use super::RetentionReport;
use crate::job::run::is_late;
use crate::{Holdfast, OperationError, RunLimits};

/// Jobs read in one call, and the maximum of pages per status.
const PAGE: u32 = 500;
const PAGES: u64 = 10;

/// Marks each full backup without remaining parts as deleted. Marked rows are not read again, so the next run resumes
/// after them.
pub(super) async fn delete(
    h: &Holdfast,
    limits: RunLimits,
    now: Timestamp,
    report: &mut RetentionReport,
) -> Result<(), OperationError> {
    for status in [JobStatus::Completed, JobStatus::Failed, JobStatus::Cancelled] {
        for parent in settled(h, status).await? {
            if is_late(limits) {
                report.unfinished.push("full backups".to_owned());
                return Ok(());
            }
            if is_gone(&h.catalog.children(&parent.backup_id).await?) {
                report.full_deleted.extend(mark(h, &parent.backup_id, now).await?);
            }
        }
    }
    Ok(())
}

/// Reads all jobs of one status before any change: a change would shift the pages.
async fn settled(h: &Holdfast, status: JobStatus) -> Result<Vec<Job>, OperationError> {
    let filter = JobFilter { backup_type: Some(BackupType::Full), status: Some(status) };
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

/// At least one part was deleted, and no other part is or may become a backup. A lost part may become one.
fn is_gone(children: &[Job]) -> bool {
    let may_be_a_backup =
        |child: &Job| child.status.is_active() || child.status == JobStatus::Completed || child.is_lost();
    let deleted = children.iter().any(|child| child.status == JobStatus::Deleted);
    deleted && !children.iter().any(may_be_a_backup)
}

async fn mark(h: &Holdfast, id: &BackupId, now: Timestamp) -> Result<Option<BackupId>, OperationError> {
    let change = JobChange { deletion: Some(JobDeletion::by_retention(now)), ..JobChange::default() };
    match h.catalog.transition(id, JobStatus::Deleted, change, None).await {
        Ok(job) => {
            h.observer.job_changed(&job).await;
            Ok(Some(job.backup_id))
        }
        // Another run changed it first.
        Err(CatalogError::Conflict { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{FailureCode, JobFailure, Trigger, TriggerKind};

    use super::*;

    #[test]
    fn a_full_backup_goes_with_its_last_part() {
        use JobStatus::{Cancelled, Completed, Deleted, Failed, Running};
        let child = |status| {
            let id = BackupId::new(BackupType::Content, Timestamp::UNIX_EPOCH, [0; 4]);
            let trigger = Trigger { kind: TriggerKind::Manual, by: None };
            Job { status, ..Job::pending(id, trigger, Timestamp::UNIX_EPOCH) }
        };
        for (children, gone) in [
            (&[][..], false),
            (&[Deleted], true),
            (&[Deleted, Deleted], true),
            (&[Deleted, Completed], false),
            (&[Deleted, Running], false),
            (&[Deleted, Failed], true),
            (&[Deleted, Cancelled], true),
            (&[Failed, Cancelled], false),
        ] {
            let children: Vec<Job> = children.iter().map(|status| child(*status)).collect();
            assert_eq!(is_gone(&children), gone, "{children:?}");
        }
        let error = JobFailure { code: FailureCode::StoreCorrupt, message: String::new(), hint: None };
        let lost = Job { error: Some(error), ..child(Deleted) };
        assert!(!is_gone(&[child(Deleted), lost]), "a lost part may come back");
    }
}
