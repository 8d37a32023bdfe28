//! Verification, in levels: present, unaltered, consistent with the manifest, and restorable. It only reads stored
//! data. A drill also writes into scratch databases of its own server, and drops them again.

mod claim;
mod content;
mod database;
mod drill;
mod due;
mod job_row;
mod on_request;
mod repository_files;
mod scratch;
mod steps;

use std::time::Instant;

use holdfast_catalog::{Catalog, CatalogError, VerificationRecord};
use holdfast_domain::{
    BackupId, BackupType, DrilledCollection, ItemCounts, JobVerification, NamespaceManifest, Timestamp,
    VerificationLevel, VerificationStatus,
};
use holdfast_storage::StoreError;
use serde::Serialize;

use self::repository_files::Faults;
pub(crate) use self::{database::walk, scratch::try_server as try_drill_server};
pub use self::{
    drill::drill,
    due::{DueReport, verify_due},
    job_row::compare_with_job,
    on_request::{VerifyOutcome, expect_level, expect_verifiable, is_small, verify_on_request, verify_while_waiting},
    scratch::remove_dead_scratch,
};
use crate::{OperationError, Repository, RepositoryError};

/// Result of a verification.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// The backup.
    pub backup_id: BackupId,
    /// Its depth.
    pub level: VerificationLevel,
    /// Its result.
    pub status: VerificationStatus,
    /// The exact problems. Empty for a good backup.
    pub problems: Vec<String>,
    /// Problems of the repository's own files. They are the same for every backup, so the status of the backup does not
    /// depend on them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repository_problems: Vec<String>,
    /// Useful facts that are no problem of the stored data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Bytes read from the store.
    pub bytes_read: u64,
    /// Content of a database backup, from its manifest.
    pub namespaces: Vec<NamespaceManifest>,
    /// Content of a content backup, from its manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
    /// Result of a drill, collection by collection.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<DrilledCollection>,
    /// Time of its start.
    pub started_at: Timestamp,
    /// Its duration.
    pub duration_ms: u64,
}

impl Verification {
    /// Adds further problems.
    pub(crate) fn fail(&mut self, problems: impl IntoIterator<Item = String>) {
        self.problems.extend(problems);
        self.status = status_of(&self.problems);
    }
}

fn status_of(problems: &[String]) -> VerificationStatus {
    if problems.is_empty() { VerificationStatus::Passed } else { VerificationStatus::Failed }
}

