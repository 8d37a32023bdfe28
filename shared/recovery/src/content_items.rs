//! The items of a content backup, one after another, as its own list has them. The store is all that it needs.

use holdfast_domain::{BackupId, ItemRecord};

use holdfast_repository::{Repository, RepositoryError, content::stored::StoredContent};

/// Reads the list of a content backup's items, and hands on each.
///
/// # Errors
/// Where there is no such backup, or its list cannot be read to its end: what was handed on by then is not all of it.
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
