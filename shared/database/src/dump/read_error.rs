//! The early end of a read.

use crate::DatabaseError;

/// Reason for the end of a read.
pub(super) enum ReadError {
    Database(DatabaseError),
    /// The writing thread has ended, and has the reason.
    SinkGone,
}

impl From<DatabaseError> for ReadError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}
