//! Deletes the expired backups of one type, oldest first, and counts the rest.
//!
//! Each deletion is decided again right before it. So a failed verification, a changed policy or a
//! concurrent run takes effect at once.

use holdfast_catalog::Catalog;
use holdfast_domain::settings::Settings;
use holdfast_repository::Repository;
use std::collections::{BTreeMap, BTreeSet};

use holdfast_domain::{BackupId, BackupType, JobStatus, RetentionVerdict, Timestamp};

use super::{
    TypeInventory,
    delete::{self, Deletion},
    plan::{self, PlannedBackup, TypePlan},
    report::{BlockedBackup, DeletedBackup, TypeReport},
};
use crate::{
    Holdfast, OperationError, RunLimits,
    inventory::{Inventory, expected::Expected},
    job::late,
    job::run::is_late,
    lost::{self, Reinstatement},
};

const OUT_OF_TIME: &str = "the function's time ran out before all expired backups were deleted";

/// Deletes the backups expired under the policy, and counts the remaining ones.
pub(super) async fn retain(
    holdfast: &Holdfast,
    TypeInventory {
        mut inventory,
        expected,
    }: TypeInventory,
    limits: RunLimits,
    now: Timestamp,
    report: &mut TypeReport,
) -> Result<(), OperationError> {
    let unsure = complete_late(holdfast, &inventory, report).await?;
    let mut settled = record_lost(holdfast, &expected, limits, now, report).await;
    finish_killed_deletions(
        &holdfast.repository,
        &holdfast.catalog,
        &inventory,
        limits,
        now,
        report,
    )
    .await?;
    let plan = loop {
        let plan = plan::of_type(
            &holdfast.catalog,
            &holdfast.settings,
            &inventory,
            &unsure,
            now,
        )
        .await?;
        let next = plan
            .deletions()
            .rev()
            .find(|backup| !settled.contains(&backup.decision.backup_id))
            .cloned();
        let Some(next) = next else { break plan };
        if is_late(limits) {
            report.problems.push(OUT_OF_TIME.to_owned());
            break plan;
        }
        settled.insert(next.decision.backup_id.clone());
        delete_one(holdfast, &mut inventory, next, (limits, now), report).await;
    };
    count(&plan, report);
    report.problems.extend(plan.policy.problem.clone());
    report.too_few = too_few(&holdfast.catalog, inventory.kind, &plan).await?;
    Ok(())
}

/// Completes failed or cancelled jobs with a manifest in the store. Without this step and without a
/// sweep, retention would delete good backups. Returns possibly complete backups with the reason
/// for the doubt. The plan keeps them.
async fn complete_late(
    holdfast: &Holdfast,
    inventory: &Inventory,
    report: &mut TypeReport,
) -> Result<BTreeMap<BackupId, String>, OperationError> {
    let readable = inventory
        .backups
        .iter()
        .filter(|(_, stored)| stored.created_at.is_ok());
    let ids: Vec<BackupId> = readable.map(|(id, _)| id.clone()).collect();
    let late = late::complete_committed(holdfast, &ids).await?;
    report.problems.extend(late.problems);
    Ok(late.unsure)
}

/// Counts the backups of a suspended type, and names those without a manifest. Changes nothing.
pub(super) async fn leave(
    catalog: &Catalog,
    settings: &Settings,
    TypeInventory {
        inventory,
        expected,
    }: TypeInventory,
    suspended: String,
    now: Timestamp,
    report: &mut TypeReport,
) -> Result<(), OperationError> {
    report.suspended = Some(suspended);
    report.lost = expected.unresolved().cloned().collect();
    let plan = plan::of_type(catalog, settings, &inventory, &BTreeMap::new(), now).await?;
    count(&plan, report);
    report.past_limits = 0;
    Ok(())
}

async fn delete_one(
    holdfast: &Holdfast,
    inventory: &mut Inventory,
    backup: PlannedBackup,
    (limits, now): (RunLimits, Timestamp),
    report: &mut TypeReport,
) {
    let PlannedBackup { decision, size } = backup;
    let backup_id = decision.backup_id;
    match delete::backup(holdfast, &backup_id, limits, now).await {
        Ok(Deletion::Deleted) => {
            let why: Vec<String> = decision.reasons.iter().map(ToString::to_string).collect();
            tracing::info!(backupId = %backup_id, bytes = size, why = why.join("; "), "a backup was deleted by retention");
            inventory.backups.remove(&backup_id);
            report.bytes_freed += size;
            report.deleted.push(DeletedBackup {
                backup_id,
                bytes: size,
                reasons: decision.reasons,
            });
        }
        Ok(Deletion::Blocked(lock)) => {
            tracing::info!(backupId = %backup_id, lock, "a backup past its limits is retained by the store");
            report.blocked.push(BlockedBackup { backup_id, lock });
        }
        Ok(Deletion::InUse(status)) => {
            tracing::info!(backupId = %backup_id, %status, "a backup was not deleted: the status of its job forbids it");
        }
        Err(error) => report.problems.push(format!("backup {backup_id}: {error}")),
    }
}

