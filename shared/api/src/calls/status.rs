//! `GET /status`: status of the system.

use std::sync::Arc;

use axum::extract::State;
use holdfast_domain::Timestamp;
use holdfast_operations::{Status, status as look};

use crate::{
    answer::{Answer, Failure},
    host::Host,
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
    State(host): State<Arc<dyn Host>>,
    _: NoQuery,
) -> Result<Answer<Status>, Failure> {
    Ok(Answer::new(
        look(host.holdfast().await?, Timestamp::now()).await?,
    ))
}
