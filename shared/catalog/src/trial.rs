//! Tests the privileges of the login: whether it can do every operation of a backup in the
//! catalogue.

use bson::doc;

use crate::{
    Catalog, CatalogError,
    catalog::{VERIFICATIONS, call},
};

impl Catalog {
    /// Creates the missing indexes. Then writes, changes, reads and deletes one row.
    ///
    /// # Errors
    /// [`CatalogError::Unavailable`], [`CatalogError::Denied`] or [`CatalogError::Refused`], of the
    /// failed operation.
    pub async fn try_access(&self, unique: &str) -> Result<(), CatalogError> {
        self.ensure_indexes().await?;
        let probe = doc! { "_id": format!("probe_{unique}") };
        let rows = self.collection(VERIFICATIONS);
        call("write a row", rows.insert_one(&probe)).await?;
        let changed = call(
            "change a row",
            rows.update_one(probe.clone(), doc! { "$set": { "level": "probe" } }),
        )
        .await;
        let read = call("read a row", rows.find_one(probe.clone())).await;
        call("delete a row", rows.delete_one(probe)).await?;
        changed.and(read).map(drop)
    }
}