/// Deletes the rest of backups after a decided deletion, if their manifest is gone. A run was
/// killed, or an operator accepted a loss. The folder of a lost backup stays untouched.
async fn finish_killed_deletions(
    repository: &Repository,
    catalog: &Catalog,
    inventory: &Inventory,
    limits: RunLimits,
    now: Timestamp,
    report: &mut TypeReport,
) -> Result<(), OperationError> {
    let ids: Vec<BackupId> = inventory.without_manifest.keys().cloned().collect();
    for page in ids.chunks(1000) {
        for (id, job) in catalog.standings(page).await? {
            if !matches!(job, Ok(job) if job.status == JobStatus::Deleted && !job.is_lost) {
                continue;
            }
            if is_late(limits) {
                report.problems.push(OUT_OF_TIME.to_owned());
                return Ok(());
            }
            match delete::leftovers(repository, catalog, &id, limits, now).await {
                Ok(Deletion::Deleted) => {
                    report.leftovers += inventory
                        .without_manifest
                        .get(&id)
                        .copied()
                        .unwrap_or_default();
                }
                Ok(Deletion::Blocked(lock)) => report.blocked.push(BlockedBackup {
                    backup_id: id,
                    lock,
                }),
                Ok(Deletion::InUse(_)) => {}
                Err(error) => report
                    .problems
                    .push(format!("remains of backup {id}: {error}")),
            }
        }
    }
    Ok(())
}

fn count(plan: &TypePlan, report: &mut TypeReport) {
    report.retained = plan.backups.len() as u64;
    report.good = plan
        .backups
        .iter()
        .filter(|backup| backup.decision.is_good)
        .count() as u64;
    // The next run may delete a returned backup. This run keeps it, as planned.
    let kept = |id: &BackupId| {
        report.returned.contains(id) || report.blocked.iter().any(|it| it.backup_id == *id)
    };
    let past = plan
        .deletions()
        .filter(|backup| !kept(&backup.decision.backup_id));
    report.past_limits = past.count() as u64;
}

/// Records the lost backups, and completes those with a returned manifest. Returns the completed
/// ones: this run does not delete them, because the operator's plan did not contain their deletion.
async fn record_lost(
    holdfast: &Holdfast,
    expected: &Expected,
    limits: RunLimits,
    now: Timestamp,
    report: &mut TypeReport,
) -> BTreeSet<BackupId> {
    let mut back = BTreeSet::new();
    for id in &expected.missing {
        match lost::record_lost(holdfast, id, now).await {
            Ok(true) => report.lost.push(id.clone()),
            Ok(false) => {}
            Err(error) => report.problems.push(format!("lost backup {id}: {error}")),
        }
    }
    report.lost.extend(expected.lost.iter().cloned());
    for id in &expected.returned {
        if is_late(limits) {
            report.lost.push(id.clone());
            continue;
        }
        match lost::reinstate(holdfast, id).await {
            Ok(Reinstatement::Completed) => {
                back.insert(id.clone());
                report.returned.push(id.clone());
            }
            Ok(Reinstatement::Damaged(problem)) => {
                report.lost.push(id.clone());
                report.problems.push(format!(
                    "lost backup {id}: its manifest is back, but {problem}"
                ));
            }
            Ok(Reinstatement::NotLost) => {}
            Err(error) => {
                report.lost.push(id.clone());
                report.problems.push(format!("lost backup {id}: {error}"));
            }
        }
    }
    back
}

/// Number of missing good backups. It is zero until the policy's minimum was reached once.
async fn too_few(
    catalog: &Catalog,
    kind: BackupType,
    plan: &TypePlan,
) -> Result<u64, OperationError> {
    let Some(policy) = &plan.policy.policy else {
        return Ok(0);
    };
    let wanted = u64::from(policy.min_count);
    let good = plan.backups.iter().filter(|backup| {
        backup.decision.is_good && backup.decision.verdict == RetentionVerdict::Keep
    });
    let missing = wanted.saturating_sub(good.count() as u64);
    if missing == 0 {
        return Ok(0);
    }
    let ever = |status| matches!(status, JobStatus::Completed | JobStatus::Deleted);
    let made = catalog.counts().await?.jobs(Some(kind), ever);
    Ok(if made >= wanted { missing } else { 0 })
}
