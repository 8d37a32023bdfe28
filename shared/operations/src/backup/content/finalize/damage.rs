//! An item with a missing or damaged object. The backup does not contain it, and the next backup
//! fetches it again.

use holdfast_catalog::Catalog;
use holdfast_domain::{BackupId, ItemFailure, ItemFailureCode, ItemRecord, StoredObject};
use holdfast_repository::Damage;

use crate::{OperationError, job::persist::persist};

/// Changes the item to failed, and removes the record of its stored object.
pub(super) async fn fail_item(
    catalog: &Catalog,
    id: &BackupId,
    record: &ItemRecord,
    object: &StoredObject,
    damage: &Damage,
) -> Result<(), OperationError> {
    let (content_id, key) = (&record.item.content_id, &object.artifact.key);
    tracing::error!(backupId = %id, contentId = %content_id, %key, problem = %damage, "a stored object is missing or damaged");
    let failure = ItemFailure {
        code: ItemFailureCode::Store,
        message: format!("the stored object is unusable: {damage}"),
    };
    let now = persist(|| async { Ok(catalog.now().await?) }).await?;
    persist(|| async {
        Ok(catalog
            .fail_item_after_all(id, content_id, key, &failure, now)
            .await?)
    })
    .await?;
    // For every source: otherwise a source with a deleted item would keep the record.
    persist(|| async { Ok(catalog.forget_objects(std::slice::from_ref(key)).await?) }).await?;
    Ok(())
}
