//! The exclusive right to remove content objects from the second store: one document next to the
//! leases. A copying run first writes its own row, then reads this document. A collecting run first
//! writes this document, then reads the rows. So the later of the two always sees the earlier one.

use bson::{Bson, doc};
use holdfast_domain::Timestamp;

use crate::{
    Catalog, CatalogError,
    catalog::{LEASES, attempt, call},
    error::is_duplicate,
    row,
};

/// The document's `_id`.
pub(crate) const COLLECTION_OF_COPIES: &str = "copies";

impl Catalog {
    /// Takes the collection of the second store's content objects for this run, unless another run
    /// has a beat after `stale_at`. Returns whether it succeeded.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn begin_collecting_copies(
        &self,
        run: &str,
        stale_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, CatalogError> {
        let collection = self.collection(LEASES);
        let mark = doc! { "_id": COLLECTION_OF_COPIES, "run": run, "beatAt": row::date(now) };
        match attempt("begin a collection", collection.insert_one(mark)).await? {
            Ok(_) => return Ok(true),
            Err(error) if is_duplicate(&error) => {}
            Err(error) => return Err(CatalogError::from_driver("begin a collection", &error)),
        }
        let stale = doc! { "_id": COLLECTION_OF_COPIES, "beatAt": { "$lt": row::date(stale_at) } };
        let take = collection.update_one(
            stale,
            doc! { "$set": { "run": run, "beatAt": row::date(now) } },
        );
        Ok(call("begin a collection", take).await?.matched_count == 1)
    }

    /// Renews the hold of a collection. Returns `false` if another run has it.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn beat_collecting_copies(
        &self,
        run: &str,
        now: Timestamp,
    ) -> Result<bool, CatalogError> {
        let own = doc! { "_id": COLLECTION_OF_COPIES, "run": run };
        let beat = doc! { "$set": { "beatAt": row::date(now) } };
        Ok(call("beat", self.collection(LEASES).update_one(own, beat))
            .await?
            .matched_count
            == 1)
    }

    /// Ends a run's collection.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn end_collecting_copies(&self, run: &str) -> Result<(), CatalogError> {
        let own = doc! { "_id": COLLECTION_OF_COPIES, "run": run };
        call("end a collection", self.collection(LEASES).delete_one(own))
            .await
            .map(drop)
    }

    /// Whether a run with a beat after `stale_at` collects. An unreadable document counts as such a
    /// run.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn is_collecting_copies(&self, stale_at: Timestamp) -> Result<bool, CatalogError> {
        let found = call(
            "read a lease",
            self.collection(LEASES)
                .find_one(row::by_id(COLLECTION_OF_COPIES)),
        )
        .await?;
        let Some(found) = found else { return Ok(false) };
        Ok(!matches!(found.get("beatAt"), Some(Bson::DateTime(at)) if *at < row::date(stale_at)))
    }
}
