//! An item whose stored object turns out missing or damaged: the backup does not claim it, and the next one fetches it
//! again.

use holdfast_domain::{BackupId, ItemFailure, ItemFailureCode, ItemRecord, StoredObject};

use crate::{Holdfast, OperationError, heartbeat::persist};

/// Settles the item as failed after all, and forgets that the object is held.
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
        message: format!("what the store holds of it cannot be used: {problem}"),
    };
    let now = persist(|| async { Ok(h.catalog.now().await?) }).await?;
    persist(|| async { Ok(h.catalog.fail_item_after_all(id, content_id, key, &failure, now).await?) }).await?;
    // Of every source: one whose item is long removed would go on vouching for it.
    persist(|| async { Ok(h.catalog.forget_objects(std::slice::from_ref(key)).await?) }).await?;
    Ok(())
}
