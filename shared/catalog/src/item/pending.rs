//! Unsettled items: whether there are any, and those to send again.

use bson::{Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, ItemStatus, Timestamp};

use super::key;
use crate::{
    Catalog, CatalogError,
    catalog::{ITEMS, call},
    row,
};

impl Catalog {
    /// Whether any item of a backup is unsettled. This is one look-up in an index, however many
    /// items there are.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn any_pending(&self, backup: &BackupId) -> Result<bool, CatalogError> {
        let collection = self.collection(ITEMS);
        let find = collection
            .find_one(pending(backup))
            .projection(doc! { "_id": 1 });
        Ok(call("look for pending items", find).await?.is_some())
    }

    /// A page of the pending items neither sent nor begun since `older_than`, by content id. The
    /// next page begins `after` its last item. An empty page is the last.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn pending_since(
        &self,
        backup: &BackupId,
        older_than: Timestamp,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, CatalogError> {
        // The server reads a limit of 0 as no limit.
        if limit == 0 {
            return Ok(Vec::new());
        }
        let since = doc! { "$gte": row::date(older_than) };
        let mut filter = pending(backup);
        filter.insert("_id", key::range(backup, after));
        filter.insert(
            "$nor",
            vec![
                doc! { "sentAt": since.clone() },
                doc! { "attemptedAt": since },
            ],
        );
        let collection = self.collection(ITEMS);
        let find = collection
            .find(filter)
            .sort(doc! { "_id": 1 })
            .limit(i64::from(limit))
            .projection(doc! { "_id": 1 });
        let rows: Vec<Document> = call("list pending items", async {
            find.await?.try_collect().await
        })
        .await?;
        Ok(rows
            .iter()
            .filter_map(|row| key::content_id(row.get_str("_id").ok()?).map(str::to_owned))
            .collect())
    }

    /// Whether an attempt of this pending item began at `since` or later. Its worker may be active.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn attempted_since(
        &self,
        backup: &BackupId,
        content_id: &str,
        since: Timestamp,
    ) -> Result<bool, CatalogError> {
        let mut filter = pending(backup);
        filter.insert("_id", key::row_id(backup, content_id));
        filter.insert("attemptedAt", doc! { "$gte": row::date(since) });
        let collection = self.collection(ITEMS);
        let find = collection.find_one(filter).projection(doc! { "_id": 1 });
        Ok(call("read an item", find).await?.is_some())
    }

    /// Whether any item of a backup was sent, begun or settled at `since` or later.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn items_touched_since(
        &self,
        backup: &BackupId,
        since: Timestamp,
    ) -> Result<bool, CatalogError> {
        let since = doc! { "$gte": row::date(since) };
        let touched =
            ["sentAt", "attemptedAt", "settledAt"].map(|field| doc! { field: since.clone() });
        let filter = doc! { "backupId": backup.as_str(), "$or": touched.to_vec() };
        let collection = self.collection(ITEMS);
        let find = collection.find_one(filter).projection(doc! { "_id": 1 });
        Ok(call("look for recent work on items", find).await?.is_some())
    }

    /// Marks these items as sent to the queue. At most 1,000 in one call.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn mark_sent(
        &self,
        backup: &BackupId,
        content_ids: &[&str],
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        if content_ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = content_ids
            .iter()
            .map(|id| key::row_id(backup, id))
            .collect();
        let filter = doc! { "_id": { "$in": ids }, "status": ItemStatus::Pending.as_str() };
        let update = doc! { "$max": { "sentAt": row::date(now) } };
        call(
            "mark items as sent",
            self.collection(ITEMS).update_many(filter, update),
        )
        .await
        .map(drop)
    }
}

fn pending(backup: &BackupId) -> Document {
    doc! { "backupId": backup.as_str(), "status": ItemStatus::Pending.as_str() }
}
