//! `POST /jobs/{backupId}/verify`: requests a verification from a worker, and waits for the result
//! of a small backup. This process reads no artifact and needs no key.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use holdfast_domain::{BackupId, Timestamp, VerificationLevel};
use holdfast_operations::{
    Holdfast, OperationError, await_verification, expect_level, expect_requestable, is_small,
    no_drill_server, withdraw_request,
};
use holdfast_recovery::Verification;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    answer::{Answer, Failure},
    fit::Budget,
    host::{Host, Work},
    request::{BackupPath, JsonBody, NoQuery, VerifyRequest},
    schema,
};

/// Maximum time that a caller waits for a result. API Gateway times out after 30 seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Timeout of the verification function.
const FUNCTION_TIME: Duration = Duration::from_mins(15);

/// A requested verification.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Asked {
    /// ID of the backup. `GET /jobs/{backupId}` returns the result in `verification`.
    #[schema(value_type = String)]
    backup_id: BackupId,
    /// Level of the verification.
    level: VerificationLevel,
}

/// The result of a verification.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verified {
    #[serde(flatten)]
    verification: Verification,
    /// Number of omitted problems, notes, collections and namespaces. They are omitted if the
    /// answer would be too large.
    omitted: u64,
}

impl Verified {
    fn new(mut verification: Verification) -> Self {
        let mut budget = Budget::new();
        let omitted = budget.fit(&mut verification.problems)
            + budget.fit(&mut verification.repository_problems)
            + budget.fit(&mut verification.notes)
            + budget.fit(&mut verification.collections)
            + budget.fit(&mut verification.namespaces);
        Self {
            verification,
            omitted,
        }
    }
}

/// Requests the verification of a backup, and waits up to 20 seconds for the result of a small one.
/// No body is needed.
#[utoipa::path(
    post,
    path = "/api/backups/jobs/{backupId}/verify",
    operation_id = "verifyBackup",
    params((
        "backupId" = String, Path, max_length = 64, pattern = "^(db|content)_[0-9]+_[0-9a-z]+$",
        description = "ID of the backup. A full backup is verified by the IDs of its parts"
    )),
    request_body(content = Option<VerifyRequest>, description = "No body, or an object with the level of verification"),
    responses(
        (status = 200, description = "The result, for a small backup", body = Answer<Verified>),
        (
            status = 202,
            description = "The verification is requested: a drill, a large backup, or no result within 20 seconds",
            body = Answer<Asked>
        ),
        (status = 404, description = "The backup does not exist", body = schema::Failure),
        (
            status = 409,
            description = "The backup is not completed, its verification is running or requested, or the limit of \
                           running verifications is reached",
            body = schema::Failure
        ),
        (status = 413, description = "The body is too large", body = schema::Failure),
        (status = 415, description = "The body is not JSON", body = schema::Failure)
    )
)]
pub(crate) async fn verify(
    State(host): State<Arc<dyn Host>>,
    BackupPath(backup_id): BackupPath,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    JsonBody(request): JsonBody<VerifyRequest>,
) -> Result<Response, Failure> {
    let level = request.level();
    expect_level(&backup_id, level).map_err(|error| refused(error, level))?;
    let holdfast = host.holdfast().await?;
    expect_requestable(holdfast, &backup_id, level).await?;
    if level == VerificationLevel::Drill {
        expect_drill_server(&*host, holdfast)?;
    }
    tracing::info!(backupId = %backup_id, level = level.as_str(), by = caller.subject, "a verification was requested");
    let now = holdfast.catalog.now().await.map_err(OperationError::from)?;
    admit(holdfast, &backup_id, now).await?;
    let work = Work::Verification {
        backup_id: &backup_id,
        level,
        by: caller.subject.as_deref(),
    };
    if let Err(error) = host.dispatch(work).await {
        withdraw_request(holdfast, &backup_id).await;
        return Err(Failure::verification_not_handed_over(&error));
    }
    if is_small(&holdfast.repository, &backup_id, level).await
        && let Some(verification) =
            await_verification(holdfast, &backup_id, level, now, PATIENCE).await
    {
        return Ok(Answer::new(Verified::new(verification)).into_response());
    }
    Ok((
        StatusCode::ACCEPTED,
        Answer::new(Asked { backup_id, level }),
    )
        .into_response())
}

/// Only the worker may know the server of drills.
fn expect_drill_server(host: &dyn Host, holdfast: &Holdfast) -> Result<(), Failure> {
    let is_known = holdfast.settings.drill.uri.is_some()
        || host
            .other_settings()
            .iter()
            .any(|(name, _)| name == "BACKUP_DRILL_URI");
    if is_known {
        Ok(())
    } else {
        Err(no_drill_server().into())
    }
}

/// Records the request, unless the backup has one already. Limits running verifications, including
/// this one, to `BACKUP_MAX_CONCURRENT`. Backups need the function concurrency of the account, and
/// each verification uses some of it.
async fn admit(holdfast: &Holdfast, id: &BackupId, now: Timestamp) -> Result<(), Failure> {
    let busy = holdfast
        .catalog
        .busy_verifications(now - FUNCTION_TIME)
        .await
        .map_err(OperationError::from)?;
    if busy.len() >= holdfast.settings.max_concurrent as usize && !busy.contains(id) {
        return Err(Failure::too_many_verifications(&busy));
    }
    // Before the dispatch: the run removes the request at its end.
    let stale_at = now - FUNCTION_TIME;
    match holdfast
        .catalog
        .request_verification(id, stale_at, now)
        .await
    {
        Ok(true) => {}
        Ok(false) => return Err(OperationError::AlreadyVerifying(id.clone()).into()),
        Err(error) => {
            tracing::warn!(backupId = %id, %error, "a requested verification was not counted");
        }
    }
    Ok(())
}

/// Rejects a level that the type of the backup does not support, and a full backup.
fn refused(error: OperationError, level: VerificationLevel) -> Failure {
    match error {
        OperationError::Invalid(problem) if level == VerificationLevel::Drill => {
            Failure::invalid("level", problem.to_string())
        }
        OperationError::Invalid(problem) => Failure::invalid("backupId", problem.to_string()),
        error => error.into(),
    }
}
