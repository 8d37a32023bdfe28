//! All items of a backup, a page at a time: memory holds a page, never a backup.

use bson::{Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, ItemCounts, ItemRecord, ItemStatus, ObjectKey};

use super::{key, read};
use crate::{
    Catalog, CatalogError,
    catalog::{ITEMS, call},
    row,
};

/// Which of the objects that an item refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Its file.
    File,
    /// What rebuilds the blocks of its file.
    Dag,
}

impl Kept {
    const fn field(self) -> &'static str {
        match self {
            Self::File => "file.object.key",
            Self::Dag => "file.dag.key",
        }
    }
}

impl Catalog {
    /// A page of a backup's items by content id, in the order of its bytes. The page after it begins `after` its last;
    /// one that is shorter than `limit` is the last.
    ///
    /// # Errors
    /// [`CatalogError::Corrupt`] where a row is not an item: a backup does not leave one out in silence.
    pub async fn items_after(
        &self,
        backup: &BackupId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ItemRecord>, CatalogError> {
        self.page(doc! { "_id": key::range(backup, after) }, doc! { "_id": 1 }, limit).await
    }

    /// A page of the items that refer to such an object, by the object's key and then by content id: the order in which
    /// the store lists objects. The page after it begins `after` its last; one that is shorter than `limit` is the last.
    ///
    /// # Errors
    /// As [`Catalog::items_after`].
    pub async fn items_by_object(
        &self,
        backup: &BackupId,
        kept: Kept,
        after: Option<(&ObjectKey, &str)>,
        limit: u32,
    ) -> Result<Vec<ItemRecord>, CatalogError> {
        let field = kept.field();
        let mut filter = doc! { "backupId": backup.as_str(), field: { "$gte": "" } };
        if let Some((object, content_id)) = after {
            let (object, id) = (object.as_str(), key::row_id(backup, content_id));
            filter.insert(field, doc! { "$gte": object });
            filter.insert("$or", vec![doc! { field: { "$gt": object } }, doc! { "_id": { "$gt": id } }]);
        }
        self.page(filter, doc! { field: 1, "_id": 1 }, limit).await
    }

    /// How many items a backup has, how far they are, and the bytes of the files that are held.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn item_counts(&self, backup: &BackupId) -> Result<ItemCounts, CatalogError> {
        let stages = [
            doc! { "$match": { "backupId": backup.as_str() } },
            doc! { "$group": { "_id": "$status", "items": { "$sum": 1 }, "bytes": { "$sum": "$file.fileSize" } } },
        ];
        let collection = self.collection(ITEMS);
        let groups: Vec<Document> =
            call("count items", async { collection.aggregate(stages).await?.try_collect().await }).await?;
        Ok(groups.iter().fold(ItemCounts::default(), counted))
    }

    /// Removes all items of a backup, a page at a time, and says how many they were. To be called again where it failed.
    ///
    /// # Errors
    /// Those of the server: then some may be left.
    pub async fn delete_items(&self, backup: &BackupId) -> Result<u64, CatalogError> {
        self.delete_items_while(backup, || true).await
    }

    /// The same, as long as there is time for another page. The next call removes the rest.
    ///
    /// # Errors
    /// As [`Catalog::delete_items`].
    pub async fn delete_items_while(
        &self,
        backup: &BackupId,
        has_time: impl Fn() -> bool,
    ) -> Result<u64, CatalogError> {
        const PAGE: i64 = 5_000;
        let collection = self.collection(ITEMS);
        let mut deleted = 0;
        while has_time() {
            // The end of a page is looked for, so that no delete takes longer than a call may.
            let all = doc! { "_id": key::range(backup, None) };
            let find = collection.find(all.clone()).sort(doc! { "_id": 1 }).projection(doc! { "_id": 1 });
            let find = find.limit(PAGE);
            let page: Vec<Document> = call("list items", async { find.await?.try_collect().await }).await?;
            let Some(last) = page.last().and_then(|row| row.get_str("_id").ok()) else { break };
            let start = key::row_id(backup, "");
            let up_to = doc! { "_id": { "$gte": start, "$lte": last } };
            deleted += call("delete items", collection.delete_many(up_to)).await?.deleted_count;
        }
        Ok(deleted)
    }

    async fn page(&self, filter: Document, sort: Document, limit: u32) -> Result<Vec<ItemRecord>, CatalogError> {
        // A limit of 0 means no limit to the server.
        if limit == 0 {
            return Ok(Vec::new());
        }
        let collection = self.collection(ITEMS);
        let find = collection.find(filter).sort(sort).limit(i64::from(limit));
        let rows: Vec<Document> = call("list items", async { find.await?.try_collect().await }).await?;
        rows.into_iter().map(read).collect()
    }
}

fn counted(mut counts: ItemCounts, group: &Document) -> ItemCounts {
    let (items, bytes) = (row::unsigned(group, "items"), row::unsigned(group, "bytes"));
    // A row whose state nobody knows is an item that was found, and is not settled.
    counts.expected += items;
    match group.get_str("_id") {
        Ok(status) if status == ItemStatus::Done.as_str() => {
            counts.done += items;
            counts.bytes += bytes;
        }
        Ok(status) if status == ItemStatus::Unchanged.as_str() => {
            counts.unchanged += items;
            counts.bytes += bytes;
        }
        Ok(status) if status == ItemStatus::Failed.as_str() => counts.failed += items,
        _ => {}
    }
    counts
}
