//! `GET /openapi.json`: the contract, generated from the code.

use axum::{Extension, Json};
use utoipa::openapi::OpenApi;

use crate::{answer::Failure, request::NoQuery};

/// Generates the contract. It describes this call too, so the router passes it in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Document(pub(crate) fn() -> OpenApi);

/// Returns this contract. It is the only answer without an envelope, so that tools can read it
/// directly.
#[utoipa::path(
    get,
    path = "/api/backups/openapi.json",
    operation_id = "openapi",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = Object))
)]
pub(crate) async fn openapi(
    Extension(Document(document)): Extension<Document>,
    _: NoQuery,
) -> Result<Json<OpenApi>, Failure> {
    Ok(Json(document()))
}
