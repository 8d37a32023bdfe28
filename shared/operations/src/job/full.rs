//! A full backup: a job without a lease, as the parent of one backup of each type. It completes if all its parts
//! complete, and fails if one part fails.

use holdfast_catalog::{CatalogError, JobChange};
use holdfast_codec::random_bytes;
use holdfast_domain::{
    BackupId, BackupType, FailureCode, Job, JobFailure, JobStatus, Timestamp, Trigger, TriggerKind,
    settings::{SettingError, SettingsError},
};
use jiff::SignedDuration;

use super::{cancel, lease, settle, trigger};
use crate::{Holdfast, OperationError};

/// The parts of a full backup.
pub(crate) const PARTS: [BackupType; 2] = [BackupType::Database, BackupType::Content];

/// A requested full backup.
#[derive(Debug, Clone)]
pub struct FullTrigger {
    /// The parent.
    pub job: Job,
    /// Its parts. Each must be handed over to its worker.
    pub children: Vec<Job>,
    /// The switches of the omitted parts.
    pub skipped: Vec<&'static str>,
}

/// Takes the leases for both parts, and writes the parent and its `pending` parts. A disabled part is omitted.
///
/// # Errors
/// [`OperationError::AlreadyRunning`] if a backup of either type is running, [`OperationError::ConcurrencyLimit`],
/// [`OperationError::Disabled`] if both are disabled, [`OperationError::Config`] if `BACKUP_MAX_CONCURRENT` is too
/// small for both. Nothing was begun in these cases.
pub async fn trigger_full(h: &Holdfast, by: Option<String>, now: Timestamp) -> Result<FullTrigger, OperationError> {
    if let Some(switch) = trigger::switched_off(h, BackupType::Full) {
        return Err(OperationError::Disabled(switch));
    }
    let now = h.catalog.by_server_clock(now).await?;
    settle_abandoned(h, now).await;
    let (kinds, skipped) = parts(h);
    if kinds.len() > usize::try_from(h.settings.max_concurrent).unwrap_or(usize::MAX) {
        let problem = format!(
            "is {}: a full backup runs {} at a time. Raise it, or back up one after the other",
            h.settings.max_concurrent,
            kinds.len()
        );
        return Err(SettingsError(vec![SettingError::new("BACKUP_MAX_CONCURRENT", problem)]).into());
    }
    let job = |kind| {
        let trigger = Trigger { kind: TriggerKind::Manual, by: by.clone() };
        Ok::<_, OperationError>(Job::pending(BackupId::new(kind, now, random_bytes()?), trigger, now))
    };
    let parent = job(BackupType::Full)?;
    let children: Vec<Job> = kinds
        .into_iter()
        .map(|kind| Ok(Job { parent_id: Some(parent.backup_id.clone()), ..job(kind)? }))
        .collect::<Result<_, OperationError>>()?;
    lease_all(h, &children, now).await?;
    match write_rows(h, parent, &children, &skipped, now).await {
        Ok(job) => Ok(FullTrigger { job, children, skipped }),
        Err(error) => {
            release_all(h, &children).await;
            Err(error)
        }
    }
}

/// The enabled parts, and the switches of the others.
fn parts(h: &Holdfast) -> (Vec<BackupType>, Vec<&'static str>) {
    let mut kinds = Vec::new();
    let mut skipped = Vec::new();
    for kind in PARTS {
        match trigger::switched_off(h, kind) {
            None => kinds.push(kind),
            Some(switch) => skipped.push(switch),
        }
    }
    (kinds, skipped)
}

/// All leases, or none.
async fn lease_all(h: &Holdfast, children: &[Job], now: Timestamp) -> Result<(), OperationError> {
    for child in children {
        if let Err(error) = lease::lease(h, &child.backup_id, now).await {
            release_all(h, children).await;
            return Err(error);
        }
    }
    Ok(())
}

/// Releases the leases of these jobs, as far as they hold any.
async fn release_all(h: &Holdfast, children: &[Job]) {
    for child in children {
        lease::release(h, &child.backup_id).await;
    }
}

