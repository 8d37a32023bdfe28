//! A job's row from a manifest. It equals the row of the original run, except for the run's
//! unrecorded data, its notes, and verifications.

use holdfast_catalog::{CatalogError, JobChange};
use holdfast_domain::{
    BackupId, Job, JobStatus, JobVerification, Manifest, Timestamp, VerificationLevel,
    VerificationStatus,
};

use crate::{OperationError, job::settle};

pub(super) fn of(manifest: &Manifest) -> Result<Job, OperationError> {
    let told = settle::as_told_by(manifest)?;
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
    } = settle::ended(&job, manifest.completed_at);
    Ok(completed(
        job,
        JobChange {
            completed_at,
            duration_ms,
            ..told
        },
    ))
}

/// The job after its successful end.
pub(super) fn completed(job: Job, told: JobChange) -> Job {
    Job {
        status: JobStatus::Completed,
        engine: told.engine,
        consistency: told.consistency,
        completed_at: told.completed_at,
        duration_ms: told.duration_ms,
        original_size: told.original_size,
        size: told.size,
        compressed: told.compressed.unwrap_or_default(),
        encrypted: told.encrypted.unwrap_or_default(),
        checksum: told.checksum,
        key: told.key,
        namespaces: told.namespaces,
        namespace_count: told.namespace_count,
        document_count: told.document_count,
        last_write_at: told.last_write_at,
        lag_seconds: told.lag_seconds,
        items: told.items,
        message: told.message,
        warnings: told.warnings.unwrap_or_default(),
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
