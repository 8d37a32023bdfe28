//! The receiver of state changes and progress: EventBridge, or a terminal.

use async_trait::async_trait;
use holdfast_domain::{BackupId, Job, Progress};

/// Receives state changes and progress. It handles its own faults and never fails the use case.
#[async_trait]
pub trait Observer: Send + Sync {
    /// A job has changed its state.
    async fn job_changed(&self, job: &Job);

    /// The progress of a running dump, about once a second.
    fn progress(&self, backup_id: &BackupId, progress: &Progress) {
        let _ = (backup_id, progress);
    }
}

/// Ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

#[async_trait]
impl Observer for Silent {
    async fn job_changed(&self, _job: &Job) {}
}
