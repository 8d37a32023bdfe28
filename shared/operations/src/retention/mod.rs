//! Retention: the expired backups, the order of their deletion, and unreferenced content objects.
//!
//! In doubt, data is kept. After a crash at any point the next run converges. A failed step does
//! not stop the others.

pub(crate) mod backups;
mod clock;
pub(crate) mod delete;
mod parents;
mod plan;
mod report;
mod rows;

use std::collections::BTreeSet;

use holdfast_domain::{BackupType, Timestamp};
use holdfast_repository::Repository;

pub(crate) use self::{
    delete::{Deletion, copy as delete_copy},
    plan::policy as policy_in_force,
};
pub use self::{
    plan::{PlannedBackup, PolicyInForce, PolicyOrigin, RetentionPlan, TypePlan},
    report::{BlockedBackup, DeletedBackup, RetentionReport, TypeReport},
};
use crate::{
    Holdfast, OperationError, RunLimits,
    gc::{self, CollectionReport},
    inventory::{
        self, Inventory, RETAINED_TYPES, Trust,
        expected::{Expected, collection_suspension, suspension},
    },
};

/// One type: the backups in the store, and the backups expected by the catalogue.
struct TypeInventory {
    inventory: Inventory,
    expected: Expected,
}

impl TypeInventory {
    async fn read(h: &Holdfast, kind: BackupType, trust: Trust) -> Result<Self, OperationError> {
        let inventory = inventory::list(h, kind, trust).await?;
        let expected = Expected::compare(h, kind, |id| inventory.backups.contains_key(id)).await?;
        Ok(Self {
            inventory,
            expected,
        })
    }
}

/// The decisions of a run at this moment, backup by backup. Changes nothing.
///
/// # Errors
/// If the store or the catalogue is unavailable.
pub async fn plan_retention(
    h: &Holdfast,
    trust: Trust,
    now: Timestamp,
) -> Result<RetentionPlan, OperationError> {
    let now = h.catalog.by_server_clock(now).await?;
    let [database, content] = RETAINED_TYPES;
    let (database, content) = (
        TypeInventory::read(h, database, trust).await?,
        TypeInventory::read(h, content, trust).await?,
    );
    let both = [Some(&database.expected), Some(&content.expected)];
    let missing = database
        .expected
        .unresolved()
        .chain(content.expected.unresolved());
    Ok(RetentionPlan {
        at: now,
        collection_suspended: collection_suspension(missing),
        database: plan_of(h, &database, both, now).await?,
        content: plan_of(h, &content, both, now).await?,
    })
}

async fn plan_of(
    h: &Holdfast,
    TypeInventory {
        inventory,
        expected,
    }: &TypeInventory,
    both: [Option<&Expected>; 2],
    now: Timestamp,
) -> Result<TypePlan, OperationError> {
    let mut plan = match suspension(h, inventory.kind, expected, both) {
        Some(why) => plan::suspended(h, inventory, why, now).await?,
        None => plan::for_display(h, inventory, now).await?,
    };
    plan.lost = expected.unresolved().cloned().collect();
    plan.returned.clone_from(&expected.returned);
    Ok(plan)
}

/// The content objects without a reference after a plan. Changes nothing.
///
/// # Errors
/// If a manifest or a list of items is unreadable, or the store is unavailable.
pub async fn plan_collection(
    h: &Holdfast,
    plan: &RetentionPlan,
    now: Timestamp,
) -> Result<CollectionReport, OperationError> {
    let now = h.catalog.by_server_clock(now).await?;
    let gone: BTreeSet<_> = plan
        .content
        .deletions()
        .map(|backup| backup.decision.backup_id.clone())
        .collect();
    // Boxed, as below: both types are too deep for the compiler's layout of their callers.
    Box::pin(gc::plan(h, &gone, now)).await
}

/// Deletes the expired backups, and then the unreferenced content objects.
///
/// # Errors
/// [`OperationError::Disabled`], and [`OperationError::Clock`] if this machine's clock is wrong.
/// The report lists failed steps, and the other steps still run.
pub async fn retain(
    h: &Holdfast,
    limits: RunLimits,
    now: Timestamp,
) -> Result<RetentionReport, OperationError> {
    if !h.settings.enabled {
        return Err(OperationError::Disabled("BACKUP_SYSTEM_ENABLED"));
    }
    clock::confirm(&h.catalog).await?;
    let now = h.catalog.by_server_clock(now).await?;
    let mut report = RetentionReport::new(now);
    let is_suspended = retain_types(h, limits, now, &mut report).await;
    if !is_suspended {
        tidy_rows(h, limits, now, &mut report).await;
    }
    match Box::pin(gc::collect(h, gc::Side::Primary, limits, now)).await {
        Ok(collection) => report.collection = collection,
        Err(error) => report
            .problems
            .push(format!("content objects could not be collected: {error}")),
    }
    Ok(report)
}

/// Retention of both types. Returns whether one of them is suspended.
async fn retain_types(
    h: &Holdfast,
    limits: RunLimits,
    now: Timestamp,
    report: &mut RetentionReport,
) -> bool {
    let mut taken = Vec::new();
    for kind in RETAINED_TYPES {
        match Box::pin(TypeInventory::read(h, kind, Trust::Authenticated)).await {
            Ok(one) => taken.push(one),
            Err(error) => report.of_mut(kind).problems.push(error.to_string()),
        }
    }
    let expected = |kind| {
        taken
            .iter()
            .find(|one| one.inventory.kind == kind)
            .map(|one| &one.expected)
    };
    let both = RETAINED_TYPES.map(expected);
    let why: Vec<_> = taken
        .iter()
        .map(|one| suspension(h, one.inventory.kind, &one.expected, both))
        .collect();
    for (one, why) in taken.into_iter().zip(why) {
        let kind = one.inventory.kind;
        if let Err(error) =
            Box::pin(retain_type(h, one, why, (limits, now), report.of_mut(kind))).await
        {
            report.of_mut(kind).problems.push(error.to_string());
        }
    }
    RETAINED_TYPES
        .into_iter()
        .any(|kind| report.of(kind).suspended.is_some())
}

/// Retention of one type, unless the store does not match or the policy is not confirmed.
async fn retain_type(
    h: &Holdfast,
    one: TypeInventory,
    wrong_store: Option<String>,
    (limits, now): (RunLimits, Timestamp),
    report: &mut TypeReport,
) -> Result<(), OperationError> {
    let kind = one.inventory.kind;
    let why = match wrong_store {
        Some(why) => Some(why),
        None => policy_in_force(h, kind).await?.suspension(kind),
    };
    match why {
        Some(why) => backups::leave(h, one, why, now, report).await,
        None => backups::retain(h, one, limits, now, report).await,
    }
}

async fn tidy_rows(h: &Holdfast, limits: RunLimits, now: Timestamp, report: &mut RetentionReport) {
    if let Err(error) = parents::delete(h, limits, now, report).await {
        report.problems.push(format!("full backups: {error}"));
    }
    if let Err(error) = rows::delete(h, limits, now, report).await {
        report.problems.push(format!("rows of items: {error}"));
    }
}

/// Removes objects from the second store without a reference in either store.
///
/// # Errors
/// If a manifest or a list of items is unreadable, or a store is unavailable.
pub(crate) async fn collect_copies(
    h: &Holdfast,
    second: &Repository,
    limits: RunLimits,
    now: Timestamp,
) -> Result<CollectionReport, OperationError> {
    gc::collect(h, gc::Side::Replica(second), limits, now).await
}
