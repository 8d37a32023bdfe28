//! The complete test suite: the checks, then every test of the workspace against parts started for
//! it. The test runner's own summary comes last.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use tokio::process::Command;

use crate::{
    checks::{self, Extent},
    environment::Environment,
    files::{self, Build},
    prerequisites::Purpose,
    process::Supervisor,
    progress,
    stack::{Copies, Description, Stack},
    tools::{self, Tools},
};

/// The tests to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Skip the checks of format, lints, template and workflows.
    #[arg(long)]
    no_checks: bool,
    /// Also run slow cases of several minutes, and build the functions as a deployment does.
    #[arg(long)]
    long: bool,
    /// Arguments for `cargo test`, in place of `--workspace`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Options {
    const fn extent(&self) -> Extent {
        if self.long {
            Extent::Long
        } else {
            Extent::Quick
        }
    }
}

/// Runs the suite. The exit code is its result.
pub(crate) async fn run(
    environment: &Environment,
    supervisor: Supervisor,
    options: &Options,
) -> Result<ExitCode> {
    let tools = tools::install(environment, &supervisor, Purpose::Test).await?;
    let mut checked = ExitCode::SUCCESS;
    if !options.no_checks {
        checked = checks::run(environment, &supervisor, &tools, options.extent()).await?;
    }
    progress::announce("Building everything, tests too");
    supervisor
        .run(cargo(environment).args(["build", "--workspace", "--all-targets", "--locked"]))
        .await?;
    let stack = Stack::start(&tools, supervisor, Build::Light, Copies::None).await?;
    progress::announce("Testing");
    let tested = test(environment, &tools, &stack, options).await;
    stack.clean_up().await?;
    if checked != ExitCode::SUCCESS {
        eprintln!("The checks before the tests failed: see above.");
    }
    Ok(if tested { checked } else { ExitCode::FAILURE })
}

async fn test(environment: &Environment, tools: &Tools, stack: &Stack, options: &Options) -> bool {
    let mut command = cargo(environment);
    command.args(["test", "--locked", "--no-fail-fast"]);
    if options.arguments.is_empty() {
        // The documentation has no examples: their empty summaries would be the last output.
        command.args(["--workspace", "--all-targets"]);
    }
    command.args(&options.arguments);
    let Description {
        aws_endpoint,
        ipfs_node,
        second,
        ..
    } = stack.description();
    command.env("HOLDFAST_TEST_MONGODB_URI", stack.mongodb_server_uri());
    command.env("HOLDFAST_TEST_AWS_ENDPOINT", aws_endpoint);
    command.env("HOLDFAST_TEST_IPFS_NODE", ipfs_node);
    command.env("HOLDFAST_TEST_AZURE_ENDPOINT", &second.azure_endpoint);
    command.env("HOLDFAST_TEST_S3_OTHER_ENDPOINT", &second.s3_endpoint);
    command.env(
        "HOLDFAST_TEST_STACK",
        serde_json::to_string(stack.description()).unwrap_or_default(),
    );
    if options.long {
        command.env("HOLDFAST_TEST_LONG", "1");
    }
    let programs = [
        ("HOLDFAST_TEST_MONGODB_SERVER", tools.mongodb_stand_in()),
        ("HOLDFAST_TEST_IPFS_NODE_SERVER", tools.ipfs_node()),
        ("HOLDFAST_TEST_AGE", tools.age()),
    ];
    for (name, program) in programs {
        command.envs(program.map(|program| (name, program)));
    }
    // The runner's own summary is the last word.
    stack.supervisor().run(&mut command).await.is_ok()
}

fn cargo(environment: &Environment) -> Command {
    let mut command = Command::new(environment.cargo());
    command.current_dir(files::workspace());
    // A developer's own server is for the stack. No test may use it.
    command.env_remove("MONGODB_URI");
    command
}
