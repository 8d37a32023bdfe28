//! Where things are: the workspace, `.holdfast/`, the folder of one run, and what cargo built.

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

/// The one folder of the project in which things are installed; git ignores it.
pub(crate) fn holdfast() -> PathBuf {
    workspace().join(".holdfast")
}

/// How the programs are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// Quickly: for tests and the demonstration.
    Light,
    /// As they are deployed for real: for measuring.
    Release,
}

/// Where cargo puts programs: this one was built there too, lightly.
pub(crate) fn built_programs(build: Build) -> Result<PathBuf> {
    let this = env::current_exe().context("cannot tell where this program is")?;
    let light = this.parent().unwrap_or(&this);
    Ok(match build {
        Build::Light => light.to_path_buf(),
        Build::Release => light.with_file_name("release"),
    })
}

/// A new folder for the databases, logs and temporary files of this run. Those of runs that are no more are removed.
pub(crate) fn new_run_directory() -> Result<PathBuf> {
    let runs = holdfast().join("run");
    fs::create_dir_all(&runs).with_context(|| format!("cannot create {}", runs.display()))?;
    for entry in fs::read_dir(&runs)?.flatten() {
        if !is_running(&entry.file_name().to_string_lossy()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let run = runs.join(process::id().to_string());
    // A folder of this very name was left by a process of this very number, which is gone.
    let _ = fs::remove_dir_all(&run);
    fs::create_dir_all(run.join("tmp")).with_context(|| format!("cannot create {}", run.display()))?;
    Ok(run)
}

/// Whether a process of that number runs. Where that cannot be told, it does.
fn is_running(process_id: &str) -> bool {
    let processes = Path::new("/proc");
    !processes.join("self").exists() || processes.join(process_id).exists()
}
