//! The deployment as users prepare it: `sam validate --lint` and `sam build`. No account is needed,
//! and nothing is deployed.
//!
//! A stub replaces the slow `cargo lambda build`, and records its calls. All other parts are real:
//! cargo's description of the workspace, make, and the builder of the layer.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::{Architecture, in_workspace};
use crate::{
    environment::Environment,
    files::{self, Build},
    process::Supervisor,
    tools::Tools,
};

/// Records each call, and runs the real cargo for all calls but a build of the functions.
const CARGO: &str = r#"#!/bin/sh
printf '%s\n' "$*" >>"$HOLDFAST_STUB_CALLS"
[ "$1 $2" = "lambda build" ] || exec "$HOLDFAST_STUB_CARGO" "$@"
mkdir -p "$CARGO_TARGET_DIR/lambda/holdfast-bootstrap"
: >"$CARGO_TARGET_DIR/lambda/holdfast-bootstrap/bootstrap"
"#;

/// SAM checks only its existence.
const CARGO_LAMBDA: &str = "#!/bin/sh\n";

/// The check of the template.
pub(super) fn validate(supervisor: &Supervisor, tools: &Tools) -> Result<Command> {
    let mut command = sam(supervisor, tools)?;
    command.args(["validate", "--lint"]);
    Ok(command)
}

/// Builds the stack for this architecture, and checks every function and the layer.
pub(super) async fn build(
    environment: &Environment,
    supervisor: &Supervisor,
    tools: &Tools,
    architecture: Architecture,
) -> Result<()> {
    let folder = supervisor
        .run_directory()
        .join("build")
        .join(architecture.name());
    let (stubs, calls) = (folder.join("stubs"), folder.join("calls"));
    write_stubs(&stubs)?;
    let mut command = sam(supervisor, tools)?;
    command
        .arg("build")
        .arg("--build-dir")
        .arg(folder.join("stack"))
        .arg("--cache-dir")
        .arg(folder.join("cache"))
        .arg("--parameter-overrides")
        .arg(format!("Architecture={}", architecture.name()))
        .env("PATH", path_with(&stubs, environment)?)
        .env("HOLDFAST_STUB_CALLS", &calls)
        .env("HOLDFAST_STUB_CARGO", environment.cargo())
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("LAYER_BUILDER", layer_builder(environment)?)
        .env("MONGODUMP_BINARY", "none");
    supervisor.output(&mut command).await?;
    let read = |path: PathBuf| {
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    check_calls(&read(calls)?, architecture)?;
    let stack = folder.join("stack");
    check_artifacts(&stack, &read(stack.join("template.yaml"))?)
}

/// SAM CLI without telemetry, without an account, and with its own files in the folder of the run.
fn sam(supervisor: &Supervisor, tools: &Tools) -> Result<Command> {
    let mut command = in_workspace(tools.sam().context("SAM CLI is not installed")?);
    command
        .env("SAM_CLI_TELEMETRY", "0")
        .env("__SAM_CLI_APP_DIR", supervisor.run_directory().join("sam"))
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    for variable in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION"] {
        command.env_remove(variable);
    }
    Ok(command)
}

fn write_stubs(folder: &Path) -> Result<()> {
    let cannot = || format!("cannot write into {}", folder.display());
    fs::create_dir_all(folder).with_context(cannot)?;
    for (name, script) in [("cargo", CARGO), ("cargo-lambda", CARGO_LAMBDA)] {
        let path = folder.join(name);
        fs::write(&path, script).with_context(cannot)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).with_context(cannot)?;
    }
    Ok(())
}

/// The layer's builder with the cargo output of this program: nothing is compiled twice.
fn layer_builder(environment: &Environment) -> Result<String> {
    let target = target_folder()?;
    Ok(format!(
        "env CARGO_TARGET_DIR='{}' '{}' run --quiet --locked --package holdfast-mongodump-layer --",
        target.display(),
        environment.cargo().display()
    ))
}

/// Cargo's target folder of this program.
pub(super) fn target_folder() -> Result<PathBuf> {
    let programs = files::built_programs(Build::Light)?;
    let target = programs.parent().context("this program is in no folder")?;
    Ok(target.to_path_buf())
}

