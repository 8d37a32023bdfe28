//! `POST /jobs/{backupId}/verify`: verifies a small backup during the call. Another function with
//! enough time verifies a large backup, and runs every drill.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use holdfast_domain::{BackupId, Timestamp, VerificationLevel};
use holdfast_lambda::Function;
use holdfast_operations::{
    Holdfast, OperationError, VerifyOutcome, expect_level, expect_verifiable, is_small,
    verify_while_waiting,
};
use holdfast_recovery::Verification;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    answer::{Answer, Failure},
    fit::Budget,
    request::{BackupPath, NoQuery, VerifyRequest},
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
    #[schema(value_type = schema::VerificationLevel)]
    level: VerificationLevel,
}

/// The result of a verification.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verified {
    #[serde(flatten)]
    #[schema(value_type = schema::verification::Verification)]
    verification: Verification,
    /// Number of problems, notes and namespaces that are omitted because the answer would be too
    /// large.
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

/// Verifies a backup. No body is needed.
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
        (status = 202, description = "The verification is requested", body = Answer<Asked>),
        (status = 404, description = "The backup does not exist", body = schema::Failure),
        (
            status = 409,
            description = "The backup is not completed or is already being verified, or the limit of running \
                           verifications is reached",
            body = schema::Failure
        ),
        (status = 413, description = "The body is too large", body = schema::Failure),
        (status = 415, description = "The body is not JSON", body = schema::Failure)
    )
)]
pub(crate) async fn verify(
    State(function): State<Arc<Function>>,
    BackupPath(backup_id): BackupPath,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    request: VerifyRequest,
) -> Result<Response, Failure> {
    let level = request.level();
    expect_level(&backup_id, level).map_err(|error| refused(error, level))?;
    let holdfast = function.holdfast().await?;
    expect_verifiable(holdfast, &backup_id, level).await?;
    tracing::info!(backupId = %backup_id, level = level.as_str(), by = caller.subject, "a verification was requested");
    if is_small(&holdfast.repository, &backup_id, level).await
        && let Some(verification) = at_once(&function, &backup_id, level).await?
    {
        return Ok(Answer::new(Verified::new(verification)).into_response());
    }
    let now = holdfast.catalog.now().await.map_err(OperationError::from)?;
    admit(holdfast, &backup_id, now).await?;
    let events = function.events().await?;
    let asked = events
        .request_verification(&backup_id, level, caller.subject.as_deref())
        .await;
    asked.map_err(|error| Failure::verification_not_handed_over(&error))?;
    let noted = async {
        holdfast
            .catalog
            .request_verification(&backup_id, holdfast.catalog.now().await?)
            .await
    };
    if let Err(error) = noted.await {
        tracing::warn!(backupId = %backup_id, %error, "a requested verification was not counted");
    }
    Ok((
        StatusCode::ACCEPTED,
        Answer::new(Asked { backup_id, level }),
    )
        .into_response())
}

/// Limits running verifications to the number of backups that may run. Each verification uses the
/// account's function concurrency, which backups need.
async fn admit(holdfast: &Holdfast, id: &BackupId, now: Timestamp) -> Result<(), Failure> {
    let busy = holdfast
        .catalog
        .busy_verifications(now - FUNCTION_TIME)
        .await
        .map_err(OperationError::from)?;
    if busy.len() < holdfast.settings.max_concurrent as usize || busy.contains(id) {
        return Ok(());
    }
    Err(Failure::too_many_verifications(&busy))
}

/// Returns `None` if the verification takes longer than a caller can wait.
async fn at_once(
    function: &Function,
    id: &BackupId,
    level: VerificationLevel,
) -> Result<Option<Verification>, Failure> {
    let holdfast = function.holdfast().await?;
    let verifying = Box::pin(verify_while_waiting(
        holdfast,
        id,
        level,
        PATIENCE,
        Timestamp::now(),
    ));
    match verifying.await? {
        None | Some(VerifyOutcome::Continue) => Ok(None),
        Some(VerifyOutcome::Done(verification)) => Ok(Some(*verification)),
        Some(VerifyOutcome::Elsewhere) => Err(OperationError::AlreadyVerifying(id.clone()).into()),
        Some(VerifyOutcome::Gone) => Err(OperationError::NotFound(id.clone()).into()),
    }
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
