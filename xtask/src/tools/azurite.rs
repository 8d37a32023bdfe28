//! The local Azure Blob Storage (`infra/local/azurite`): an npm package, completely pinned by a
//! lock. Node.js is the machine's own if it is new enough and has npm, else a Python wheel. npm
//! downloads from the registry in its own settings.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::{Installer, clear, is_installed, mark};
use crate::{files, progress::Step};

/// The Node.js version of its packages.
const NODE: u32 = 20;

/// An installed one.
pub(crate) struct Azurite {
    node: PathBuf,
    script: PathBuf,
}

impl Azurite {
    /// The command that runs it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(&self.script);
        command
    }
}

/// Node.js with its package manager.
struct Node {
    node: PathBuf,
    npm: PathBuf,
}

impl Installer<'_> {
    pub(super) async fn azurite(&self, python: &Path) -> Result<Azurite> {
        let node = self.node(python).await?;
        let sources = files::workspace().join("infra/local/azurite");
        let lock = sources.join("package-lock.json");
        let pinned = fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
        let root = self.folder.join(format!(
            "azurite-{}",
            &hex::encode(Sha256::digest(&pinned))[..12]
        ));
        let script = root.join("node_modules/azurite/dist/src/blob/main.js");
        if is_installed(&root) && script.is_file() {
            return Ok(Azurite {
                node: node.node,
                script,
            });
        }
        let step = Step::begin_beside_others("Installing the local Azure (1 to 3 minutes)");
        clear(&root)?;
        fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
        for name in ["package.json", "package-lock.json"] {
            fs::copy(sources.join(name), root.join(name))
                .with_context(|| format!("cannot copy {name}"))?;
        }
        let mut npm = Command::new(&node.npm);
        // None of its packages needs a script.
        npm.args([
            "ci",
            "--omit=dev",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]);
        npm.current_dir(&root).env(
            "PATH",
            self.path_with([node.node.with_file_name(""), root.clone()])?,
        );
        let installed = self.supervisor.output(&mut npm).await;
        installed
            .context("cannot install infra/local/azurite: check access to the npm registry")?;
        mark(&root)?;
        step.done("done");
        Ok(Azurite {
            node: node.node,
            script,
        })
    }

    /// A sufficiently new Node.js.
    async fn node(&self, python: &Path) -> Result<Node> {
        if let (Some(node), Some(npm)) =
            (self.environment.find("node"), self.environment.find("npm"))
        {
            let said = self
                .supervisor
                .output(Command::new(&node).arg("--version"))
                .await
                .unwrap_or_default();
            if major(&said).is_some_and(|major| major >= NODE) {
                return Ok(Node { node, npm });
            }
        }
        let what = "Installing Node.js for the local Azure";
        let venv = self
            .python_environment(python, "node", "infra/local/requirements-node.txt", what)
            .await;
        let advice = || {
            format!(
                "no Node.js {NODE} or newer with npm is on the PATH, and its wheel cannot be installed"
            )
        };
        let programs = venv.with_context(advice)?.join("bin");
        Ok(Node {
            node: programs.join("node"),
            npm: programs.join("npm"),
        })
    }
}

/// Parses the output of `node --version`.
fn major(said: &str) -> Option<u32> {
    said.trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert!(major("v9.11.0").unwrap() < NODE);
        assert_eq!(major("node"), None);
    }
}
