//! Checks without tests: format, lints, template, prose. A failed check does not stop the others,
//! so that one run reports every fault.

use std::process::ExitCode;

use anyhow::Result;
use tokio::process::Command;

use crate::{environment::Environment, files, process::Supervisor, progress, prose, tools::Tools};

/// Runs the checks, and names the failed ones.
pub(crate) async fn run(
    environment: &Environment,
    supervisor: &Supervisor,
    tools: &Tools,
) -> Result<ExitCode> {
    let mut failed = Vec::new();
    for (name, mut command) in checks(environment, tools) {
        progress::announce(name);
        if let Err(error) = supervisor.run(&mut command).await {
            eprintln!("{error:#}");
            failed.push(name);
        }
    }
    progress::announce("Checking the prose");
    if !prose::run(prose::Purpose::Check)? {
        eprintln!(
            "Rewrite these sentences, or accept the figures by `cargo xtask prose --accept`."
        );
        failed.push("Checking the prose");
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("Failed: {}.", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

fn checks(environment: &Environment, tools: &Tools) -> [(&'static str, Command); 3] {
    let cargo = || {
        let mut command = Command::new(environment.cargo());
        command.current_dir(files::workspace());
        command
    };
    let mut format = cargo();
    format.args(["fmt", "--all", "--check"]);
    let mut clippy = cargo();
    clippy.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ]);
    let mut template = Command::new(tools.program("cfn-lint"));
    template
        .arg("template.yaml")
        .current_dir(files::workspace());
    [
        ("Checking the format", format),
        ("Checking the template", template),
        ("Checking lints", clippy),
    ]
}