/// Writes the parent first, so that no part lacks it. The parent runs once all parts exist.
async fn write_rows(
    h: &Holdfast,
    parent: Job,
    children: &[Job],
    skipped: &[&str],
    now: Timestamp,
) -> Result<Job, OperationError> {
    h.catalog.insert_pending(&parent).await?;
    h.observer.job_changed(&parent).await;
    for child in children {
        h.catalog.insert_pending(child).await?;
        h.observer.job_changed(child).await;
    }
    let said = skipped.iter().map(|switch| format!("a part was left out: it is switched off by {switch}=false"));
    let change = JobChange {
        started_at: Some(now),
        message: Some(said.collect::<Vec<_>>().join("; ")).filter(|said| !said.is_empty()),
        ..JobChange::default()
    };
    let parent = h.catalog.transition(&parent.backup_id, JobStatus::Running, change, None).await?;
    h.observer.job_changed(&parent).await;
    Ok(parent)
}

/// Settles the parent of a settled job if it was the last part. A failure is logged, and the sweep retries.
pub(crate) async fn settle_parent_of(h: &Holdfast, child: &Job) {
    let Some(parent) = &child.parent_id else { return };
    // Boxed, because a parent is a job too, and settling a job may settle its parent.
    let settling = Box::pin(async { settle_if_through(h, parent, h.catalog.now().await?).await });
    if let Err(error) = settling.await {
        tracing::warn!(backupId = %parent, %error, "cannot settle a full backup: the sweep retries");
    }
}

