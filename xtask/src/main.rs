//! `cargo xtask setup | demo | test | bench | check | prose | figures`: installs the local parts,
//! starts them, deploys `template.yaml` to them, and demonstrates or tests the result. However it
//! ends, it leaves no process.

mod bench;
mod checks;
mod demo;
mod environment;
mod figures;
mod files;
mod prerequisites;
mod process;
mod progress;
mod prose;
mod sources;
mod stack;
mod suite;
mod terminal;
mod tools;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use checks::Extent;
use clap::{Parser, Subcommand};
use environment::Environment;
use prerequisites::Purpose;
use process::{Signals, Supervisor};
use stack::Stack;

/// The local parts of Holdfast, and the programs that use them.
#[derive(Parser)]
#[command(name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install the tools of the other commands into `.holdfast/`.
    Setup,
    /// Deploy to a local AWS, back up a sample database and its files, verify, restore, compare.
    Demo(demo::Options),
    /// Run the complete test suite on local parts.
    Test(suite::Options),
    /// Measure memory, speed and compression of the release build.
    Bench(bench::Options),
    /// Check format, lints, template, build of the stack, workflows and prose. Runs no test.
    Check,
    /// Measure the prose of documents, comments and messages.
    Prose(ProseOptions),
    /// Print sizes of the product code: files, functions, tokens, traits, documentation.
    Figures,
}

/// Options for the figures of the prose.
#[derive(clap::Args)]
struct ProseOptions {
    /// Accept the present figures: later ones must not be worse.
    #[arg(long)]
    accept: bool,
    /// Print the hard sentences of the documents and sources in this folder or file instead.
    #[arg(long, value_name = "PATH", conflicts_with = "accept")]
    hard: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command until it ends or a signal arrives. In both cases, dropping the work ends its
/// processes.
async fn run(command: Command) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let outcome = tokio::select! {
        outcome = carry_out(command) => outcome?,
        code = signals.next() => {
            eprintln!("\nInterrupted. The local parts are stopped.");
            return Ok(code);
        }
    };
    match outcome {
        Outcome::Done(code) => Ok(code),
        Outcome::Keep(stack) => {
            signals.next().await;
            stack.clean_up().await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The end of a command.
enum Outcome {
    /// It is done.
    Done(ExitCode),
    /// It is done, and the parts stay up until a signal.
    Keep(Box<Stack>),
}

async fn carry_out(command: Command) -> Result<Outcome> {
    let environment = Environment::read();
    let supervisor = Supervisor::start(&files::new_run_directory()?)
        .context("cannot watch over the local parts")?;
    match command {
        Command::Setup => {
            tools::install(&environment, &supervisor, Purpose::Demo).await?;
            Ok(Outcome::Done(ExitCode::SUCCESS))
        }
        Command::Demo(options) => demo::run(&environment, supervisor, &options).await,
        Command::Test(options) => Ok(Outcome::Done(
            suite::run(&environment, supervisor, &options).await?,
        )),
        Command::Bench(options) => Ok(Outcome::Done(
            bench::run(&environment, supervisor, &options).await?,
        )),
        Command::Check => {
            let tools = tools::install(&environment, &supervisor, Purpose::Check).await?;
            Ok(Outcome::Done(
                checks::run(&environment, &supervisor, &tools, Extent::Quick).await?,
            ))
        }
        Command::Figures => {
            figures::print()?;
            Ok(Outcome::Done(ExitCode::SUCCESS))
        }
        Command::Prose(options) => {
            if let Some(path) = options.hard {
                prose::print_hard(&path)?;
                return Ok(Outcome::Done(ExitCode::SUCCESS));
            }
            let purpose = if options.accept {
                prose::Purpose::Accept
            } else {
                prose::Purpose::Print
            };
            let is_good = prose::run(purpose)?;
            Ok(Outcome::Done(if is_good {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }))
        }
    }
}
