//! A verification in progress, in the job's row under `verifying`: its run and its progress. It
//! outlives a dead run, so that the next one resumes, and is no part of the job.

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

/// The progress of a verification by checksum, and its results so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VerifiedSoFar {
    /// When it began.
    pub begun_at: Option<Timestamp>,
    /// Completely read artifacts of the manifest.
    pub artifacts: u64,
    /// Segments of the next one read so far.
    pub segments: u64,
    /// Items of a content backup's list with their objects read.
    pub items: u64,
    /// Objects proved by their content, not by their stored digest.
    pub other_forms: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Time spent by its runs.
    pub spent_ms: u64,
    /// The problems.
    pub problems: Vec<String>,
}

/// A verification with a present or past run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifying {
    /// The backup.
    pub backup_id: BackupId,
    /// Its level.
    pub level: VerificationLevel,
    /// The last beat of its run.
    pub touched_at: Timestamp,
}

/// The result of beginning a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerificationClaim {
    /// This run has it now, with the progress of earlier runs at the same level.
    Taken(VerifiedSoFar),
    /// Another run verifies this backup.
    Elsewhere,
    /// The catalogue has no job of the backup, and so no row for this.
    NoJob,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerificationInWork {
    level: VerificationLevel,
    touched_at: Timestamp,
    #[serde(default)]
    so_far: VerifiedSoFar,
    /// The level of this progress. In rows of earlier versions, `level` has it.
    so_far_level: Option<VerificationLevel>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "_id")]
    id: BackupId,
    verifying: Option<VerificationInWork>,
}

