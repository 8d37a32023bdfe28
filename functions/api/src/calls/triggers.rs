//! `POST /database`, `/content`, `/full`: ask for a backup. The job is written, then handed over by EventBridge, so that
//! manual and scheduled runs take one path.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp};
use holdfast_lambda::{EventError, Events, Function};
use holdfast_operations::{FullTrigger, Holdfast, abandon, trigger, trigger_full};
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

impl Requested {
    fn of(job: Job) -> Self {
        Self { backup_id: job.backup_id, status: job.status }
    }
}

/// A full backup that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BothRequested {
    #[serde(flatten)]
    requested: Requested,
    /// The backups that it is made of.
    parts: Vec<Requested>,
    /// The settings by which one of the two is switched off, and left out.
    skipped: Vec<&'static str>,
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
pub(crate) async fn database(
    State(function): State<Arc<Function>>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    _: NoFields,
) -> Result<Response, Failure> {
    back_up(&function, BackupType::Database, caller).await
}

/// Asks for a content backup. No body is needed.
#[utoipa::path(
    post,
    path = "/api/backups/content",
    operation_id = "backUpContent",
    request_body(content = Option<schema::NoFields>, description = "Nothing, or an empty object"),
    responses(
        (status = 202, description = "The backup is on its way", body = Answer<Requested>),
        (status = 409, description = "One runs already, or as many as are allowed", body = schema::Failure),
        (status = 413, description = "The body is too large", body = schema::Failure),
        (status = 415, description = "The body is not JSON", body = schema::Failure)
    )
)]
pub(crate) async fn content(
    State(function): State<Arc<Function>>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    _: NoFields,
) -> Result<Response, Failure> {
    back_up(&function, BackupType::Content, caller).await
}

/// Asks for a backup of both. No body is needed.
#[utoipa::path(
    post,
    path = "/api/backups/full",
    operation_id = "backUpBoth",
    request_body(content = Option<schema::NoFields>, description = "Nothing, or an empty object"),
    responses(
        (status = 202, description = "The backups are on their way", body = Answer<BothRequested>),
        (status = 409, description = "One of the two runs already, or as many as are allowed", body = schema::Failure),
        (status = 413, description = "The body is too large", body = schema::Failure),
        (status = 415, description = "The body is not JSON", body = schema::Failure)
    )
)]
pub(crate) async fn full(
    State(function): State<Arc<Function>>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    _: NoFields,
) -> Result<Response, Failure> {
    let holdfast = function.holdfast().await?;
    let events = function.events().await?;
    let FullTrigger { job, children, skipped } =
        Box::pin(trigger_full(holdfast, caller.subject, Timestamp::now())).await?;
    hand_over(holdfast, &events, &children).await?;
    tracing::info!(backupId = %job.backup_id, by = job.trigger.by, "a full backup was asked for");
    let parts = children.into_iter().map(Requested::of).collect();
    let both = BothRequested { requested: Requested::of(job), parts, skipped };
    Ok((StatusCode::ACCEPTED, Answer::new(both)).into_response())
}

async fn back_up(function: &Function, kind: BackupType, caller: Caller) -> Result<Response, Failure> {
    let holdfast = function.holdfast().await?;
    let events = function.events().await?;
    let job = Box::pin(trigger(holdfast, kind, caller.subject, Timestamp::now())).await?;
    hand_over(holdfast, &events, std::slice::from_ref(&job)).await?;
    tracing::info!(backupId = %job.backup_id, by = job.trigger.by, "a {kind} backup was asked for");
    Ok((StatusCode::ACCEPTED, Answer::new(Requested::of(job))).into_response())
}

/// Hands jobs over to their workers. Where one cannot be, nobody will run it: it is settled now, so that the next trigger
/// is not refused; and none after it is begun. Where that fails too, the sweep settles it.
async fn hand_over(holdfast: &Holdfast, events: &Events, jobs: &[Job]) -> Result<(), Failure> {
    let mut refused: Option<EventError> = None;
    for job in jobs {
        let error = match &refused {
            Some(error) => error.clone(),
            None => match events.request_backup(job).await {
                Ok(()) => continue,
                Err(error) => error,
            },
        };
        if let Err(second) = abandon(holdfast, job, &error.to_string()).await {
            tracing::error!(backupId = %job.backup_id, error = %second, "a job that was not handed over could not be settled");
        }
        refused = Some(error);
    }
    refused.map_or(Ok(()), |error| Err(Failure::not_handed_over(&error)))
}
