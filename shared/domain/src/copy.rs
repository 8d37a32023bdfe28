//! The second copy of a backup, as its job tells of it. It never changes what the job itself says.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::JobFailure;

/// Where a copy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CopyStatus {
    /// Asked for, or handed on to the next run.
    Pending,
    /// Somebody is at it.
    Running,
    /// Every object is there, and the manifest.
    Completed,
    /// The last try came to nothing; it is tried again.
    Failed,
    /// Retention removed it, or the backup went before its copy was whole.
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
pub struct JobCopy {
    /// Where it stands.
    pub status: CopyStatus,
    /// Since when.
    pub at: Timestamp,
    /// Which store it is in: a copy in another one than is set now is made again there.
    pub store: String,
    /// Bytes that were sent for it. What backups share and was there already is not sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Why it failed.
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
        let copy = JobCopy { status: CopyStatus::Completed, at, store, bytes: Some(7), error: None };
        let text = serde_json::to_string(&copy).unwrap();
        assert_eq!(text, r#"{"status":"completed","at":"2023-11-14T22:13:20Z","store":"s3://second/","bytes":7}"#);
        assert_eq!(serde_json::from_str::<JobCopy>(&text).unwrap(), copy);
    }
}
