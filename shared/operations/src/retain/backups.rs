//! The backups of one type: what has to go is deleted, oldest first, and what is left is counted.
//!
//! Each deletion is decided anew, by what the policy and the catalogue say right before it: a verification that failed
//! meanwhile, a policy that changed, or another run that is at it too, count.

use std::{collections::BTreeSet, fmt::Write as _};

use holdfast_catalog::{CatalogError, JobChange, JobFilter};
use holdfast_domain::{
    BackupId, BackupType, FailureCode, JobFailure, JobStatus, ObjectKey, RetentionVerdict, Timestamp,
};
use holdfast_storage::StoreError;
use jiff::SignedDuration;

use super::{
    delete::{self, Deletion},
    inventory::{self, Inventory, Trust},
    plan::{self, PlannedBackup, TypePlan},
    report::{BlockedBackup, DeletedBackup, TypeReport},
};
use crate::{Holdfast, OperationError, RunLimits};

/// Before the function's end, for the deletion that is begun and for the report.
const TIME_FOR_ONE: SignedDuration = SignedDuration::from_secs(40);

/// Deletes what the policy lets go, and tells what is left.
pub(super) async fn retain(
    h: &Holdfast,
    kind: BackupType,
    limits: RunLimits,
    now: Timestamp,
    report: &mut TypeReport,
) -> Result<(), OperationError> {
    let mut inventory = inventory::take(h, kind, Trust::Authenticated).await?;
    finish_killed_deletions(h, &inventory, now, report).await?;
    let mut settled = BTreeSet::new();
    let plan = loop {
        let plan = plan::of_type(h, &inventory, now).await?;
        let next = plan.deletions().rev().find(|backup| !settled.contains(&backup.decision.backup_id)).cloned();
        let Some(next) = next else { break plan };
        if is_late(limits) {
            report.problems.push("the function's time ran out before all that has to go was deleted".to_owned());
            break plan;
        }
        settled.insert(next.decision.backup_id.clone());
        delete_one(h, &mut inventory, next, now, report).await;
    };
    count(&plan, report);
    report.problems.extend(plan.policy.problem.clone());
    look_for_lost(h, &inventory, report).await?;
    report.too_few = too_few(h, kind, &plan).await?;
    Ok(())
}

/// Whether there is no time for another step before the function's end.
pub(crate) fn is_late(limits: RunLimits) -> bool {
    limits.deadline.is_some_and(|deadline| Timestamp::now() + TIME_FOR_ONE >= deadline)
}

async fn delete_one(
    h: &Holdfast,
    inventory: &mut Inventory,
    backup: PlannedBackup,
    now: Timestamp,
    report: &mut TypeReport,
) {
    let PlannedBackup { decision, size } = backup;
    let backup_id = decision.backup_id;
    match delete::backup(h, &backup_id, now).await {
        Ok(Deletion::Deleted) => {
            let why: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
            tracing::info!(backupId = %backup_id, bytes = size, why = why.join("; "), "a backup was deleted by retention");
            inventory.backups.remove(&backup_id);
            report.bytes_freed += size;
            report.deleted.push(DeletedBackup { backup_id, bytes: size, reasons: decision.reasons });
        }
        Ok(Deletion::Blocked(lock)) => {
            tracing::info!(backupId = %backup_id, lock, "a backup past its limits is retained by the store");
            report.blocked.push(BlockedBackup { backup_id, lock });
        }
        Ok(Deletion::InUse(status)) => {
            tracing::info!(backupId = %backup_id, %status, "a backup was not deleted: somebody works on it");
        }
        Err(error) => report.problems.push(format!("backup {backup_id}: {error}")),
    }
}

/// A run that died after the manifest of a backup was gone left its other objects behind.
async fn finish_killed_deletions(
    h: &Holdfast,
    inventory: &Inventory,
    now: Timestamp,
    report: &mut TypeReport,
) -> Result<(), OperationError> {
    let ids: Vec<BackupId> = inventory.without_manifest.keys().cloned().collect();
    for page in ids.chunks(1000) {
        for (id, job) in h.catalog.standings(page).await? {
            if !matches!(job, Ok(job) if job.status == JobStatus::Deleted) {
                continue;
            }
            match delete::leftovers(h, &id, now).await {
                Ok(Deletion::Deleted) => {
                    report.leftovers += inventory.without_manifest.get(&id).copied().unwrap_or_default();
                }
                Ok(Deletion::Blocked(lock)) => report.blocked.push(BlockedBackup { backup_id: id, lock }),
                Ok(Deletion::InUse(_)) => {}
                Err(error) => report.problems.push(format!("what was left of backup {id}: {error}")),
            }
        }
    }
    Ok(())
}

