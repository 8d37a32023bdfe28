//! Locations: the workspace, `.holdfast/`, the folder of one run, and cargo's output.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, Result};

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// The project's only folder for installed tools. Git ignores it.
pub(crate) fn holdfast() -> PathBuf {
    workspace().join(".holdfast")
}

/// Kind of a build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// Quickly: for tests and the demonstration.
    Light,
    /// The build of real deployments, for measurements.
    Release,
}

/// Cargo's folder of programs. This program is in it, too.
pub(crate) fn built_programs(build: Build) -> Result<PathBuf> {
    let this = env::current_exe().context("cannot find the path of this program")?;
    let light = this.parent().unwrap_or(&this);
    Ok(match build {
        Build::Light => light.to_path_buf(),
        Build::Release => light.with_file_name("release"),
    })
}

/// A new folder for the databases, logs and temporary files of this run. The folders of ended runs
/// are removed.
pub(crate) fn new_run_directory() -> Result<PathBuf> {
    let runs = holdfast().join("run");
    fs::create_dir_all(&runs).with_context(|| format!("cannot create {}", runs.display()))?;
    for entry in fs::read_dir(&runs)?.flatten() {
        if !is_running(&entry.file_name().to_string_lossy()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let run = runs.join(process::id().to_string());
    // A folder of this name is from an ended process with the same number.
    let _ = fs::remove_dir_all(&run);
    fs::create_dir_all(run.join("tmp"))
        .with_context(|| format!("cannot create {}", run.display()))?;
    Ok(run)
}

/// Whether a process of this number runs. If unknown, it counts as running.
fn is_running(process_id: &str) -> bool {
    let processes = Path::new("/proc");
    !processes.join("self").exists() || processes.join(process_id).exists()
}
