//! Checks without tests: format, lints, template, build of the stack, workflows, prose. A failed
//! check does not stop the others, so that one run reports every fault.

mod functions;
mod sam;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::{
    environment::Environment,
    files,
    process::Supervisor,
    progress, prose,
    tools::{self, Tools},
};

/// The checks to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All quick checks.
    Quick,
    /// Also the slow release build of the functions.
    Long,
}

/// The processor architectures of the functions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Architecture {
    X86,
    Arm,
}

impl Architecture {
    const ALL: [Self; 2] = [Self::X86, Self::Arm];

    /// The value of the template's parameter.
    const fn name(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm => "arm64",
        }
    }

    /// The arguments after `cargo` in SAM's build of the functions.
    const fn cargo_arguments(self) -> &'static [&'static str] {
        match self {
            Self::X86 => &[
                "lambda",
                "build",
                "--release",
                "--bin",
                "holdfast-bootstrap",
            ],
            Self::Arm => &[
                "lambda",
                "build",
                "--release",
                "--arm64",
                "--bin",
                "holdfast-bootstrap",
            ],
        }
    }
}

/// Runs the checks, and names the failed ones.
pub(crate) async fn run(
    environment: &Environment,
    supervisor: &Supervisor,
    tools: &Tools,
    extent: Extent,
) -> Result<ExitCode> {
    let mut report = Report::default();
    for (name, mut command) in commands(environment, supervisor, tools)? {
        progress::announce(name);
        report.add(name, supervisor.run(&mut command).await);
    }
    for architecture in Architecture::ALL {
        let name = format!(
            "Building the stack for {}, with a stub for cargo-lambda",
            architecture.name()
        );
        progress::announce(&name);
        let built = sam::build(environment, supervisor, tools, architecture).await;
        report.add(&name, built);
    }
    if extent == Extent::Long {
        build_functions(environment, supervisor, &mut report).await?;
    }
    progress::announce("Checking the prose");
    report.add("Checking the prose", prose());
    Ok(report.conclude())
}

async fn build_functions(
    environment: &Environment,
    supervisor: &Supervisor,
    report: &mut Report,
) -> Result<()> {
    let cargo_lambda = tools::cargo_lambda(environment, supervisor).await?;
    for architecture in Architecture::ALL {
        let name = format!("Building the functions for {}", architecture.name());
        progress::announce(&name);
        let built = functions::build(environment, supervisor, &cargo_lambda, architecture).await;
        report.add(&name, built);
    }
    Ok(())
}

fn prose() -> Result<()> {
    if !prose::run(prose::Purpose::Check)? {
        bail!("Rewrite these sentences, or accept the figures by `cargo xtask prose --accept`.");
    }
    Ok(())
}

/// The failed checks so far.
#[derive(Default)]
struct Report {
    failed: Vec<String>,
}

impl Report {
    fn add(&mut self, name: &str, outcome: Result<()>) {
        if let Err(error) = outcome {
            eprintln!("{error:#}");
            self.failed.push(name.to_owned());
        }
    }

    fn conclude(&self) -> ExitCode {
        if self.failed.is_empty() {
            return ExitCode::SUCCESS;
        }
        eprintln!("Failed: {}.", self.failed.join(", "));
        ExitCode::FAILURE
    }
}

/// Checkov without downloads, and with its own files in the folder of the run. Accepted findings
/// are in the template, each with its reason.
fn security_checker(supervisor: &Supervisor, tools: &Tools) -> Result<Command> {
    let program = tools.checkov().context("checkov is not installed")?;
    let mut command = in_workspace(program);
    command.args(["--file", "template.yaml", "--framework", "cloudformation"]);
    command.args(["--compact", "--quiet", "--skip-download"]);
    command.env("HOME", supervisor.run_directory());
    Ok(command)
}

/// The checks of one command.
fn commands(
    environment: &Environment,
    supervisor: &Supervisor,
    tools: &Tools,
) -> Result<[(&'static str, Command); 6]> {
    let mut format = in_workspace(environment.cargo());
    format.args(["fmt", "--all", "--check"]);
    let mut clippy = in_workspace(environment.cargo());
    clippy.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ]);
    let mut template = in_workspace(&tools.program("cfn-lint"));
    template.arg("template.yaml");
    Ok([
        ("Checking the format", format),
        ("Checking the template", template),
        (
            "Checking the template by SAM",
            sam::validate(supervisor, tools)?,
        ),
        (
            "Checking the template by the rules of security reviews",
            security_checker(supervisor, tools)?,
        ),
        ("Checking the workflows", workflow_linter(tools)?),
        ("Checking lints", clippy),
    ])
}

/// Its optional linters of scripts are off, because they are not pinned.
fn workflow_linter(tools: &Tools) -> Result<Command> {
    let mut command = in_workspace(tools.actionlint().context("actionlint is not installed")?);
    command
        .args(["-shellcheck=", "-pyflakes="])
        .args(workflows()?);
    Ok(command)
}

fn workflows() -> Result<Vec<PathBuf>> {
    let folder = files::workspace().join(".github/workflows");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn in_workspace(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(files::workspace());
    command
}
