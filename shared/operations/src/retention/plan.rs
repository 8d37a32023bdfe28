//! A plan for one type: the backups in the bucket, with the state of their jobs in the catalogue,
//! under the current policy.

use holdfast_domain::settings::Settings;
use holdfast_repository::Repository;
use std::collections::BTreeMap;

use holdfast_catalog::{Catalog, CatalogError, JobStanding};
use holdfast_domain::{
    BackupId, BackupType, JobStatus, Manifest, RetentionCandidate, RetentionDecision,
    RetentionPolicy, RetentionVerdict, Standing, Timestamp,
};
use serde::Serialize;

use crate::{
    Holdfast, OperationError,
    inventory::{Inventory, Stored},
    job::finish,
};

/// Backups per catalogue query.
const PAGE: usize = 1000;

/// Origin of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum PolicyOrigin {
    /// Stored in the catalogue.
    Stored,
    /// Not stored: the settings' days, and the defaults.
    Settings,
    /// The stored policy is unreadable, so all backups are kept.
    Unreadable,
    /// The catalogue was rebuilt, and an operator has not confirmed the settings. All backups are
    /// kept.
    Unconfirmed,
}

/// The policy for backups of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyInForce {
    /// Origin of the policy.
    pub origin: PolicyOrigin,
    /// The policy. Null keeps all backups.
    pub policy: Option<RetentionPolicy>,
    /// Why the stored policy is unreadable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Time of a rebuild of the catalogue. Present until an operator confirms the policy.
    #[serde(rename = "unconfirmedSince", skip_serializing_if = "Option::is_none")]
    pub unconfirmed_since: Option<Timestamp>,
}

impl PolicyInForce {
    /// The reason for suspending retention of these backups, if their policy is not confirmed.
    pub(super) fn suspension(&self, kind: BackupType) -> Option<String> {
        let since = self.unconfirmed_since?;
        Some(format!(
            "the catalogue was rebuilt at {since}, and an earlier stored policy for {kind} backups is unknown. \
             Nothing was deleted. Store it again with `holdfast policy set {kind}`, or confirm the settings with \
             `holdfast policy unset {kind}`"
        ))
    }
}

/// A backup and the decision about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlannedBackup {
    /// The decision.
    #[serde(flatten)]
    pub decision: RetentionDecision,
    /// Bytes of the backup's objects.
    pub size: u64,
}

/// The decisions for the backups of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct TypePlan {
    /// The policy of the plan.
    #[serde(flatten)]
    pub policy: PolicyInForce,
    /// Number of backups to delete.
    pub delete: u64,
    /// Number of backups to keep.
    pub keep: u64,
    /// Bytes of the backups to delete.
    pub bytes: u64,
    /// Backups with a missing manifest and without a decided deletion. Retention deletes nothing of
    /// them.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub lost: Vec<BackupId>,
    /// Lost backups with a returned manifest. The run sets them back to `completed`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub returned: Vec<BackupId>,
    /// Why the run changes nothing. Present if the store holds fewer than half of the catalogue's
    /// completed backups, or if the policy is not confirmed since a rebuild. In the second case the
    /// plan follows the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<String>,
    /// Every backup, newest first.
    pub backups: Vec<PlannedBackup>,
}

/// The decisions of a run of retention for each backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RetentionPlan {
    /// Time of the decisions.
    pub at: Timestamp,
    /// Why the run deletes no content object. Present if expected manifests are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection_suspended: Option<String>,
    /// Database backups.
    pub database: TypePlan,
    /// Content backups.
    pub content: TypePlan,
}

impl RetentionPlan {
    /// Whether an operator must decide: a manifest is missing, or the store does not match the
    /// catalogue.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        let needs = |plan: &TypePlan| !plan.lost.is_empty() || plan.suspended.is_some();
        needs(&self.database) || needs(&self.content)
    }
}

impl TypePlan {
    /// Backups to delete, newest first.
    #[must_use]
    pub fn deletions(&self) -> impl DoubleEndedIterator<Item = &PlannedBackup> {
        self.backups
            .iter()
            .filter(|backup| backup.decision.verdict == RetentionVerdict::Delete)
    }

    /// Number of kept backups that count towards a keep.
    #[must_use]
    pub fn kept_good(&self) -> u64 {
        let kept = self
            .backups
            .iter()
            .filter(|backup| backup.decision.verdict == RetentionVerdict::Keep);
        kept.filter(|backup| backup.decision.is_good).count() as u64
    }
}

