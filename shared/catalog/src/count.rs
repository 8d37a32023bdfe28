//! Sums over all jobs, computed by the server.

use bson::{Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{BackupType, JobStatus, VerificationLevel, VerificationStatus};
use serde::{Deserialize, de::IntoDeserializer};

use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, VERIFICATIONS, call},
    row,
};

/// The jobs of one type in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobCount {
    /// Their type.
    pub backup_type: BackupType,
    /// Their state.
    pub status: JobStatus,
    /// Number of jobs.
    pub jobs: u64,
    /// Bytes stored by all of them.
    pub size_bytes: u64,
    /// Bytes before compression and encryption of all of them.
    pub original_size_bytes: u64,
    /// Sum of the known durations.
    pub duration_ms: u64,
}

/// Counts by type and state, without zero counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobCounts(pub Vec<JobCount>);

impl JobCounts {
    /// Number of jobs of this type (or of all types) in the states selected by `which`.
    pub fn jobs(&self, kind: Option<BackupType>, which: impl Fn(JobStatus) -> bool) -> u64 {
        let counted = self
            .0
            .iter()
            .filter(|count| kind.is_none_or(|kind| kind == count.backup_type));
        counted
            .filter(|count| which(count.status))
            .map(|count| count.jobs)
            .sum()
    }
}

/// The verifications of one level with one result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerificationCount {
    /// Their depth.
    pub level: VerificationLevel,
    /// Their result.
    pub status: VerificationStatus,
    /// Number of verifications.
    pub verifications: u64,
}

impl Catalog {
    /// Jobs, sizes and durations by type and state. Rows with an unknown type or state are omitted.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn counts(&self) -> Result<JobCounts, CatalogError> {
        let group = doc! { "$group": {
            "_id": { "type": "$type", "status": "$status" },
            "jobs": { "$sum": 1 },
            "size": { "$sum": "$size" },
            "originalSize": { "$sum": "$originalSize" },
            "durationMs": { "$sum": "$durationMs" },
        } };
        let groups = self.aggregate(JOBS, group).await?;
        let mut counts: Vec<_> = groups.iter().filter_map(job_count).collect();
        counts.sort_by_key(|count| (count.backup_type, count.status));
        Ok(JobCounts(counts))
    }

    /// All verifications ever made, by level and result.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn verification_counts(&self) -> Result<Vec<VerificationCount>, CatalogError> {
        let group = doc! { "$group": { "_id": { "level": "$level", "status": "$status" }, "verifications": { "$sum": 1 } } };
        let groups = self.aggregate(VERIFICATIONS, group).await?;
        let mut counts: Vec<_> = groups.iter().filter_map(verification_count).collect();
        counts.sort_by_key(|count| (count.level, count.status == VerificationStatus::Failed));
        Ok(counts)
    }

    async fn aggregate(
        &self,
        collection: &str,
        group: Document,
    ) -> Result<Vec<Document>, CatalogError> {
        let collection = self.collection(collection);
        call("count", async {
            collection.aggregate([group]).await?.try_collect().await
        })
        .await
    }
}

fn job_count(group: &Document) -> Option<JobCount> {
    let id = group.get_document("_id").ok()?;
    Some(JobCount {
        backup_type: id.get_str("type").ok()?.parse().ok()?,
        status: id.get_str("status").ok()?.parse().ok()?,
        jobs: row::unsigned(group, "jobs"),
        size_bytes: row::unsigned(group, "size"),
        original_size_bytes: row::unsigned(group, "originalSize"),
        duration_ms: row::unsigned(group, "durationMs"),
    })
}

fn verification_count(group: &Document) -> Option<VerificationCount> {
    let id = group.get_document("_id").ok()?;
    Some(VerificationCount {
        level: word(id, "level")?,
        status: word(id, "status")?,
        verifications: row::unsigned(group, "verifications"),
    })
}

fn word<'a, T: Deserialize<'a>>(id: &'a Document, key: &str) -> Option<T> {
    T::deserialize(
        IntoDeserializer::<serde::de::value::Error>::into_deserializer(id.get_str(key).ok()?),
    )
    .ok()
}
