//! The second copy of a backup, as recorded in its job. It never changes the state of the job
//! itself.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::JobFailure;

/// State of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum CopyStatus {
    /// Requested, or waiting for the next run.
    Pending,
    /// In progress.
    Running,
    /// Every object exists, and the manifest.
    Completed,
    /// The last attempt failed. It is retried.
    Failed,
    /// Retention removed it, or the backup was deleted before its copy was complete.
    Deleted,
}

impl CopyStatus {
    /// The word used in the API and the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Deleted => "deleted",
        }
    }
}

impl fmt::Display for CopyStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The second copy of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobCopy {
    /// State of the copy.
    pub status: CopyStatus,
    /// Time of the last change of the state.
    pub at: Timestamp,
    /// The store of the copy. If the settings later name another store, a new copy is made there.
    pub store: String,
    /// Bytes sent for the copy. Shared objects that already exist there are not sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Why the copy failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobFailure>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_read_as_it_is_written() {
        let at = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let store = "s3://second/".to_owned();
        let copy = JobCopy {
            status: CopyStatus::Completed,
            at,
            store,
            bytes: Some(7),
            error: None,
        };
        let text = serde_json::to_string(&copy).unwrap();
        assert_eq!(
            text,
            r#"{"status":"completed","at":"2023-11-14T22:13:20Z","store":"s3://second/","bytes":7}"#
        );
        assert_eq!(serde_json::from_str::<JobCopy>(&text).unwrap(), copy);
    }
}