/// Decides on all backups of an inventory, by the current policy and the current catalogue. An
/// unsure backup is kept with its reason if its job failed or was cancelled.
pub(super) async fn of_type(
    catalog: &Catalog,
    settings: &Settings,
    inventory: &Inventory,
    unsure: &BTreeMap<BackupId, String>,
    now: Timestamp,
) -> Result<TypePlan, OperationError> {
    let mut candidates = candidates(catalog, inventory).await?;
    for candidate in candidates
        .iter_mut()
        .filter(|candidate| may_be_late(candidate))
    {
        if let Some(why) = unsure.get(&candidate.backup_id) {
            candidate.standing = Standing::Unsure(why.clone());
        }
    }
    Ok(decide(
        settings,
        inventory,
        &candidates,
        policy(catalog, settings, inventory.kind).await?,
        now,
    ))
}

/// The plan for display. If the policy is not confirmed, it shows the deletions under the settings.
pub(super) async fn for_display(
    holdfast: &Holdfast,
    inventory: &Inventory,
    now: Timestamp,
) -> Result<TypePlan, OperationError> {
    let mut in_force = policy(&holdfast.catalog, &holdfast.settings, inventory.kind).await?;
    let suspended = in_force.suspension(inventory.kind);
    if suspended.is_some() {
        in_force.policy = Some(policy_from_settings(&holdfast.settings, inventory.kind));
    }
    let mut candidates = listed(&holdfast.catalog, inventory).await?;
    expect_late(&holdfast.repository, &mut candidates).await;
    accept_empty_source(&mut candidates);
    Ok(TypePlan {
        suspended,
        ..decide(&holdfast.settings, inventory, &candidates, in_force, now)
    })
}

/// The plan during a suspension: every backup stays.
pub(super) async fn suspended(
    catalog: &Catalog,
    settings: &Settings,
    inventory: &Inventory,
    why: String,
    now: Timestamp,
) -> Result<TypePlan, OperationError> {
    let mut candidates = candidates(catalog, inventory).await?;
    for candidate in &mut candidates {
        candidate.standing = Standing::Unsure("retention is suspended".to_owned());
    }
    let policy = policy(catalog, settings, inventory.kind).await?;
    Ok(TypePlan {
        suspended: Some(why),
        ..decide(settings, inventory, &candidates, policy, now)
    })
}

fn decide(
    settings: &Settings,
    inventory: &Inventory,
    candidates: &[RetentionCandidate],
    policy: PolicyInForce,
    now: Timestamp,
) -> TypePlan {
    let decisions = holdfast_domain::plan_retention(
        candidates,
        policy.policy.as_ref(),
        now,
        &settings.timezone,
    );
    let size = |id: &BackupId| {
        inventory
            .backups
            .get(id)
            .map_or(0, |stored| stored.size_bytes)
    };
    let backups: Vec<_> = decisions
        .into_iter()
        .map(|decision| PlannedBackup {
            size: size(&decision.backup_id),
            decision,
        })
        .collect();
    let mut plan = TypePlan {
        policy,
        delete: 0,
        keep: 0,
        bytes: 0,
        lost: Vec::new(),
        returned: Vec::new(),
        suspended: None,
        backups,
    };
    plan.delete = plan.deletions().count() as u64;
    plan.keep = plan.backups.len() as u64 - plan.delete;
    plan.bytes = plan.deletions().map(|backup| backup.size).sum();
    plan
}

/// The current policy for this type.
pub(crate) async fn policy(
    catalog: &Catalog,
    settings: &Settings,
    kind: BackupType,
) -> Result<PolicyInForce, OperationError> {
    let unreadable = |error: CatalogError| match error {
        CatalogError::Corrupt { .. } => {
            Ok((PolicyOrigin::Unreadable, None, Some(error.to_string())))
        }
        error => Err(OperationError::from(error)),
    };
    let unconfirmed_since = match catalog.policy_unconfirmed_since(kind).await {
        Err(CatalogError::Corrupt { .. }) => None,
        since => since?,
    };
    let (origin, policy, problem) = match catalog.policy(kind).await {
        _ if unconfirmed_since.is_some() => (PolicyOrigin::Unconfirmed, None, None),
        Ok(Some(stored)) => (PolicyOrigin::Stored, Some(stored.policy), None),
        Ok(None) => (
            PolicyOrigin::Settings,
            Some(policy_from_settings(settings, kind)),
            None,
        ),
        Err(error) => unreadable(error)?,
    };
    Ok(PolicyInForce {
        origin,
        policy,
        problem,
        unconfirmed_since,
    })
}

fn policy_from_settings(settings: &Settings, kind: BackupType) -> RetentionPolicy {
    RetentionPolicy::from_days(match kind {
        BackupType::Database => settings.database.retention_days,
        BackupType::Content | BackupType::Full => settings.content.retention_days,
    })
}

