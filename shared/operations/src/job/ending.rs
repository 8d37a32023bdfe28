//! The ending of a run without a backup of its own: one reading of its fault, for every kind of
//! run.

use super::{
    commit::RunFault,
    lost_lease::{LostLease, state_after_lost_lease},
    run::Run,
};
use crate::{OperationError, StopReason};
use holdfast_catalog::Catalog;

/// How such a run ended.
pub(crate) enum RunEnding {
    /// The backup existed before this run.
    CommittedBefore,
    /// An operator cancelled the job.
    Cancelled,
    /// Another run, or the sweep, has the job.
    LostLease(LostLease),
    /// The job must fail with this error.
    Failed(OperationError),
}

/// Reads a fault.
///
/// # Errors
/// If the state of the job is unknown: the catalogue does not answer, or a manifest may exist. The
/// event's source retries, and the next run takes the job over.
pub(crate) async fn ending_of(
    catalog: &Catalog,
    run: &Run,
    fault: RunFault,
) -> Result<RunEnding, OperationError> {
    let error = match fault {
        RunFault::CommittedBefore => return Ok(RunEnding::CommittedBefore),
        RunFault::Unknown(error) => return Err(error),
        RunFault::Failed(error) => error,
    };
    match error {
        OperationError::Stopped(StopReason::Cancelled) => Ok(RunEnding::Cancelled),
        OperationError::Stopped(StopReason::LeaseLost) => Ok(RunEnding::LostLease(
            state_after_lost_lease(catalog, run).await?,
        )),
        error if error.is_catalog_away() => Err(error),
        error => Ok(RunEnding::Failed(error)),
    }
}