/// Verifies a backup as deep as possible without a restore. `progress` receives the stored bytes read so far, and their
/// total.
///
/// # Errors
/// If no verdict is possible: the store is unavailable, no key at hand opens the backup, or the backup does not exist.
/// Damage is no error, but part of the report. Faults of the repository's files are a separate part of the report. They
/// are an error only if the backup is unreadable without these files.
pub async fn verify(
    repository: &Repository,
    id: &BackupId,
    level: VerificationLevel,
    now: Timestamp,
    progress: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<Verification, OperationError> {
    if level == VerificationLevel::Drill {
        return Err(OperationError::Invalid("a drill needs a server to restore to".to_owned()));
    }
    let judgement = Judgement::begin(repository, id, level, now).await?;
    let mut found = Findings::default();
    // Boxed: the type is too deep for the compiler's layout of its callers.
    let looked = Box::pin(look(repository, id, level, progress, &mut found)).await;
    judgement.end(found, looked)
}

/// Writes a verification to the catalogue: its own row, and the job's newest verification.
///
/// # Errors
/// If the catalogue is unavailable. Without a job row, only the verification's own row is written.
pub async fn record_verification(catalog: &Catalog, verification: &Verification) -> Result<(), OperationError> {
    let record = VerificationRecord {
        backup_id: verification.backup_id.clone(),
        level: verification.level,
        status: verification.status,
        problems: problems_in_a_row(&verification.problems),
        repository_problems: problems_in_a_row(&verification.repository_problems),
        at: verification.started_at,
        duration_ms: verification.duration_ms,
        collections: in_a_row(&verification.collections),
    };
    catalog.insert_verification(&record).await?;
    let newest = JobVerification { level: record.level, status: record.status, at: record.at };
    match catalog.set_verification(&record.backup_id, newest).await {
        Ok(()) | Err(CatalogError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// At most as many as a row of the catalogue holds, each cut to a readable length.
fn problems_in_a_row(problems: &[String]) -> Vec<String> {
    const MOST: usize = 500;
    const CHARACTERS: usize = 2000;
    let mut told: Vec<String> =
        problems.iter().take(MOST).map(|problem| problem.chars().take(CHARACTERS).collect()).collect();
    if problems.len() > MOST {
        told.push(format!("and {} more", problems.len() - MOST));
    }
    told
}

/// At most as many as a row of the catalogue holds. Bad ones come first.
fn in_a_row(collections: &[DrilledCollection]) -> Vec<DrilledCollection> {
    const MOST: usize = 2000;
    let (well, ill): (Vec<_>, Vec<_>) = collections.iter().partition(|collection| collection.is_faithful());
    if collections.len() <= MOST {
        return collections.to_vec();
    }
    ill.into_iter().chain(well).take(MOST).cloned().collect()
}

#[derive(Default)]
pub(crate) struct Findings {
    problems: Vec<String>,
    notes: Vec<String>,
    bytes_read: u64,
    namespaces: Vec<NamespaceManifest>,
    items: Option<ItemCounts>,
    collections: Vec<DrilledCollection>,
}

/// The steps from the repository's own files to the verification. An encrypted backup opens only with these files.
struct Judgement {
    backup_id: BackupId,
    level: VerificationLevel,
    started_at: Timestamp,
    clock: Instant,
    repository: Faults,
}

impl Judgement {
    async fn begin(
        repository: &Repository,
        id: &BackupId,
        level: VerificationLevel,
        now: Timestamp,
    ) -> Result<Self, OperationError> {
        let clock = Instant::now();
        let faults = repository_files::faults(repository, id).await?;
        Ok(Self { backup_id: id.clone(), level, started_at: now, clock, repository: faults })
    }

    /// Ends with the findings in the backup, or the reason for their end.
    fn end(self, mut found: Findings, looked: Result<(), OperationError>) -> Result<Verification, OperationError> {
        match looked {
            Ok(()) => {}
            Err(OperationError::Corrupt { problem, .. }) if !self.repository.has_suspect_keys => {
                found.problems.push(problem);
            }
            Err(OperationError::Store(StoreError::NotFound { key, .. })) => {
                found.problems.push(format!("{key} is missing"));
            }
            Err(error) => return Err(of_repository(error, &self.repository.problems)),
        }
        Ok(Verification {
            backup_id: self.backup_id,
            level: self.level,
            status: status_of(&found.problems),
            problems: found.problems,
            repository_problems: self.repository.problems,
            notes: found.notes,
            bytes_read: found.bytes_read,
            namespaces: found.namespaces,
            items: found.items,
            collections: found.collections,
            started_at: self.started_at,
            duration_ms: u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// Without the repository's files the backup cannot be checked. This is no fault of the backup.
fn of_repository(error: OperationError, problems: &[String]) -> OperationError {
    match error {
        OperationError::Key(_) | OperationError::Repository(_) | OperationError::Corrupt { .. }
            if !problems.is_empty() =>
        {
            let cause = error.to_string();
            let others = problems.iter().filter(|problem| **problem != cause).cloned();
            RepositoryError::Faulty(others.chain([cause.clone()]).collect::<Vec<_>>().join("; ")).into()
        }
        error => error,
    }
}

async fn look(
    repository: &Repository,
    id: &BackupId,
    level: VerificationLevel,
    progress: impl Fn(u64, u64) + Send + Sync + 'static,
    found: &mut Findings,
) -> Result<(), OperationError> {
    let manifest = repository.manifest(id).await?;
    if id.backup_type() == BackupType::Content {
        return content::look(repository, manifest, level, &progress, found).await;
    }
    database::look(repository, &manifest, level, progress, found).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_room_for_the_problems_of_a_hundred_thousand_collections() {
        let problems: Vec<String> = (0..100_000).map(|number| format!("{number}{}", "x".repeat(5000))).collect();
        let told = problems_in_a_row(&problems);
        assert!(told.iter().map(String::len).sum::<usize>() < 2_000_000);
        assert_eq!(told.last().unwrap(), "and 99500 more");
        assert_eq!(problems_in_a_row(&["one".to_owned()]), ["one"]);
    }
}
