//! The end of a full backup. It follows the ends of its parts.

use holdfast_catalog::{Catalog, CatalogError, JobChange};
use holdfast_domain::{BackupId, FailureCode, Job, JobFailure, JobStatus, Timestamp};

use super::{ending_change, fail, finish_job};
use crate::{Observer, OperationError};

/// Settles the parent of a settled job if it was the last part. A failure is logged, and the sweep
/// retries.
pub(crate) async fn finish_parent_of(catalog: &Catalog, observer: &dyn Observer, child: &Job) {
    let Some(parent) = &child.parent_id else {
        return;
    };
    // Boxed, because a parent is a job too, and settling a job may settle its parent.
    let settling = Box::pin(async {
        finish_if_parts_ended(catalog, observer, parent, catalog.now().await?).await
    });
    if let Err(error) = settling.await {
        tracing::warn!(backupId = %parent, %error, "cannot settle a full backup: the sweep retries");
    }
}

/// Settles a full backup with all parts settled, and returns the job if it changed. A failed or
/// cancelled one becomes completed if all of its parts are. The deletion of one with its last part
/// is reversed if a part is a backup again. If another run changes the job first, this call changes
/// nothing.
pub(crate) async fn finish_if_parts_ended(
    catalog: &Catalog,
    observer: &dyn Observer,
    id: &BackupId,
    now: Timestamp,
) -> Result<Option<Job>, OperationError> {
    match finish_by_parts(catalog, observer, id, now).await {
        Err(OperationError::Catalog(CatalogError::Conflict { .. })) => Ok(None),
        settled => settled,
    }
}

async fn finish_by_parts(
    catalog: &Catalog,
    observer: &dyn Observer,
    id: &BackupId,
    now: Timestamp,
) -> Result<Option<Job>, OperationError> {
    let parent = catalog.get(id).await?;
    let children = catalog.children(id).await?;
    let unsuccessful: Vec<&Job> = children
        .iter()
        .filter(|child| child.status != JobStatus::Completed)
        .collect();
    // The trigger of a never started parent was killed. It may have fewer parts than intended.
    let is_whole = parent.started_at.is_some() && !children.is_empty() && unsuccessful.is_empty();
    match parent.status {
        JobStatus::Deleted if may_be_a_backup(&children) => {
            reinstate(catalog, observer, &parent, now).await.map(Some)
        }
        JobStatus::Running if children.iter().any(|child| child.status.is_active()) => Ok(None),
        JobStatus::Running if !is_whole => fail(
            catalog,
            observer,
            &parent,
            part_failed(&unsuccessful),
            None,
            now,
        )
        .await
        .map(Some),
        JobStatus::Running | JobStatus::Failed | JobStatus::Cancelled if is_whole => {
            let change = job_change_from_parts(&parent, &children, now);
            finish_job(catalog, observer, id, JobStatus::Completed, change, None)
                .await
                .map(Some)
        }
        _ => Ok(None),
    }
}

/// Whether any part is a backup, or may become one. A lost part may become one.
fn may_be_a_backup(children: &[Job]) -> bool {
    let may_be = |child: &Job| {
        child.status.is_active() || child.status == JobStatus::Completed || child.is_lost()
    };
    children.iter().any(may_be)
}

/// At least one part was deleted, and no other part is or may become a backup: the full backup is
/// deleted too.
pub(crate) fn is_gone(children: &[Job]) -> bool {
    children
        .iter()
        .any(|child| child.status == JobStatus::Deleted)
        && !may_be_a_backup(children)
}

/// Reverses the deletion of a full backup. It gets its former status, or `completed` if all its
/// parts are completed.
async fn reinstate(
    catalog: &Catalog,
    observer: &dyn Observer,
    parent: &Job,
    now: Timestamp,
) -> Result<Job, OperationError> {
    let id = &parent.backup_id;
    let earlier = match (&parent.error, parent.size) {
        (Some(_), _) => JobStatus::Failed,
        (None, Some(_)) => JobStatus::Completed,
        (None, None) => JobStatus::Cancelled,
    };
    let job = catalog.reinstate_parent(id, earlier).await?;
    tracing::info!(backupId = %id, status = %earlier, "a full backup is not deleted any more: a part of it is back");
    observer.job_changed(&job).await;
    // Boxed: the same function calls itself, with the former status.
    let settled = Box::pin(finish_if_parts_ended(catalog, observer, id, now)).await?;
    Ok(settled.unwrap_or(job))
}

/// The row of a full backup with all parts completed.
pub(crate) fn job_change_from_parts(parent: &Job, children: &[Job], now: Timestamp) -> JobChange {
    let sum = |field: fn(&Job) -> Option<u64>| Some(children.iter().filter_map(field).sum());
    let completed_at = children
        .iter()
        .filter_map(|child| child.completed_at)
        .max()
        .unwrap_or(now);
    JobChange {
        original_size: sum(|child| child.original_size),
        size: sum(|child| child.size),
        compressed: Some(children.iter().all(|child| child.compressed)),
        encrypted: Some(children.iter().all(|child| child.encrypted)),
        ..ending_change(parent, completed_at)
    }
}

fn part_failed(unsuccessful: &[&Job]) -> JobFailure {
    let described = |child: &&Job| match &child.error {
        Some(error) => format!("{} is {}: {}", child.backup_id, child.status, error.message),
        None => format!("{} is {}", child.backup_id, child.status),
    };
    let described: Vec<String> = unsuccessful.iter().map(described).collect();
    JobFailure {
        code: FailureCode::PartFailed,
        message: if described.is_empty() {
            "it has no parts".to_owned()
        } else {
            described.join("; ")
        },
        hint: Some("each completed part is a good backup by itself".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{BackupType, Trigger, TriggerKind};

    use super::*;

    #[test]
    fn a_full_backup_goes_with_its_last_part() {
        use JobStatus::{Cancelled, Completed, Deleted, Failed, Running};
        let child = |status| {
            let id = BackupId::new(BackupType::Content, Timestamp::UNIX_EPOCH, [0; 4]);
            let trigger = Trigger {
                kind: TriggerKind::Manual,
                by: None,
            };
            Job {
                status,
                ..Job::pending(id, trigger, Timestamp::UNIX_EPOCH)
            }
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
        let error = JobFailure {
            code: FailureCode::StoreCorrupt,
            message: String::new(),
            hint: None,
        };
        let lost = Job {
            error: Some(error),
            ..child(Deleted)
        };
        assert!(
            !is_gone(&[child(Deleted), lost]),
            "a lost part may come back"
        );
    }
}
