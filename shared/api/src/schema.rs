//! OpenAPI schemas without a type of their own in the code: failures.
//!
//! The types are never instantiated. All other schemas are derived from the serialized types.

#![expect(dead_code, reason = "only their schemas are used")]

use utoipa::ToSchema;

/// A failed call.
#[derive(ToSchema)]
pub(crate) struct Failure {
    /// Always `false`.
    success: bool,
    /// What failed, and the remedy.
    error: String,
    /// Machine-readable code of the failure.
    code: String,
    /// Machine-readable details: `field`, `backupId`, `running`.
    #[schema(required = false)]
    data: Option<FailureData>,
}

/// Machine-readable details of a failure.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct FailureData {
    /// Name of the invalid field.
    field: Option<String>,
    /// ID of the backup that is already running.
    backup_id: Option<String>,
    /// IDs of the backups that are already running.
    running: Option<Vec<String>>,
}

/// An answer of API Gateway itself.
#[derive(ToSchema)]
pub(crate) struct GatewayFailure {
    /// What failed.
    message: String,
}
