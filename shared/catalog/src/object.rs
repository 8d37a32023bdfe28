//! Stored files: the stored file of each source of content. This is only an index of the store. A
//! missing or unreadable row costs one download.

use std::fmt;

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{ObjectKey, Sha256Digest, StorageType, StoredFile, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Catalog, CatalogError,
    catalog::{OBJECTS, attempt, call},
    error::is_duplicate,
    job::readable,
    row,
};

/// The id of a source: the hex SHA-256 of its storage type and locator. Its length does not depend
/// on the URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub struct SourceId(String);

impl SourceId {
    /// The id as text: 64 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a source: SHA-256 of `<storage type>\0<locator>`. The locator is a CID with its path,
/// or a URL.
#[must_use]
pub fn source_id(storage_type: StorageType, locator: &str) -> SourceId {
    let hash = Sha256::new()
        .chain_update(storage_type.as_str())
        .chain_update([0])
        .chain_update(locator);
    SourceId(hex::encode(hash.finalize()))
}

/// A source, and the address of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceToStore<'a> {
    /// Its kind of storage.
    pub storage_type: StorageType,
    /// Its locator: a CID with its path, or a URL.
    pub locator: &'a str,
    /// The address of the file's object.
    pub address: &'a Sha256Digest,
}

/// The stored file of a source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StoredSource {
    /// The source.
    #[serde(rename = "_id")]
    pub id: SourceId,
    /// Its file.
    pub file: StoredFile,
}

/// The row of a source, without its `_id`.
pub(crate) fn row_of(
    source: &SourceToStore<'_>,
    file: &StoredFile,
    updated_at: Timestamp,
) -> Result<Document, CatalogError> {
    let SourceToStore {
        storage_type,
        locator,
        address,
    } = *source;
    row::of(&NewRow {
        storage_type,
        locator,
        address,
        file,
        updated_at,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewRow<'a> {
    storage_type: StorageType,
    locator: &'a str,
    address: &'a Sha256Digest,
    file: &'a StoredFile,
    updated_at: Timestamp,
}

impl Catalog {
    /// The stored files of these sources, in no order. Sources without one are missing. At most
    /// 1,000 in one call.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn stored_files(
        &self,
        sources: &[SourceId],
    ) -> Result<Vec<StoredSource>, CatalogError> {
        let ids: Vec<Bson> = sources.iter().map(|id| id.as_str().into()).collect();
        let collection = self.collection(OBJECTS);
        let find = collection.find(doc! { "_id": { "$in": ids } });
        let rows: Vec<Document> = call("look up stored files", async {
            find.await?.try_collect().await
        })
        .await?;
        Ok(readable(
            rows.into_iter().map(|row| row::read(OBJECTS, row)),
        ))
    }

    /// The file with an object of this address, from its newest source.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn stored_by_address(
        &self,
        address: &Sha256Digest,
    ) -> Result<Option<StoredFile>, CatalogError> {
        // More than one, so that an unreadable row does not hide the good one below it.
        const MAX_CANDIDATES: i64 = 10;
        let collection = self.collection(OBJECTS);
        let newest_first = doc! { "updatedAt": -1, "_id": 1 };
        let find = collection
            .find(doc! { "address": address.to_string() })
            .sort(newest_first)
            .limit(MAX_CANDIDATES);
        let rows: Vec<Document> = call("look up stored files", async {
            find.await?.try_collect().await
        })
        .await?;
        let stored = readable(
            rows.into_iter()
                .map(|row| row::read::<StoredSource>(OBJECTS, row)),
        );
        Ok(stored.into_iter().next().map(|stored| stored.file))
    }

    /// Writes the stored file of a source. An earlier value never replaces a later one.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn record_stored(
        &self,
        source: &SourceToStore<'_>,
        file: &StoredFile,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        // If two callers write the first row of a source at once, the later one finds this row and
        // compares the ages.
        const TRIES: u32 = 2;
        let row = row_of(source, file, now)?;
        let mut not_newer = row::by_id(source_id(source.storage_type, source.locator).as_str());
        not_newer.insert("updatedAt", doc! { "$not": { "$gt": row::date(now) } });
        let collection = self.collection(OBJECTS);
        for _ in 0..TRIES {
            let replace = collection.replace_one(not_newer.clone(), &row).upsert(true);
            match attempt("record a stored file", replace).await? {
                Ok(_) => return Ok(()),
                Err(error) if is_duplicate(&error) => {}
                Err(error) => {
                    return Err(CatalogError::from_driver("record a stored file", &error));
                }
            }
        }
        Ok(())
    }

    /// Removes the row of a source, because `missing` is not in the store. Returns `false` if its
    /// file and its record of blocks are in other objects.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn forget(
        &self,
        source: &SourceId,
        missing: &ObjectKey,
    ) -> Result<bool, CatalogError> {
        let mut filter = row::by_id(source.as_str());
        filter.insert("$or", row::refers_to(missing));
        Ok(call(
            "forget a stored file",
            self.collection(OBJECTS).delete_one(filter),
        )
        .await?
        .deleted_count
            == 1)
    }

    /// Removes the rows of all sources with these objects before the objects are deleted, and
    /// returns their number. Later backups fetch these sources again.
    ///
    /// # Errors
    /// Those of the server: some rows may be left, and the objects must stay.
    pub async fn forget_objects(&self, objects: &[ObjectKey]) -> Result<u64, CatalogError> {
        let keys: Vec<Bson> = objects.iter().map(|key| key.as_str().into()).collect();
        let mut forgotten = 0;
        // One field at a time, because each has its own index.
        for field in ["file.object.key", "file.dag.key"] {
            let rows = doc! { field: { "$in": keys.clone() } };
            forgotten += call(
                "forget stored files",
                self.collection(OBJECTS).delete_many(rows),
            )
            .await?
            .deleted_count;
        }
        Ok(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_identified_by_its_storage_type_and_its_locator() {
        let ipfs = source_id(StorageType::Ipfs, "bafy/a.png");
        // printf 'ipfs\0bafy/a.png' | sha256sum
        assert_eq!(
            ipfs.as_str(),
            "cec7d0398dd6f2dc1323d4d2625e592641fa35981092c6cfee7267e089ac3d76"
        );
        assert_ne!(ipfs, source_id(StorageType::Gaia, "bafy/a.png"));
        assert_ne!(ipfs, source_id(StorageType::Ipfs, "bafy/a.pn"));
    }
}
