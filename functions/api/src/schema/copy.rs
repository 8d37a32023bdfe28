//! The second copy of a backup.

use utoipa::ToSchema;

use super::JobFailure;

/// The second copy of a backup.
#[derive(ToSchema)]
pub(crate) struct JobCopy {
    /// Where it stands.
    status: CopyStatus,
    /// Since when.
    #[schema(format = DateTime)]
    at: String,
    /// Which store it is in.
    store: String,
    /// Bytes that were sent for it.
    bytes: Option<u64>,
    /// Why it failed.
    error: Option<JobFailure>,
}

/// Where a copy stands.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum CopyStatus {
    Pending,
    Running,
    Completed,
    Failed,
    Deleted,
}
