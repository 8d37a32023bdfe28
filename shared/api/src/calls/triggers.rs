//! `POST /database`, `/content`, `/full`: starts a backup. The call writes the job and dispatches
//! it by EventBridge, so that manual and scheduled runs share one path.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp};
use holdfast_operations::{FullTrigger, Holdfast, abandon, trigger, trigger_full};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    answer::{Answer, Failure},
    host::{DispatchError, Host, Work},
    request::{JsonBody, NoFields, NoQuery},
    schema,
};

/// A requested backup.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Requested {
    /// ID of the backup. `GET /jobs/{backupId}` returns its progress.
    #[schema(value_type = String)]
    backup_id: BackupId,
    /// `pending`.
    status: JobStatus,
}

impl Requested {
    fn of(job: Job) -> Self {
        Self {
            backup_id: job.backup_id,
            status: job.status,
        }
    }
}

/// A requested full backup.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BothRequested {
    #[serde(flatten)]
    requested: Requested,
    /// The parts of the full backup.
    parts: Vec<Requested>,
    /// Settings that switch off one of the two parts. The full backup omits that part.
    skipped: Vec<&'static str>,
}

/// Starts a database backup. No body is needed.
#[utoipa::path(
    post,
    path = "/api/backups/database",
    operation_id = "backUpDatabase",
    request_body(content = Option<NoFields>, description = "No body, or an empty object"),
    responses(
        (status = 202, description = "The backup is requested", body = Answer<Requested>),
        (
            status = 409, description = "Such a backup is already running, or the limit of running backups is reached",
            body = schema::Failure
        ),
        (status = 413, description = "The body is too large", body = schema::Failure),
        (status = 415, description = "The body is not JSON", body = schema::Failure)
    )
)]
pub(crate) async fn database(
    State(host): State<Arc<dyn Host>>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    _: JsonBody<NoFields>,
) -> Result<Response, Failure> {
    back_up(&*host, BackupType::Database, caller).await
}

/// Starts a content backup. No body is needed.
#[utoipa::path(
    post,
    path = "/api/backups/content",
    operation_id = "backUpContent",
    request_body(content = Option<NoFields>, description = "No body, or an empty object"),
    responses(
        (status = 202, description = "The backup is requested", body = Answer<Requested>),
        (
            status = 409, description = "Such a backup is already running, or the limit of running backups is reached",
            body = schema::Failure
        ),
        (status = 413, description = "The body is too large", body = schema::Failure),
        (status = 415, description = "The body is not JSON", body = schema::Failure)
    )
)]
pub(crate) async fn content(
    State(host): State<Arc<dyn Host>>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    _: JsonBody<NoFields>,
) -> Result<Response, Failure> {
    back_up(&*host, BackupType::Content, caller).await
}

/// Starts a full backup of database and content. No body is needed.
#[utoipa::path(
    post,
    path = "/api/backups/full",
    operation_id = "backUpBoth",
    request_body(content = Option<NoFields>, description = "No body, or an empty object"),
    responses(
        (status = 202, description = "The backups are requested", body = Answer<BothRequested>),
        (
            status = 409,
            description = "A database or content backup is already running, or the limit of running backups is reached",
            body = schema::Failure
        ),
        (status = 413, description = "The body is too large", body = schema::Failure),
        (status = 415, description = "The body is not JSON", body = schema::Failure)
    )
)]
pub(crate) async fn full(
    State(host): State<Arc<dyn Host>>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    _: JsonBody<NoFields>,
) -> Result<Response, Failure> {
    let holdfast = host.holdfast().await?;
    let FullTrigger {
        job,
        children,
        skipped,
    } = Box::pin(trigger_full(holdfast, caller.subject, Timestamp::now())).await?;
    dispatch(&*host, holdfast, &children).await?;
    tracing::info!(backupId = %job.backup_id, by = job.trigger.by, "a full backup was requested");
    let parts = children.into_iter().map(Requested::of).collect();
    let both = BothRequested {
        requested: Requested::of(job),
        parts,
        skipped,
    };
    Ok((StatusCode::ACCEPTED, Answer::new(both)).into_response())
}

async fn back_up(host: &dyn Host, kind: BackupType, caller: Caller) -> Result<Response, Failure> {
    let holdfast = host.holdfast().await?;
    let job = Box::pin(trigger(holdfast, kind, caller.subject, Timestamp::now())).await?;
    dispatch(host, holdfast, std::slice::from_ref(&job)).await?;
    tracing::info!(backupId = %job.backup_id, by = job.trigger.by, "a {kind} backup was requested");
    Ok((StatusCode::ACCEPTED, Answer::new(Requested::of(job))).into_response())
}

/// Dispatches jobs to their workers. If a dispatch fails, this job and the remaining ones have no
/// worker. They are settled here, so that the next trigger is not refused. If settling fails, the
/// sweep settles them.
async fn dispatch(host: &dyn Host, holdfast: &Holdfast, jobs: &[Job]) -> Result<(), Failure> {
    let mut refused: Option<DispatchError> = None;
    for job in jobs {
        let error = match &refused {
            Some(error) => error.clone(),
            None => match host.dispatch(Work::Backup(job)).await {
                Ok(()) => continue,
                Err(error) => error,
            },
        };
        if let Err(second) = abandon(holdfast, job, &error.to_string()).await {
            tracing::error!(backupId = %job.backup_id, error = %second, "a job was not dispatched and could not be settled");
        }
        refused = Some(error);
    }
    refused.map_or(Ok(()), |error| Err(Failure::not_handed_over(&error)))
}
