//! Retention: which backups go by their policies, what of them is deleted in which order, and which content objects no
//! backup refers to any more. Unsure means kept; killed anywhere, the next run goes on; each step goes on where another
//! failed.

mod backups;
mod clock;
mod collect;
mod delete;
mod inventory;
mod parents;
mod plan;
mod report;
mod rows;

use std::collections::BTreeSet;

use holdfast_domain::{BackupType, Timestamp};

pub(crate) use self::{
    backups::is_late,
    delete::{Deletion, copy as delete_copy, lock_of},
    inventory::{Folder, folders},
    plan::policy as policy_in_force,
};
pub use self::{
    collect::CollectionReport,
    inventory::Trust,
    plan::{PlannedBackup, PolicyInForce, PolicyOrigin, RetentionPlan, TypePlan},
    report::{BlockedBackup, DeletedBackup, RetentionReport, TypeReport},
};
use crate::{Holdfast, OperationError, Repository, RunLimits};

/// The types that policies are for: a full backup goes with its last part.
pub const RETAINED_TYPES: [BackupType; 2] = [BackupType::Database, BackupType::Content];

/// What a run would decide now, backup by backup. Nothing is changed.
///
/// # Errors
/// Where the store or the catalogue cannot be asked.
pub async fn plan_retention(h: &Holdfast, trust: Trust, now: Timestamp) -> Result<RetentionPlan, OperationError> {
    let [database, content] = RETAINED_TYPES;
    Ok(RetentionPlan {
        at: now,
        database: plan::of_type(h, &inventory::take(h, database, trust).await?, now).await?,
        content: plan::of_type(h, &inventory::take(h, content, trust).await?, now).await?,
    })
}

/// The content objects that no backup would refer to once a plan is carried out. Nothing is changed.
///
/// # Errors
/// Where a manifest or a list of items cannot be read, or the store cannot be asked.
pub async fn plan_collection(
    h: &Holdfast,
    plan: &RetentionPlan,
    now: Timestamp,
) -> Result<CollectionReport, OperationError> {
    let gone: BTreeSet<_> = plan.content.deletions().map(|backup| backup.decision.backup_id.clone()).collect();
    // Boxed, as below: the types of both are too deep for the compiler's layout of what calls them.
    Box::pin(collect::plan(h, &gone, now)).await
}

/// Deletes what the policies let go, then what nobody refers to any more.
///
/// # Errors
/// [`OperationError::Disabled`], and [`OperationError::Clock`] where this machine's clock is wrong. A step that fails is told in the report, and does not keep the others from being made.
pub async fn retain(h: &Holdfast, limits: RunLimits, now: Timestamp) -> Result<RetentionReport, OperationError> {
    if !h.settings.enabled {
        return Err(OperationError::Disabled("BACKUP_SYSTEM_ENABLED"));
    }
    clock::confirm(&h.catalog).await?;
    let mut report = RetentionReport::new(now);
    for kind in RETAINED_TYPES {
        if let Err(error) = Box::pin(backups::retain(h, kind, limits, now, report.of_mut(kind))).await {
            report.of_mut(kind).problems.push(error.to_string());
        }
    }
    match parents::delete(h).await {
        Ok(deleted) => report.full_deleted = deleted,
        Err(error) => report.problems.push(format!("full backups: {error}")),
    }
    match rows::delete(h, now).await {
        Ok(deleted) => report.item_rows_deleted = deleted,
        Err(error) => report.problems.push(format!("rows of items: {error}")),
    }
    match Box::pin(collect::collect(h, collect::Of::First, limits, now)).await {
        Ok(collection) => report.collection = collection,
        Err(error) => report.problems.push(format!("content objects were not looked through: {error}")),
    }
    Ok(report)
}

/// Removes from the second store what no backup refers to, in either store.
///
/// # Errors
/// Where a manifest or a list of items cannot be read, or a store cannot be asked.
pub(crate) async fn collect_copies(
    h: &Holdfast,
    second: &Repository,
    limits: RunLimits,
    now: Timestamp,
) -> Result<CollectionReport, OperationError> {
    collect::collect(h, collect::Of::Second(second), limits, now).await
}
