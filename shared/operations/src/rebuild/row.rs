//! A job's row from a manifest. It equals the row of the original run, except for the run's
//! unrecorded data, its notes, and verifications.

use holdfast_catalog::{CatalogError, JobChange};
use holdfast_domain::{
    BackupId, Job, JobStatus, JobVerification, Manifest, Timestamp, VerificationLevel,
    VerificationStatus,
};

use crate::{OperationError, job::finish};

pub(super) fn job_from(manifest: &Manifest) -> Result<Job, OperationError> {
    let change = finish::job_change_from(manifest)?;
    let job = Job {
        parent_id: manifest.parent_id.clone(),
        fence: manifest.fence,
        started_at: Some(manifest.started_at),
        ..Job::pending(
            manifest.backup_id.clone(),
            manifest.trigger.clone(),
            manifest.created_at,
        )
    };
    let JobChange {
        completed_at,
        duration_ms,
        ..
    } = finish::ending_change(&job, manifest.completed_at);
    Ok(completed(
        job,
        JobChange {
            completed_at,
            duration_ms,
            ..change
        },
    ))
}

/// The job after its successful end.
pub(super) fn completed(job: Job, change: JobChange) -> Job {
    Job {
        status: JobStatus::Completed,
        engine: change.engine,
        consistency: change.consistency,
        completed_at: change.completed_at,
        duration_ms: change.duration_ms,
        original_size: change.original_size,
        size: change.size,
        compressed: change.compressed.unwrap_or_default(),
        encrypted: change.encrypted.unwrap_or_default(),
        checksum: change.checksum,
        key: change.key,
        namespaces: change.namespaces,
        namespace_count: change.namespace_count,
        document_count: change.document_count,
        last_write_at: change.last_write_at,
        lag_seconds: change.lag_seconds,
        items: change.items,
        message: change.message,
        warnings: change.warnings.unwrap_or_default(),
        ..job
    }
}

/// A number too large for a row is a fault of the backup, not of the catalogue.
pub(super) fn unwritable(id: &BackupId, error: CatalogError) -> OperationError {
    match error {
        CatalogError::Invalid { what, problem } => {
            OperationError::corrupt(id, format!("{what} {problem}"))
        }
        error => error.into(),
    }
}

pub(super) const fn failed(level: VerificationLevel, at: Timestamp) -> JobVerification {
    JobVerification {
        level,
        status: VerificationStatus::Failed,
        at,
    }
}
