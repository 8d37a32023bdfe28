//! The second copy of a backup.

use utoipa::ToSchema;

use super::JobFailure;

/// The second copy of a backup.
#[derive(ToSchema)]
pub(crate) struct JobCopy {
    /// State of the copy.
    status: CopyStatus,
    /// Time of the last state change.
    #[schema(format = DateTime)]
    at: String,
    /// The store that contains the copy.
    store: String,
    /// Bytes sent to make the copy.
    bytes: Option<u64>,
    /// Why the copy failed.
    error: Option<JobFailure>,
}

/// State of a copy.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum CopyStatus {
    Pending,
    Running,
    Completed,
    Failed,
    Deleted,
}
