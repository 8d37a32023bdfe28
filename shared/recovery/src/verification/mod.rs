//! Verification, in levels: there, unaltered, inside what the manifest says, and restorable. It reads; it changes nothing
//! stored. A drill writes too: into scratch databases of the server that it is given, which it drops again.

pub mod content;
mod database;
pub mod drill;
mod repository_files;
mod scratch;

use std::time::Instant;

use holdfast_domain::{
    BackupId, BackupType, DrilledCollection, ItemCounts, NamespaceManifest, Timestamp, VerificationLevel,
    VerificationStatus,
};
use holdfast_storage::StoreError;
use serde::Serialize;

pub use self::drill::drill;
use self::repository_files::Faults;
pub use self::scratch::{remove_dead_scratch, try_server as try_drill_server};
use crate::RecoveryError;
use holdfast_repository::{Repository, RepositoryError, RepositoryFileError};

/// What a verification found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// The backup.
    pub backup_id: BackupId,
    /// How deep it went.
    pub level: VerificationLevel,
    /// What it found.
    pub status: VerificationStatus,
    /// What exactly was wrong. Empty where nothing was.
    pub problems: Vec<String>,
    /// What is wrong with the repository's own files. They are the same for every backup, so the status of the backup does
    /// not depend on them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repository_problems: Vec<String>,
    /// What is worth knowing, and wrong with nothing that was stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Bytes read from the store.
    pub bytes_read: u64,
    /// What a database backup holds, by its manifest.
    pub namespaces: Vec<NamespaceManifest>,
    /// What a content backup holds, by its manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
    /// What a drill found, collection by collection.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<DrilledCollection>,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
}

impl Verification {
    /// Adds what else is wrong.
    pub fn fail(&mut self, problems: impl IntoIterator<Item = String>) {
        self.problems.extend(problems);
        self.status = status_of(&self.problems);
    }
}

fn status_of(problems: &[String]) -> VerificationStatus {
    if problems.is_empty() { VerificationStatus::Passed } else { VerificationStatus::Failed }
}

/// Verifies a backup, as deep as can be without a server to restore to. `progress` is told the stored bytes read so far,
/// and how many there are.
///
/// # Errors
/// Where it could not be judged: the store is away, no key at hand opens it, there is no such backup. Damage is not an
/// error of this function: it is what it looks for, and is told in the report. Faults of the repository's files are told
/// there too, apart from the backup's: they are an error if the backup cannot be read without them.
pub async fn verify(
    repository: &Repository,
    id: &BackupId,
    level: VerificationLevel,
    now: Timestamp,
    progress: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<Verification, RecoveryError> {
    if level == VerificationLevel::Drill {
        return Err(RecoveryError::invalid("a drill needs a server to restore to"));
    }
    let judgement = Judgement::begin(repository, id, level, now).await?;
    let mut found = Findings::default();
    // Boxed: too deep a type for the compiler's layout of what calls it.
    let looked = Box::pin(look(repository, id, level, progress, &mut found)).await;
    judgement.end(found, looked)
}

#[derive(Default)]
pub struct Findings {
    pub problems: Vec<String>,
    pub notes: Vec<String>,
    pub bytes_read: u64,
    pub namespaces: Vec<NamespaceManifest>,
    pub items: Option<ItemCounts>,
    pub collections: Vec<DrilledCollection>,
}

/// From the repository's own files, without which an encrypted backup opens to nobody, to the verification.
pub struct Judgement {
    backup_id: BackupId,
    level: VerificationLevel,
    started_at: Timestamp,
    clock: Instant,
    repository: Faults,
}

impl Judgement {
    pub async fn begin(
        repository: &Repository,
        id: &BackupId,
        level: VerificationLevel,
        now: Timestamp,
    ) -> Result<Self, RecoveryError> {
        let clock = Instant::now();
        let faults = repository_files::faults(repository, id).await?;
        Ok(Self { backup_id: id.clone(), level, started_at: now, clock, repository: faults })
    }

    /// With what a look into the backup found, or why it ended.
    pub fn end(self, mut found: Findings, looked: Result<(), RecoveryError>) -> Result<Verification, RecoveryError> {
        match looked {
            Ok(()) => {}
            Err(RecoveryError::Repository(RepositoryError::Corrupt { problem, .. }))
                if !self.repository.has_suspect_keys =>
            {
                found.problems.push(problem);
            }
            Err(RecoveryError::Repository(RepositoryError::Store(StoreError::NotFound { key, .. }))) => {
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

/// Without the repository's files the backup cannot be judged. That says nothing against the backup.
fn of_repository(error: RecoveryError, problems: &[String]) -> RecoveryError {
    match error {
        RecoveryError::Repository(
            RepositoryError::Key(_) | RepositoryError::File(_) | RepositoryError::Corrupt { .. },
        ) if !problems.is_empty() => {
            let cause = error.to_string();
            let others = problems.iter().filter(|problem| **problem != cause).cloned();
            RepositoryFileError::Faulty(others.chain([cause.clone()]).collect::<Vec<_>>().join("; ")).into()
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
) -> Result<(), RecoveryError> {
    let manifest = repository.manifest(id).await?;
    if id.backup_type() == BackupType::Content {
        return Ok(content::look(repository, manifest, level, &progress, found).await?);
    }
    Ok(database::look(repository, &manifest, level, progress, found).await?)
}
