//! A verification in progress, in the job's row under `verifying`: who is at it, and how far it came. It outlives a run
//! that died, so that the next one goes on, and is no part of the job.

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp, VerificationLevel};
use mongodb::options::ReturnDocument;
use serde::{Deserialize, Serialize};

use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, call},
    job::{listed, read, readable},
    row,
};

/// How far a verification by checksum came, and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VerifiedSoFar {
    /// When it began.
    pub begun_at: Option<Timestamp>,
    /// Artifacts of the manifest that were read to their ends.
    pub artifacts: u64,
    /// Segments of the next one that were read.
    pub segments: u64,
    /// Items of a content backup's list whose objects were read.
    pub items: u64,
    /// Objects that were proved by their content, not by their stored digest.
    pub other_forms: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Time that runs spent on it.
    pub spent_ms: u64,
    /// What is wrong.
    pub problems: Vec<String>,
}

/// A verification that somebody is, or was, at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifying {
    /// The backup.
    pub backup_id: BackupId,
    /// How deep it goes.
    pub level: VerificationLevel,
    /// When it was last heard of.
    pub touched_at: Timestamp,
}

/// What came of beginning a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerificationClaim {
    /// It is this run's now; so far is what earlier runs at the same level did.
    Taken(VerifiedSoFar),
    /// Another run is at this backup.
    Elsewhere,
    /// The catalogue has no job of the backup, and so no place for this.
    NoJob,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    level: VerificationLevel,
    touched_at: Timestamp,
    #[serde(default)]
    so_far: VerifiedSoFar,
    /// At which level that was; the one above in rows of earlier versions.
    so_far_level: Option<VerificationLevel>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "_id")]
    id: BackupId,
    verifying: Option<Held>,
}

impl Catalog {
    /// Takes the verification of a backup for this run, unless another run was heard of after `stale_at`.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn begin_verification(
        &self,
        id: &BackupId,
        level: VerificationLevel,
        run: &str,
        stale_at: Timestamp,
        now: Timestamp,
    ) -> Result<VerificationClaim, CatalogError> {
        let free =
            vec![doc! { "verifying": Bson::Null }, doc! { "verifying.touchedAt": { "$lt": row::date(stale_at) } }];
        let filter = doc! { "_id": id.as_str(), "$or": free };
        let update = doc! { "$set": {
            "verifying.level": level.as_str(), "verifying.run": run, "verifying.touchedAt": row::date(now),
        } };
        let collection = self.collection(JOBS);
        let take = collection
            .find_one_and_update(filter, update)
            .return_document(ReturnDocument::Before)
            .projection(doc! { "verifying": 1 });
        let Some(before) = call("begin a verification", take).await? else {
            let there = call("read a job", collection.count_documents(row::by_id(id.as_str()))).await?;
            return Ok(if there > 0 { VerificationClaim::Elsewhere } else { VerificationClaim::NoJob });
        };
        // What cannot be read is begun anew.
        let held = row::read::<Row>(JOBS, before).ok().and_then(|row| row.verifying);
        // A run at another level that did not end leaves this one's work alone.
        let is_ours = |held: &Held| held.so_far_level.unwrap_or(held.level) == level;
        let so_far = held.filter(is_ours).map(|held| held.so_far).unwrap_or_default();
        Ok(VerificationClaim::Taken(so_far))
    }

    /// Writes how far a run came; `false` where it is no longer this run's. With `touched_at` long ago, another run may go
    /// on at once.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn record_verified(
        &self,
        id: &BackupId,
        level: VerificationLevel,
        run: &str,
        so_far: &VerifiedSoFar,
        touched_at: Timestamp,
    ) -> Result<bool, CatalogError> {
        let filter = doc! { "_id": id.as_str(), "verifying.run": run };
        let update = doc! { "$set": { "verifying.soFar": row::of(so_far)?, "verifying.soFarLevel": level.as_str(), "verifying.touchedAt": row::date(touched_at) } };
        let result = call("record a verification", self.collection(JOBS).update_one(filter, update)).await?;
        Ok(result.matched_count == 1)
    }

    /// Notes that a verification was requested, so that it counts before its run begins.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn request_verification(&self, id: &BackupId, now: Timestamp) -> Result<(), CatalogError> {
        let update = doc! { "$set": { "verificationRequestedAt": row::date(now) } };
        let collection = self.collection(JOBS);
        call("request a verification", collection.update_one(row::by_id(id.as_str()), update)).await.map(drop)
    }

    /// The backups whose verification was requested, or was heard of, after `since`.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn busy_verifications(&self, since: Timestamp) -> Result<Vec<BackupId>, CatalogError> {
        let after = doc! { "$gte": row::date(since) };
        let busy = vec![doc! { "verificationRequestedAt": after.clone() }, doc! { "verifying.touchedAt": after }];
        let collection = self.collection(JOBS);
        let find = collection.find(doc! { "$or": busy }).projection(doc! { "_id": 1 });
        let rows: Vec<Document> = call("list jobs", async { find.await?.try_collect().await }).await?;
        Ok(rows.iter().filter_map(|row| row::id_of(row).parse().ok()).collect())
    }

    /// Ends a run's verification.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn end_verification(&self, id: &BackupId, run: &str) -> Result<(), CatalogError> {
        let filter = doc! { "_id": id.as_str(), "verifying.run": run };
        let update = doc! { "$unset": { "verifying": "", "verificationRequestedAt": "" } };
        call("end a verification", self.collection(JOBS).update_one(filter, update)).await.map(drop)
    }

    /// Verifications that somebody is, or was, at.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn verifying(&self) -> Result<Vec<Verifying>, CatalogError> {
        let collection = self.collection(JOBS);
        let filter = doc! { "verifying": { "$exists": true }, "status": JobStatus::Completed.as_str() };
        let find = collection.find(filter).projection(doc! { "verifying": 1 });
        let rows: Vec<Document> = call("list jobs", async { find.await?.try_collect().await }).await?;
        let rows = readable(rows.into_iter().map(|row| row::read::<Row>(JOBS, row)));
        let held = |row: Row| row.verifying.map(|held| (row.id, held));
        let of = |(backup_id, held): (BackupId, Held)| Verifying {
            backup_id,
            level: held.level,
            touched_at: held.touched_at,
        };
        Ok(rows.into_iter().filter_map(held).map(of).collect())
    }

    /// Completed backups of this type that were never verified, newest first.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn never_verified(&self, kind: BackupType, limit: u32) -> Result<Vec<Job>, CatalogError> {
        let filter = doc! {
            "type": kind.as_str(), "status": JobStatus::Completed.as_str(), "verification": Bson::Null,
        };
        self.jobs_sorted(filter, doc! { "createdAt": -1, "_id": -1 }, limit).await
    }

    /// Completed backups of this type that were verified, the one whose verification is longest ago first.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn longest_unverified(&self, kind: BackupType, limit: u32) -> Result<Vec<Job>, CatalogError> {
        let filter = doc! {
            "type": kind.as_str(), "status": JobStatus::Completed.as_str(), "verification.at": { "$exists": true },
        };
        self.jobs_sorted(filter, doc! { "verification.at": 1, "_id": 1 }, limit).await
    }

    async fn jobs_sorted(&self, filter: Document, sort: Document, limit: u32) -> Result<Vec<Job>, CatalogError> {
        let collection = self.collection(JOBS);
        let find = collection.find(filter).sort(sort).limit(i64::from(limit)).projection(listed());
        let rows: Vec<Document> = call("list jobs", async { find.await?.try_collect().await }).await?;
        Ok(readable(rows.into_iter().map(read)))
    }
}
