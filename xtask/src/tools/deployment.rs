//! The tools of a deployment: SAM CLI, and cargo-lambda with its linker. Each has its own Python
//! environment, because their versions of shared packages differ.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Installer, installer};
use crate::{
    environment::Environment,
    prerequisites::{self, Purpose},
    process::Supervisor,
};

impl Installer<'_> {
    /// The `sam` of the pinned SAM CLI.
    pub(super) async fn sam(&self, python: &Path) -> Result<PathBuf> {
        let what = "Installing SAM CLI (1 to 3 minutes)";
        let venv = self
            .python_environment(python, "sam", "infra/local/requirements-sam.txt", what)
            .await?;
        Ok(venv.join("bin/sam"))
    }

    /// The Python environment of checkov, and its program.
    pub(super) async fn checkov(&self, python: &Path) -> Result<PathBuf> {
        let what = "Installing the security checker of the template (1 to 3 minutes)";
        let requirements = "infra/local/requirements-checkov.txt";
        let venv = self
            .python_environment(python, "checkov", requirements, what)
            .await?;
        Ok(venv.join("bin/checkov"))
    }
}

/// Installs cargo-lambda, and returns the folder of its programs.
pub(crate) async fn cargo_lambda(
    environment: &Environment,
    supervisor: &Supervisor,
) -> Result<PathBuf> {
    let prerequisites = prerequisites::find(environment, Purpose::Check)?;
    let (installer, _lock) = installer(environment, supervisor).await?;
    let what = "Installing cargo-lambda and its linker (half a minute)";
    let requirements = "infra/local/requirements-lambda.txt";
    let venv = installer
        .python_environment(&prerequisites.python, "lambda", requirements, what)
        .await?;
    Ok(venv.join("bin"))
}
