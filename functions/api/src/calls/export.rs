//! `POST /export`: all metadata as one JSON object in the store, and a link to it that ends soon.

use std::sync::Arc;

use axum::{Extension, extract::State};
use holdfast_domain::Timestamp;
use holdfast_lambda::Function;
use holdfast_operations::{Export, export_metadata};

use crate::{
    access::Caller,
    answer::{Answer, Failure},
    request::{NoFields, NoQuery},
    schema,
};

/// Writes all metadata to the store: jobs, verifications, policies, statistics and the repository's identity. No body
/// is needed.
#[utoipa::path(
    post,
    path = "/api/backups/export",
    operation_id = "exportMetadata",
    request_body(content = Option<schema::NoFields>, description = "Empty, or an empty object"),
    responses(
        (status = 200, description = "The export is stored", body = Answer<schema::export::Export>),
        (status = 413, description = "The body is too large", body = schema::Failure),
        (status = 415, description = "The body is not JSON", body = schema::Failure)
    )
)]
pub(crate) async fn export(
    State(function): State<Arc<Function>>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    _: NoFields,
) -> Result<Answer<Export>, Failure> {
    // Boxed: the future of the whole use case is too deep a type for the compiler's layout.
    let export = Box::pin(export_metadata(function.holdfast().await?, Timestamp::now())).await?;
    // Never the link: whoever reads the log would have it.
    tracing::info!(
        by = caller.subject,
        key = %export.key,
        bytes = export.size,
        sha256 = %export.checksum,
        jobs = export.jobs,
        "all metadata were exported"
    );
    Ok(Answer::new(export))
}
