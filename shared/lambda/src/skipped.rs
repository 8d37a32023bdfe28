//! A tick of a schedule that meets a running backup of the same type. The running backup serves the
//! tick's purpose, so the tick is answered, counted, and neither retried nor a dead letter.
//!
//! Only this conflict is an answer. Retention holds the content lease for at most two minutes, so a
//! tick that meets it is retried. At the limit of running backups nothing serves the tick: it is
//! retried, and then needs an operator.

use holdfast_catalog::{Catalog, CatalogError};
use holdfast_domain::BackupId;
use holdfast_operations::{BackupRequest, OperationError};
use serde_json::{Value, json};

use crate::{Function, Metric};

/// The answer to a skipped tick. `None` for any other error, for a request of a user, and for a
/// tick with a job of its own: that job still needs a run.
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
    let catalog = &function.holdfast().await.ok()?.catalog;
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
