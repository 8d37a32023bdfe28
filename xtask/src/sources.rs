//! The sources of the workspace: crates, files, and their texts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// The folders with a `Cargo.toml`.
pub(crate) fn crates(root: &Path, folders: &[&str]) -> Result<Vec<PathBuf>> {
    let mut crates = Vec::new();
    for folder in folders.iter().map(|name| root.join(name)) {
        let folders = if folder.join("Cargo.toml").is_file() {
            vec![folder]
        } else {
            entries(&folder)?
        };
        crates.extend(
            folders
                .into_iter()
                .filter(|folder| folder.join("Cargo.toml").is_file()),
        );
    }
    Ok(crates)
}

/// Whether a file of a crate is product code.
pub(crate) fn is_product(file: &Path) -> bool {
    let is_test =
        |part: &std::ffi::OsStr| matches!(part.to_str(), Some("tests" | "tests.rs" | "benches"));
    !file.iter().any(is_test)
}

/// The files of a folder and its folders.
pub(crate) fn found(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            files.extend(found(&path, extension)?);
        } else if has_extension(&path, extension) {
            files.push(path);
        }
    }
    Ok(files)
}

/// The paths in a folder, in order.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Whether a file name ends with this extension.
pub(crate) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// The text of a file.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A path as seen from the root of the workspace.
pub(crate) fn name(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}