/// Settles a full backup with all parts settled, and returns the job if it changed. A failed or cancelled one becomes
/// completed if all of its parts are. One that was deleted with its last part is brought back if a part
/// is a backup again.
pub(crate) async fn settle_if_through(
    h: &Holdfast,
    id: &BackupId,
    now: Timestamp,
) -> Result<Option<Job>, OperationError> {
    let parent = h.catalog.get(id).await?;
    let children = h.catalog.children(id).await?;
    let unsuccessful: Vec<&Job> = children.iter().filter(|child| child.status != JobStatus::Completed).collect();
    // The trigger of a never started parent was killed. It may have fewer parts than intended.
    let is_whole = parent.started_at.is_some() && !children.is_empty() && unsuccessful.is_empty();
    match parent.status {
        JobStatus::Deleted if may_be_a_backup(&children) => bring_back(h, &parent, now).await.map(Some),
        JobStatus::Running if children.iter().any(|child| child.status.is_active()) => Ok(None),
        JobStatus::Running if !is_whole => {
            settle::fail(h, &parent, part_failed(&unsuccessful), None, now).await.map(Some)
        }
        JobStatus::Running | JobStatus::Failed | JobStatus::Cancelled if is_whole => {
            let change = as_told_by_parts(&parent, &children, now);
            settle::settle(h, id, JobStatus::Completed, change, None).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// Whether any part is a backup, or may become one. A lost part may.
fn may_be_a_backup(children: &[Job]) -> bool {
    let may_be = |child: &Job| child.status.is_active() || child.status == JobStatus::Completed || child.is_lost();
    children.iter().any(may_be)
}

/// At least one part was deleted, and no other part is or may become a backup: the full backup is deleted too.
pub(crate) fn is_gone(children: &[Job]) -> bool {
    children.iter().any(|child| child.status == JobStatus::Deleted) && !may_be_a_backup(children)
}

/// Reverses the deletion of a full backup: it is what it was before, and completed if all of its parts are.
async fn bring_back(h: &Holdfast, parent: &Job, now: Timestamp) -> Result<Job, OperationError> {
    let id = &parent.backup_id;
    let earlier = match (&parent.error, parent.size) {
        (Some(_), _) => JobStatus::Failed,
        (None, Some(_)) => JobStatus::Completed,
        (None, None) => JobStatus::Cancelled,
    };
    let job = h.catalog.bring_parent_back(id, earlier).await?;
    tracing::info!(backupId = %id, status = %earlier, "a full backup is not deleted any more: a part of it is back");
    h.observer.job_changed(&job).await;
    // Boxed: the same function decides again, by the state that was brought back.
    let settled = Box::pin(settle_if_through(h, id, now)).await?;
    Ok(settled.unwrap_or(job))
}

/// Completes each full backup that failed or was cancelled although all of its parts are completed by now: a part's
/// manifest may be found late. Brings back those that were deleted although a part is a backup again. Returns all of them.
pub(crate) async fn complete_late(h: &Holdfast, now: Timestamp) -> Result<Vec<BackupId>, OperationError> {
    /// The age of full backups considered here. Retention soon judges older ones by themselves.
    const LOOK_BACK: SignedDuration = SignedDuration::from_hours(30 * 24);
    const PAGE: u32 = 100;
    let (mut completed, mut after) = (Vec::new(), None);
    for parent in h.catalog.deleted_parents_of_backups().await? {
        if settle_if_through(h, &parent, now).await?.is_some() {
            completed.push(parent);
        }
    }
    loop {
        let page = h.catalog.unsuccessful_since(BackupType::Full, now - LOOK_BACK, after.as_ref(), PAGE).await?;
        let Some(last) = page.last().map(|job| job.backup_id.clone()) else { return Ok(completed) };
        for parent in page {
            if settle_if_through(h, &parent.backup_id, now).await?.is_some() {
                completed.push(parent.backup_id);
            }
        }
        after = Some(last);
    }
}

/// The row of a full backup with all parts completed.
pub(crate) fn as_told_by_parts(parent: &Job, children: &[Job], now: Timestamp) -> JobChange {
    let sum = |field: fn(&Job) -> Option<u64>| Some(children.iter().filter_map(field).sum());
    let completed_at = children.iter().filter_map(|child| child.completed_at).max().unwrap_or(now);
    JobChange {
        original_size: sum(|child| child.original_size),
        size: sum(|child| child.size),
        compressed: Some(children.iter().all(|child| child.compressed)),
        encrypted: Some(children.iter().all(|child| child.encrypted)),
        ..settle::ended(parent, completed_at)
    }
}

fn part_failed(unsuccessful: &[&Job]) -> JobFailure {
    let said = |child: &&Job| match &child.error {
        Some(error) => format!("{} is {}: {}", child.backup_id, child.status, error.message),
        None => format!("{} is {}", child.backup_id, child.status),
    };
    let said: Vec<String> = unsuccessful.iter().map(said).collect();
    JobFailure {
        code: FailureCode::PartFailed,
        message: if said.is_empty() { "it has no parts".to_owned() } else { said.join("; ") },
        hint: Some("each completed part is a good backup by itself".to_owned()),
    }
}

/// Cancels the parts of a full backup. A committing part still becomes a backup.
pub(crate) async fn cancel_children_of(h: &Holdfast, parent: &Job, now: Timestamp) -> Result<(), OperationError> {
    if parent.backup_type != BackupType::Full {
        return Ok(());
    }
    for child in h.catalog.children(&parent.backup_id).await? {
        match Box::pin(cancel::cancel_at(h, &child.backup_id, now)).await {
            Ok(_) | Err(OperationError::NotCancellable { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Settles full backups with a killed trigger or last run. Without a sweeping function, the next full backup does this.
/// A failure is logged, and the sweep or the next full backup retries.
async fn settle_abandoned(h: &Holdfast, now: Timestamp) {
    let settling = async {
        for parent in h.catalog.active(Some(BackupType::Full)).await? {
            sweep_parent(h, &parent, now).await?;
        }
        Ok::<_, OperationError>(())
    };
    if let Err(error) = settling.await {
        tracing::warn!(%error, "an earlier full backup could not be settled");
    }
}

/// Settles a full backup for the sweep: with its parts, or as failed if its trigger died half-way.
pub(crate) async fn sweep_parent(h: &Holdfast, parent: &Job, now: Timestamp) -> Result<Option<Job>, OperationError> {
    if parent.status == JobStatus::Running {
        return settle_if_through(h, &parent.backup_id, now).await;
    }
    if now.duration_since(parent.created_at) <= lease::NOT_STARTED_AFTER {
        return Ok(None);
    }
    let failure = JobFailure {
        code: FailureCode::NotStarted,
        message: "its trigger died before all of its parts were there".to_owned(),
        hint: Some("trigger it again".to_owned()),
    };
    match settle::fail(h, parent, failure, None, now).await {
        Ok(job) => Ok(Some(job)),
        Err(OperationError::Catalog(CatalogError::Conflict { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
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
