//! Holding a lease: taking it over under a new fencing number, beating, waiting, giving it back.

use bson::{Bson, Document, doc};
use holdfast_domain::{BackupId, Timestamp};
use mongodb::options::ReturnDocument;

use super::{Lease, LeaseError, Source};
use crate::{
    Catalog, CatalogError,
    catalog::{LEASES, call},
    row,
};

impl Catalog {
    /// Makes the caller the newest run of the lease's holder, and returns its fencing number. A lease that waits does so
    /// no longer.
    ///
    /// `seen_fence` is the number that the caller saw when it judged that no run is at work: of several that saw the
    /// same, one succeeds. `deadline_at` is when this run has to be through.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] where the lease is another's, or has another fencing number by now.
    pub async fn take_over(
        &self,
        source: Source,
        holder: &BackupId,
        seen_fence: u64,
        deadline_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<u64, LeaseError> {
        let deadline_at = deadline_at.map_or(Bson::Null, |at| row::date(at).into());
        let update = doc! {
            "$inc": { "fence": 1_i64 },
            "$set": { "beatAt": row::date(now), "deadlineAt": deadline_at, "waitsUntil": Bson::Null },
        };
        let collection = self.collection(LEASES);
        let take = collection
            .find_one_and_update(held(source, holder, seen_fence), update)
            .return_document(ReturnDocument::After);
        match call("take a lease over", take).await? {
            Some(document) => Ok(row::read::<Lease>(LEASES, document)?.fence),
            None => Err(LeaseError::Lost { holder: holder.clone(), found: self.get_lease(source).await? }),
        }
    }

    /// Says that this run lives; `false` where the lease is no longer its own, and it has to stop at once.
    ///
    /// # Errors
    /// Those of the server: then it is not known whose the lease is.
    pub async fn beat(
        &self,
        source: Source,
        holder: &BackupId,
        fence: u64,
        now: Timestamp,
    ) -> Result<bool, CatalogError> {
        let update = doc! { "$set": { "beatAt": row::date(now) } };
        let collection = self.collection(LEASES);
        let beat = collection.update_one(held(source, holder, fence), update);
        Ok(call("beat", beat).await?.matched_count == 1)
    }

    /// Says that no run is at work, and that none is missed before `until`: the next may take the lease over at once.
    /// `false` where the lease is no longer this run's. It may be called again to wait longer, or less long.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn wait(
        &self,
        source: Source,
        holder: &BackupId,
        fence: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, CatalogError> {
        let waiting = doc! { "waitsUntil": row::date(until), "beatAt": row::date(now), "deadlineAt": Bson::Null };
        let collection = self.collection(LEASES);
        let wait = collection.update_one(held(source, holder, fence), doc! { "$set": waiting });
        Ok(call("wait with a lease", wait).await?.matched_count == 1)
    }

    /// Gives back the holder's lease and slot; `false` where it had neither. To be called once its job is settled:
    /// whoever settled it may call it, under whichever fencing number.
    ///
    /// # Errors
    /// Those of the server. What is left then is found by [`Catalog::orphan_leases`].
    pub async fn release(&self, source: Source, holder: &BackupId) -> Result<bool, CatalogError> {
        let source = source.as_str();
        let lease_and_slot = doc! { "holder": holder.as_str(), "$or": [{ "_id": source }, { "source": source }] };
        let collection = self.collection(LEASES);
        Ok(call("release a lease", collection.delete_many(lease_and_slot)).await?.deleted_count > 0)
    }
}

fn held(source: Source, holder: &BackupId, fence: u64) -> Document {
    doc! { "_id": source.as_str(), "holder": holder.as_str(), "fence": row::int64(fence) }
}
