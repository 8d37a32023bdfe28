//! How a job ends: each ending is one conditional change of its row, told to the observer, then the lease is freed.

use holdfast_catalog::{CatalogError, JobChange};
use holdfast_domain::{BackupId, Job, JobFailure, JobStatus, Manifest, NamespaceCount, Timestamp};

use crate::{Holdfast, OperationError, artifact::dump_of, lease};

/// Settles a job as `failed`. With a fencing number, only if that run still has it.
pub(crate) async fn fail(
    h: &Holdfast,
    job: &Job,
    failure: JobFailure,
    fence: Option<u64>,
    now: Timestamp,
) -> Result<Job, OperationError> {
    let change = JobChange { error: Some(failure), ..ended(job, now) };
    settle(h, &job.backup_id, JobStatus::Failed, change, fence).await
}

/// Settles a job as `completed`, by what its manifest says.
pub(crate) async fn complete(h: &Holdfast, job: &Job, manifest: &Manifest) -> Result<Job, OperationError> {
    let artifact = dump_of(manifest)?;
    let counts = manifest.namespaces.iter().map(|namespace| NamespaceCount {
        namespace: format!("{}.{}", namespace.db, namespace.collection),
        documents: namespace.documents,
    });
    let change = JobChange {
        engine: Some(manifest.engine.clone()),
        consistency: Some(manifest.consistency),
        original_size: Some(manifest.original_size),
        size: Some(artifact.size),
        compressed: Some(manifest.compression.is_some()),
        encrypted: Some(manifest.encryption.is_some()),
        checksum: Some(artifact.sha256),
        key: Some(artifact.key.clone()),
        namespaces: Some(counts.collect()),
        message: manifest
            .namespaces
            .is_empty()
            .then(|| "there was nothing to back up: the database is empty".to_owned()),
        ..ended(job, manifest.completed_at)
    };
    settle(h, &job.backup_id, JobStatus::Completed, change, None).await
}

async fn settle(
    h: &Holdfast,
    id: &BackupId,
    to: JobStatus,
    change: JobChange,
    fence: Option<u64>,
) -> Result<Job, OperationError> {
    let job = match h.catalog.transition(id, to, change, fence).await {
        Ok(job) => job,
        // Somebody else was quicker to the same end.
        Err(CatalogError::Conflict { status, .. }) if status == to => h.catalog.get(id).await?,
        Err(error) => return Err(error.into()),
    };
    h.observer.job_changed(&job).await;
    lease::release(h, id).await;
    Ok(job)
}

fn ended(job: &Job, at: Timestamp) -> JobChange {
    let began = job.started_at.unwrap_or(job.created_at);
    let duration_ms = u64::try_from(at.duration_since(began).as_millis()).unwrap_or_default();
    JobChange { completed_at: Some(at), duration_ms: Some(duration_ms), ..JobChange::default() }
}
