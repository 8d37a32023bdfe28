//! The catalogue tried: whether this login may do there what backups do.

use bson::doc;

use crate::{
    Catalog, CatalogError,
    catalog::{VERIFICATIONS, call},
};

impl Catalog {
    /// Makes the indexes that are missing, and writes, changes, reads and deletes one row, which is gone afterwards.
    ///
    /// # Errors
    /// [`CatalogError::Unavailable`], [`CatalogError::Denied`] or [`CatalogError::Refused`], by what was not to be done.
    pub async fn try_access(&self, unique: &str) -> Result<(), CatalogError> {
        self.ensure_indexes().await?;
        let probe = doc! { "_id": format!("probe_{unique}") };
        let rows = self.collection(VERIFICATIONS);
        call("write a row", rows.insert_one(&probe)).await?;
        let changed = call("change a row", rows.update_one(probe.clone(), doc! { "$set": { "level": "probe" } })).await;
        let read = call("read a row", rows.find_one(probe.clone())).await;
        call("delete a row", rows.delete_one(probe)).await?;
        changed.and(read).map(drop)
    }
}
