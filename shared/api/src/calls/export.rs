//! `POST /export`: writes all metadata as one JSON object to the store, and returns a short-lived
//! link to it.

use std::sync::Arc;

use axum::{Extension, extract::State};
use holdfast_domain::Timestamp;
use holdfast_operations::{Export, export_metadata};

use crate::{
    access::Caller,
    answer::{Answer, Failure},
    host::Host,
    request::{NoFields, NoQuery},
    schema,
};

/// Writes all metadata to the store: jobs, verifications, policies, statistics and the repository's
/// identity. No body is needed.
#[utoipa::path(
    post,
    path = "/api/backups/export",
    operation_id = "exportMetadata",
    request_body(content = Option<schema::NoFields>, description = "No body, or an empty object"),
    responses(
        (status = 200, description = "The export is stored", body = Answer<schema::export::Export>),
        (status = 413, description = "The body is too large", body = schema::Failure),
        (status = 415, description = "The body is not JSON", body = schema::Failure)
    )
)]
pub(crate) async fn export(
    State(host): State<Arc<dyn Host>>,
    Extension(caller): Extension<Caller>,
    _: NoQuery,
    _: NoFields,
) -> Result<Answer<Export>, Failure> {
    // Boxed: the type of the use case's future is too deep for the compiler's layout computation.
    let export = Box::pin(export_metadata(host.holdfast().await?, Timestamp::now())).await?;
    // Do not log the link: it gives every reader of the log access to the export.
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
