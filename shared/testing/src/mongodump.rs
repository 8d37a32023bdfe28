//! The official mongodump, if this machine has it, and a stand-in: a shell script that records its
//! input and behaves as a test requires.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// The tool of `MONGODUMP` or of the `PATH`.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' own question, no setting"
)]
pub fn installed_mongodump() -> Option<PathBuf> {
    let named = std::env::var("MONGODUMP")
        .ok()
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let on_the_path = || {
        std::env::split_paths(&paths)
            .map(|folder| folder.join("mongodump"))
            .find(|path| path.is_file())
    };
    named.or_else(on_the_path)
}

/// A script in place of mongodump, in its own folder (`$here`), removed with it.
#[derive(Debug)]
pub struct StandIn {
    folder: TempDir,
}

/// Prints its version on request, and records arguments, environment and options file of any other
/// run.
const BEGINNING: &str = r#"#!/bin/sh
here=${0%/*}
if [ "$1" = --version ]; then
    echo asked >> "$here/asked"
    printf 'mongodump version: 100.18.0\ngit version: stand-in\n'
    exit 0
fi
printf '%s\n' "$@" > "$here/arguments"
tr '\0' '\n' < /proc/$$/environ > "$here/environment"
for argument in "$@"; do
    case $argument in --config=*) cat "${argument#--config=}" > "$here/options" ;; esac
done
echo $$ > "$here/number" && mv "$here/number" "$here/process"
"#;

impl StandIn {
    /// Writes this archive to stdout and this text to stderr, and exits with this code.
    ///
    /// # Panics
    /// If the files cannot be written.
    #[must_use]
    pub fn replaying(archive: &[u8], stderr: &str, exit_code: u8) -> Self {
        Self::doing(
            archive,
            stderr,
            &format!("cat \"$here/archive\"; cat \"$here/stderr\" >&2; exit {exit_code}"),
        )
    }

    /// Runs this script. The archive and the text are in its folder.
    ///
    /// # Panics
    /// If the files cannot be written.
    #[must_use]
    pub fn doing(archive: &[u8], stderr: &str, script: &str) -> Self {
        let stand_in = Self::being(format!("{BEGINNING}{script}\n").as_bytes(), 0o755);
        stand_in.keep("archive", archive);
        stand_in.keep("stderr", stderr.as_bytes());
        stand_in
    }

    /// Uses this file, with this mode.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn being(program: &[u8], mode: u32) -> Self {
        let folder =
            tempfile::tempdir().unwrap_or_else(|error| panic!("a folder for a stand-in: {error}"));
        let stand_in = Self { folder };
        stand_in.keep("program", program);
        // Written by another process. A child started meanwhile on another thread would inherit
        // this process's open file, and a file open for writing cannot be run.
        let mut install = Command::new("install");
        install
            .arg(format!("-m{mode:o}"))
            .arg(stand_in.file("program"))
            .arg(stand_in.path());
        assert!(
            install.status().is_ok_and(|status| status.success()),
            "the stand-in could not be installed"
        );
        stand_in
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.file("mongodump")
    }

    /// Writes a file into its folder.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn keep(&self, name: &str, bytes: &[u8]) {
        fs::write(self.file(name), bytes)
            .unwrap_or_else(|error| panic!("{name} of a stand-in: {error}"));
    }

    /// The text of a file in its folder. Empty if there is no file.
    #[must_use]
    pub fn note(&self, name: &str) -> String {
        fs::read(self.file(name))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The arguments it was run with.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        self.note("arguments").lines().map(str::to_owned).collect()
    }

    /// Number of requests for its version.
    #[must_use]
    pub fn version_requests(&self) -> usize {
        self.note("asked").lines().count()
    }

    /// The number of its process, once it has read its input.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.note("process").trim().parse().ok()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
