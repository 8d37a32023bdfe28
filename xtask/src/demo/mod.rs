//! The demonstration: a database of the platform's shape, and the files that it points to, are backed up through the
//! deployed API, verified, restored beside the originals and compared; the database once more without its people, and all
//! of it from the second copy alone. Anything that is not as promised ends it with an error.

mod anonymised;
pub(crate) mod api;
mod compare;
pub(crate) mod content;
mod copies;
mod dataset;
mod every_type;
mod operator;
mod platform;
pub(crate) mod random;
mod report;

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::Args;
use mongodb::Client;

use self::{
    anonymised::Nobody,
    api::{Api, DatabaseBackup},
    compare::Collection,
    content::{BroughtBack, Fetched, Works},
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
    tools,
};

/// How the demonstration ends.
#[derive(Args)]
pub(crate) struct Options {
    /// Stay up at the end, until a signal; say the API's address and a token.
    #[arg(long)]
    keep: bool,
    /// Say it as one line of JSON on stdout, for scripts.
    #[arg(long, requires = "keep")]
    json: bool,
}

/// What came of it, and how long it took.
pub(crate) struct Story {
    database: DatabaseBackup,
    compared: BTreeMap<String, Collection>,
    nobody: Nobody,
    content: Fetched,
    again: Fetched,
    brought_back: BroughtBack,
    from_copy: FromCopy,
    verification: Duration,
    restore: Duration,
    all: Duration,
}

/// Runs the demonstration.
pub(crate) async fn run(environment: &Environment, supervisor: Supervisor, options: &Options) -> Result<Outcome> {
    let began = Instant::now();
    let (tools, ()) = tokio::try_join!(
        tools::install(environment, &supervisor, Purpose::Demo),
        stack::build(environment, &supervisor, Build::Light),
    )?;
    let stack = Stack::start(&tools, supervisor, Build::Light, Copies::InAzure).await?;
    let told = tell(&stack, began).await;
    if told.is_err() || !options.keep {
        stack.clean_up().await?;
    }
    told?;
    if !options.keep {
        return Ok(Outcome::Done(ExitCode::SUCCESS));
    }
    if options.json {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{}", serde_json::to_string(stack.description())?).context("stdout is closed")?;
        stdout.flush()?;
    } else {
        report::how_to_reach(stack.description());
    }
    Ok(Outcome::Keep(Box::new(stack)))
}

/// The story, from an empty database to the report.
async fn tell(stack: &Stack, began: Instant) -> Result<()> {
    let client = Client::with_uri_str(stack.mongodb_server_uri()).await?;
    let source = client.database(&stack.databases().source);
    let api = Api::of(stack.description())?;

    let works = Works::publish(stack).await?;
    let step = Step::begin(format!("Filling the database {}", source.name()));
    let documents = dataset::fill(&source, &works.files).await?;
    step.done(format!("{documents} documents"));

    let step = Step::begin("Backing up both");
    let (database, content) = api.back_up_both(&step).await?;
    step.done(format!("{}, {}", database.id, content.id));
    let content = works.fetched(content).await?;

    let step = Step::begin("Verifying both backups");
    operator::verify(stack, &database.id).await?;
    operator::verify(stack, &content.backup.id).await?;
    let verification = step.done("every byte, document, hash and CID is as it was written");

    let (compared, restore) = restore_database(stack, &client, &database.id).await?;
    let nobody = restore_without_people(stack, &client, &database.id).await?;
    let again = works.back_up_again(&api).await?;
    let restored = works.restore(stack, &source, &again.backup.id).await?;
    let brought_back = works.bring_back(stack, &restored, &again.backup.id).await?;

    let ids = [&database.id, &content.backup.id, &again.backup.id].map(String::as_str);
    let backups = Backups { all: &ids, database: &database.id, content: &again.backup.id };
    let from_copy = copies::restore(stack, &api, &works, &client, backups).await?;

    let all = began.elapsed();
    report::tell(
        stack,
        &Story { database, compared, nobody, content, again, brought_back, from_copy, verification, restore, all },
    );
    Ok(())
}

async fn restore_database(
    stack: &Stack,
    client: &Client,
    id: &str,
) -> Result<(BTreeMap<String, Collection>, Duration)> {
    let (source, restored) = (&stack.databases().source, &stack.databases().restored);
    let step = Step::begin(format!("Restoring the database as {restored}"));
    operator::restore_database(stack, Given::Stack, id, restored).await?;
    let restore = step.done("done");
    let step = Step::begin(format!("Comparing {source} with {restored}"));
    let compared = compare::databases(client, source, restored).await?;
    step.done(format!("{} collections are equal", compared.len()));
    Ok((compared, restore))
}

async fn restore_without_people(stack: &Stack, client: &Client, id: &str) -> Result<Nobody> {
    let step = Step::begin("Restoring the database without its people");
    let (source, copy) = (&stack.databases().source, format!("{}_anonymised", stack.databases().restored));
    let restored = operator::restore_anonymised(stack, id, &copy).await;
    let compared = match restored {
        Ok(()) => anonymised::compare(client, source, &copy).await,
        Err(error) => Err(error),
    };
    client.database(&copy).drop().await?;
    let nobody = compared?;
    step.done(format!("nobody of {} is found, {} references join", nobody.originals, nobody.references));
    Ok(nobody)
}
