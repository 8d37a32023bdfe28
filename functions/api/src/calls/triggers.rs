//! `POST /database`: asks for a database backup. The job is written, then handed over by EventBridge, so that manual
//! and scheduled runs take one path.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use holdfast_domain::{BackupId, Job, JobStatus, Timestamp};
use holdfast_lambda::{EventError, Function};
use holdfast_operations::{Holdfast, abandon, trigger_database};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    answer::{Answer, Failure},
    request::{NoFields, NoQuery},
    schema,
};

/// A backup that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Requested {
    /// Its id: `GET /jobs/{backupId}` follows it.
    #[schema(value_type = String)]
    backup_id: BackupId,
    /// `pending`.
    #[schema(value_type = schema::JobStatus)]
    status: JobStatus,
}

/// Asks for a database backup. No body is needed.
#[utoipa::path(
    post,
    path = "/api/backups/database",
    operation_id = "backUpDatabase",
    request_body(content = Option<schema::NoFields>, description = "Nothing, or an empty object"),
    responses(
        (status = 202, description = "The backup is on its way", body = Answer<Requested>),
        (status = 409, description = "One runs already, or as many as are allowed", body = schema::Failure),
        (status = 413, description = "The body is too large", body = schema::Failure),
        (status = 415, description = "The body is not JSON", body = schema::Failure)
    )
)]
pub(crate) async fn back_up(
    State(function): State<Arc<Function>>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    _: NoFields,
) -> Result<Response, Failure> {
    let holdfast = function.holdfast().await?;
    let events = function.events().await?;
    let job = trigger_database(holdfast, caller.subject, Timestamp::now()).await?;
    if let Err(error) = events.request_backup(&job).await {
        return Err(give_up(holdfast, &job, &error).await);
    }
    tracing::info!(backupId = %job.backup_id, by = job.trigger.by, "a database backup was asked for");
    let requested = Requested { backup_id: job.backup_id, status: job.status };
    Ok((StatusCode::ACCEPTED, Answer::new(requested)).into_response())
}

/// Nobody will run the job: it is settled now, so that the next trigger is not refused. Where that fails too, the sweep
/// settles it.
async fn give_up(holdfast: &Holdfast, job: &Job, error: &EventError) -> Failure {
    if let Err(second) = abandon(holdfast, job, &error.to_string()).await {
        tracing::error!(backupId = %job.backup_id, error = %second, "a job that was not handed over could not be settled");
    }
    Failure::not_handed_over(error)
}
