//! Acquires a lease: first the source, then a slot. Then it writes the slot's number into the
//! lease.
//!
//! The last step decides: any call of the same holder may give up a lease without a slot, and none
//! may give up one with a slot. So repeated or concurrent calls agree on one lease and one slot,
//! also after a crash.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, Timestamp};

use super::{Lease, LeaseError, Slot, Source};
use crate::{
    Catalog, CatalogError,
    catalog::{LEASES, attempt, call},
    error::is_duplicate,
    row,
};

/// How often the steps are repeated after another call interfered.
const ROUNDS: u32 = 8;

/// The result of one round.
enum Round {
    Acquired,
    Again,
}

impl Catalog {
    /// Leases a source, and one of `max_concurrent` slots, to a backup. A repeated call of the same
    /// holder succeeds.
    ///
    /// # Errors
    /// [`LeaseError::SourceLeased`], or [`LeaseError::ConcurrencyLimit`] without any remains.
    pub async fn acquire(
        &self,
        source: Source,
        holder: &BackupId,
        max_concurrent: u32,
        now: Timestamp,
    ) -> Result<(), LeaseError> {
        for _ in 0..ROUNDS {
            match self.lease_source(source, holder, now).await? {
                Some(lease) if lease.holder != *holder => {
                    return Err(LeaseError::SourceLeased {
                        source_name: source,
                        holder: lease.holder,
                    });
                }
                Some(lease) if lease.slot.is_some() => return Ok(()),
                Some(_) => {}
                None => continue,
            }
            if let Round::Acquired = self.lease_slot(source, holder, max_concurrent, now).await? {
                return Ok(());
            }
        }
        let reason = "the lease changed hands too often".to_owned();
        Err(CatalogError::Unavailable {
            doing: "acquire a lease",
            reason,
        }
        .into())
    }

    /// The source's lease, new or existing. `None` if an existing lease disappeared before it was
    /// read.
    async fn lease_source(
        &self,
        source: Source,
        holder: &BackupId,
        now: Timestamp,
    ) -> Result<Option<Lease>, CatalogError> {
        let at = row::date(now);
        let lease = doc! {
            "_id": source.as_str(), "holder": holder.as_str(), "fence": 0_i64, "takenAt": at, "beatAt": at,
        };
        self.insert_lease(lease).await?;
        self.get_lease(source).await
    }

    async fn lease_slot(
        &self,
        source: Source,
        holder: &BackupId,
        max_concurrent: u32,
        now: Timestamp,
    ) -> Result<Round, LeaseError> {
        let taken: BTreeMap<u32, BackupId> = self
            .slots()
            .await?
            .into_iter()
            .map(|slot| (slot.number, slot.holder))
            .collect();
        // A slot left by an earlier call of this holder is as good as a new one.
        let own = taken
            .iter()
            .find(|(_, other)| *other == holder)
            .map(|(number, _)| *number);
        let free = (0..max_concurrent).find(|number| !taken.contains_key(number));
        let room = taken.len() < usize::try_from(max_concurrent).unwrap_or(usize::MAX);
        let Some(number) = own.or(free.filter(|_| room)) else {
            return self
                .give_up(source, holder, taken.into_values().collect())
                .await;
        };
        if own.is_none() && !self.insert_lease(slot(number, source, holder, now)).await? {
            return Ok(Round::Again);
        }
        self.confirm(source, holder, number)
            .await
            .map_err(LeaseError::from)
    }

    /// Writes the slot's number into the lease, unless it has one. Releases an unnecessary slot.
    async fn confirm(
        &self,
        source: Source,
        holder: &BackupId,
        number: u32,
    ) -> Result<Round, CatalogError> {
        let update = doc! { "$set": { "slot": i64::from(number) } };
        let collection = self.collection(LEASES);
        if call(
            "acquire a lease",
            collection.update_one(without_slot(source, holder), update),
        )
        .await?
        .matched_count
            == 1
        {
            return Ok(Round::Acquired);
        }
        let lease = self
            .get_lease(source)
            .await?
            .filter(|lease| lease.holder == *holder);
        if lease.is_none_or(|lease| lease.slot != Some(number)) {
            let unneeded = doc! { "_id": Slot::id(number), "holder": holder.as_str() };
            call("acquire a lease", collection.delete_one(unneeded)).await?;
        }
        Ok(Round::Again)
    }

    /// Releases the lease of the source, unless another call of this holder found a slot for it
    /// meanwhile.
    async fn give_up(
        &self,
        source: Source,
        holder: &BackupId,
        holders: Vec<BackupId>,
    ) -> Result<Round, LeaseError> {
        call(
            "acquire a lease",
            self.collection(LEASES)
                .delete_one(without_slot(source, holder)),
        )
        .await?;
        match self.get_lease(source).await? {
            Some(lease) if lease.holder == *holder && lease.slot.is_some() => Ok(Round::Acquired),
            _ => Err(LeaseError::ConcurrencyLimit { holders }),
        }
    }

    /// The slots in use. An unreadable one is an error, because any backup may hold it.
    async fn slots(&self) -> Result<Vec<Slot>, CatalogError> {
        // The next character after `-` is `.`.
        let ids = doc! { "_id": { "$gte": "slot-", "$lt": "slot." } };
        let collection = self.collection(LEASES);
        let find = collection.find(ids);
        let slots: Vec<Document> =
            call("read slots", async { find.await?.try_collect().await }).await?;
        slots
            .into_iter()
            .map(|slot| row::read(LEASES, slot))
            .collect()
    }

    /// Inserts the document. Returns `false` if its `_id` exists.
    async fn insert_lease(&self, document: Document) -> Result<bool, CatalogError> {
        match attempt(
            "acquire a lease",
            self.collection(LEASES).insert_one(document),
        )
        .await?
        {
            Ok(_) => Ok(true),
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(CatalogError::from_driver("acquire a lease", &error)),
        }
    }
}

fn slot(number: u32, source: Source, holder: &BackupId, now: Timestamp) -> Document {
    doc! {
        "_id": Slot::id(number), "number": i64::from(number), "source": source.as_str(), "holder": holder.as_str(),
        "takenAt": row::date(now),
    }
}

fn without_slot(source: Source, holder: &BackupId) -> Document {
    doc! { "_id": source.as_str(), "holder": holder.as_str(), "slot": Bson::Null }
}
