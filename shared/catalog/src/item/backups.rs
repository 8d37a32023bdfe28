//! The backups with rows of items.

use bson::doc;
use holdfast_domain::BackupId;

use crate::{
    Catalog, CatalogError,
    catalog::{ITEMS, call},
    row,
};

impl Catalog {
    /// The backups with rows of items, in the order of their ids. Each takes one look-up, however
    /// many rows it has.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn backups_with_items(&self) -> Result<Vec<BackupId>, CatalogError> {
        let collection = self.collection(ITEMS);
        let (mut backups, mut from) = (Vec::new(), String::new());
        loop {
            let find = collection
                .find_one(doc! { "_id": { "$gte": &from } })
                .sort(doc! { "_id": 1 });
            let Some(found) = call(
                "list backups with items",
                find.projection(doc! { "_id": 1 }),
            )
            .await?
            else {
                return Ok(backups);
            };
            let id = row::id_of(&found);
            let backup = id.split('/').next().unwrap_or_default();
            match backup.parse() {
                Ok(backup) => backups.push(backup),
                Err(error) => tracing::warn!(%error, "a row of the catalogue was left out"),
            }
            // The next character after `/` is `0`.
            from = format!("{backup}0");
        }
    }
}
