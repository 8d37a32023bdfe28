//! The life of a lease: takeover under a new fencing number, beat, wait, release.

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
    /// Makes the caller the newest run of the lease's holder, and returns its fencing number. A
    /// waiting lease ends its wait.
    ///
    /// `seen_fence` is the number at the time of the caller's decision. Among several callers with
    /// the same number, one succeeds. `deadline_at` is the deadline of this run.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] if another backup has the lease, or if its fencing number has changed.
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
            .find_one_and_update(held_by(source, holder, seen_fence), update)
            .return_document(ReturnDocument::After);
        match call("take a lease over", take).await? {
            Some(document) => Ok(row::read::<Lease>(LEASES, document)?.fence),
            None => Err(LeaseError::Lost {
                holder: holder.clone(),
                found: self.get_lease(source).await?,
            }),
        }
    }

    /// Renews the lease. Returns `false` if this run lost it, and the run must stop at once.
    ///
    /// # Errors
    /// Those of the server: the owner of the lease is then unknown.
    pub async fn beat(
        &self,
        source: Source,
        holder: &BackupId,
        fence: u64,
        now: Timestamp,
    ) -> Result<bool, CatalogError> {
        let update = doc! { "$set": { "beatAt": row::date(now) } };
        let collection = self.collection(LEASES);
        let beat = collection.update_one(held_by(source, holder, fence), update);
        Ok(call("beat", beat).await?.matched_count == 1)
    }

    /// Marks the lease as waiting: it has no active run, and needs none before `until`. The next
    /// run may take it over at once. Returns `false` if this run lost the lease. A repeated
    /// call changes the end of the wait.
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
        let wait = collection.update_one(held_by(source, holder, fence), doc! { "$set": waiting });
        Ok(call("wait with a lease", wait).await?.matched_count == 1)
    }

    /// Releases the holder's lease and slot. Returns `false` if it had neither. Call it after the
    /// job was settled. Any caller may do this, under any fencing number.
    ///
    /// # Errors
    /// Those of the server. [`Catalog::orphan_leases`] then finds the remains.
    pub async fn release(&self, source: Source, holder: &BackupId) -> Result<bool, CatalogError> {
        let source = source.as_str();
        let lease_and_slot =
            doc! { "holder": holder.as_str(), "$or": [{ "_id": source }, { "source": source }] };
        let collection = self.collection(LEASES);
        Ok(
            call("release a lease", collection.delete_many(lease_and_slot))
                .await?
                .deleted_count
                > 0,
        )
    }
}

fn held_by(source: Source, holder: &BackupId, fence: u64) -> Document {
    doc! { "_id": source.as_str(), "holder": holder.as_str(), "fence": row::int64(fence) }
}
