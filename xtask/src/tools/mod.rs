//! Installs the pinned tools of the local parts into `.holdfast/` (or the folder in
//! `HOLDFAST_CACHE`). The marker of an installation is written last, so an interrupted one is
//! repeated. A lock prevents two runs from installing the same tool.

mod azurite;
mod deployment;
mod go;
mod mongodb;

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};

pub(crate) use azurite::Azurite;
pub(crate) use deployment::cargo_lambda;
pub(crate) use mongodb::StandIn;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::{
    environment::Environment,
    files,
    prerequisites::{self, Purpose},
    process::Supervisor,
    progress::Step,
};

const MARKER: &str = ".installed";

/// The installed tools.
pub(crate) struct Tools {
    folder: PathBuf,
    venv: PathBuf,
    server: MongoServer,
    stand_in: Option<PathBuf>,
    ipfs_node: Option<PathBuf>,
    age: Option<PathBuf>,
    actionlint: Option<PathBuf>,
    sam: Option<PathBuf>,
    checkov: Option<PathBuf>,
    azurite: Option<Azurite>,
}

/// Origin of a MongoDB server.
pub(crate) enum MongoServer {
    /// It runs already, at this address.
    Given(String),
    /// The real one is on this machine.
    Mongod(PathBuf),
    /// An installed stand-in.
    StandIn(StandIn),
    /// None, because none is needed.
    None,
}

impl Tools {
    /// A program of the Python environment.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.venv.join("bin").join(name)
    }

    /// The names of the installed parts.
    pub(crate) fn parts(&self) -> String {
        let python = match &self.server {
            MongoServer::StandIn(StandIn::Wheel(_)) => "local AWS and MongoDB stand-in (Python)",
            MongoServer::StandIn(StandIn::Compiled(_)) => {
                "local AWS (Python), compiled MongoDB stand-in"
            }
            MongoServer::Given(_) | MongoServer::Mongod(_) | MongoServer::None => {
                "local AWS (Python)"
            }
        };
        format!("{python}, local Azure (Node.js), IPFS node (Go)")
    }

    /// Their folder, relative to the workspace if it is in there.
    pub(crate) fn folder(&self) -> &Path {
        self.folder
            .strip_prefix(files::workspace())
            .unwrap_or(&self.folder)
    }

    /// The MongoDB server to use.
    pub(crate) fn mongo_server(&self) -> &MongoServer {
        &self.server
    }

    /// The stand-in's program, for tests that kill their own server.
    pub(crate) fn mongodb_stand_in(&self) -> Option<&Path> {
        self.stand_in.as_deref()
    }

    /// The tool of the age format, for tests that follow a restore guide.
    pub(crate) fn age(&self) -> Option<&Path> {
        self.age.as_deref()
    }

    /// The linter of GitHub Actions workflows. Only checks install it.
    pub(crate) fn actionlint(&self) -> Option<&Path> {
        self.actionlint.as_deref()
    }

    /// SAM CLI. Only checks install it.
    pub(crate) fn sam(&self) -> Option<&Path> {
        self.sam.as_deref()
    }

    /// The security checker of the template. Only checks install it.
    pub(crate) fn checkov(&self) -> Option<&Path> {
        self.checkov.as_deref()
    }

    /// The local Azure.
    pub(crate) fn azurite(&self) -> Option<&Azurite> {
        self.azurite.as_ref()
    }

    /// The program of the IPFS gateway and Gaia origin.
    pub(crate) fn ipfs_node(&self) -> Option<&Path> {
        self.ipfs_node.as_deref()
    }
}

