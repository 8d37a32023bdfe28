//! The demonstration: it backs up a sample database and its files through the deployed API,
//! verifies both, restores them and compares them. It restores the database once more without
//! personal data, and everything once more from the second copy alone. Any difference ends it with
//! an error.

mod anonymised;
pub(crate) mod api;
mod compare;
pub(crate) mod content;
mod copies;
mod dataset;
mod every_type;
mod filling;
mod operator;
mod platform;
pub(crate) mod random;
mod recording;
mod report;

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::Args;
use mongodb::Client;

use self::{
    anonymised::Anonymised,
    api::{Api, DatabaseBackup},
    compare::Collection,
    content::{BroughtBack, Fetched, PublishedContent},
    copies::{Backups, FromCopy},
    operator::Given,
};
use crate::{
    Outcome,
    environment::Environment,
    files::Build,
    prerequisites::Purpose,
    process::Supervisor,
    progress::Step,
    stack::{self, Copies, Stack},
    terminal, tools,
};

/// The end of the demonstration.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave the stack running until Ctrl-C, and print the API's address and a token.
    #[arg(long)]
    keep: bool,
    /// Print them as one line of JSON on stdout, for scripts.
    #[arg(long, requires = "keep")]
    json: bool,
    /// Write the printed lines to this file too, as an SVG image of a terminal.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// The beginning of a run.
struct Start {
    began: Instant,
    /// Installation of the tools, and compilation of the workspace.
    preparation: Duration,
    /// The installed parts, and their folder.
    parts: String,
    folder: String,
}

/// Results and durations.
pub(crate) struct DemoResult {
    database: DatabaseBackup,
    compared: BTreeMap<String, Collection>,
    anonymised: Anonymised,
    /// Bytes of all published files.
    published: u64,
    content: Fetched,
    again: Fetched,
    brought_back: BroughtBack,
    from_copy: FromCopy,
    verification: Duration,
    restore: Duration,
    start: Start,
    all: Duration,
}

/// Runs the demonstration.
pub(crate) async fn run(
    environment: &Environment,
    supervisor: Supervisor,
    options: &Options,
) -> Result<Outcome> {
    let began = Instant::now();
    if let Some(file) = &options.record {
        recording::check(file)?;
    }
    let (tools, ()) = tokio::try_join!(
        tools::install(environment, &supervisor, Purpose::Demo),
        stack::build(environment, &supervisor, Build::Light),
    )?;
    let start = Start {
        began,
        preparation: began.elapsed(),
        parts: tools.parts(),
        folder: tools.folder().display().to_string(),
    };
    let stack = Stack::start(&tools, supervisor, Build::Light, Copies::InAzure).await?;
    let shown = show(&stack, start)
        .await
        .and_then(|()| match &options.record {
            Some(file) => recording::write(file, &terminal::printed()),
            None => Ok(()),
        });
    if shown.is_err() || !options.keep {
        stack.clean_up().await?;
    }
    shown?;
    if !options.keep {
        return Ok(Outcome::Done(ExitCode::SUCCESS));
    }
    if options.json {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{}", serde_json::to_string(stack.description())?)
            .context("stdout is closed")?;
        stdout.flush()?;
    } else {
        report::print_access(stack.description());
    }
    Ok(Outcome::Keep(Box::new(stack)))
}

/// All steps, from an empty database to the report.
async fn show(stack: &Stack, start: Start) -> Result<()> {
    let client = Client::with_uri_str(stack.mongodb_server_uri()).await?;
    let source = client.database(&stack.databases().source);
    let api = Api::of(stack.description())?;

    let works = PublishedContent::publish(stack).await?;
    let step = Step::begin(format!("Filling the database {}", source.name()));
    let documents = filling::fill(&source, &works.files).await?;
    step.done(format!("{documents} documents"));

    let step = Step::begin("Backing up database and files");
    let (database, content) = api.back_up_both(&step).await?;
    step.done(format!("{}, {}", database.id, content.id));
    let content = works.fetched(content).await?;

    let step = Step::begin("Verifying both backups");
    operator::verify(stack, &database.id).await?;
    operator::verify(stack, &content.backup.id).await?;
    let verification = step.done("every document, file, hash and CID is right");

    let (compared, restore) = restore_database(stack, &client, &database.id).await?;
    let anonymised = restore_anonymised(stack, &client, &database.id).await?;
    let again = works.back_up_again(&api).await?;
    let restored = works.restore(stack, &source, &again.backup.id).await?;
    let brought_back = works.bring_back(stack, &restored, &again.backup.id).await?;

    let ids = [&database.id, &content.backup.id, &again.backup.id].map(String::as_str);
    let backups = Backups {
        all: &ids,
        database: &database.id,
        content: &again.backup.id,
    };
    let from_copy = copies::restore(stack, &api, &works, &client, backups).await?;

    let all = start.began.elapsed();
    let result = DemoResult {
        database,
        compared,
        anonymised,
        published: works.bytes,
        content,
        again,
        brought_back,
        from_copy,
        verification,
        restore,
        start,
        all,
    };
    report::print(stack, &result);
    Ok(())
}

async fn restore_database(
    stack: &Stack,
    client: &Client,
    id: &str,
) -> Result<(BTreeMap<String, Collection>, Duration)> {
    let (source, restored) = (&stack.databases().source, &stack.databases().restored);
    let step = Step::begin(format!("Restoring {source} as {restored}"));
    operator::restore_database(stack, Given::Stack, id, restored).await?;
    let restore = step.done("done");
    let step = Step::begin(format!("Comparing {source} with {restored}"));
    let compared = compare::databases(client, source, restored).await?;
    step.done(format!("all {} collections are equal", compared.len()));
    Ok((compared, restore))
}

async fn restore_anonymised(stack: &Stack, client: &Client, id: &str) -> Result<Anonymised> {
    let step = Step::begin("Restoring the database without personal data");
    let (source, copy) = (
        &stack.databases().source,
        format!("{}_anonymised", stack.databases().restored),
    );
    let restored = operator::restore_anonymised(stack, id, &copy).await;
    let compared = match restored {
        Ok(()) => anonymised::compare(client, source, &copy).await,
        Err(error) => Err(error),
    };
    client.database(&copy).drop().await?;
    let anonymised = compared?;
    step.done(format!(
        "0 of {} names, e-mails and addresses are left",
        anonymised.originals
    ));
    Ok(anonymised)
}
