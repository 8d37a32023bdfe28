//! The environment, read once. The local parts and the functions get only the variables that are
//! passed on by name.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The variables of the environment.
pub(crate) struct Environment {
    path: OsString,
    cargo: PathBuf,
    cache: Option<PathBuf>,
    mongodb_uri: Option<String>,
}

impl Environment {
    pub(crate) fn read() -> Self {
        let text = |name| env::var_os(name).filter(|value: &OsString| !value.is_empty());
        Self {
            path: text("PATH").unwrap_or_default(),
            cargo: text("CARGO").unwrap_or_else(|| "cargo".into()).into(),
            cache: text("HOLDFAST_CACHE").map(PathBuf::from),
            mongodb_uri: text("MONGODB_URI").and_then(|uri| uri.into_string().ok()),
        }
    }

    /// The `cargo` of this run.
    pub(crate) fn cargo(&self) -> &Path {
        &self.cargo
    }

    /// The search path of tools.
    pub(crate) fn path(&self) -> &OsString {
        &self.path
    }

    /// A folder for tools shared by several checkouts (`HOLDFAST_CACHE`).
    pub(crate) fn cache(&self) -> Option<&Path> {
        self.cache.as_deref()
    }

    /// A MongoDB server to use instead of one started here (`MONGODB_URI`).
    pub(crate) fn mongodb_uri(&self) -> Option<&str> {
        self.mongodb_uri.as_deref()
    }

    /// The program of this name on the `PATH`.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        env::split_paths(&self.path)
            .map(|folder| folder.join(program))
            .find(|file| file.is_file())
    }
}
