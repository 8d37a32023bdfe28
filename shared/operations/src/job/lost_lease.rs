//! What became of a job whose lease its run lost. The run reports that, and nothing that it does not know.

use holdfast_catalog::Lease;
use holdfast_domain::{Job, JobStatus};

use super::{
    heartbeat::persist,
    lease,
    run::{BackupOutcome, Run, SkipReason},
};
use crate::{Holdfast, OperationError, StopReason};

/// What the catalogue says of the job.
pub(crate) enum Lost {
    /// It is settled.
    Settled(Box<Job>),
    /// A newer run has it.
    Elsewhere,
}

impl Lost {
    /// How the run ended.
    pub(crate) fn outcome(self, run: &Run) -> BackupOutcome {
        let reason = match self {
            Self::Settled(job) if job.status == JobStatus::Failed => return BackupOutcome::Failed(job),
            Self::Settled(job) => SkipReason::AlreadySettled(job.status),
            Self::Elsewhere => SkipReason::RunningElsewhere,
        };
        BackupOutcome::Skipped { backup_id: run.job.backup_id.clone(), reason }
    }
}

/// Asks the catalogue who has the job.
///
/// # Errors
/// [`StopReason::LeaseLost`] where no newer run has it and it is not settled, and where the catalogue does not answer: the
/// event's source tries again.
pub(crate) async fn what_became_of(h: &Holdfast, run: &Run) -> Result<Lost, OperationError> {
    let id = &run.job.backup_id;
    let job = persist(|| async { Ok(h.catalog.get(id).await?) }).await?;
    if !job.status.is_active() {
        return Ok(Lost::Settled(Box::new(job)));
    }
    let source = lease::source_of(id)?;
    let lease = persist(|| async { Ok(h.catalog.get_lease(source).await?) }).await?;
    let is_newer = |lease: &Lease| lease.holder == *id && lease.fence > run.fence;
    if job.fence > run.fence || lease.as_ref().is_some_and(is_newer) {
        return Ok(Lost::Elsewhere);
    }
    Err(StopReason::LeaseLost.into())
}
