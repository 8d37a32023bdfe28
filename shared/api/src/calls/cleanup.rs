//! `POST /cleanup`: requests a run of retention. The answer contains the plan. Another function
//! with enough time and the permission to delete executes the run.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use holdfast_domain::{RetentionVerdict, Timestamp};
use holdfast_operations::{
    OperationError, PlannedBackup, RetentionPlan, Trust, TypePlan, plan_retention,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    answer::{Answer, Failure},
    fit::Budget,
    host::{Host, Work},
    request::{CleanupRequest, JsonBody, NoQuery},
    schema,
};

/// A planned run of retention.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cleanup {
    /// Whether this is only a plan and nothing is deleted.
    dry_run: bool,
    /// The plan as of now, from manifests that were not authenticated. The run authenticates them,
    /// and decides each deletion again immediately before the deletion.
    plan: RetentionPlan,
    /// Number of backups in the counts of the plan but not in its lists, because the answer would
    /// be too large. Kept backups are omitted first, the oldest before newer ones. Then backups to
    /// delete are omitted, the newest first.
    omitted: u64,
}

impl Cleanup {
    /// A plan without requested deletions.
    fn planned(mut plan: RetentionPlan) -> Self {
        let mut budget = Budget::new();
        let omitted = [&mut plan.database, &mut plan.content]
            .map(|of_type| list_what_fits(of_type, &mut budget));
        Self {
            dry_run: true,
            plan,
            omitted: omitted.iter().sum(),
        }
    }
}

/// Prefers backups to delete over kept backups. The list stays ordered, newest first.
fn list_what_fits(plan: &mut TypePlan, budget: &mut Budget) -> u64 {
    let goes = |backup: &PlannedBackup| backup.decision.verdict == RetentionVerdict::Delete;
    let (mut going, mut staying): (Vec<_>, Vec<_>) = std::mem::take(&mut plan.backups)
        .into_iter()
        .partition(goes);
    going.reverse();
    let omitted = budget.fit(&mut going) + budget.fit(&mut staying);
    plan.backups = going.into_iter().chain(staying).collect();
    plan.backups
        .sort_by_key(|backup| std::cmp::Reverse(backup.decision.created_at));
    omitted
}

/// Starts a run of retention, or with `dryRun` returns only its plan. No body is needed.
#[utoipa::path(
    post,
    path = "/api/backups/cleanup",
    operation_id = "cleanUp",
    request_body(content = Option<CleanupRequest>, description = "No body, or an object that can request a dry run"),
    responses(
        (status = 200, description = "The plan of a dry run. Nothing is deleted", body = Answer<Cleanup>),
        (status = 202, description = "The run is requested", body = Answer<Cleanup>),
        (status = 413, description = "The body is too large", body = schema::Failure),
        (status = 415, description = "The body is not JSON", body = schema::Failure)
    )
)]
pub(crate) async fn clean_up(
    State(host): State<Arc<dyn Host>>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    JsonBody(CleanupRequest { dry_run }): JsonBody<CleanupRequest>,
) -> Result<Response, Failure> {
    let holdfast = host.holdfast().await?;
    if !dry_run && !holdfast.settings.enabled {
        return Err(OperationError::Disabled("BACKUP_SYSTEM_ENABLED").into());
    }
    let plan = plan_retention(holdfast, Trust::AsListed, Timestamp::now()).await?;
    let answer = Answer::new(Cleanup {
        dry_run,
        ..Cleanup::planned(plan)
    });
    if dry_run {
        return Ok(answer.into_response());
    }
    let by = caller.subject.as_deref();
    let dispatched = host.dispatch(Work::Retention { by }).await;
    dispatched.map_err(|error| Failure::cleanup_not_handed_over(&error))?;
    tracing::info!(by = caller.subject, "a run of retention was requested");
    Ok((StatusCode::ACCEPTED, answer).into_response())
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{BackupId, BackupType, RetentionDecision};
    use holdfast_operations::{PolicyInForce, PolicyOrigin};

    use super::*;
    use crate::fit::{MAX_ANSWER_BYTES, escaped_bytes};

    fn plan(backups: u32, going: u32) -> TypePlan {
        let planned = |number: u32| {
            let created_at = Timestamp::from_second(1_900_000_000 - i64::from(number)).unwrap();
            let goes = number >= backups - going;
            PlannedBackup {
                decision: RetentionDecision {
                    backup_id: BackupId::new(
                        BackupType::Database,
                        created_at,
                        number.to_be_bytes(),
                    ),
                    created_at,
                    is_good: true,
                    verdict: if goes {
                        RetentionVerdict::Delete
                    } else {
                        RetentionVerdict::Keep
                    },
                    reasons: Vec::new(),
                },
                size: 5,
            }
        };
        let policy = PolicyInForce {
            origin: PolicyOrigin::Settings,
            policy: None,
            problem: None,
            unconfirmed_since: None,
        };
        let (delete, keep) = (going.into(), (backups - going).into());
        let backups = (0..backups).map(planned).collect();
        TypePlan {
            policy,
            delete,
            keep,
            bytes: 0,
            lost: Vec::new(),
            returned: Vec::new(),
            suspended: None,
            backups,
        }
    }

    #[test]
    fn a_plan_for_very_many_backups_fits_and_lists_those_that_go_first() {
        let plan = RetentionPlan {
            at: Timestamp::UNIX_EPOCH,
            collection_suspended: None,
            database: plan(60_000, 500),
            content: plan(60_000, 0),
        };
        let cleanup = Cleanup::planned(plan);
        assert!(escaped_bytes(&serde_json::to_vec(&cleanup).unwrap()) < MAX_ANSWER_BYTES);
        let database = &cleanup.plan.database;
        assert_eq!(
            (database.deletions().count(), database.delete, database.keep),
            (500, 500, 59_500)
        );
        assert!(
            database
                .backups
                .is_sorted_by(|a, b| a.decision.created_at >= b.decision.created_at)
        );
        let listed = database.backups.len() + cleanup.plan.content.backups.len();
        assert_eq!(cleanup.omitted + listed as u64, 120_000);
        let small = Cleanup::planned(RetentionPlan {
            at: Timestamp::UNIX_EPOCH,
            ..cleanup.plan
        });
        assert_eq!(small.omitted, 0);
    }
}
