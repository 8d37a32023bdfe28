//! The report of a run: a result for each completed backup, and the reason for each other one.

use holdfast_domain::{
    BackupId, BackupType, FailureCode, ItemCounts, Job, JobStatus, settings::Settings,
};
use holdfast_operations::{BackupOutcome, Holdfast, SkipReason};
use serde::Serialize;

use super::{Begun, End};
use crate::{
    commands::items,
    failure::{Exit, Failure},
    output::Output,
    text,
};

/// The exit is that of the failures, otherwise that of the warnings.
pub(super) async fn print(
    h: &Holdfast,
    begun: &Begun,
    ends: Vec<End>,
    output: Output,
) -> Result<Exit, Failure> {
    let (mut failures, mut exit) = (Vec::new(), Exit::Done);
    for (job, end) in begun.parts.iter().zip(ends) {
        match end
            .map_err(Failure::from)
            .and_then(|outcome| print_one(outcome, &h.settings, output))
        {
            Ok(part_exit) => {
                exit = if part_exit == Exit::Done {
                    exit
                } else {
                    part_exit
                };
                if begun.is_full() {
                    output.text(String::new)?;
                }
            }
            Err(failure) => failures.push((&job.backup_id, failure)),
        }
    }
    if begun.is_full() {
        print_full(h, begun, output).await?;
        return Failure::from_parts(failures).map_or(Ok(exit), Err);
    }
    failures.pop().map_or(Ok(exit), |(_, failure)| Err(failure))
}

impl Begun {
    fn is_full(&self) -> bool {
        self.id.backup_type() == BackupType::Full
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FullSummary<'a> {
    #[serde(flatten)]
    job: &'a Job,
    parts: Vec<&'a BackupId>,
    /// Disabled switches.
    left_out: &'a [&'static str],
}

/// The row of the full backup, after its last part.
async fn print_full(h: &Holdfast, begun: &Begun, output: Output) -> Result<(), Failure> {
    let job = h.catalog.get(&begun.id).await?;
    let parts: Vec<&BackupId> = begun.parts.iter().map(|part| &part.backup_id).collect();
    let document = FullSummary {
        job: &job,
        parts,
        left_out: &begun.left_out,
    };
    output.result(&document, || {
        let parts: Vec<&str> = document.parts.iter().map(|id| id.as_str()).collect();
        let mut fields = vec![
            ("backup", job.backup_id.to_string()),
            ("is", job.status.to_string()),
            ("parts", parts.join(", ")),
        ];
        fields.extend(
            job.message
                .iter()
                .map(|message| ("message", message.clone())),
        );
        text::fields(&fields)
    })
}

fn print_one(outcome: BackupOutcome, settings: &Settings, output: Output) -> Result<Exit, Failure> {
    match outcome {
        BackupOutcome::Completed(job) => {
            output.result(&job, || completed(&job, settings))?;
            for warning in &job.warnings {
                output.note(&format!("warning: {warning}"));
            }
            if let Some(items) = job.items.filter(|items| items.failed > 0) {
                output.note(&format!("warning: {}", missing(&job.backup_id, &items)));
            }
            Ok(if job.warnings.is_empty() {
                Exit::Done
            } else {
                Exit::Attention
            })
        }
        BackupOutcome::Failed(job) => {
            output.json(|| &job)?;
            Err(unsuccessful(&job))
        }
        BackupOutcome::Skipped { backup_id, reason } => Err(skipped(&backup_id, reason)),
    }
}

fn missing(id: &BackupId, items: &ItemCounts) -> String {
    let (failed, of) = (items.failed, text::count(items.expected, "item"));
    format!(
        "{failed} of {of} could not be downloaded and are not in the backup: see `holdfast show {id} --failed`"
    )
}

fn unsuccessful(job: &Job) -> Failure {
    let id = &job.backup_id;
    match &job.error {
        _ if job.status == JobStatus::Cancelled => Failure::failed(format!("{id} was cancelled")),
        Some(failure) if failure.code == FailureCode::TooManyFailures => Failure::from_job(failure)
            .hint(format!(
                "see `holdfast show {id} --failed` for the reason of each item"
            )),
        Some(failure) => Failure::from_job(failure),
        None => Failure::failed(format!("{id} is {}", job.status)),
    }
}

fn skipped(id: &BackupId, reason: SkipReason) -> Failure {
    match reason {
        SkipReason::Disabled => Failure::refused("backups are switched off").hint(format!(
            "set BACKUP_SYSTEM_ENABLED and BACKUP_{}_ENABLED to true",
            id.backup_type().as_str().to_uppercase()
        )),
        SkipReason::AlreadySettled(JobStatus::Cancelled) => {
            Failure::failed(format!("{id} was cancelled"))
        }
        SkipReason::AlreadySettled(status) => Failure::refused(format!("{id} is {status} already")),
        SkipReason::RunningElsewhere => {
            Failure::refused(format!("{id} was taken over by another run"))
                .hint(format!("follow it with `holdfast show {id}`"))
        }
    }
}

fn completed(job: &Job, settings: &Settings) -> String {
    let mut fields = vec![("backup", job.backup_id.to_string())];
    match &job.items {
        Some(items) => fields.extend(items::fields(items)),
        None => fields.push(("holds", dumped(job))),
    }
    if let (Some(size), Some(original)) = (job.size, job.original_size) {
        let of = if job.items.is_some() {
            "in files"
        } else {
            "dumped"
        };
        fields.push((
            "size",
            format!("{}, of {} {of}", text::size(size), text::size(original)),
        ));
    }
    fields.push(("stored", stored(job).to_owned()));
    fields.extend(
        job.engine
            .iter()
            .map(|engine| ("engine", format!("{} {}", engine.name, engine.version))),
    );
    fields.extend(job.key.iter().map(|key| ("key", key.to_string())));
    fields.extend(
        job.checksum
            .iter()
            .map(|checksum| ("sha256", checksum.to_string())),
    );
    fields.extend(
        job.completed_at
            .iter()
            .map(|at| ("completed", text::time(*at, settings))),
    );
    fields.extend(
        job.duration_ms
            .iter()
            .map(|ms| ("took", text::duration(*ms))),
    );
    fields.extend(
        job.message
            .iter()
            .map(|message| ("message", message.clone())),
    );
    text::fields(&fields)
}

fn dumped(job: &Job) -> String {
    let (documents, namespaces) = (
        job.document_count.unwrap_or(0),
        job.namespace_count.unwrap_or(0),
    );
    format!(
        "{} in {}",
        text::count(documents, "document"),
        text::count(namespaces, "namespace")
    )
}

const fn stored(job: &Job) -> &'static str {
    match (job.compressed, job.encrypted) {
        (true, true) => "compressed, encrypted",
        (true, false) => "compressed, not encrypted",
        (false, true) => "encrypted",
        (false, false) => "as it is",
    }
}
