//! A tick of a schedule during a backup of the same type. A live backup serves the tick. So the
//! tick is answered and counted. It is not retried, and does not become a dead letter.
//!
//! Other conflicts are errors. A silent backup may be dead, so a retry of the tick may replace it.
//! Retention holds the content lease for at most two minutes, so a retry of the tick succeeds. At
//! the limit of running backups no backup serves the tick. It is retried, and then needs an
//! operator.

use holdfast_catalog::{Catalog, CatalogError};
use holdfast_domain::BackupId;
use holdfast_operations::{BackupRequest, OperationError, is_alive};
use serde_json::{Value, json};

use crate::{Function, Metric};

/// The answer to a skipped tick. `None` for any other error and for a request of a user. Also
/// `None` if the running backup may be dead, and for a tick with a job: that job still needs a run.
pub async fn skipped_tick(
    function: &Function,
    request: &BackupRequest,
    error: &OperationError,
) -> Option<Value> {
    let (
        BackupRequest::Scheduled { kind, by, .. },
        OperationError::AlreadyRunning { backup_id: running },
    ) = (request, error)
    else {
        return None;
    };
    let holdfast = function.holdfast().await.ok()?;
    let catalog = &holdfast.catalog;
    if !is_alive(holdfast, running).await.ok()? {
        return None;
    }
    let own = request.backup_id();
    if own != *running && !is_unknown(catalog, &own).await {
        return None;
    }
    tracing::info!(
        backupId = %running,
        status = status_of(catalog, running).await,
        schedule = by.as_deref(),
        tick = %own,
        "the tick is skipped: a backup of this type is running"
    );
    function
        .metrics()
        .emit(*kind, &[(Metric::BackupSkipped, 1.0)]);
    Some(json!({
        "backupId": own,
        "status": "skipped",
        "reason": format!("backup {running} is running"),
        "runningBackupId": running,
    }))
}

async fn is_unknown(catalog: &Catalog, id: &BackupId) -> bool {
    matches!(catalog.get(id).await, Err(CatalogError::NotFound { .. }))
}

/// For the log. The backup may end, and the catalogue may fail, in the meantime.
async fn status_of(catalog: &Catalog, id: &BackupId) -> Option<String> {
    let job = catalog.get(id).await.ok()?;
    Some(job.status.to_string())
}
