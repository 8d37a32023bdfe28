//! The job of a backup in the catalogue, as fields of `holdfast show`.

use holdfast_catalog::CatalogError;
use holdfast_domain::{BackupId, Job, JobCopy, Timestamp, VerificationStatus, settings::Settings};
use holdfast_operations::{OperationError, job_in_detail};

use super::gone;
use crate::{failure::Failure, session::Session, text};

/// The job, if the catalogue has one.
pub(super) async fn find_job(id: &BackupId, session: &Session) -> Result<Option<Job>, Failure> {
    match job_in_detail(&session.catalog().await?, id, Timestamp::now()).await {
        Ok(job) => Ok(Some(job)),
        Err(
            OperationError::NotFound(_) | OperationError::Catalog(CatalogError::NotFound { .. }),
        ) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn job_fields(job: &Job, settings: &Settings) -> Vec<(&'static str, String)> {
    let mut fields = vec![("job", job.status.to_string())];
    if let Some(by) = &job.trigger.by {
        fields.push(("triggered by", by.clone()));
    }
    fields.push(("triggered", text::time(job.created_at, settings)));
    if let Some(ms) = job.duration_ms {
        fields.push(("took", text::duration(ms)));
    }
    if let Some(items) = job.items.filter(|_| job.status.is_active()) {
        let rate = items
            .per_minute
            .map(|rate| format!(", {rate} a minute"))
            .unwrap_or_default();
        fields.push((
            "progress",
            format!(
                "{} of {}{rate}",
                items.settled(),
                text::count(items.expected, "item")
            ),
        ));
    } else if let Some(items) = job.items.filter(|items| items.failed > 0) {
        let (failed, of, id) = (
            items.failed,
            text::count(items.expected, "item"),
            &job.backup_id,
        );
        fields.push((
            "failed",
            format!("{failed} of {of}: see `holdfast show {id} --failed`"),
        ));
    }
    if let Some(progress) = &job.progress {
        let (read, of) = (
            text::size(progress.bytes_read),
            text::size(progress.bytes_expected),
        );
        fields.push(("progress", format!("{read} of about {of} read")));
    }
    if let Some(found) = &job.verification {
        let (level, at) = (found.level.as_str(), text::time(found.at, settings));
        let what = match found.status {
            VerificationStatus::Passed => "passed",
            VerificationStatus::Failed => "failed",
        };
        fields.push(("verified", format!("{what} at level {level}, {at}")));
    }
    fields.extend(
        job.copy
            .as_ref()
            .map(|copy| ("copy", copy_text(copy, settings))),
    );
    fields.extend(gone::fields(job, settings));
    if let Some(error) = &job.error {
        fields.push(("error", format!("{} ({})", error.message, error.code)));
        fields.extend(error.hint.clone().map(|hint| ("remedy", hint)));
    }
    fields.extend(job.message.clone().map(|message| ("message", message)));
    fields
}

fn copy_text(copy: &JobCopy, settings: &Settings) -> String {
    let JobCopy {
        status,
        at,
        store,
        bytes,
        error,
    } = copy;
    let sent = bytes
        .filter(|bytes| *bytes > 0)
        .map(|bytes| format!(", {} sent", text::size(bytes)));
    let why = error
        .as_ref()
        .map(|error| format!(": {} ({})", error.message, error.code));
    let at = text::time(*at, settings);
    format!(
        "{status} in {store}, {at}{}{}",
        sent.unwrap_or_default(),
        why.unwrap_or_default()
    )
}
