//! The items of a content backup, one by one from its own list. It needs only the store.

use holdfast_domain::{BackupId, ItemRecord};
use holdfast_repository::{Repository, RepositoryError, content::stored::StoredContent};

/// Reads the list of a content backup's items, and passes each to the caller.
///
/// # Errors
/// If the backup does not exist, or its list cannot be read completely. The items passed so far are
/// incomplete then.
pub async fn content_items(
    repository: &Repository,
    id: &BackupId,
    mut each: impl FnMut(ItemRecord),
) -> Result<(), RepositoryError> {
    let mut items = StoredContent::open(repository, id).await?.items().await?;
    while let Some(item) = items.recv().await {
        each(item?);
    }
    Ok(())
}
