//! The reliability of backups, by the catalogue: the states of their jobs, and the results of
//! verifications.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use holdfast_domain::{
    BackupId, DeletionCause, FailureCode, JobDeletion, JobFailure, JobStatus, JobVerification,
    VerificationLevel, VerificationStatus,
};
use serde::Deserialize;

use crate::{
    Catalog, CatalogError, VerificationRecord,
    catalog::{JOBS, VERIFICATIONS, call},
    job::readable,
    row,
};

/// The catalogue's knowledge of one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one fact about a row"
)]
pub struct JobStanding {
    /// The state of its job.
    pub status: JobStatus,
    /// The kind of failure in its row.
    pub error: Option<FailureCode>,
    /// Whether its manifest is missing although no deletion was decided. See
    /// [`holdfast_domain::Job::is_lost`].
    pub is_lost: bool,
    /// Whether an operator accepted its loss. See [`holdfast_domain::Job::is_accepted_loss`].
    pub is_accepted_loss: bool,
    /// Whether a verification failed, without a later success of the same depth.
    pub verification_failed: bool,
    /// Whether its row records it as empty: no document, or no content item.
    pub is_empty: bool,
}

#[derive(Deserialize)]
struct Namespace {
    #[serde(default)]
    documents: u64,
}

#[derive(Deserialize)]
struct Items {
    expected: u64,
}

#[derive(Deserialize)]
struct StandingRow {
    #[serde(rename = "_id")]
    id: BackupId,
    status: JobStatus,
    error: Option<JobFailure>,
    deletion: Option<JobDeletion>,
    verification: Option<JobVerification>,
    namespaces: Option<Vec<Namespace>>,
    items: Option<Items>,
}

impl Catalog {
    /// The standings of these backups. Backups without a job are missing. An unreadable job is a
    /// separate error, so that no caller treats it as missing. At most 1,000 in one call.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn standings(
        &self,
        ids: &[BackupId],
    ) -> Result<BTreeMap<BackupId, Result<JobStanding, CatalogError>>, CatalogError> {
        let among: Vec<Bson> = ids.iter().map(|id| id.as_str().into()).collect();
        let collection = self.collection(JOBS);
        let find = collection.find(doc! { "_id": { "$in": among.clone() } }).projection(doc! {
            "status": 1, "error": 1, "deletion": 1, "verification": 1, "namespaces.documents": 1, "items.expected": 1,
        });
        let rows: Vec<Document> =
            call("read jobs", async { find.await?.try_collect().await }).await?;
        let verified = self.deepest_failures(among).await?;
        let standing = |row: Document| {
            let id = row::id_of(&row).parse::<BackupId>().ok()?;
            Some((
                id,
                row::read::<StandingRow>(JOBS, row).map(|row| standing(row, &verified)),
            ))
        };
        Ok(rows.into_iter().filter_map(standing).collect())
    }

    /// For each verified backup among these, the deepest level that failed and has not passed
    /// since.
    async fn deepest_failures(
        &self,
        among: Vec<Bson>,
    ) -> Result<BTreeMap<BackupId, Option<VerificationLevel>>, CatalogError> {
        let collection = self.collection(VERIFICATIONS);
        let find = collection
            .find(doc! { "backupId": { "$in": among } })
            .sort(doc! { "at": 1, "_id": 1 })
            .projection(doc! { "problems": 0, "collections": 0 });
        let rows: Vec<Document> = call("list verifications", async {
            find.await?.try_collect().await
        })
        .await?;
        let mut failures = BTreeMap::new();
        for VerificationRecord {
            backup_id,
            level,
            status,
            ..
        } in readable(rows.into_iter().map(|row| row::read(VERIFICATIONS, row)))
        {
            let failed: &mut Option<VerificationLevel> = failures.entry(backup_id).or_default();
            *failed = match status {
                VerificationStatus::Failed => (*failed).max(Some(level)),
                VerificationStatus::Passed => failed.filter(|failed| *failed > level),
            };
        }
        Ok(failures)
    }
}

/// A backup without rows of verifications is judged by its job.
fn standing(
    row: StandingRow,
    verified: &BTreeMap<BackupId, Option<VerificationLevel>>,
) -> JobStanding {
    let verification_failed = match verified.get(&row.id) {
        Some(failed) => failed.is_some(),
        None => row
            .verification
            .is_some_and(|newest| newest.status == VerificationStatus::Failed),
    };
    let no_documents = row
        .namespaces
        .is_some_and(|held| held.iter().all(|namespace| namespace.documents == 0));
    let is_empty = no_documents || row.items.is_some_and(|items| items.expected == 0);
    let error = row.error.map(|error| error.code);
    let is_corrupt = error == Some(FailureCode::StoreCorrupt);
    let is_lost = row.status == JobStatus::Deleted && row.deletion.is_none() && is_corrupt;
    let is_accepted = row
        .deletion
        .is_some_and(|deletion| deletion.cause == DeletionCause::AcceptedLoss);
    let is_accepted_loss = row.status == JobStatus::Deleted && is_accepted;
    JobStanding {
        status: row.status,
        error,
        is_lost,
        is_accepted_loss,
        verification_failed,
        is_empty,
    }
}
