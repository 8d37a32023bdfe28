//! An item with a missing or damaged object. The backup does not contain it, and the next backup
//! fetches it again.

use holdfast_domain::{BackupId, ItemFailure, ItemFailureCode, ItemRecord, StoredObject};

use crate::{Holdfast, OperationError, job::heartbeat::persist};

/// Changes the item to failed, and removes the record of its stored object.
pub(super) async fn fail_item(
    h: &Holdfast,
    id: &BackupId,
    record: &ItemRecord,
    object: &StoredObject,
    problem: &str,
) -> Result<(), OperationError> {
    let (content_id, key) = (&record.item.content_id, &object.artifact.key);
    tracing::error!(backupId = %id, contentId = %content_id, %key, problem, "a stored object is missing or damaged");
    let failure = ItemFailure {
        code: ItemFailureCode::Store,
        message: format!("the stored object is unusable: {problem}"),
    };
    let now = persist(|| async { Ok(h.catalog.now().await?) }).await?;
    persist(|| async {
        Ok(h.catalog
            .fail_item_after_all(id, content_id, key, &failure, now)
            .await?)
    })
    .await?;
    // For every source: otherwise a source with a deleted item would keep the record.
    persist(|| async { Ok(h.catalog.forget_objects(std::slice::from_ref(key)).await?) }).await?;
    Ok(())
}
