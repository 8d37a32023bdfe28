//! `holdfast run database`: the function's own use case in this process, without a deadline. Ctrl-C cancels the backup
//! and waits until nothing is left of it; a second one exits at once.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use clap::{Args, Subcommand};
use holdfast_domain::{BackupId, Job, JobStatus, Progress, Timestamp, settings::Settings};
use holdfast_operations::{
    BackupOutcome, BackupRequest, Holdfast, Observer, OperationError, RunLimits, SkipReason, back_up_database, cancel,
    trigger_database,
};

use crate::{
    environment,
    failure::{Exit, Failure},
    interrupt,
    output::Output,
    progress::Meter,
    session::Session,
    text,
};

/// How often a lease that another run holds is asked for again.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Back up the database of `MONGODB_URI` now, in this process, however long it takes
    Database(Database),
}

#[derive(Debug, Args)]
struct Database {
    /// Where another backup is running, wait for its end instead of failing
    #[arg(long)]
    wait: bool,
}

pub(crate) async fn run(arguments: &Arguments, session: &Session, output: Output) -> Result<Exit, Failure> {
    let What::Database(Database { wait }) = &arguments.what;
    let meter = Arc::new(Meter::new("starting"));
    let holdfast = session.holdfast(Arc::new(Terminal(Arc::clone(&meter)))).await?;
    let triggered = tokio::select! {
        triggered = trigger(&holdfast, *wait, &meter) => triggered?,
        () = interrupt::next() => return Err(Failure::new(Exit::Interrupted, "interrupted before anything was begun")),
    };
    let outcome = to_its_end(&holdfast, &triggered.backup_id, output).await;
    meter.clear();
    tell(outcome?, &session.settings, output)
}

async fn trigger(holdfast: &Holdfast, wait: bool, meter: &Meter) -> Result<Job, OperationError> {
    loop {
        match trigger_database(holdfast, environment::operator(), Timestamp::now()).await {
            Err(error @ (OperationError::AlreadyRunning { .. } | OperationError::ConcurrencyLimit { .. })) if wait => {
                meter.say(format!("waiting: {error}"));
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
            result => return result,
        }
    }
}

/// Runs the backup. At the first Ctrl-C it is cancelled, and runs on until it has cleaned up after itself.
async fn to_its_end(holdfast: &Holdfast, id: &BackupId, output: Output) -> Result<BackupOutcome, Failure> {
    let request = BackupRequest::Triggered { backup_id: id.clone() };
    let mut work = Box::pin(back_up_database(holdfast, request, RunLimits::none()));
    tokio::select! {
        outcome = &mut work => return Ok(outcome?),
        () = interrupt::next() => output.note(&format!("cancelling {id}; Ctrl-C again exits at once, and leaves the rest to the hourly sweep")),
    }
    let cancelled = async {
        let (outcome, cancelled) = tokio::join!(work, cancel(holdfast, id, Timestamp::now()));
        // Where it was too late to cancel, the outcome says what became of it.
        if let Err(error) = cancelled {
            output.note(&error.to_string());
        }
        Ok(outcome?)
    };
    tokio::select! {
        outcome = cancelled => outcome,
        () = interrupt::next() => Err(Failure::new(Exit::Interrupted, format!("interrupted; {id} was cancelled and may not have cleaned up yet"))),
    }
}

fn tell(outcome: BackupOutcome, settings: &Settings, output: Output) -> Result<Exit, Failure> {
    match outcome {
        BackupOutcome::Completed(job) => {
            output.result(&job, || completed(&job, settings))?;
            Ok(Exit::Done)
        }
        BackupOutcome::Failed(job) => {
            output.json(|| &job)?;
            Err(unsuccessful(&job))
        }
        BackupOutcome::Skipped { backup_id, reason } => Err(skipped(&backup_id, reason)),
    }
}

fn unsuccessful(job: &Job) -> Failure {
    match &job.error {
        _ if job.status == JobStatus::Cancelled => Failure::failed(format!("{} was cancelled", job.backup_id)),
        Some(failure) => Failure::of_job(failure),
        None => Failure::failed(format!("{} is {}", job.backup_id, job.status)),
    }
}

fn skipped(id: &BackupId, reason: SkipReason) -> Failure {
    match reason {
        SkipReason::Disabled => Failure::refused("backups are switched off")
            .hint("set BACKUP_SYSTEM_ENABLED and BACKUP_DATABASE_ENABLED to true"),
        SkipReason::AlreadySettled(JobStatus::Cancelled) => Failure::failed(format!("{id} was cancelled")),
        SkipReason::AlreadySettled(status) => Failure::refused(format!("{id} is {status} already")),
        SkipReason::RunningElsewhere => Failure::refused(format!("{id} was taken over by another run"))
            .hint(format!("`holdfast show {id}` tells what becomes of it")),
    }
}

fn completed(job: &Job, settings: &Settings) -> String {
    let documents = job.namespaces.iter().flatten().map(|namespace| namespace.documents).sum();
    let namespaces = job.namespaces.as_ref().map_or(0, Vec::len) as u64;
    let mut fields = vec![
        ("backup", job.backup_id.to_string()),
        ("holds", format!("{} in {}", text::count(documents, "document"), text::count(namespaces, "namespace"))),
    ];
    if let (Some(size), Some(original)) = (job.size, job.original_size) {
        fields.push(("size", format!("{}, of {} dumped", text::size(size), text::size(original))));
    }
    fields.push(("stored", stored(job).to_owned()));
    fields.extend(job.engine.iter().map(|engine| ("engine", format!("{} {}", engine.name, engine.version))));
    fields.extend(job.key.iter().map(|key| ("key", key.to_string())));
    fields.extend(job.checksum.iter().map(|checksum| ("sha256", checksum.to_string())));
    fields.extend(job.completed_at.iter().map(|at| ("completed", text::time(*at, settings))));
    fields.extend(job.duration_ms.iter().map(|ms| ("took", text::duration(*ms))));
    fields.extend(job.message.iter().map(|message| ("message", message.clone())));
    text::fields(&fields)
}

const fn stored(job: &Job) -> &'static str {
    match (job.compressed, job.encrypted) {
        (true, true) => "compressed, encrypted",
        (true, false) => "compressed, not encrypted",
        (false, true) => "encrypted",
        (false, false) => "as it is",
    }
}

/// Shows how far the run is.
struct Terminal(Arc<Meter>);

#[async_trait]
impl Observer for Terminal {
    async fn job_changed(&self, job: &Job) {
        self.0.say(match job.status {
            JobStatus::Pending => "starting".to_owned(),
            JobStatus::Running => format!("{} dumping", job.backup_id),
            status => format!("{} {status}", job.backup_id),
        });
    }

    fn progress(&self, _: &BackupId, progress: &Progress) {
        self.0.set(progress.bytes_read, progress.bytes_expected);
    }
}
