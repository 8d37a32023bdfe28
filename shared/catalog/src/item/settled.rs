//! The items of an existing backup, from its own list: adds the missing rows. These rows lack the
//! ids of the platform's documents, because a list does not contain them.

use bson::{Document, doc};
use holdfast_domain::{BackupId, ItemRecord, ItemStatus};

use super::{MAX_ADDED, key};
use crate::{
    Catalog, CatalogError,
    catalog::{ITEMS, call},
    row,
};

impl Catalog {
    /// Adds the missing rows of settled items, and returns their number. An existing row is not
    /// changed.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] if one is not settled, or if there are more than [`MAX_ADDED`].
    /// Those of the server: some rows may have been added, and the call may be repeated.
    pub async fn add_settled_items(
        &self,
        backup: &BackupId,
        items: &[ItemRecord],
    ) -> Result<u64, CatalogError> {
        let invalid = |problem| CatalogError::Invalid {
            what: format!("the items of {backup}"),
            problem,
        };
        if items.len() > MAX_ADDED {
            return Err(invalid(format!(
                "are {}, and {MAX_ADDED} are added at a time",
                items.len()
            )));
        }
        if let Some(pending) = items
            .iter()
            .find(|record| record.status == ItemStatus::Pending)
        {
            return Err(invalid(format!(
                "are not all settled: {} is not",
                pending.item.content_id
            )));
        }
        let rows = items
            .iter()
            .map(|record| settled_row(backup, record))
            .collect::<Result<Vec<_>, _>>()?;
        let taken = self.insert_new(ITEMS, "add items", &rows).await?;
        Ok((rows.len() - taken.len()) as u64)
    }

    /// Number of a backup's rows of items, settled or not.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn count_items(&self, backup: &BackupId) -> Result<u64, CatalogError> {
        let all = doc! { "_id": key::range(backup, None) };
        call("count items", self.collection(ITEMS).count_documents(all)).await
    }
}

fn settled_row(backup: &BackupId, record: &ItemRecord) -> Result<Document, CatalogError> {
    let mut row = row::of(record)?;
    row.insert("_id", key::row_id(backup, &record.item.content_id));
    row.insert("backupId", backup.as_str());
    Ok(row)
}