async fn candidates(
    catalog: &Catalog,
    inventory: &Inventory,
) -> Result<Vec<RetentionCandidate>, OperationError> {
    let mut candidates = listed(catalog, inventory).await?;
    accept_empty_source(&mut candidates);
    Ok(candidates)
}

/// Judges failed and cancelled jobs like a run: a job with a complete backup in the store counts as
/// completed. A possibly complete backup is kept.
async fn expect_late(repository: &Repository, candidates: &mut [RetentionCandidate]) {
    for candidate in candidates
        .iter_mut()
        .filter(|candidate| may_be_late(candidate))
    {
        match finish::committed_manifest(repository, &candidate.backup_id).await {
            Ok(Some(manifest)) if is_empty(&manifest) => candidate.standing = Standing::Empty,
            Ok(Some(_)) => candidate.standing = Standing::Good,
            Ok(None) | Err(OperationError::Corrupt { .. }) => {}
            Err(error) => candidate.standing = Standing::Unsure(error.to_string()),
        }
    }
}

/// Whether a run may complete its job by a late manifest.
const fn may_be_late(candidate: &RetentionCandidate) -> bool {
    matches!(
        candidate.standing,
        Standing::NotCompleted(JobStatus::Failed | JobStatus::Cancelled)
    )
}

/// Whether a backup is empty according to its manifest.
fn is_empty(manifest: &Manifest) -> bool {
    match &manifest.content {
        Some(content) => content.items.expected == 0,
        None => manifest
            .namespaces
            .iter()
            .all(|namespace| namespace.documents == 0),
    }
}

async fn listed(
    catalog: &Catalog,
    inventory: &Inventory,
) -> Result<Vec<RetentionCandidate>, OperationError> {
    let stored: Vec<_> = inventory.backups.iter().collect();
    let mut candidates = Vec::with_capacity(stored.len());
    for page in stored.chunks(PAGE) {
        let ids: Vec<BackupId> = page.iter().map(|(id, _)| (*id).clone()).collect();
        let mut standings = catalog.standings(&ids).await?;
        candidates.extend(
            page.iter()
                .map(|(id, stored)| candidate(id, stored, standings.remove(id))),
        );
    }
    Ok(candidates)
}

/// An empty backup is good if it precedes the first good one with content: the source was always
/// empty.
fn accept_empty_source(candidates: &mut [RetentionCandidate]) {
    let good = candidates
        .iter()
        .filter(|candidate| candidate.standing == Standing::Good);
    let first = good.map(|candidate| candidate.created_at).min();
    for candidate in candidates
        .iter_mut()
        .filter(|candidate| candidate.standing == Standing::Empty)
    {
        if first.is_none_or(|first| candidate.created_at < first) {
            candidate.standing = Standing::Good;
        }
    }
}

fn candidate(
    id: &BackupId,
    stored: &Stored,
    job: Option<Result<JobStanding, CatalogError>>,
) -> RetentionCandidate {
    let (created_at, standing) = match (&stored.created_at, job) {
        (Err(problem), _) => (
            id.created_at().unwrap_or(Timestamp::UNIX_EPOCH),
            Standing::Unsure(problem.clone()),
        ),
        (Ok(at), Some(Ok(job))) => (*at, standing(&job)),
        (Ok(at), Some(Err(error))) => (*at, Standing::Unsure(error.to_string())),
        (Ok(at), None) => (*at, Standing::Unsure(UNKNOWN.to_owned())),
    };
    RetentionCandidate {
        backup_id: id.clone(),
        created_at,
        standing,
    }
}

const UNKNOWN: &str = "the catalogue has no job for it, but another catalogue may have one: recreate the jobs from the store with `holdfast catalog rebuild`, or delete it by hand";

const RETURNED: &str = "its manifest was lost and is back: a run of retention completes it again";

const RETURNED_AFTER_ACCEPTANCE: &str = "its loss was accepted and its manifest is back: a run of retention completes it again, \
                                  if none of its objects is missing";

fn standing(job: &JobStanding) -> Standing {
    match job.status {
        JobStatus::Deleted if job.is_lost => Standing::Unsure(RETURNED.to_owned()),
        JobStatus::Deleted if job.is_accepted_loss => {
            Standing::Unsure(RETURNED_AFTER_ACCEPTANCE.to_owned())
        }
        JobStatus::Deleted => Standing::Deleting,
        status if status.is_active() => Standing::InUse(status),
        JobStatus::Completed if job.verification_failed => Standing::VerificationFailed,
        JobStatus::Completed if job.is_empty => Standing::Empty,
        JobStatus::Completed => Standing::Good,
        status => Standing::NotCompleted(status),
    }
}
