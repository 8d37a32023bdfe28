//! Installs what the local parts are made of, pinned, into `.holdfast/` (or the folder that `HOLDFAST_CACHE` names).
//! An installation counts once its marker is written, which is last: one that was interrupted is done again. A lock
//! keeps two runs from installing the same thing.

mod azurite;
mod go;

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
pub(crate) use azurite::Azurite;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::{
    environment::Environment,
    files,
    prerequisites::{self, Purpose},
    process::Supervisor,
    progress::{self, Step},
};

/// The MongoDB stand-in, where the machine has no `mongod`.
const STAND_IN: (&str, &str) = ("secantus-mdb", "0.5.3-beta.196");
const MARKER: &str = ".installed";

/// What is installed.
pub(crate) struct Tools {
    venv: PathBuf,
    server: MongoServer,
    stand_in: Option<PathBuf>,
    ipfs_node: Option<PathBuf>,
    age: Option<PathBuf>,
    azurite: Option<Azurite>,
}

/// Where a MongoDB server comes from.
pub(crate) enum MongoServer {
    /// It runs already, at this address.
    Given(String),
    /// The real one is on this machine.
    Mongod(PathBuf),
    /// The stand-in that was built here.
    StandIn(PathBuf),
    /// There is none, and none is needed.
    None,
}

impl Tools {
    /// A program of the Python environment.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.venv.join("bin").join(name)
    }

    /// The MongoDB server to use.
    pub(crate) fn mongo_server(&self) -> &MongoServer {
        &self.server
    }

    /// The stand-in's program, for tests that kill a server of their own.
    pub(crate) fn mongodb_stand_in(&self) -> Option<&Path> {
        self.stand_in.as_deref()
    }

    /// The tool of the age format, for tests that follow a restore guide.
    pub(crate) fn age(&self) -> Option<&Path> {
        self.age.as_deref()
    }

    /// The local Azure.
    pub(crate) fn azurite(&self) -> Option<&Azurite> {
        self.azurite.as_ref()
    }

    /// The program that is IPFS gateway and Gaia origin.
    pub(crate) fn ipfs_node(&self) -> Option<&Path> {
        self.ipfs_node.as_deref()
    }
}

/// Installs what is missing; says what it does only where it does something.
pub(crate) async fn install(environment: &Environment, supervisor: &Supervisor, purpose: Purpose) -> Result<Tools> {
    let prerequisites = prerequisites::find(environment, purpose)?;
    let folder = environment.cache().map_or_else(files::holdfast, Path::to_path_buf);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let _lock = lock(&folder).await?;
    let installer = Installer { environment, supervisor, folder };
    let python = &prerequisites.python;
    let what = "Installing the local AWS and what checks the template";
    let venv = installer.python_environment(python, "python", "infra/local/requirements.txt", what).await?;
    let ipfs_node = if purpose == Purpose::Check { None } else { Some(installer.ipfs_node(python).await?) };
    let azurite = if purpose == Purpose::Check { None } else { Some(installer.azurite(python).await?) };
    let age = if purpose == Purpose::Test { Some(installer.age(python).await?) } else { None };
    let running = match environment.mongodb_uri() {
        Some(uri) => Some(MongoServer::Given(uri.to_owned())),
        None => environment.find("mongod").map(MongoServer::Mongod),
    };
    let wants_stand_in = purpose == Purpose::Test || (purpose == Purpose::Demo && running.is_none());
    let stand_in = if wants_stand_in { Some(installer.mongodb_stand_in(&venv).await?) } else { None };
    let server = running.or_else(|| stand_in.clone().map(MongoServer::StandIn)).unwrap_or(MongoServer::None);
    Ok(Tools { venv, server, stand_in, ipfs_node, age, azurite })
}

struct Installer<'a> {
    environment: &'a Environment,
    supervisor: &'a Supervisor,
    folder: PathBuf,
}

impl Installer<'_> {
    /// The Python environment of these very requirements. It cannot be moved, so it is made in its place.
    async fn python_environment(&self, python: &Path, name: &str, requirements: &str, what: &str) -> Result<PathBuf> {
        let requirements = files::workspace().join(requirements);
        let pinned = fs::read(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
        let venv = self.folder.join(format!("{name}-{}", &hex::encode(Sha256::digest(&pinned))[..12]));
        if is_installed(&venv) {
            return Ok(venv);
        }
        let step = Step::begin(what);
        clear(&venv)?;
        self.supervisor.output(Command::new(python).args(["-m", "venv"]).arg(&venv)).await?;
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--requirement"]);
        self.supervisor.output(pip.arg(&requirements)).await?;
        mark(&venv)?;
        step.done(venv.display());
        Ok(venv)
    }

    /// The server's binary. `cmake` and `libclang`, which building it takes, come from the Python environment.
    async fn mongodb_stand_in(&self, venv: &Path) -> Result<PathBuf> {
        let (name, version) = STAND_IN;
        let root = self.folder.join(format!("mongodb-{version}"));
        let program = root.join("bin/secantusd-rs");
        if is_installed(&root) && program.is_file() {
            return Ok(program);
        }
        progress::announce(&format!("Building {name} {version}, which stands in for MongoDB: minutes, once"));
        clear(&root)?;
        let mut cargo = Command::new(self.environment.cargo());
        cargo.args(["install", name, "--version", version, "--locked", "--ignore-rust-version", "--root"]).arg(&root);
        // Where it installs to is on the path, or it would warn that it is not.
        cargo.env("PATH", self.path_with([venv.join("bin"), root.join("bin")])?);
        cargo.env("LIBCLANG_PATH", libclang(venv)?);
        cargo.env("BINDGEN_EXTRA_CLANG_ARGS", self.include_argument().await?);
        // Its own folder: what is built for it shares nothing with the workspace.
        cargo.env("CARGO_TARGET_DIR", self.supervisor.run_directory().join("mongodb"));
        self.supervisor.run(&mut cargo).await?;
        mark(&root)?;
        Ok(program)
    }

    fn path_with(&self, first: [PathBuf; 2]) -> Result<OsString> {
        let rest = env::split_paths(self.environment.path());
        env::join_paths(first.into_iter().chain(rest)).context("a folder's name cannot stand in PATH")
    }

    /// The wheel's libclang comes without headers of its own; the C compiler's serve.
    async fn include_argument(&self) -> Result<String> {
        let include = self.supervisor.output(Command::new("cc").arg("-print-file-name=include")).await?;
        Ok(format!("-I{}", include.trim()))
    }
}

/// The folder of the Python wheel's libclang.
fn libclang(venv: &Path) -> Result<PathBuf> {
    let libraries = fs::read_dir(venv.join("lib")).context("the Python environment has no lib")?.flatten();
    let found = libraries.map(|entry| entry.path().join("site-packages/clang/native")).find(|path| path.is_dir());
    found.context("the Python environment has no libclang")
}

/// Waits for its turn, and says so where it has to wait.
async fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("install.lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut waiting = None;
    while file.try_lock().is_err() {
        waiting.get_or_insert_with(|| Step::begin("Waiting for another run that installs the same"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(file)
}

fn is_installed(root: &Path) -> bool {
    root.join(MARKER).is_file()
}

fn mark(root: &Path) -> Result<()> {
    fs::write(root.join(MARKER), "").with_context(|| format!("cannot write into {}", root.display()))
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
