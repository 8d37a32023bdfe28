//! Verification, in levels: there, unaltered, and inside what the manifest says. It reads; it changes nothing stored.

mod content;

use std::{
    io::{self, Read},
    sync::Arc,
};

use holdfast_archive::{Summary, Walker};
use holdfast_catalog::{Catalog, CatalogError, VerificationRecord};
use holdfast_domain::{
    BackupId, BackupType, ItemCounts, JobVerification, Manifest, NamespaceManifest, Timestamp, VerificationLevel,
    VerificationStatus,
};
use holdfast_storage::StoreError;
use serde::Serialize;

use crate::{
    OperationError, Repository,
    artifact::{ArtifactReader, Depth, Opener, dump_of},
    error::of_reading,
};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

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
    /// Bytes read from the store.
    pub bytes_read: u64,
    /// What a database backup holds, by its manifest.
    pub namespaces: Vec<NamespaceManifest>,
    /// What a content backup holds, by its manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
}

/// Verifies a backup. `progress` is told the stored bytes read so far, and how many there are.
///
/// # Errors
/// Where it could not be judged: the store is away, no key at hand opens it, there is no such backup. Damage is not an
/// error of this function: it is what it looks for, and is told in the report.
pub async fn verify(
    repository: &Repository,
    id: &BackupId,
    level: VerificationLevel,
    now: Timestamp,
    progress: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<Verification, OperationError> {
    let clock = std::time::Instant::now();
    let mut found = Findings::default();
    match look(repository, id, level, progress, &mut found).await {
        Ok(()) => {}
        Err(OperationError::Corrupt { problem, .. }) => found.problems.push(problem),
        Err(OperationError::Store(StoreError::NotFound { key, .. })) => {
            found.problems.push(format!("{key} is missing"));
        }
        Err(error) => return Err(error),
    }
    let status = if found.problems.is_empty() { VerificationStatus::Passed } else { VerificationStatus::Failed };
    Ok(Verification {
        backup_id: id.clone(),
        level,
        status,
        problems: found.problems,
        bytes_read: found.bytes_read,
        namespaces: found.namespaces,
        items: found.items,
        started_at: now,
        duration_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Writes a verification to the catalogue: its own row, and the job's newest.
///
/// # Errors
/// Where the catalogue cannot be reached. A backup without a job row keeps its verification's row alone.
pub async fn record_verification(catalog: &Catalog, verification: &Verification) -> Result<(), OperationError> {
    let record = VerificationRecord {
        backup_id: verification.backup_id.clone(),
        level: verification.level,
        status: verification.status,
        problems: verification.problems.clone(),
        at: verification.started_at,
        duration_ms: verification.duration_ms,
    };
    catalog.insert_verification(&record).await?;
    let newest = JobVerification { level: record.level, status: record.status, at: record.at };
    match catalog.set_verification(&record.backup_id, newest).await {
        Ok(()) | Err(CatalogError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[derive(Default)]
struct Findings {
    problems: Vec<String>,
    bytes_read: u64,
    namespaces: Vec<NamespaceManifest>,
    items: Option<ItemCounts>,
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
    found.namespaces.clone_from(&manifest.namespaces);
    let artifact = dump_of(&manifest)?;
    let stored = repository.store().head(&artifact.key).await?;
    if stored.size_bytes != artifact.size {
        found
            .problems
            .push(format!("{} has {} bytes, its manifest says {}", artifact.key, stored.size_bytes, artifact.size));
    }
    if level == VerificationLevel::Exists || !found.problems.is_empty() {
        return Ok(());
    }
    let opener = Arc::new(Opener::new(repository, &manifest).await?);
    let depth = if level == VerificationLevel::Structure { Depth::Plain } else { Depth::Decrypted };
    let total = artifact.size;
    let reader = ArtifactReader::from_store(repository, &artifact.key, Arc::clone(&opener), depth).await?;
    let reader = reader.metered(move |read| progress(read, total));
    let walked = tokio::task::spawn_blocking(move || match depth {
        Depth::Decrypted => drain(reader).map(|()| None),
        Depth::Plain => walk(reader).map(Some),
    });
    let walked = walked.await.map_err(|error| OperationError::internal("read the artifact", &error))?;
    let summary = walked.map_err(|error| of_reading(id, &error))?;
    found.bytes_read = total;
    if let Some(summary) = summary {
        found.problems.extend(differences(&manifest, &summary, &opener));
    }
    Ok(())
}

fn drain(mut reader: impl Read) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    while reader.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Walks an archive to its end.
pub(crate) fn walk(mut reader: impl Read) -> io::Result<Summary> {
    let fault = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut walker = Walker::new(());
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(walker.finish().map_err(fault)?.0);
        }
        walker.feed(&buffer[..count]).map_err(fault)?;
    }
}

/// What an archive holds against what its manifest says, namespace by namespace.
fn differences(manifest: &Manifest, summary: &Summary, opener: &Opener) -> Vec<String> {
    let mut problems = Vec::new();
    for expected in &manifest.namespaces {
        let name = format!("{}.{}", expected.db, expected.collection);
        let same = |found: &&holdfast_archive::NamespaceSummary| {
            found.db == expected.db && found.collection == expected.collection
        };
        match summary.namespaces.iter().find(same) {
            None => problems.push(format!("{name} is in the manifest and not in the archive")),
            Some(found) if found.documents != expected.documents => problems
                .push(format!("{name} has {} documents, its manifest says {}", found.documents, expected.documents)),
            Some(found) if opener.content_digest(found.content_hash) != expected.content_hash => {
                problems.push(format!("{name} holds other documents than its manifest says: the content hash differs"));
            }
            Some(_) => {}
        }
    }
    if summary.namespaces.len() > manifest.namespaces.len() {
        problems.push(format!(
            "the archive has {} namespaces, its manifest lists {}",
            summary.namespaces.len(),
            manifest.namespaces.len()
        ));
    }
    problems
}
