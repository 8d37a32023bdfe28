//! Verifications: every one as a row of its own, the newest also on its job.

use bson::{Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{
    BackupId, BackupType, DrilledCollection, JobVerification, Timestamp, VerificationLevel,
    VerificationStatus,
};
use serde::{Deserialize, Serialize};

use crate::{
    Catalog, CatalogError,
    catalog::{JOBS, VERIFICATIONS, call},
    job::readable,
    row,
};

/// The result of one verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationRecord {
    /// The verified backup.
    pub backup_id: BackupId,
    /// Its level.
    pub level: VerificationLevel,
    /// Its result.
    pub status: VerificationStatus,
    /// The problems, one sentence each.
    #[serde(default)]
    pub problems: Vec<String>,
    /// The problems of the repository's own files. The status does not depend on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repository_problems: Vec<String>,
    /// Facts that are no problem. Rows of earlier versions have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Bytes read from the store. 0 in rows of earlier versions.
    #[serde(default)]
    pub bytes_read: u64,
    /// When.
    pub at: Timestamp,
    /// Its duration.
    pub duration_ms: u64,
    /// The results of a drill, by collection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<DrilledCollection>,
}

impl Catalog {
    /// Writes a job's newest verification. An older one than the present one changes nothing.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`].
    pub async fn set_verification(
        &self,
        id: &BackupId,
        verification: JobVerification,
    ) -> Result<(), CatalogError> {
        let not_newer =
            doc! { "verification.at": { "$not": { "$gt": row::date(verification.at) } } };
        let mut filter = row::by_id(id.as_str());
        filter.extend(not_newer);
        let update = doc! { "$set": { "verification": row::of(&verification)? } };
        let result = call(
            "record a verification",
            self.collection(JOBS).update_one(filter, update),
        )
        .await?;
        if result.matched_count == 1 {
            return Ok(());
        }
        self.get(id).await.map(drop)
    }

    /// Adds a verification's row, whether or not the catalogue has the job.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn insert_verification(
        &self,
        record: &VerificationRecord,
    ) -> Result<(), CatalogError> {
        let row = row::of(record)?;
        call(
            "record a verification",
            self.collection(VERIFICATIONS).insert_one(row),
        )
        .await
        .map(drop)
    }

    /// The verifications of one backup, newest first.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn verifications(
        &self,
        id: &BackupId,
    ) -> Result<Vec<VerificationRecord>, CatalogError> {
        let collection = self.collection(VERIFICATIONS);
        let find = collection
            .find(doc! { "backupId": id.as_str() })
            .sort(doc! { "at": -1, "_id": -1 });
        let rows: Vec<Document> = call("list verifications", async {
            find.await?.try_collect().await
        })
        .await?;
        Ok(readable(
            rows.into_iter().map(|row| row::read(VERIFICATIONS, row)),
        ))
    }

    /// The newest verification of any backup of this type with at least this depth.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn newest_verification(
        &self,
        kind: BackupType,
        from: VerificationLevel,
    ) -> Result<Option<VerificationRecord>, CatalogError> {
        let levels: Vec<_> = VerificationLevel::ALL
            .into_iter()
            .filter(|level| *level >= from)
            .collect();
        let levels: Vec<&str> = levels.into_iter().map(VerificationLevel::as_str).collect();
        let of_type = format!("^{}_", kind.id_prefix());
        let collection = self.collection(VERIFICATIONS);
        let find = collection
            .find_one(doc! { "backupId": { "$regex": of_type }, "level": { "$in": levels } })
            .sort(doc! { "at": -1, "_id": -1 });
        let row = call("list verifications", find).await?;
        Ok(readable(row.map(|row| row::read(VERIFICATIONS, row)))
            .into_iter()
            .next())
    }
}
