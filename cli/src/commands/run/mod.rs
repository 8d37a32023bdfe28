//! `holdfast run`: the functions' own use cases in this process, without a deadline. Ctrl-C cancels the backup and waits
//! until nothing is left of it; a second one exits at once.

mod alone;
mod screen;
mod told;

use std::{sync::Arc, time::Duration};

use clap::{Args, Subcommand};
use futures_util::future::join_all;
use holdfast_domain::{BackupId, BackupType, Job, Timestamp};
use holdfast_operations::{
    BackupOutcome, BackupRequest, Holdfast, Observer, OperationError, RunLimits, back_up_content_here,
    back_up_database, cancel, trigger, trigger_full,
};

use self::{alone::Alone, screen::Screen};
use crate::{
    environment,
    failure::{Exit, Failure},
    interrupt::Interrupts,
    output::Output,
    session::Session,
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
    Database(When),
    /// Back up the files on IPFS and Gaia that the database's content items name now, in this process, however long it
    /// takes
    Content(When),
    /// Both of them, at once, as one backup; what `BACKUP_DATABASE_ENABLED` or `BACKUP_CONTENT_ENABLED` switches off is
    /// left out
    Full(When),
}

#[derive(Debug, Args)]
struct When {
    /// Where another backup is running, wait for its end instead of failing
    #[arg(long)]
    wait: bool,
}

/// What was begun, and runs in this process.
struct Begun {
    /// What is cancelled, if anything is.
    id: BackupId,
    parts: Vec<Job>,
    /// The switches that leave a part out.
    left_out: Vec<&'static str>,
    /// Held to the end.
    _alone: Option<Alone>,
}

type End = Result<BackupOutcome, OperationError>;

pub(crate) async fn run(arguments: &Arguments, session: &Session, output: Output) -> Result<Exit, Failure> {
    let (kind, wait) = match &arguments.what {
        What::Database(when) => (BackupType::Database, when.wait),
        What::Content(when) => (BackupType::Content, when.wait),
        What::Full(when) => (BackupType::Full, when.wait),
    };
    session.source()?;
    let screen = Arc::new(Screen::default());
    let holdfast = session.holdfast(Arc::clone(&screen) as Arc<dyn Observer>).await?;
    let mut interrupts = Interrupts::listen();
    let begun = tokio::select! {
        begun = when_free(&holdfast, kind, wait, &screen) => begun?,
        () = interrupts.next() => return Err(Failure::new(Exit::Interrupted, "interrupted before anything was begun")),
    };
    let ends = to_their_ends(&holdfast, &begun, &screen, &mut interrupts, output).await;
    screen.clear();
    told::tell(&holdfast, &begun, ends?, output).await
}

async fn when_free(h: &Holdfast, kind: BackupType, wait: bool, screen: &Screen) -> Result<Begun, OperationError> {
    let begun = loop {
        let alone = if kind == BackupType::Database { None } else { Alone::with_content_of(h.repository.location()) };
        let begun = match begin(h, kind).await {
            Err(OperationError::AlreadyRunning { backup_id }) if alone.is_some() => {
                go_on(h, kind, backup_id, screen).await
            }
            begun => begun,
        };
        match begun {
            Err(
                error @ (OperationError::AlreadyRunning { .. }
                | OperationError::Collecting
                | OperationError::ConcurrencyLimit { .. }),
            ) if wait => {
                screen.meter(kind).phase(format!("waiting: {error}"));
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
            result => break result.map(|begun| Begun { _alone: alone, ..begun }),
        }
    };
    screen.clear();
    begun
}

/// With the content backup that is in the way, where its run died. A full backup begins after it.
async fn go_on(h: &Holdfast, kind: BackupType, id: BackupId, screen: &Screen) -> Result<Begun, OperationError> {
    if id.backup_type() != BackupType::Content {
        return Err(OperationError::AlreadyRunning { backup_id: id });
    }
    screen.meter(BackupType::Content).phase(format!("content: resuming {id}"));
    let job = h.catalog.get(&id).await?;
    if kind == BackupType::Content {
        return Ok(Begun { id, parts: vec![job], left_out: Vec::new(), _alone: None });
    }
    // Boxed: the future of the whole use case is too deep a type for the compiler's layout.
    match Box::pin(to_its_end(h, &job, screen)).await? {
        BackupOutcome::Skipped { .. } => Err(OperationError::AlreadyRunning { backup_id: id }),
        _ => begin(h, kind).await,
    }
}

async fn begin(h: &Holdfast, kind: BackupType) -> Result<Begun, OperationError> {
    let (by, now) = (environment::operator(), Timestamp::now());
    if kind == BackupType::Full {
        let full = trigger_full(h, by, now).await?;
        return Ok(Begun { id: full.job.backup_id, parts: full.children, left_out: full.skipped, _alone: None });
    }
    let job = trigger(h, kind, by, now).await?;
    Ok(Begun { id: job.backup_id.clone(), parts: vec![job], left_out: Vec::new(), _alone: None })
}

/// Runs all of it. At the first Ctrl-C it is cancelled, and runs on until it has cleaned up after itself.
async fn to_their_ends(
    h: &Holdfast,
    begun: &Begun,
    screen: &Screen,
    interrupts: &mut Interrupts,
    output: Output,
) -> Result<Vec<End>, Failure> {
    let id = &begun.id;
    let mut work = Box::pin(join_all(begun.parts.iter().map(|job| to_its_end(h, job, screen))));
    tokio::select! {
        ends = &mut work => return Ok(ends),
        () = interrupts.next() => {
            screen.cancel();
            screen.above(|| {
                output.note(&format!("cancelling {id}"));
                output.note("Ctrl-C again exits at once, and leaves its files to `holdfast cleanup`");
            });
        }
    }
    let cancelled = async {
        let (ends, cancelled) = tokio::join!(work, cancel(h, id, Timestamp::now()));
        // Where it was too late to cancel, the outcome says what became of it.
        if let Err(error) = cancelled {
            screen.above(|| output.note(&error.to_string()));
        }
        ends
    };
    tokio::select! {
        ends = cancelled => Ok(ends),
        () = interrupts.next() => Err(Failure::new(Exit::Interrupted, format!("interrupted; {id} was cancelled and may not have cleaned up yet"))),
    }
}

async fn to_its_end(h: &Holdfast, job: &Job, screen: &Screen) -> End {
    let request = BackupRequest::Triggered { backup_id: job.backup_id.clone() };
    if job.backup_type != BackupType::Content {
        return back_up_database(h, request, RunLimits::none()).await;
    }
    tokio::select! {
        end = back_up_content_here(h, request, RunLimits::none()) => end,
        never = screen.follow_items(h, &job.backup_id) => match never {},
    }
}
