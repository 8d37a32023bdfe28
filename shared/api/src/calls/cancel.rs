//! `POST /jobs/{backupId}/cancel`: stops a backup. The call settles the job, and its run stops at
//! the next heartbeat.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use holdfast_domain::{BackupId, JobStatus, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    answer::{Answer, Failure},
    host::Host,
    request::{BackupPath, NoFields, NoQuery},
    schema,
};

/// A cancelled backup.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cancelled {
    /// ID of the backup.
    #[schema(value_type = String)]
    backup_id: BackupId,
    /// `cancelled`.
    #[schema(value_type = schema::JobStatus)]
    status: JobStatus,
}

/// Cancels a backup. For a full backup, also cancels its parts. No body is needed.
#[utoipa::path(
    post,
    path = "/api/backups/jobs/{backupId}/cancel",
    operation_id = "cancelBackup",
    params((
        "backupId" = String, Path, max_length = 64, pattern = "^(db|content|full)_[0-9]+_[0-9a-z]+$",
        description = "ID of the backup"
    )),
    request_body(content = Option<schema::NoFields>, description = "No body, or an empty object"),
    responses(
        (
            status = 202, description = "The job is cancelled, and its run stops within 10 seconds",
            body = Answer<Cancelled>
        ),
        (status = 404, description = "The backup does not exist", body = schema::Failure),
        (status = 409, description = "The backup is already settled, or is being committed", body = schema::Failure),
        (status = 413, description = "The body is too large", body = schema::Failure),
        (status = 415, description = "The body is not JSON", body = schema::Failure)
    )
)]
pub(crate) async fn cancel(
    State(host): State<Arc<dyn Host>>,
    BackupPath(id): BackupPath,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    _: NoFields,
) -> Result<Response, Failure> {
    let holdfast = host.holdfast().await?;
    let job = Box::pin(holdfast_operations::cancel(holdfast, &id, Timestamp::now())).await?;
    tracing::info!(backupId = %job.backup_id, by = caller.subject, "a backup was cancelled");
    let cancelled = Cancelled {
        backup_id: job.backup_id,
        status: job.status,
    };
    Ok((StatusCode::ACCEPTED, Answer::new(cancelled)).into_response())
}
