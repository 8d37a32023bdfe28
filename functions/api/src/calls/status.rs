//! `GET /status`: status of the system.

use std::sync::Arc;

use axum::extract::State;
use holdfast_domain::Timestamp;
use holdfast_lambda::Function;
use holdfast_operations::{Status, status as look};

use crate::{
    answer::{Answer, Failure},
    request::NoQuery,
    schema,
};

/// Returns the status: schedules, running backups, the newest backup of each source, and
/// statistics.
#[utoipa::path(
    get,
    path = "/api/backups/status",
    operation_id = "status",
    responses((status = 200, description = "The status", body = Answer<schema::Status>))
)]
pub(crate) async fn status(
    State(function): State<Arc<Function>>,
    _: NoQuery,
) -> Result<Answer<Status>, Failure> {
    Ok(Answer::new(
        look(function.holdfast().await?, Timestamp::now()).await?,
    ))
}
