//! The demonstration: a database of the platform's shape is backed up through the deployed API, verified, restored
//! beside the original and compared. Anything that is not as promised ends it with an error.

pub(crate) mod api;
mod compare;
mod dataset;
mod every_type;
mod operator;
mod platform;
mod random;
mod report;

use std::{
    io::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::Args;
use mongodb::Client;

use crate::{
    Outcome,
    environment::Environment,
    files::Build,
    prerequisites::Purpose,
    process::Supervisor,
    progress::Step,
    stack::{self, Stack},
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

/// How long the parts of the story took.
pub(crate) struct Times {
    pub(crate) verification: Duration,
    pub(crate) restore: Duration,
    pub(crate) all: Duration,
}

/// Runs the demonstration.
pub(crate) async fn run(environment: &Environment, supervisor: Supervisor, options: &Options) -> Result<Outcome> {
    let began = Instant::now();
    let tools = tools::install(environment, &supervisor, Purpose::Demo).await?;
    stack::build(environment, &supervisor, Build::Light).await?;
    let stack = Stack::start(&tools, supervisor, Build::Light).await?;
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
    let (source, restored) = (&stack.databases().source, &stack.databases().restored);

    let step = Step::begin(format!("Filling the database {source}"));
    let documents = dataset::fill(&client.database(source)).await?;
    step.done(format!("{documents} documents"));

    let step = Step::begin("Backing it up");
    let job = api::back_up(stack.description(), &step).await?;
    step.done(&job.id);

    let step = Step::begin("Verifying the backup");
    operator::verify(stack, &job.id).await?;
    let verification = step.done("every byte, document and hash is as it was written");

    let step = Step::begin(format!("Restoring it as {restored}"));
    operator::restore(stack, &job.id).await?;
    let restore = step.done("done");

    let step = Step::begin(format!("Comparing {source} with {restored}"));
    let compared = compare::databases(&client, source, restored).await?;
    step.done(format!("{} collections are equal", compared.len()));

    report::tell(stack, &job, &compared, &Times { verification, restore, all: began.elapsed() });
    Ok(())
}