fn count(plan: &TypePlan, report: &mut TypeReport) {
    report.retained = plan.backups.len() as u64;
    report.good = plan.backups.iter().filter(|backup| backup.decision.is_good).count() as u64;
    let blocked = |id: &BackupId| report.blocked.iter().any(|blocked| blocked.backup_id == *id);
    let past = plan.deletions().filter(|backup| !blocked(&backup.decision.backup_id));
    report.past_limits = past.count() as u64;
}

/// Completed jobs whose manifest is not in the store. The manifest is right, so they are backups no more; that it was not
/// retention is said in the row. Where the store holds no backup at all that this catalogue knows, the two do not belong
/// together, and nothing is changed.
async fn look_for_lost(h: &Holdfast, inventory: &Inventory, report: &mut TypeReport) -> Result<(), OperationError> {
    const PAGE: u32 = 500;
    let filter = JobFilter { backup_type: Some(inventory.kind), status: Some(JobStatus::Completed) };
    let (mut absent, mut belongs, mut page) = (Vec::new(), false, 1);
    loop {
        let (jobs, _) = h.catalog.list(filter, page, PAGE).await?;
        let is_last = jobs.len() < PAGE as usize;
        for job in jobs {
            if inventory.backups.contains_key(&job.backup_id) {
                belongs = true;
            } else {
                absent.push(job.backup_id);
            }
        }
        if is_last {
            break;
        }
        page += 1;
    }
    for id in absent {
        match h.repository.store().head(&ObjectKey::manifest(&id)).await {
            // Completed after the bucket was looked through.
            Ok(_) => belongs = true,
            Err(StoreError::NotFound { .. }) => report.lost.push(id),
            Err(error) => return Err(error.into()),
        }
    }
    if !belongs {
        report.problems.extend((!report.lost.is_empty()).then(|| ALL_LOST.to_owned()));
        return Ok(());
    }
    for id in report.lost.clone() {
        if !settle_lost(h, &id).await? {
            report.lost.retain(|lost| *lost != id);
        }
    }
    Ok(())
}

const ALL_LOST: &str = "the store holds none of the backups that the catalogue knows: BACKUP_STORE may name another \
                        one. No row was changed";

/// `false` where retention had deleted it meanwhile.
async fn settle_lost(h: &Holdfast, id: &BackupId) -> Result<bool, OperationError> {
    let mut hint = "where the bucket keeps versions, remove the manifest's delete marker to bring it back".to_owned();
    if let Some(second) = &h.settings.cloud.location {
        let _ = write!(hint, "; its second copy is kept: `holdfast verify {id} --store {second}`");
    }
    let error = JobFailure {
        code: FailureCode::StoreCorrupt,
        message: "its manifest is not in the store any more: it was deleted by hand, or lost".to_owned(),
        hint: Some(hint),
    };
    let change = JobChange { error: Some(error), ..JobChange::default() };
    match h.catalog.transition(id, JobStatus::Deleted, change, None).await {
        Ok(job) => {
            tracing::error!(backupId = %id, "a backup is gone: its manifest is not in the store");
            h.observer.job_changed(&job).await;
            Ok(true)
        }
        Err(CatalogError::Conflict { .. } | CatalogError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Good ones that are missing. Before there ever were enough, none is.
async fn too_few(h: &Holdfast, kind: BackupType, plan: &TypePlan) -> Result<u64, OperationError> {
    let Some(policy) = &plan.policy.policy else { return Ok(0) };
    let wanted = u64::from(policy.min_count);
    let good = plan
        .backups
        .iter()
        .filter(|backup| backup.decision.is_good && backup.decision.verdict == RetentionVerdict::Keep);
    let missing = wanted.saturating_sub(good.count() as u64);
    if missing == 0 {
        return Ok(0);
    }
    let ever = |status| matches!(status, JobStatus::Completed | JobStatus::Deleted);
    let made = h.catalog.counts().await?.jobs(Some(kind), ever);
    Ok(if made >= wanted { missing } else { 0 })
}
