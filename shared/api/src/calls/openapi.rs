//! `GET /openapi.json`: the contract, generated from the code.

use axum::Json;
use utoipa::openapi::OpenApi;

use crate::{answer::Failure, contract, request::NoQuery};

/// Returns this contract. It is the only answer without an envelope, so that tools can read it
/// directly.
#[utoipa::path(
    get,
    path = "/api/backups/openapi.json",
    operation_id = "openapi",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = Object))
)]
pub(crate) async fn openapi(_: NoQuery) -> Result<Json<OpenApi>, Failure> {
    Ok(Json(contract::document()))
}
