//! All items of a backup, page by page. Memory holds one page, never a backup.

use bson::{Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, ItemCounts, ItemRecord, ItemStatus, ObjectKey};

use super::{key, read};
use crate::{
    Catalog, CatalogError,
    catalog::{ITEMS, call},
    row,
};

/// One of the two objects of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// Its file.
    File,
    /// The record of the blocks of its file.
    Dag,
}

impl ObjectKind {
    const fn field(self) -> &'static str {
        match self {
            Self::File => "file.object.key",
            Self::Dag => "file.dag.key",
        }
    }
}

impl Catalog {
    /// A page of a backup's items by content id, in byte order. The next page begins `after` its
    /// last item. A page shorter than `limit` is the last.
    ///
    /// # Errors
    /// [`CatalogError::Corrupt`] if a row is not an item: a backup never omits an item silently.
    pub async fn items_after(
        &self,
        backup: &BackupId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<ItemRecord>, CatalogError> {
        self.page(
            doc! { "_id": key::range(backup, after) },
            doc! { "_id": 1 },
            limit,
        )
        .await
    }

    /// A page of the items with such an object, by the object's key and then by content id. The
    /// store lists objects in the same order. The next page begins `after` its last item. A
    /// page shorter than `limit` is the last.
    ///
    /// # Errors
    /// Those of [`Catalog::items_after`].
    pub async fn items_by_object(
        &self,
        backup: &BackupId,
        kept: ObjectKind,
        after: Option<(&ObjectKey, &str)>,
        limit: u32,
    ) -> Result<Vec<ItemRecord>, CatalogError> {
        let field = kept.field();
        let mut filter = doc! { "backupId": backup.as_str(), field: { "$gte": "" } };
        if let Some((object, content_id)) = after {
            let (object, id) = (object.as_str(), key::row_id(backup, content_id));
            filter.insert(field, doc! { "$gte": object });
            filter.insert(
                "$or",
                vec![
                    doc! { field: { "$gt": object } },
                    doc! { "_id": { "$gt": id } },
                ],
            );
        }
        self.page(filter, doc! { field: 1, "_id": 1 }, limit).await
    }

    /// The number of a backup's items by state, and the bytes of the stored files.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn item_counts(&self, backup: &BackupId) -> Result<ItemCounts, CatalogError> {
        let stages = [
            doc! { "$match": { "backupId": backup.as_str() } },
            doc! { "$group": { "_id": "$status", "items": { "$sum": 1 }, "bytes": { "$sum": "$file.fileSize" } } },
        ];
        let collection = self.collection(ITEMS);
        let groups: Vec<Document> = call("count items", async {
            collection.aggregate(stages).await?.try_collect().await
        })
        .await?;
        Ok(groups.iter().fold(ItemCounts::default(), counted))
    }

    /// Removes all items of a backup, page by page, and returns their number. Repeat the call after
    /// a failure.
    ///
    /// # Errors
    /// Those of the server: some items may be left.
    pub async fn delete_items(&self, backup: &BackupId) -> Result<u64, CatalogError> {
        self.delete_items_while(backup, || true).await
    }

    /// The same, while there is time for another page. The next call removes the rest.
    ///
    /// # Errors
    /// Those of [`Catalog::delete_items`].
    pub async fn delete_items_while(
        &self,
        backup: &BackupId,
        has_time: impl Fn() -> bool,
    ) -> Result<u64, CatalogError> {
        const PAGE: i64 = 5_000;
        let collection = self.collection(ITEMS);
        let mut deleted = 0;
        while has_time() {
            // Each delete ends at the last row of a page, so that it stays within the time limit of
            // a call.
            let all = doc! { "_id": key::range(backup, None) };
            let find = collection
                .find(all.clone())
                .sort(doc! { "_id": 1 })
                .projection(doc! { "_id": 1 });
            let find = find.limit(PAGE);
            let page: Vec<Document> =
                call("list items", async { find.await?.try_collect().await }).await?;
            let Some(last) = page.last().and_then(|row| row.get_str("_id").ok()) else {
                break;
            };
            let start = key::row_id(backup, "");
            let up_to = doc! { "_id": { "$gte": start, "$lte": last } };
            deleted += call("delete items", collection.delete_many(up_to))
                .await?
                .deleted_count;
        }
        Ok(deleted)
    }

    async fn page(
        &self,
        filter: Document,
        sort: Document,
        limit: u32,
    ) -> Result<Vec<ItemRecord>, CatalogError> {
        // The server reads a limit of 0 as no limit.
        if limit == 0 {
            return Ok(Vec::new());
        }
        let collection = self.collection(ITEMS);
        let find = collection.find(filter).sort(sort).limit(i64::from(limit));
        let rows: Vec<Document> =
            call("list items", async { find.await?.try_collect().await }).await?;
        rows.into_iter().map(read).collect()
    }
}

fn counted(mut counts: ItemCounts, group: &Document) -> ItemCounts {
    let (items, bytes) = (row::unsigned(group, "items"), row::unsigned(group, "bytes"));
    // A row with an unknown state counts as a found, unsettled item.
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
