//! The items of a backup that exists, as its own list has them: rows are added where there is none. What tells the
//! documents of the platform's database apart is not in a list, so these rows do not say it.

use bson::{Document, doc};
use holdfast_domain::{BackupId, ItemRecord, ItemStatus};

use super::{MAX_ADDED, key};
use crate::{
    Catalog, CatalogError,
    catalog::{ITEMS, call},
    row,
};

impl Catalog {
    /// Adds the rows of settled items that have none, and says how many those were. A row that stands is not changed.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] where one is not settled, or they are more than [`MAX_ADDED`]; those of the server:
    /// then some may have been added, and the call may be repeated.
    pub async fn add_settled_items(&self, backup: &BackupId, items: &[ItemRecord]) -> Result<u64, CatalogError> {
        let invalid = |problem| CatalogError::Invalid { what: format!("the items of {backup}"), problem };
        if items.len() > MAX_ADDED {
            return Err(invalid(format!("are {}, and {MAX_ADDED} are added at a time", items.len())));
        }
        if let Some(pending) = items.iter().find(|record| record.status == ItemStatus::Pending) {
            return Err(invalid(format!("are not all settled: {} is not", pending.item.content_id)));
        }
        let rows = items.iter().map(|record| settled_row(backup, record)).collect::<Result<Vec<_>, _>>()?;
        let taken = self.insert_new(ITEMS, "add items", &rows).await?;
        Ok((rows.len() - taken.len()) as u64)
    }

    /// How many rows a backup's items have, settled or not.
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
