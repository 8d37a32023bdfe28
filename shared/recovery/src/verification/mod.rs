//! Verification, in levels: present, unaltered, consistent with the manifest, and restorable. It
//! only reads stored data. A drill also writes into scratch databases of its own server, and drops
//! them again.

pub mod content;
mod database;
pub mod drill;
mod repository_files;
mod scratch;

use std::time::Instant;

use holdfast_domain::{
    BackupId, BackupType, DrilledCollection, ItemCounts, NamespaceManifest, ObjectKey, Timestamp,
    VerificationLevel, VerificationStatus,
};
use holdfast_repository::{InvalidRequest, Repository, RepositoryError, RepositoryFileError};
use holdfast_storage::StoreError;
use serde::Serialize;

pub use self::drill::drill;
use self::repository_files::Faults;
pub use self::scratch::{remove_dead_scratch, try_server as try_drill_server};
use crate::RecoveryError;

/// Result of a verification.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// ID of the backup.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub backup_id: BackupId,
    /// Level of the verification.
    pub level: VerificationLevel,
    /// Whether the verification passed.
    pub status: VerificationStatus,
    /// The exact problems of the backup. Empty for a good backup.
    pub problems: Vec<String>,
    /// Problems of the repository's own files. They are the same for every backup, so the status of
    /// the backup does not depend on them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repository_problems: Vec<String>,
    /// Informational notes. They are not problems of the stored data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Bytes read from the store.
    pub bytes_read: u64,
    /// Namespaces of a database backup, from its manifest.
    pub namespaces: Vec<NamespaceManifest>,
    /// Item counts of a content backup, from its manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
    /// Results of a drill, collection by collection.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<DrilledCollection>,
    /// When the verification started.
    pub started_at: Timestamp,
    /// Duration of the verification in milliseconds.
    pub duration_ms: u64,
}

impl Verification {
    /// Adds further problems.
    pub fn fail(&mut self, problems: impl IntoIterator<Item = String>) {
        self.problems.extend(problems);
        self.status = status_of(&self.problems);
    }
}

fn status_of(problems: &[String]) -> VerificationStatus {
    if problems.is_empty() {
        VerificationStatus::Passed
    } else {
        VerificationStatus::Failed
    }
}

/// Verifies a backup as deep as possible without a restore. `progress` receives the stored bytes
/// read so far, and their total.
///
/// # Errors
/// If no verdict is possible: the store is unavailable, no key at hand opens the backup, or the
/// backup does not exist. Damage is no error, but part of the report. Faults of the repository's
/// files are a separate part of the report. They are an error only if the backup is unreadable
/// without these files.
pub async fn verify(
    repository: &Repository,
    id: &BackupId,
    level: VerificationLevel,
    now: Timestamp,
    progress: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<Verification, RecoveryError> {
    if level == VerificationLevel::Drill {
        return Err(InvalidRequest::NoDrillServer.into());
    }
    let judgement = Judgement::begin(repository, id, level, now).await?;
    let mut found = Findings::default();
    // Boxed: the type is too deep for the compiler's layout of its callers.
    let checked = Box::pin(check(repository, id, level, progress, &mut found)).await;
    judgement.end(found, checked)
}

/// The findings of a verification so far.
#[derive(Default)]
pub struct Findings {
    /// The exact problems of the backup.
    pub problems: Vec<String>,
    /// Useful facts that are no problem of the stored data.
    pub notes: Vec<String>,
    /// Bytes read from the store.
    pub bytes_read: u64,
    /// Content of a database backup, from its manifest.
    pub namespaces: Vec<NamespaceManifest>,
    /// Content of a content backup, from its manifest.
    pub items: Option<ItemCounts>,
    /// Result of a drill, collection by collection.
    collections: Vec<DrilledCollection>,
}

/// The steps from the repository's own files to the verification. An encrypted backup opens only
/// with these files.
pub struct Judgement {
    backup_id: BackupId,
    level: VerificationLevel,
    started_at: Timestamp,
    clock: Instant,
    repository: Faults,
}

impl Judgement {
    /// Checks the repository's own files, and starts the clock. `now` is the time of the start.
    ///
    /// # Errors
    /// If the store is unavailable, or a file has a newer format version.
    pub async fn begin(
        repository: &Repository,
        id: &BackupId,
        level: VerificationLevel,
        now: Timestamp,
    ) -> Result<Self, RecoveryError> {
        let clock = Instant::now();
        let faults = repository_files::faults(repository, id).await?;
        Ok(Self {
            backup_id: id.clone(),
            level,
            started_at: now,
            clock,
            repository: faults,
        })
    }

    /// Ends with the findings in the backup, or the reason for their end. Damage of the backup
    /// becomes a problem.
    ///
    /// # Errors
    /// Any other reason. [`RepositoryFileError::Faulty`] if the repository's files are faulty, and
    /// the reason may follow from it.
    pub fn end(
        self,
        mut found: Findings,
        checked: Result<(), RecoveryError>,
    ) -> Result<Verification, RecoveryError> {
        match checked {
            Ok(()) => {}
            Err(RecoveryError::Repository(RepositoryError::Corrupt { problem, .. }))
                if !self.repository.has_suspect_keys =>
            {
                found.problems.push(problem);
            }
            Err(RecoveryError::Repository(RepositoryError::Store(StoreError::NotFound {
                key,
                ..
            }))) => {
                found.problems.push(format!("{key} is missing"));
            }
            // Both files of the repository are good, so the manifest's epoch is wrong.
            Err(RecoveryError::Repository(RepositoryError::File(
                fault @ RepositoryFileError::UnknownEpoch { .. },
            ))) if self.repository.problems.is_empty() => {
                let manifest = ObjectKey::manifest(&self.backup_id);
                found.problems.push(format!("{manifest}: {fault}"));
            }
            Err(error) => return Err(blame_repository_files(error, &self.repository.problems)),
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
fn blame_repository_files(error: RecoveryError, problems: &[String]) -> RecoveryError {
    match error {
        RecoveryError::Repository(
            RepositoryError::Key(_) | RepositoryError::File(_) | RepositoryError::Corrupt { .. },
        ) if !problems.is_empty() => {
            let cause = error.to_string();
            let others = problems
                .iter()
                .filter(|problem| **problem != cause)
                .cloned();
            RepositoryFileError::Faulty {
                problems: others.chain([cause.clone()]).collect(),
            }
            .into()
        }
        error => error,
    }
}

async fn check(
    repository: &Repository,
    id: &BackupId,
    level: VerificationLevel,
    progress: impl Fn(u64, u64) + Send + Sync + 'static,
    found: &mut Findings,
) -> Result<(), RecoveryError> {
    let manifest = repository.manifest(id).await?;
    if id.backup_type() == BackupType::Content {
        return Ok(content::check(repository, manifest, level, &progress, found).await?);
    }
    Ok(database::check(repository, &manifest, level, progress, found).await?)
}
