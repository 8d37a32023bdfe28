//! The items of content backups: one row for each, `pending` until it is settled once.
//!
//! A row's `_id` is `<backupId>/<contentId>`, and no backup's id has a `/`. So no content id
//! reaches another backup's rows.

mod add;
mod backups;
mod key;
mod pages;
mod pending;
mod settle;
mod settled;

use bson::Document;
use holdfast_domain::{BackupId, ItemRecord};

pub use add::{AddedItem, FoundItem, MAX_ADDED};
pub use pages::ObjectKind;
pub use settle::Settled;

use crate::{
    Catalog, CatalogError,
    catalog::{ITEMS, call},
    row,
};

impl Catalog {
    /// One item in its present state.
    ///
    /// # Errors
    /// [`CatalogError::Corrupt`] if its row is not an item.
    pub async fn get_item(
        &self,
        backup: &BackupId,
        content_id: &str,
    ) -> Result<Option<ItemRecord>, CatalogError> {
        let id = row::by_id(&key::row_id(backup, content_id));
        let found = call("read an item", self.collection(ITEMS).find_one(id)).await?;
        found.map(read).transpose()
    }
}

/// The item of a row. The `_id` is authoritative for its name.
fn read(mut row: Document) -> Result<ItemRecord, CatalogError> {
    let id = row::id_of(&row);
    if let Some(content_id) = key::content_id(&id) {
        row.insert("contentId", content_id);
    }
    row::read(ITEMS, row)
}
