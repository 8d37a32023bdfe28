//! The output of `holdfast show` for a backup without a manifest: it is lost, deleted, or was never
//! completed.

use holdfast_domain::{BackupId, DeletionCause, Job, JobDeletion, JobStatus, settings::Settings};

use crate::text;

/// Why the store has no manifest of this backup.
pub(super) fn why_no_manifest(id: &BackupId, job: Option<&Job>, settings: &Settings) -> String {
    match job {
        Some(job) if job.is_lost() => {
            format!(
                "{id} is lost: its manifest is missing from the store, and no deletion was decided"
            )
        }
        Some(Job {
            status: JobStatus::Deleted,
            deletion: Some(deletion),
            ..
        }) => {
            format!("{id} was deleted: {}", decision(deletion, settings))
        }
        Some(Job {
            status: JobStatus::Deleted,
            ..
        }) => format!("{id} was deleted: no manifest in the store"),
        Some(Job {
            status: JobStatus::Completed,
            ..
        }) => format!(
            "{id} was completed, but its manifest is missing from the store: `holdfast lost list` shows every lost \
             backup"
        ),
        _ => format!("{id} was never completed: no manifest in the store"),
    }
}

/// The fields of the job of a lost or deleted backup.
pub(super) fn fields(job: &Job, settings: &Settings) -> Vec<(&'static str, String)> {
    let lost = job
        .lost_at
        .map(|at| ("found lost", text::time(at, settings)));
    let deletion = job
        .deletion
        .as_ref()
        .map(|deletion| ("deletion", decision(deletion, settings)));
    lost.into_iter().chain(deletion).collect()
}

fn decision(deletion: &JobDeletion, settings: &Settings) -> String {
    let what = match deletion.cause {
        DeletionCause::Retention => "retention decided it",
        DeletionCause::AcceptedLoss => "its loss was accepted",
        DeletionCause::AcceptedDamage => "its damage was accepted",
    };
    let by = deletion
        .by
        .as_ref()
        .map(|by| format!(" by {by}"))
        .unwrap_or_default();
    format!("{what}{by}, {}", text::time(deletion.decided_at, settings))
}
