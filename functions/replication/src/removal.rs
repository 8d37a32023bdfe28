//! From the daily event to retention in the second store, and from its report to metrics and a
//! response. An unreachable second store is logged, and retried the next day: nothing waits for it.

use holdfast_domain::{BackupType, Timestamp};
use holdfast_lambda::{Function, Metric};
use holdfast_operations::{OperationError, RemovedCopies, RunLimits, remove_copies};
use serde_json::{Value, json};

/// Suffix of its schedule's name. A tick of any other schedule requests copies.
const SCHEDULE: &str = "-retention";

/// Whether a tick of this schedule requests retention.
pub(crate) fn is_its_schedule(schedule: Option<&str>) -> bool {
    schedule.is_some_and(|name| name.ends_with(SCHEDULE))
}

pub(crate) async fn run(function: &Function, deadline: Timestamp) -> Result<Value, OperationError> {
    let limits = RunLimits {
        deadline: Some(deadline),
    };
    let (holdfast, second) = (
        function.holdfast().await?,
        function.second_repository().await?,
    );
    // Boxed: the future of the use case is too deep a type for the compiler's layout.
    match Box::pin(remove_copies(holdfast, &second, limits, Timestamp::now())).await {
        Ok(report) => {
            log(function, &report);
            Ok(json!(report))
        }
        Err(OperationError::Disabled(switch)) => {
            tracing::info!(switch, "no copy was deleted: it is switched off");
            Ok(json!({ "skipped": switch }))
        }
        Err(error @ OperationError::Copy(_)) => {
            tracing::error!(%error, "no copy was deleted: the next run retries");
            failed(function);
            Ok(json!({ "problems": [error.to_string()] }))
        }
        Err(error) => Err(error),
    }
}

fn log(function: &Function, report: &RemovedCopies) {
    for problem in report.all_problems() {
        tracing::error!(
            error = problem,
            "a step of retention in the second store failed, and the others continued"
        );
    }
    if let Some(why) = &report.suspended {
        tracing::error!(why, "retention in the second store is suspended");
    }
    if let Some(why) = &report.collection.suspended {
        tracing::error!(
            why,
            "the collection of content objects in the second store is suspended"
        );
    }
    if report.all_problems().next().is_some() || report.suspended.is_some() {
        failed(function);
    }
    if let Some(why) = &report.collection.skipped {
        tracing::info!(
            why,
            "content objects of the second store are left to the next run"
        );
    }
    tracing::info!(
        deleted = report.deleted.len(),
        blocked = report.blocked.len(),
        retained = report.retained,
        objectsCollected = report.collection.deleted,
        uploadsAborted = report.uploads_aborted,
        "retention in the second store is done"
    );
}

/// Of whichever type: there is one second store.
fn failed(function: &Function) {
    function
        .metrics()
        .emit(BackupType::Database, &[(Metric::CopyFailed, 1.0)]);
}
