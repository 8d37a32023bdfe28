//! The life of an item. Its row counts the attempts, and one conditional write settles it.

use bson::{Document, doc};
use holdfast_domain::{
    BackupId, HostState, ItemFailure, ItemRecord, ItemStatus, ObjectKey, StoredFile, Timestamp,
};
use mongodb::options::ReturnDocument;

use super::{key, read};
use crate::{
    Catalog, CatalogError,
    catalog::{ITEMS, call},
    row,
};

/// The end of an item.
#[derive(Debug, Clone, Copy)]
pub enum Settled<'a> {
    /// Its file was fetched and stored.
    Done {
        /// The name of the file in the archive.
        file_name: &'a str,
        /// The file.
        file: &'a StoredFile,
    },
    /// A stored file is reused, because it is the same.
    Unchanged {
        /// The name of the file in the archive.
        file_name: &'a str,
        /// The file.
        file: &'a StoredFile,
    },
    /// Its file could not be fetched today. A stored file replaces it, because that may be the only
    /// copy.
    Stale {
        /// The name of the file in the archive.
        file_name: &'a str,
        /// The file.
        file: &'a StoredFile,
        /// Why it could not be fetched.
        failure: &'a ItemFailure,
    },
    /// Its file could not be fetched.
    Failed(&'a ItemFailure),
}

impl Settled<'_> {
    fn fields(self) -> Result<Document, CatalogError> {
        let held = |status: ItemStatus, file_name: &str, file| {
            let file = row::of(file)?;
            Ok(doc! { "status": status.as_str(), "fileName": file_name, "file": file })
        };
        match self {
            Self::Done { file_name, file } => held(ItemStatus::Done, file_name, file),
            Self::Unchanged { file_name, file } => held(ItemStatus::Unchanged, file_name, file),
            Self::Stale {
                file_name,
                file,
                failure,
            } => {
                let mut fields = held(ItemStatus::Unchanged, file_name, file)?;
                fields.insert("error", row::of(failure)?);
                Ok(fields)
            }
            Self::Failed(failure) => {
                Ok(doc! { "status": ItemStatus::Failed.as_str(), "error": row::of(failure)? })
            }
        }
    }
}

impl Catalog {
    /// Counts an attempt to settle a pending item, and returns its new row. `None` if it is
    /// settled, or does not exist.
    ///
    /// # Errors
    /// [`CatalogError::Corrupt`] if its row is not an item. The attempt was counted nevertheless.
    pub async fn begin_attempt(
        &self,
        backup: &BackupId,
        content_id: &str,
        now: Timestamp,
    ) -> Result<Option<ItemRecord>, CatalogError> {
        let update =
            doc! { "$inc": { "attempts": 1_i64 }, "$set": { "attemptedAt": row::date(now) } };
        let collection = self.collection(ITEMS);
        let begin = collection
            .find_one_and_update(pending(backup, content_id), update)
            .return_document(ReturnDocument::After);
        call("begin an item", begin).await?.map(read).transpose()
    }

    /// Takes back a counted attempt of a pending item, because it sent no request. Returns the
    /// start of the wait for an unavailable host, or `None` if it does not wait for one, or is
    /// settled.
    ///
    /// A host in the state `Down` starts that time. `Failing` keeps it, and `Working` ends it.
    ///
    /// # Errors
    /// Those of the server: the attempt may or may not have been taken back.
    pub async fn postpone_attempt(
        &self,
        backup: &BackupId,
        content_id: &str,
        host: HostState,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, CatalogError> {
        let mut filter = pending(backup, content_id);
        filter.insert("attempts", doc! { "$gt": 0_i64 });
        let mut update = match host {
            HostState::Down => doc! { "$min": { "putOffSince": row::date(now) } },
            HostState::Failing => Document::new(),
            HostState::Working => doc! { "$unset": { "putOffSince": "" } },
        };
        update.insert("$inc", doc! { "attempts": -1_i64 });
        let collection = self.collection(ITEMS);
        let put_off = collection
            .find_one_and_update(filter, update)
            .return_document(ReturnDocument::After);
        let row = call("put an item off", put_off).await?;
        let since = row.and_then(|row| row.get_datetime("putOffSince").ok().copied());
        Ok(since.and_then(|since| Timestamp::from_millisecond(since.timestamp_millis()).ok()))
    }

    /// Ends the wait of a pending item for a host that is down, because a request was sent.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn end_wait_for_host(
        &self,
        backup: &BackupId,
        content_id: &str,
    ) -> Result<(), CatalogError> {
        let mut filter = pending(backup, content_id);
        filter.insert("putOffSince", doc! { "$exists": true });
        let collection = self.collection(ITEMS);
        let end = collection.update_one(filter, doc! { "$unset": { "putOffSince": "" } });
        call("end an item's wait for its host", end).await.map(drop)
    }

    /// Takes one attempt back of each pending item with `most` begun attempts, and returns the
    /// number of these items. The last attempt of such an item was interrupted, because a
    /// completed one settles the item.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn refund_interrupted_attempts(
        &self,
        backup: &BackupId,
        most: u32,
    ) -> Result<u64, CatalogError> {
        let filter = doc! {
            "backupId": backup.as_str(), "status": ItemStatus::Pending.as_str(), "attempts": { "$gte": i64::from(most) },
        };
        let update = doc! { "$set": { "attempts": i64::from(most.saturating_sub(1)) } };
        let collection = self.collection(ITEMS);
        let refund = collection.update_many(filter, update);
        Ok(call("refund interrupted attempts", refund)
            .await?
            .matched_count)
    }

    /// Settles a pending item. Returns `true` if this call did it, `false` if it is settled already
    /// or does not exist.
    ///
    /// # Errors
    /// Those of the server: the item may or may not be settled, and the call may be repeated.
    pub async fn settle_item(
        &self,
        backup: &BackupId,
        content_id: &str,
        settled: Settled<'_>,
        now: Timestamp,
    ) -> Result<bool, CatalogError> {
        let mut set = settled.fields()?;
        set.insert("settledAt", row::date(now));
        let collection = self.collection(ITEMS);
        let settle = collection.update_one(pending(backup, content_id), doc! { "$set": set });
        Ok(call("settle an item", settle).await?.matched_count == 1)
    }

    /// Changes an item to failed, because its object `missing` is not in the store. Removes the
    /// file from its row. Returns `false` if it has another object, or has failed already.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn fail_item_after_all(
        &self,
        backup: &BackupId,
        content_id: &str,
        missing: &ObjectKey,
        failure: &ItemFailure,
        now: Timestamp,
    ) -> Result<bool, CatalogError> {
        let held = [ItemStatus::Done, ItemStatus::Unchanged].map(ItemStatus::as_str);
        let mut filter = row::by_id(&key::row_id(backup, content_id));
        filter.insert("status", doc! { "$in": held.to_vec() });
        filter.insert("$or", row::refers_to(missing));
        let mut set = Settled::Failed(failure).fields()?;
        set.insert("settledAt", row::date(now));
        let update = doc! { "$set": set, "$unset": { "file": "", "fileName": "" } };
        let collection = self.collection(ITEMS);
        let settle = collection.update_one(filter, update);
        Ok(call("settle an item", settle).await?.matched_count == 1)
    }
}

fn pending(backup: &BackupId, content_id: &str) -> Document {
    doc! { "_id": key::row_id(backup, content_id), "status": ItemStatus::Pending.as_str() }
}
