//! The progress of an unfinished collection of content objects: the references read so far, and the
//! next part of the store. It is stored as one head row, and as rows of hashes referenced by the
//! head row.

use bson::{Binary, Bson, Document, doc, spec::BinarySubtype};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{
    Catalog, CatalogError,
    catalog::{COLLECTING, call},
    row,
};

/// Hashes in one row: 2 MiB, an eighth of the size limit of a row.
const IN_A_ROW: usize = 256 * 1024;
const HASH_BYTES: usize = 8;

/// The progress of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectingProgress {
    /// The store. Progress in another store is invalid.
    pub store: String,
    /// The completely read backups.
    pub backups: Vec<BackupId>,
    /// Hashes of their referenced objects.
    pub objects: Vec<u64>,
    /// The next part of the store to list.
    pub part: u64,
}

impl Catalog {
    /// Stores the progress of the collection with this name, and replaces earlier progress. `run`
    /// is new for each call.
    ///
    /// # Errors
    /// Those of the server. The earlier progress, if any, is then valid.
    pub async fn keep_collecting_progress(
        &self,
        name: &str,
        run: &str,
        progress: &CollectingProgress,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        const DOING: &str = "keep a collection's progress";
        let collection = self.collection(COLLECTING);
        for (number, hashes) in progress.objects.chunks(IN_A_ROW).enumerate() {
            let bytes = hashes.iter().flat_map(|hash| hash.to_be_bytes()).collect();
            let hashes = Binary {
                subtype: BinarySubtype::Generic,
                bytes,
            };
            let row =
                doc! { "_id": format!("{name}/{run}/{number:06}"), "run": run, "hashes": hashes };
            call(DOING, collection.insert_one(row)).await?;
        }
        let backups: Vec<&str> = progress.backups.iter().map(BackupId::as_str).collect();
        let head = doc! {
            "_id": name, "store": &progress.store, "run": run, "backups": backups, "sha256": digest(&progress.objects),
            "part": row::int64(progress.part), "at": row::date(now),
        };
        call(
            DOING,
            collection.replace_one(row::by_id(name), head).upsert(true),
        )
        .await?;
        let mut earlier = range(name);
        earlier.insert("run", doc! { "$ne": run });
        call(DOING, collection.delete_many(earlier)).await.map(drop)
    }

    /// The progress of the collection with this name in this store. Incomplete progress counts as
    /// none.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn collecting_progress(
        &self,
        name: &str,
        store: &str,
    ) -> Result<Option<CollectingProgress>, CatalogError> {
        let collection = self.collection(COLLECTING);
        let head = call(
            "read a collection's progress",
            collection.find_one(row::by_id(name)),
        )
        .await?;
        let Some(head) = head.filter(|head| head.get_str("store").is_ok_and(|kept| kept == store))
        else {
            return Ok(None);
        };
        let Ok(run) = head.get_str("run") else {
            return Ok(None);
        };
        let find = collection
            .find(range(&format!("{name}/{run}")))
            .sort(doc! { "_id": 1 })
            .batch_size(1);
        let mut rows = call("read a collection's progress", find).await?;
        let mut objects = Vec::new();
        while let Some(row) = call("read a collection's progress", rows.try_next()).await? {
            let Some(Bson::Binary(Binary { bytes, .. })) = row.get("hashes") else {
                return Ok(None);
            };
            let hash = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes);
            let hashes: Result<Vec<u64>, _> = bytes.chunks(HASH_BYTES).map(hash).collect();
            let Ok(hashes) = hashes else { return Ok(None) };
            objects.extend(hashes);
        }
        let is_whole = head
            .get_str("sha256")
            .is_ok_and(|kept| kept == digest(&objects));
        let backups = backups(&head).filter(|_| is_whole);
        let part = row::unsigned(&head, "part");
        Ok(backups.map(|backups| CollectingProgress {
            store: store.to_owned(),
            backups,
            objects,
            part,
        }))
    }

    /// Removes the progress of the collection with this name after it is complete.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn forget_collecting_progress(&self, name: &str) -> Result<(), CatalogError> {
        const DOING: &str = "forget a collection's progress";
        let collection = self.collection(COLLECTING);
        call(DOING, collection.delete_one(row::by_id(name))).await?;
        call(DOING, collection.delete_many(range(name)))
            .await
            .map(drop)
    }
}

/// Progress with an unreadable id of a backup is worthless.
fn backups(head: &Document) -> Option<Vec<BackupId>> {
    head.get_array("backups")
        .ok()?
        .iter()
        .map(|id| id.as_str()?.parse().ok())
        .collect()
}

fn digest(objects: &[u64]) -> String {
    let mut digest = Sha256::new();
    for hash in objects {
        digest.update(hash.to_be_bytes());
    }
    hex::encode(digest.finalize())
}

/// Rows with an `_id` that begins with this and a `/`. The next character after `/` is `0`.
fn range(start: &str) -> Document {
    doc! { "_id": { "$gte": format!("{start}/"), "$lt": format!("{start}0") } }
}
