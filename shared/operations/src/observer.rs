//! Who is told of what happens: EventBridge, or a terminal.

use async_trait::async_trait;
use holdfast_domain::{BackupId, Job, Progress};

/// Told of state changes and of progress. It never fails the use case: it deals with its own faults.
#[async_trait]
pub trait Observer: Send + Sync {
    /// A job has come to another state.
    async fn job_changed(&self, job: &Job);

    /// A running dump has come this far; about once a second.
    fn progress(&self, backup_id: &BackupId, progress: &Progress) {
        let _ = (backup_id, progress);
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

#[async_trait]
impl Observer for Silent {
    async fn job_changed(&self, _job: &Job) {}
}
