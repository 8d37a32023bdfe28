//! The MongoDB stand-in for machines without `mongod`: a Python wheel for the demonstration, slow
//! but without a compiler, and a compiled server for tests and the benchmark.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use tokio::process::Command;

use super::{Installer, clear, is_installed, mark};
use crate::progress;

/// The compiled server's crate.
const COMPILED: (&str, &str) = ("secantus-mdb", "0.5.3-beta.196");

/// An installed stand-in.
#[derive(Clone)]
pub(crate) enum StandIn {
    /// Compiled from its crate.
    Compiled(PathBuf),
    /// The program of its Python wheel.
    Wheel(PathBuf),
}

impl StandIn {
    /// Its name for users.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Compiled(_) => "the compiled stand-in",
            Self::Wheel(_) => "the Python stand-in",
        }
    }

    /// The command that serves this folder on a free port of this machine, and prints the port.
    pub(crate) fn command(&self, data: &Path) -> Command {
        let (program, arguments): (_, &[&str]) = match self {
            Self::Compiled(program) => {
                (program, &["--cache-size", "512M", "--log-file-max", "32MB"])
            }
            Self::Wheel(program) => (program, &["--host", "127.0.0.1"]),
        };
        let mut command = Command::new(program);
        command
            .env_clear()
            .args(["--port", "0"])
            .args(arguments)
            .arg("--storage-path")
            .arg(data);
        command
    }
}

impl Installer<'_> {
    /// The program of the Python wheel. `None` if there is no wheel for this machine. An installed
    /// compiled server is faster, and used instead.
    pub(super) async fn mongodb_wheel(&self, python: &Path) -> Result<Option<StandIn>> {
        let compiled = self.compiled_root();
        if is_installed(&compiled) {
            return Ok(Some(StandIn::Compiled(program_in(&compiled))));
        }
        let what = "Installing the MongoDB stand-in (half a minute to 2 minutes)";
        match self
            .python_environment(
                python,
                "mongodb",
                "infra/local/requirements-mongodb.txt",
                what,
            )
            .await
        {
            Ok(venv) => Ok(Some(StandIn::Wheel(venv.join("bin/secantusd-py")))),
            Err(error) => {
                progress::announce(&format!(
                    "Compiling the MongoDB stand-in, because its wheel cannot be installed: {error:#}"
                ));
                Ok(None)
            }
        }
    }

    /// The compiled server. The build needs `cmake` and `libclang`, and they come from the Python
    /// environment.
    pub(super) async fn mongodb_stand_in(&self, venv: &Path) -> Result<PathBuf> {
        let (name, version) = COMPILED;
        let root = self.compiled_root();
        let program = program_in(&root);
        if is_installed(&root) && program.is_file() {
            return Ok(program);
        }
        progress::announce(&format!(
            "Building the MongoDB stand-in {name} {version} (once, 10 to 15 minutes)"
        ));
        clear(&root)?;
        let mut cargo = Command::new(self.environment.cargo());
        cargo
            .args([
                "install",
                name,
                "--version",
                version,
                "--locked",
                "--ignore-rust-version",
                "--root",
            ])
            .arg(&root);
        // With the target folder on the path, cargo does not warn that it is missing there.
        cargo.env(
            "PATH",
            self.path_with([venv.join("bin"), root.join("bin")])?,
        );
        cargo.env("LIBCLANG_PATH", libclang(venv)?);
        cargo.env("BINDGEN_EXTRA_CLANG_ARGS", self.include_argument().await?);
        // Its own target folder, because its build shares nothing with the workspace.
        cargo.env(
            "CARGO_TARGET_DIR",
            self.supervisor.run_directory().join("mongodb"),
        );
        self.supervisor.run(&mut cargo).await?;
        mark(&root)?;
        Ok(program)
    }

    fn compiled_root(&self) -> PathBuf {
        self.folder.join(format!("mongodb-{}", COMPILED.1))
    }

    /// The libclang of the wheel has no headers. It uses those of the C compiler.
    async fn include_argument(&self) -> Result<String> {
        let include = self
            .supervisor
            .output(Command::new("cc").arg("-print-file-name=include"))
            .await?;
        Ok(format!("-I{}", include.trim()))
    }
}

/// The folder of the Python wheel's libclang.
fn libclang(venv: &Path) -> Result<PathBuf> {
    let libraries = fs::read_dir(venv.join("lib"))
        .context("the Python environment has no lib")?
        .flatten();
    let found = libraries
        .map(|entry| entry.path().join("site-packages/clang/native"))
        .find(|path| path.is_dir());
    found.context("the Python environment has no libclang")
}

fn program_in(root: &Path) -> PathBuf {
    root.join("bin/secantusd-rs")
}
