//! `holdfast run`: runs the use cases of the functions in this process, without a deadline. Ctrl-C
//! cancels the backup and waits for its cleanup. A second Ctrl-C exits at once.

mod resuming;
mod screen;
mod summary;

use std::{sync::Arc, time::Duration};

use clap::{Args, Subcommand};
use futures_util::future::join_all;
use holdfast_domain::{BackupId, BackupType, Job, Timestamp};
use holdfast_operations::{
    BackupOutcome, BackupRequest, Holdfast, Observer, OperationError, RunLimits,
    back_up_content_in_process, back_up_database, cancel, trigger, trigger_full,
};

use self::{resuming::begin_or_resume, screen::Screen};
use crate::{
    environment,
    failure::{Exit, Failure},
    interrupt::Interrupts,
    output::Output,
    session::Session,
};

/// Interval of attempts to acquire a lease that another run holds.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Delays before each new attempt of a run that could not reach the catalogue. Events of functions
/// have the same delays.
const RETRY_AFTER: [Duration; 3] = [
    Duration::from_secs(20),
    Duration::from_mins(1),
    Duration::from_mins(2),
];

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: RunCommand,
}

#[derive(Debug, Subcommand)]
enum RunCommand {
    /// Back up the database of `MONGODB_URI` now, in this process and without a time limit
    Database(WaitArguments),
    /// Back up the IPFS and Gaia files of the database's content items now, in this process and
    /// without a time limit
    Content(WaitArguments),
    /// Back up database and content at the same time, as one backup. `BACKUP_DATABASE_ENABLED` and
    /// `BACKUP_CONTENT_ENABLED` can switch off a part
    Full(WaitArguments),
}

#[derive(Debug, Args)]
struct WaitArguments {
    /// If another backup is running, wait for its end instead of failing
    #[arg(long)]
    wait: bool,
}

/// The reaction to another running backup.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IfBusy {
    Wait,
    Fail,
}

/// The backup that runs in this process.
struct Begun {
    /// The backup to cancel.
    id: BackupId,
    parts: Vec<Job>,
    /// Switches that disable a part.
    left_out: Vec<&'static str>,
}

type End = Result<BackupOutcome, OperationError>;

pub(crate) async fn run(
    arguments: &Arguments,
    session: &Session,
    output: Output,
) -> Result<Exit, Failure> {
    let (kind, when) = match &arguments.what {
        RunCommand::Database(when) => (BackupType::Database, when),
        RunCommand::Content(when) => (BackupType::Content, when),
        RunCommand::Full(when) => (BackupType::Full, when),
    };
    let if_busy = if when.wait {
        IfBusy::Wait
    } else {
        IfBusy::Fail
    };
    session.source()?;
    let screen = Arc::new(Screen::default());
    let holdfast = session
        .holdfast(Arc::clone(&screen) as Arc<dyn Observer>)
        .await?;
    let mut interrupts = Interrupts::listen();
    let begun = tokio::select! {
        begun = when_free(&holdfast, kind, if_busy, &screen) => begun?,
        () = interrupts.next() => return Err(Failure::new(Exit::Interrupted, "interrupted before a new backup was begun")),
    };
    let ends = to_their_ends(&holdfast, &begun, &screen, &mut interrupts, output).await;
    screen.clear();
    summary::print(&holdfast, &begun, ends?, output).await
}

async fn when_free(
    h: &Holdfast,
    kind: BackupType,
    if_busy: IfBusy,
    screen: &Screen,
) -> Result<Begun, OperationError> {
    let begun = loop {
        match begin_or_resume(h, kind, screen).await {
            Err(
                error @ (OperationError::AlreadyRunning { .. }
                | OperationError::Collecting
                | OperationError::ConcurrencyLimit { .. }),
            ) if if_busy == IfBusy::Wait => {
                screen.meter(kind).phase(format!("waiting: {error}"));
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
            result => break result,
        }
    };
    screen.clear();
    begun
}

async fn begin(h: &Holdfast, kind: BackupType) -> Result<Begun, OperationError> {
    let (by, now) = (environment::operator(), Timestamp::now());
    if kind == BackupType::Full {
        let full = trigger_full(h, by, now).await?;
        return Ok(Begun {
            id: full.job.backup_id,
            parts: full.children,
            left_out: full.skipped,
        });
    }
    let job = trigger(h, kind, by, now).await?;
    Ok(Begun {
        id: job.backup_id.clone(),
        parts: vec![job],
        left_out: Vec::new(),
    })
}

/// Runs all of it. At the first Ctrl-C it is cancelled, and runs on until it has cleaned up after
/// itself.
async fn to_their_ends(
    h: &Holdfast,
    begun: &Begun,
    screen: &Screen,
    interrupts: &mut Interrupts,
    output: Output,
) -> Result<Vec<End>, Failure> {
    let id = &begun.id;
    let mut work = Box::pin(join_all(
        begun.parts.iter().map(|job| to_its_end(h, job, screen)),
    ));
    tokio::select! {
        ends = &mut work => return Ok(ends),
        () = interrupts.next() => {
            screen.cancel();
            screen.above(|| {
                output.note(&format!("cancelling {id}"));
                output.note("a second Ctrl-C exits at once, and leaves files for `holdfast cleanup`");
            });
        }
    }
    let cancelled = async {
        let (ends, cancelled) = tokio::join!(work, cancel(h, id, Timestamp::now()));
        // If it was too late to cancel, the outcome of the run is reported.
        if let Err(error) = cancelled {
            screen.above(|| output.note(&error.to_string()));
        }
        ends
    };
    tokio::select! {
        ends = cancelled => Ok(ends),
        () = interrupts.next() => Err(Failure::new(Exit::Interrupted, format!("interrupted. {id} was cancelled, and its cleanup may be unfinished"))),
    }
}

async fn to_its_end(h: &Holdfast, job: &Job, screen: &Screen) -> End {
    let mut waits = RETRY_AFTER.into_iter();
    loop {
        let end = Box::pin(once_to_its_end(h, job, screen)).await;
        match (&end, waits.next()) {
            (Err(error), Some(wait)) if error.is_catalog_away() => {
                let seconds = wait.as_secs();
                screen.meter(job.backup_type).set_message(format!(
                    "the catalogue does not respond: retrying in {seconds} s"
                ));
                tokio::time::sleep(wait).await;
            }
            _ => return end,
        }
    }
}

async fn once_to_its_end(h: &Holdfast, job: &Job, screen: &Screen) -> End {
    let request = BackupRequest::Triggered {
        backup_id: job.backup_id.clone(),
    };
    if job.backup_type != BackupType::Content {
        return back_up_database(h, request, RunLimits::none()).await;
    }
    tokio::select! {
        end = back_up_content_in_process(h, request, RunLimits::none()) => end,
        never = screen.follow_items(h, &job.backup_id) => match never {},
    }
}