/// The search path with this folder first.
pub(super) fn path_with(first: &Path, environment: &Environment) -> Result<OsString> {
    let rest = env::split_paths(environment.path());
    env::join_paths([first.to_path_buf()].into_iter().chain(rest))
        .context("a folder's name is not allowed in PATH")
}

/// All functions are one program, which is built once, for the right processor.
fn check_calls(calls: &str, architecture: Architecture) -> Result<()> {
    let builds: Vec<_> = calls
        .lines()
        .filter(|call| call.starts_with("lambda build"))
        .collect();
    let expected = architecture.cargo_arguments().join(" ");
    ensure!(
        builds == [expected.as_str()],
        "sam build called cargo {builds:?}: expected one call {expected:?}. Check the Metadata of the functions in template.yaml."
    );
    Ok(())
}

/// Each function of the built template has a program, and the layer has its note.
fn check_artifacts(folder: &Path, template: &str) -> Result<()> {
    let is_there = |key: &str, file: &str| {
        let artifacts = artifacts(template, key);
        let absent = artifacts
            .iter()
            .find(|path| !folder.join(path).join(file).is_file());
        ensure!(absent.is_none(), "sam build made no {file} in {absent:?}");
        Ok(artifacts.len())
    };
    for (kind, key, file) in [
        ("Function", "CodeUri", "bootstrap"),
        ("LayerVersion", "ContentUri", "MONGODUMP-LAYER.txt"),
    ] {
        let expected = template
            .lines()
            .filter(|line| *line == format!("    Type: AWS::Serverless::{kind}"))
            .count();
        let found = is_there(key, file)?;
        ensure!(
            expected > 0 && found == expected,
            "sam build made {found} artifacts for {expected} resources of type {kind}"
        );
    }
    Ok(())
}

/// The values of this property of resources. `Globals` has other indentation.
fn artifacts<'a>(template: &'a str, key: &str) -> Vec<&'a str> {
    let property = format!("      {key}: ");
    template
        .lines()
        .filter_map(|line| line.strip_prefix(&property))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_build_of_the_right_program_for_the_right_processor_is_accepted() {
        let others = "run --quiet\nmetadata --no-deps\n";
        let x86 = format!("{others}lambda build --release --bin holdfast-bootstrap\n");
        let arm = format!("lambda build --release --arm64 --bin holdfast-bootstrap\n{others}");
        check_calls(&x86, Architecture::X86).unwrap();
        check_calls(&arm, Architecture::Arm).unwrap();
        check_calls(&x86, Architecture::Arm).unwrap_err();
        check_calls(&arm, Architecture::X86).unwrap_err();
    }

    #[test]
    fn a_build_of_all_programs_or_of_each_function_is_refused() {
        for calls in [
            "lambda build --release\n",
            "",
            "lambda build --release --bin holdfast-bootstrap\nlambda build --release --bin holdfast-bootstrap\n",
        ] {
            let error = check_calls(calls, Architecture::X86).unwrap_err();
            assert!(error.to_string().contains("Metadata"), "{error}");
        }
    }

    #[test]
    fn every_function_and_the_layer_need_their_artifact() {
        let folder = env::temp_dir().join(format!("holdfast-built-{}", std::process::id()));
        let template = "Globals:\n  Function:\n    CodeUri: functions/bootstrap\nResources:\n  A:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: Shared\n  L:\n    Type: AWS::Serverless::LayerVersion\n    Properties:\n      ContentUri: Layer\n";
        let write = |path: &str| {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        write("Shared/bootstrap");
        let error = check_artifacts(&folder, template).unwrap_err().to_string();
        assert!(
            error.contains("MONGODUMP-LAYER.txt") && error.contains("Layer"),
            "{error}"
        );
        write("Layer/MONGODUMP-LAYER.txt");
        check_artifacts(&folder, template).unwrap();
        let without_code = template.replace("      CodeUri: Shared\n", "");
        check_artifacts(&folder, &without_code).unwrap_err();
        fs::remove_dir_all(&folder).unwrap();
    }
}
