//! The process behind the router: a function of AWS, or a server.

use async_trait::async_trait;
use holdfast_domain::{BackupId, Job, VerificationLevel, settings::Reading};
use holdfast_operations::{Holdfast, OperationError};
use holdfast_repository::Repository;

/// Work that a call requests. A worker does it later.
#[derive(Debug, Clone, Copy)]
pub enum Work<'a> {
    /// The run of a pending job.
    Backup(&'a Job),
    /// A verification.
    Verification {
        /// The backup.
        backup_id: &'a BackupId,
        /// The level.
        level: VerificationLevel,
        /// The caller.
        by: Option<&'a str>,
    },
    /// A run of retention.
    Retention {
        /// The caller.
        by: Option<&'a str>,
    },
}

/// Work that was not accepted. No worker does it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DispatchError {
    /// The cause, for the log.
    pub reason: String,
}

/// The settings and clients of the process, and its workers.
#[async_trait]
pub trait Host: Send + Sync {
    /// The settings, or all their faults.
    async fn reading(&self) -> Reading;

    /// Settings of other processes, for display. They replace those of this process.
    fn other_settings(&self) -> Vec<(String, String)>;

    /// The repository. MongoDB may be unreachable.
    ///
    /// # Errors
    /// [`OperationError::Config`].
    async fn repository(&self) -> Result<Repository, OperationError>;

    /// The resources of the use cases.
    ///
    /// # Errors
    /// [`OperationError::Config`], or [`OperationError::Catalog`] if MongoDB is unreachable.
    async fn holdfast(&self) -> Result<&Holdfast, OperationError>;

    /// Passes work on to a worker.
    ///
    /// # Errors
    /// [`DispatchError`] if it was not accepted.
    async fn dispatch(&self, work: Work<'_>) -> Result<(), DispatchError>;
}
