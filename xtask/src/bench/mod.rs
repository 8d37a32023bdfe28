//! The benchmark, on release builds: memory and start of the deployed function, speed of the
//! engine, costs of compression, many files of content. Compare only figures of one run. Nothing
//! else should run on the machine.

mod content;
mod dataset;
mod function;
mod programs;
mod start;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use mongodb::Client;

use self::programs::Bench;
use crate::{
    environment::Environment,
    files::Build,
    prerequisites::Purpose,
    process::Supervisor,
    progress::Step,
    stack::{self, Copies, Stack},
    tools,
};

/// The measurements to make.
#[derive(Args)]
pub(crate) struct Options {
    /// Megabytes of the databases for the function's memory: the results must be equal.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 1000])]
    memory_mb: Vec<u32>,
    /// Megabytes of the database for engine and compression.
    #[arg(long, default_value_t = 136)]
    engine_mb: u32,
    /// Files of the content backups: the memory must be the same.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000])]
    content_files: Vec<u32>,
}

/// Measures and prints.
pub(crate) async fn run(
    environment: &Environment,
    supervisor: Supervisor,
    options: &Options,
) -> Result<ExitCode> {
    let tools = tools::install(environment, &supervisor, Purpose::Bench).await?;
    stack::build(environment, &supervisor, Build::Release).await?;
    let stack = Stack::start(&tools, supervisor, Build::Release, Copies::None).await?;
    let measured = measure(environment, &stack, options, &tools.program("python")).await;
    stack.clean_up().await?;
    measured?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(
    environment: &Environment,
    stack: &Stack,
    options: &Options,
    python: &std::path::Path,
) -> Result<()> {
    let client = Client::with_uri_str(stack.mongodb_server_uri()).await?;
    let database = client.database(&stack.databases().source);
    println!(
        "Peak memory of the function's process, and the time of the backup (gzip, not encrypted)\n"
    );
    for megabytes in &options.memory_mb {
        refill(&database, dataset::Kind::Mixed, *megabytes).await?;
        println!(
            "  {megabytes:>5} MB, documents up to 1 MB: {}",
            function::backed_up(stack).await?
        );
    }
    refill(&database, dataset::Kind::Largest, 64).await?;
    println!(
        "     64 MB, documents of 16 MB: {}",
        function::backed_up(stack).await?
    );

    refill(&database, dataset::Kind::Small, options.engine_mb).await?;
    let bench = Bench::new(stack, python)?;
    start::measure().await?;
    programs::measure(environment, &bench).await?;
    content::measure(stack, &bench, &database, &options.content_files).await
}

async fn refill(database: &mongodb::Database, kind: dataset::Kind, megabytes: u32) -> Result<()> {
    let step = Step::begin(format!("Filling the database with {megabytes} MB"));
    let documents = dataset::refill(database, kind, megabytes).await?;
    step.done(format!("{documents} documents"));
    Ok(())
}
