//! The catalogue's row beside the backup: whoever looks at the API believes it, so it is held against the manifest, which
//! is right.

use holdfast_catalog::{Catalog, CatalogError};
use holdfast_domain::{Job, JobStatus, Manifest, NamespaceCount};

use crate::{OperationError, job::settle};
use holdfast_recovery::verification::Verification;
use holdfast_repository::Repository;

/// Adds to a verification what is wrong with the backup's row in the catalogue. That it has none is a note: the bucket may
/// have backups of another catalogue, or of one that was lost.
///
/// # Errors
/// Where the catalogue or the store cannot be reached.
pub async fn compare_with_job(
    catalog: &Catalog,
    repository: &Repository,
    verification: &mut Verification,
) -> Result<(), OperationError> {
    let id = verification.backup_id.clone();
    let job = match catalog.get(&id).await {
        Ok(job) => job,
        Err(CatalogError::NotFound { .. }) => {
            verification.notes.push("the catalogue has no job of it".to_owned());
            return Ok(());
        }
        Err(error @ CatalogError::Corrupt { .. }) => {
            verification.fail([error.to_string()]);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    match repository.manifest(&id).await {
        Ok(manifest) => verification.fail(differences(&job, &manifest)),
        // What is wrong with the manifest was found already.
        Err(error) if error.is_transient() => return Err(error.into()),
        Err(_) => {}
    }
    Ok(())
}

fn differences(job: &Job, manifest: &Manifest) -> Vec<String> {
    let Ok(said) = settle::as_told_by(manifest) else { return Vec::new() };
    let fields = [
        ("status", job.status == JobStatus::Completed),
        ("createdAt", job.created_at.as_millisecond() == manifest.created_at.as_millisecond()),
        ("parentId", job.parent_id == manifest.parent_id),
        ("engine", job.engine == said.engine),
        ("consistency", job.consistency == said.consistency),
        ("originalSize", job.original_size == said.original_size),
        ("size", job.size == said.size),
        ("compressed", Some(job.compressed) == said.compressed),
        ("encrypted", Some(job.encrypted) == said.encrypted),
        ("checksum", job.checksum == said.checksum),
        ("key", job.key == said.key),
        // A row of an earlier version lists all of them.
        ("namespaces", job.namespaces.clone().map(NamespaceCount::listed) == said.namespaces),
        ("items", job.items == said.items),
    ];
    let wrong: Vec<&str> = fields.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect();
    let told = || format!("the catalogue's row of it is not what its manifest says: {}", wrong.join(", "));
    if wrong.is_empty() { Vec::new() } else { vec![told()] }
}
