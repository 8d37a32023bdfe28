//! The state of a job after its run lost the lease. The run reports only known facts.

use holdfast_catalog::Lease;
use holdfast_domain::{Job, JobStatus};

use super::{
    heartbeat::persist,
    lease,
    run::{BackupOutcome, Run, SkipReason},
};
use crate::{Holdfast, OperationError, StopReason};

/// The state of the job in the catalogue.
pub(crate) enum LostLease {
    /// It is settled.
    Finished(Box<Job>),
    /// A newer run has it.
    Elsewhere,
}

impl LostLease {
    /// The outcome of the run.
    pub(crate) fn outcome(self, run: &Run) -> BackupOutcome {
        let reason = match self {
            Self::Finished(job) if job.status == JobStatus::Failed => {
                return BackupOutcome::Failed(job);
            }
            Self::Finished(job) => SkipReason::AlreadyFinished(job.status),
            Self::Elsewhere => SkipReason::RunningElsewhere,
        };
        BackupOutcome::Skipped {
            backup_id: run.job.backup_id.clone(),
            reason,
        }
    }
}

/// Reads the present holder of the job from the catalogue.
///
/// # Errors
/// [`StopReason::LeaseLost`] if the job is not settled and has no newer run, or if the catalogue
/// does not answer. The event's source retries.
pub(crate) async fn state_after_lost_lease(
    h: &Holdfast,
    run: &Run,
) -> Result<LostLease, OperationError> {
    let id = &run.job.backup_id;
    let job = persist(|| async { Ok(h.catalog.get(id).await?) }).await?;
    if !job.status.is_active() {
        return Ok(LostLease::Finished(Box::new(job)));
    }
    let source = lease::source_of(id)?;
    let lease = persist(|| async { Ok(h.catalog.get_lease(source).await?) }).await?;
    let is_newer = |lease: &Lease| lease.holder == *id && lease.fence > run.fence;
    if job.fence > run.fence || lease.as_ref().is_some_and(is_newer) {
        return Ok(LostLease::Elsewhere);
    }
    Err(StopReason::LeaseLost.into())
}
