//! Compares the catalogue's row with the manifest. The API shows the row, but the manifest is
//! right.

use holdfast_catalog::{Catalog, CatalogError};
use holdfast_domain::{Job, JobStatus, Manifest, NamespaceCount};
use holdfast_recovery::verification::Verification;
use holdfast_repository::Repository;

use crate::{OperationError, job::finish};

/// Adds the problems of the backup's row in the catalogue to a verification. A missing row is only
/// a note: the backup may belong to another catalogue, or to a lost one.
///
/// # Errors
/// If the catalogue or the store is unavailable.
pub async fn compare_with_job(
    catalog: &Catalog,
    repository: &Repository,
    verification: &mut Verification,
) -> Result<(), OperationError> {
    let id = verification.backup_id.clone();
    let job = match catalog.get(&id).await {
        Ok(job) => job,
        Err(CatalogError::NotFound { .. }) => {
            verification
                .notes
                .push("the catalogue has no job of it".to_owned());
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
        // The verification already contains the problem of the manifest.
        Err(error) if error.is_transient() => return Err(error.into()),
        Err(_) => {}
    }
    Ok(())
}

fn differences(job: &Job, manifest: &Manifest) -> Vec<String> {
    let Ok(expected) = finish::job_change_from(manifest) else {
        return Vec::new();
    };
    let fields = [
        ("status", job.status == JobStatus::Completed),
        (
            "createdAt",
            job.created_at.as_millisecond() == manifest.created_at.as_millisecond(),
        ),
        ("parentId", job.parent_id == manifest.parent_id),
        ("engine", job.engine == expected.engine),
        ("consistency", job.consistency == expected.consistency),
        ("originalSize", job.original_size == expected.original_size),
        ("size", job.size == expected.size),
        ("compressed", Some(job.compressed) == expected.compressed),
        ("encrypted", Some(job.encrypted) == expected.encrypted),
        ("checksum", job.checksum == expected.checksum),
        ("key", job.key == expected.key),
        // A row of an earlier version lists all of them.
        (
            "namespaces",
            job.namespaces.clone().map(NamespaceCount::listed) == expected.namespaces,
        ),
        ("items", job.items == expected.items),
    ];
    let wrong: Vec<&str> = fields
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(name, _)| name)
        .collect();
    let problem = || {
        format!(
            "the catalogue's row differs from its manifest: {}",
            wrong.join(", ")
        )
    };
    if wrong.is_empty() {
        Vec::new()
    } else {
        vec![problem()]
    }
}
