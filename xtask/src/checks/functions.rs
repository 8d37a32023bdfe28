//! The real build of the functions: the command of `sam build`. It takes many minutes.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::{
    Architecture, in_workspace,
    sam::{path_with, target_folder},
};
use crate::{environment::Environment, process::Supervisor, progress::Step};

/// Builds the program for this processor. Without its standard library, the build is skipped, and
/// the reason is printed.
pub(super) async fn build(
    environment: &Environment,
    supervisor: &Supervisor,
    cargo_lambda: &Path,
    architecture: Architecture,
) -> Result<()> {
    if !has_standard_library(environment, supervisor, architecture).await? {
        Step::begin_beside_others(format!(
            "cargo {}",
            architecture.cargo_arguments().join(" ")
        ))
        .done(format!("skipped: {}", missing(architecture)));
        return Ok(());
    }
    let target = target_folder()?;
    let mut command = in_workspace(environment.cargo());
    command
        .args(architecture.cargo_arguments())
        .arg("--locked")
        .env("PATH", path_with(cargo_lambda, environment)?)
        .env("CARGO_TARGET_DIR", &target);
    supervisor.run(&mut command).await?;
    let program = target.join("lambda/holdfast-bootstrap/bootstrap");
    let bytes = fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    ensure!(
        machine(&bytes) == Some(architecture.machine()),
        "{} is not a program for {}",
        program.display(),
        architecture.name()
    );
    Ok(())
}

impl Architecture {
    const fn target(self) -> &'static str {
        match self {
            Self::X86 => "x86_64-unknown-linux-gnu",
            Self::Arm => "aarch64-unknown-linux-gnu",
        }
    }

    /// The field `e_machine` of an ELF file.
    const fn machine(self) -> u16 {
        match self {
            Self::X86 => 62,
            Self::Arm => 183,
        }
    }
}

fn missing(architecture: Architecture) -> String {
    let target = architecture.target();
    format!("the standard library of {target} is not installed: run rustup target add {target}")
}

async fn has_standard_library(
    environment: &Environment,
    supervisor: &Supervisor,
    architecture: Architecture,
) -> Result<bool> {
    let mut rustc = Command::new(environment.cargo().with_file_name("rustc"));
    rustc.args([
        "--print",
        "target-libdir",
        "--target",
        architecture.target(),
    ]);
    let folder = supervisor.output(&mut rustc).await?;
    Ok(Path::new(folder.trim()).is_dir())
}

/// The processor of a little-endian ELF file.
fn machine(bytes: &[u8]) -> Option<u16> {
    let is_elf = bytes.starts_with(b"\x7fELF");
    let field = bytes.get(18..20).filter(|_| is_elf)?;
    Some(u16::from_le_bytes(field.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_of_a_program_is_read_from_its_header() {
        let this = fs::read(std::env::current_exe().unwrap()).unwrap();
        let expected = if cfg!(target_arch = "aarch64") {
            183
        } else {
            62
        };
        assert_eq!(machine(&this), Some(expected));
        assert_eq!(machine(b"#!/bin/sh\n# no program\n"), None);
        assert_eq!(machine(b"\x7fELF"), None);
    }

    #[test]
    fn a_skipped_build_names_the_library_and_the_command() {
        let text = missing(Architecture::Arm);
        assert!(
            text.contains("rustup target add aarch64-unknown-linux-gnu"),
            "{text}"
        );
    }
}