/// Installs the missing tools. Prints only steps with work.
pub(crate) async fn install(
    environment: &Environment,
    supervisor: &Supervisor,
    purpose: Purpose,
) -> Result<Tools> {
    let prerequisites = prerequisites::find(environment, purpose)?;
    let (installer, _lock) = installer(environment, supervisor).await?;
    let python = &prerequisites.python;
    let needs_parts = purpose != Purpose::Check;
    let running = match environment.mongodb_uri() {
        Some(uri) => Some(MongoServer::Given(uri.to_owned())),
        None => environment.find("mongod").map(MongoServer::Mongod),
    };
    let needs_stand_in = purpose == Purpose::Test || (needs_parts && running.is_none());
    // Downloads and the Go compiler take most of the time, so everything runs concurrently.
    let (venv, programs, sam, checkov, azurite, wheel) = tokio::try_join!(
        installer.local_aws(python),
        Box::pin(installer.go_programs(python, purpose)),
        optional(
            purpose
                .includes_checks()
                .then(|| Box::pin(installer.sam(python)))
        ),
        optional(
            purpose
                .includes_checks()
                .then(|| Box::pin(installer.checkov(python)))
        ),
        optional(needs_parts.then(|| installer.azurite(python))),
        optional(
            (needs_stand_in && purpose == Purpose::Demo).then(|| installer.mongodb_wheel(python))
        ),
    )?;
    let wheel = wheel.flatten();
    let compiled = (needs_stand_in && wheel.is_none()).then(|| installer.mongodb_stand_in(&venv));
    let compiled = optional(compiled).await?;
    let stand_in = compiled.clone().map(StandIn::Compiled).or(wheel);
    let server = running
        .or_else(|| stand_in.map(MongoServer::StandIn))
        .unwrap_or(MongoServer::None);
    Ok(Tools {
        folder: installer.folder,
        venv,
        server,
        stand_in: compiled,
        ipfs_node: programs.ipfs_node,
        age: programs.age,
        actionlint: programs.actionlint,
        sam,
        checkov,
        azurite,
    })
}

/// Returns the installer of tools, and the lock of their folder.
async fn installer<'a>(
    environment: &'a Environment,
    supervisor: &'a Supervisor,
) -> Result<(Installer<'a>, File)> {
    let folder = environment
        .cache()
        .map_or_else(files::holdfast, Path::to_path_buf);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let lock = lock(&folder).await?;
    let installer = Installer {
        environment,
        supervisor,
        folder,
    };
    Ok((installer, lock))
}

/// Waits for the work, if there is any.
async fn optional<T>(work: Option<impl Future<Output = Result<T>>>) -> Result<Option<T>> {
    match work {
        Some(work) => work.await.map(Some),
        None => Ok(None),
    }
}

struct Installer<'a> {
    environment: &'a Environment,
    supervisor: &'a Supervisor,
    folder: PathBuf,
}

impl Installer<'_> {
    /// The Python environment of the local AWS and the checks.
    async fn local_aws(&self, python: &Path) -> Result<PathBuf> {
        let what = "Installing the local AWS and the template checker linter (1 to 4 minutes)";
        self.python_environment(python, "python", "infra/local/requirements.txt", what)
            .await
    }

    /// The Python environment of these very requirements. It cannot be moved, so it is made in its
    /// place.
    async fn python_environment(
        &self,
        python: &Path,
        name: &str,
        requirements: &str,
        what: &str,
    ) -> Result<PathBuf> {
        let requirements = files::workspace().join(requirements);
        let pinned = fs::read(&requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        let venv = self.folder.join(format!(
            "{name}-{}",
            &hex::encode(Sha256::digest(&pinned))[..12]
        ));
        if is_installed(&venv) {
            return Ok(venv);
        }
        let step = Step::begin_beside_others(what);
        clear(&venv)?;
        self.supervisor
            .output(Command::new(python).args(["-m", "venv"]).arg(&venv))
            .await?;
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--requirement",
        ]);
        self.supervisor.output(pip.arg(&requirements)).await?;
        mark(&venv)?;
        step.done("done");
        Ok(venv)
    }

    fn path_with(&self, first: [PathBuf; 2]) -> Result<OsString> {
        let rest = env::split_paths(self.environment.path());
        env::join_paths(first.into_iter().chain(rest))
            .context("a folder's name is not allowed in PATH")
    }
}

/// Waits for the lock, and prints a note if it must wait.
async fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("install.lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut waiting = None;
    while file.try_lock().is_err() {
        waiting.get_or_insert_with(|| Step::begin("Waiting for the installation of another run"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(file)
}

fn is_installed(root: &Path) -> bool {
    root.join(MARKER).is_file()
}

fn mark(root: &Path) -> Result<()> {
    fs::write(root.join(MARKER), "")
        .with_context(|| format!("cannot write into {}", root.display()))
}

fn clear(root: &Path) -> Result<()> {
    if root.exists() {
        fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_installation_does_not_count() {
        let root = env::temp_dir().join(format!("holdfast-tools-{}", std::process::id()));
        fs::create_dir_all(root.join("bin")).unwrap();
        assert!(!is_installed(&root));
        mark(&root).unwrap();
        assert!(is_installed(&root));
        clear(&root).unwrap();
        assert!(!is_installed(&root));
    }
}
