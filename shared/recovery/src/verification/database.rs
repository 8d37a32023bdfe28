//! Verification of a database backup: reads its one artifact to the end and walks the archive.

use std::{
    collections::HashMap,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use holdfast_archive::{NamespaceSummary, Summary};
use holdfast_domain::{Manifest, ObjectKey, VerificationLevel};
use holdfast_repository::{
    Repository, RepositoryError,
    artifact_reader::{ArtifactReader, Depth, Opener, dump_of},
};

use super::Findings;
use crate::walk::walk;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

pub(super) async fn check(
    repository: &Repository,
    manifest: &Manifest,
    level: VerificationLevel,
    progress: impl Fn(u64, u64) + Send + Sync + 'static,
    found: &mut Findings,
) -> Result<(), RepositoryError> {
    found.namespaces.clone_from(&manifest.namespaces);
    let artifact = dump_of(manifest)?;
    let stored = repository.store().head(&artifact.key).await?;
    if stored.size_bytes != artifact.size {
        found.problems.push(format!(
            "{} has {} bytes, but its manifest declares {}",
            artifact.key, stored.size_bytes, artifact.size
        ));
    }
    if level == VerificationLevel::Exists || !found.problems.is_empty() {
        return Ok(());
    }
    let opener = Arc::new(Opener::new(repository, manifest).await?);
    let depth = if level == VerificationLevel::Checksum {
        Depth::Decrypted
    } else {
        Depth::Plain
    };
    let total = artifact.size;
    let reader =
        ArtifactReader::from_store(repository, &artifact.key, Arc::clone(&opener), depth).await?;
    let wanted = Wanted::default();
    let reader = wanted.reading(reader.metered(move |read| progress(read, total)));
    let walked = tokio::task::spawn_blocking(move || match depth {
        Depth::Decrypted => drain(reader).map(|()| None),
        Depth::Plain => walk(reader).map(Some),
    });
    let walked = walked
        .await
        .map_err(|error| RepositoryError::internal("read the artifact", &error))?;
    let summary = walked.map_err(|error| {
        of_artifact(
            RepositoryError::from_reading(&manifest.backup_id, &error),
            &artifact.key,
        )
    })?;
    found.bytes_read = total;
    if let Some(summary) = summary {
        found
            .problems
            .extend(differences(manifest, &summary, &opener));
    }
    Ok(())
}

/// Adds the artifact's name to the damage.
pub(super) fn of_artifact(error: RepositoryError, key: &ObjectKey) -> RepositoryError {
    match error {
        RepositoryError::Corrupt { backup_id, problem } if !problem.contains(key.as_str()) => {
            RepositoryError::Corrupt {
                backup_id,
                problem: format!("{key}: {problem}"),
            }
        }
        error => error,
    }
}

/// Whether the result is still needed. After the drop of this value, the reading thread stops.
#[derive(Default)]
struct Wanted(Arc<AtomicBool>);

impl Wanted {
    fn reading<R>(&self, inner: R) -> WhileWanted<R> {
        WhileWanted {
            inner,
            given_up: Arc::clone(&self.0),
        }
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct WhileWanted<R> {
    inner: R,
    given_up: Arc<AtomicBool>,
}

impl<R: Read> Read for WhileWanted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(io::Error::other("the result is not needed any more"));
        }
        self.inner.read(buffer)
    }
}

fn drain(mut reader: impl Read) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    while reader.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Compares an archive with its manifest, namespace by namespace.
fn differences(manifest: &Manifest, summary: &Summary, opener: &Opener) -> Vec<String> {
    let mut problems = Vec::new();
    let archived: HashMap<(&str, &str), &NamespaceSummary> = summary
        .namespaces
        .iter()
        .map(|found| ((found.db.as_str(), found.collection.as_str()), found))
        .collect();
    for expected in &manifest.namespaces {
        let name = format!("{}.{}", expected.db, expected.collection);
        match archived.get(&(expected.db.as_str(), expected.collection.as_str())) {
            None => problems.push(format!("{name} is in the manifest but not in the archive")),
            Some(found) if found.documents != expected.documents => problems.push(format!(
                "{name} has {} documents, but its manifest declares {}",
                found.documents, expected.documents
            )),
            Some(found) if opener.content_digest(found.content_hash) != expected.content_hash => {
                problems
                    .push(format!("{name} holds other documents than its manifest declares: the content hash differs"));
            }
            Some(_) => {}
        }
    }
    if summary.namespaces.len() > manifest.namespaces.len() {
        problems.push(format!(
            "the archive has {} namespaces, but its manifest lists {}",
            summary.namespaces.len(),
            manifest.namespaces.len()
        ));
    }
    problems
}