impl Catalog {
    /// Takes the verification of a backup for this run, unless another run has a beat after
    /// `stale_at`.
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
        let free = vec![
            doc! { "verifying": Bson::Null },
            doc! { "verifying.touchedAt": { "$lt": row::date(stale_at) } },
        ];
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
            let there = call(
                "read a job",
                collection.count_documents(row::by_id(id.as_str())),
            )
            .await?;
            return Ok(if there > 0 {
                VerificationClaim::Elsewhere
            } else {
                VerificationClaim::NoJob
            });
        };
        // Unreadable work is discarded.
        let held = row::read::<Row>(JOBS, before)
            .ok()
            .and_then(|row| row.verifying);
        // The progress at this level survives an unfinished run at another level.
        let is_ours = |held: &VerificationInWork| held.so_far_level.unwrap_or(held.level) == level;
        let so_far = held
            .filter(is_ours)
            .map(|held| held.so_far)
            .unwrap_or_default();
        Ok(VerificationClaim::Taken(so_far))
    }

    /// Writes the progress of a run. Returns `false` if another run has it. With an old
    /// `touched_at`, another run may continue at once.
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
        let result = call(
            "record a verification",
            self.collection(JOBS).update_one(filter, update),
        )
        .await?;
        Ok(result.matched_count == 1)
    }

    /// Records a requested verification, so that it counts before its run begins. Returns `false`
    /// if the backup has a request of `stale_at` or later.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn request_verification(
        &self,
        id: &BackupId,
        stale_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, CatalogError> {
        let free = vec![
            doc! { "verificationRequestedAt": Bson::Null },
            doc! { "verificationRequestedAt": { "$lt": row::date(stale_at) } },
        ];
        let filter = doc! { "_id": id.as_str(), "$or": free };
        let update = doc! { "$set": { "verificationRequestedAt": row::date(now) } };
        let collection = self.collection(JOBS);
        let updating = collection.update_one(filter, update);
        let result = call("request a verification", updating).await?;
        if result.matched_count > 0 {
            return Ok(true);
        }
        // A backup without a job has no row for the request.
        let counting = collection.count_documents(row::by_id(id.as_str()));
        Ok(call("read a job", counting).await? == 0)
    }

    /// Removes the request of a verification that ended without a record, or never began.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn withdraw_verification(&self, id: &BackupId) -> Result<(), CatalogError> {
        let update = doc! { "$unset": { "verificationRequestedAt": "" } };
        let collection = self.collection(JOBS);
        let updating = collection.update_one(row::by_id(id.as_str()), update);
        call("withdraw a verification", updating).await.map(drop)
    }

    /// The backups with a requested verification, or with a beat of its run, after `since`.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn busy_verifications(
        &self,
        since: Timestamp,
    ) -> Result<Vec<BackupId>, CatalogError> {
        let after = doc! { "$gte": row::date(since) };
        let busy = vec![
            doc! { "verificationRequestedAt": after.clone() },
            doc! { "verifying.touchedAt": after },
        ];
        let collection = self.collection(JOBS);
        let find = collection
            .find(doc! { "$or": busy })
            .projection(doc! { "_id": 1 });
        let rows: Vec<Document> =
            call("list jobs", async { find.await?.try_collect().await }).await?;
        Ok(rows
            .iter()
            .filter_map(|row| row::id_of(row).parse().ok())
            .collect())
    }

    /// Whether a run verifies this backup, with a beat after `since`.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn is_verifying(
        &self,
        id: &BackupId,
        since: Timestamp,
    ) -> Result<bool, CatalogError> {
        let mut filter = row::by_id(id.as_str());
        filter.insert("verifying.touchedAt", doc! { "$gte": row::date(since) });
        let collection = self.collection(JOBS);
        let count = call("read a job", collection.count_documents(filter)).await?;
        Ok(count > 0)
    }

    /// Ends a run's verification.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn end_verification(&self, id: &BackupId, run: &str) -> Result<(), CatalogError> {
        let filter = doc! { "_id": id.as_str(), "verifying.run": run };
        let update = doc! { "$unset": { "verifying": "", "verificationRequestedAt": "" } };
        call(
            "end a verification",
            self.collection(JOBS).update_one(filter, update),
        )
        .await
        .map(drop)
    }

    /// Verifications with a present or past run.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn verifying(&self) -> Result<Vec<Verifying>, CatalogError> {
        let collection = self.collection(JOBS);
        let filter =
            doc! { "verifying": { "$exists": true }, "status": JobStatus::Completed.as_str() };
        let find = collection.find(filter).projection(doc! { "verifying": 1 });
        let rows: Vec<Document> =
            call("list jobs", async { find.await?.try_collect().await }).await?;
        let rows = readable(rows.into_iter().map(|row| row::read::<Row>(JOBS, row)));
        let held = |row: Row| row.verifying.map(|held| (row.id, held));
        let of = |(backup_id, held): (BackupId, VerificationInWork)| Verifying {
            backup_id,
            level: held.level,
            touched_at: held.touched_at,
        };
        Ok(rows.into_iter().filter_map(held).map(of).collect())
    }

    /// Completed backups of this type without any verification, newest first.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn never_verified(
        &self,
        kind: BackupType,
        limit: u32,
    ) -> Result<Vec<Job>, CatalogError> {
        let filter = doc! {
            "type": kind.as_str(), "status": JobStatus::Completed.as_str(), "verification": Bson::Null,
        };
        self.jobs_sorted(filter, doc! { "createdAt": -1, "_id": -1 }, limit)
            .await
    }

    /// Verified completed backups of this type, those with the oldest verification first.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn longest_unverified(
        &self,
        kind: BackupType,
        limit: u32,
    ) -> Result<Vec<Job>, CatalogError> {
        let filter = doc! {
            "type": kind.as_str(), "status": JobStatus::Completed.as_str(), "verification.at": { "$exists": true },
        };
        self.jobs_sorted(filter, doc! { "verification.at": 1, "_id": 1 }, limit)
            .await
    }

    async fn jobs_sorted(
        &self,
        filter: Document,
        sort: Document,
        limit: u32,
    ) -> Result<Vec<Job>, CatalogError> {
        let collection = self.collection(JOBS);
        let find = collection
            .find(filter)
            .sort(sort)
            .limit(i64::from(limit))
            .projection(listed());
        let rows: Vec<Document> =
            call("list jobs", async { find.await?.try_collect().await }).await?;
        Ok(readable(rows.into_iter().map(read)))
    }
}
