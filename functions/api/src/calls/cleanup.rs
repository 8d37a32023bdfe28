//! `POST /cleanup`: asks for a run of retention. What would go is told at once; the run is another function's, which has
//! the time and the right to delete.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use holdfast_domain::Timestamp;
use holdfast_lambda::Function;
use holdfast_operations::{OperationError, RetentionPlan, Trust, plan_retention};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    answer::{Answer, Failure},
    request::{CleanupRequest, NoQuery},
    schema,
};

/// A run of retention, as it is planned.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cleanup {
    /// Whether nothing is deleted.
    dry_run: bool,
    /// What it would do now. Each deletion is decided once more right before it is made.
    #[schema(value_type = schema::retention::RetentionPlan)]
    plan: RetentionPlan,
}

/// Asks for a run of retention, or with `dryRun` only for its plan. No body is needed.
#[utoipa::path(
    post,
    path = "/api/backups/cleanup",
    operation_id = "cleanUp",
    request_body(content = Option<CleanupRequest>, description = "Nothing, or whether it is a dry run"),
    responses(
        (status = 200, description = "What would go; nothing is deleted", body = Answer<Cleanup>),
        (status = 202, description = "The run is on its way", body = Answer<Cleanup>),
        (status = 413, description = "The body is too large", body = schema::Failure),
        (status = 415, description = "The body is not JSON", body = schema::Failure)
    )
)]
pub(crate) async fn clean_up(
    State(function): State<Arc<Function>>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    CleanupRequest { dry_run }: CleanupRequest,
) -> Result<Response, Failure> {
    let holdfast = function.holdfast().await?;
    if !dry_run && !holdfast.settings.enabled {
        return Err(OperationError::Disabled("BACKUP_SYSTEM_ENABLED").into());
    }
    let plan = plan_retention(holdfast, Trust::AsListed, Timestamp::now()).await?;
    let answer = Answer::new(Cleanup { dry_run, plan });
    if dry_run {
        return Ok(answer.into_response());
    }
    let asked = function.events().await?.request_cleanup(caller.subject.as_deref()).await;
    asked.map_err(|error| Failure::cleanup_not_handed_over(&error))?;
    tracing::info!(by = caller.subject, "a run of retention was asked for");
    Ok((StatusCode::ACCEPTED, answer).into_response())
}
