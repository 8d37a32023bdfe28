//! The official tool: its presence, its version, and its faults.

use std::{
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ChildStdout,
    time::Duration,
};

use tokio::{task::spawn_blocking, time::timeout};

use super::{
    Ending,
    child::{self, KillOnDrop, Running},
    elf::other_architecture,
    transcript::Transcript,
};
use crate::error::shortened;

/// Time limit for reporting its version.
const PATIENCE: Duration = Duration::from_secs(20);

/// More than any version's text.
const ANSWER_BYTES: u64 = 64 * 1024;

const ANSWER: &str = "mongodump version: ";

/// A working mongodump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    path: PathBuf,
    version: String,
}

/// Reason for a missing tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ToolFault {
    /// The file does not exist.
    #[error("no mongodump found at {}", .0.display())]
    Absent(PathBuf),
    /// The file is not executable.
    #[error("{} is not executable: run chmod +x, and check that the mount is not noexec", .0.display())]
    NotExecutable(PathBuf),
    /// It was built for another machine.
    #[error("{} is built for {built_for}, but this machine is {}: install the one for this architecture", path.display(), std::env::consts::ARCH)]
    OtherArchitecture {
        /// Its path.
        path: PathBuf,
        /// Its architecture.
        built_for: String,
    },
    /// A shared library is missing.
    #[error("{} needs the missing shared library {library}: put it into lib next to its bin", path.display())]
    MissingLibrary {
        /// Its path.
        path: PathBuf,
        /// The library.
        library: String,
    },
    /// It exists but does not work.
    #[error("{} does not run: {problem}", path.display())]
    Broken {
        /// Its path.
        path: PathBuf,
        /// Its actual behaviour.
        problem: String,
    },
}

impl ToolFault {
    /// Whether the tool is simply missing.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent(_))
    }
}

impl Tool {
    /// Runs the tool at this path for its version.
    ///
    /// # Errors
    /// [`ToolFault`]: its fault.
    pub async fn find(path: &Path) -> Result<Self, ToolFault> {
        let running = child::start(path, &["--version".into()], None, None)
            .map_err(|error| not_started(path, &error))?;
        let _kill = KillOnDrop(running.group.clone());
        let Ok((ending, answer, said)) = timeout(PATIENCE, answer(running)).await else {
            return Err(broken(
                path,
                format!(
                    "it did not report its version within {} s",
                    PATIENCE.as_secs()
                ),
            ));
        };
        let version = answer
            .lines()
            .next()
            .and_then(|line| line.strip_prefix(ANSWER))
            .map(str::trim);
        match (ending, version) {
            (Ok(status), Some(version)) if status.success() && !version.is_empty() => Ok(Self {
                path: path.to_path_buf(),
                version: shortened(version),
            }),
            (ending, _) => Err(not_running(path, &ending, &said)),
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    #[cfg(test)]
    pub(super) fn assumed(version: &str) -> Self {
        Self {
            path: PathBuf::from("/opt/bin/mongodump"),
            version: version.to_owned(),
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mongodump {}", self.version)
    }
}

async fn answer(running: Running) -> (Ending, String, Vec<String>) {
    let Running {
        stdout,
        stderr,
        ended,
        ..
    } = running;
    let said = spawn_blocking(move || Transcript::of(stderr).lines());
    let answer = spawn_blocking(move || beginning(stdout));
    let ending = ended.wait().await;
    (
        ending,
        answer.await.unwrap_or_default(),
        said.await.unwrap_or_default(),
    )
}

fn beginning(stdout: ChildStdout) -> String {
    let mut answer = Vec::new();
    // A partial answer is better than none.
    let _ = stdout.take(ANSWER_BYTES).read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn not_started(path: &Path, error: &io::Error) -> ToolFault {
    match error.kind() {
        io::ErrorKind::NotFound if !path.exists() => ToolFault::Absent(path.to_path_buf()),
        io::ErrorKind::NotFound => broken(path, "its loader or interpreter does not exist"),
        io::ErrorKind::PermissionDenied => ToolFault::NotExecutable(path.to_path_buf()),
        _ => other_machine(path).unwrap_or_else(|| broken(path, error)),
    }
}

fn not_running(path: &Path, ending: &Ending, said: &[String]) -> ToolFault {
    if let Some(library) = said.iter().find_map(|line| missing_library(line)) {
        return ToolFault::MissingLibrary {
            path: path.to_path_buf(),
            library: library.to_owned(),
        };
    }
    // A shell may have tried to interpret it.
    if let Some(fault) = other_machine(path) {
        return fault;
    }
    let how = match ending {
        Ok(status) if status.success() => {
            "it does not answer --version as mongodump does".to_owned()
        }
        Ok(status) => format!("mongodump --version ended with {status}"),
        Err(error) => error.clone(),
    };
    let last = said.last().map(|line| format!(": {}", shortened(line)));
    broken(path, how + &last.unwrap_or_default())
}

/// The form of glibc's loader.
fn missing_library(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("error while loading shared libraries: ")?;
    rest.split(':')
        .next()
        .map(str::trim)
        .filter(|library| !library.is_empty())
}

fn other_machine(path: &Path) -> Option<ToolFault> {
    let built_for = other_architecture(path)?;
    Some(ToolFault::OtherArchitecture {
        path: path.to_path_buf(),
        built_for,
    })
}

fn broken(path: &Path, problem: impl fmt::Display) -> ToolFault {
    ToolFault::Broken {
        path: path.to_path_buf(),
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_that_the_loader_misses_is_named() {
        let line = "/opt/bin/mongodump: error while loading shared libraries: libgssapi_krb5.so.2: cannot open shared \
                    object file: No such file or directory";
        assert_eq!(missing_library(line), Some("libgssapi_krb5.so.2"));
        assert_eq!(missing_library("mongodump: no"), None);
    }
}
