//! Compares a restored folder with the published files, without any code of the backup or the
//! restore.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::Published;

/// A folder with every file, after the comparison.
#[derive(Debug)]
pub(crate) struct Restored {
    /// The place of each content's file, and its place of publication.
    pub(super) files: BTreeMap<String, (PathBuf, String)>,
}

impl Restored {
    /// The path of each file from Gaia, and the file.
    pub(super) fn on_gaia_hub(&self) -> impl Iterator<Item = (&str, Result<Vec<u8>>)> {
        let on_gaia_hub = self
            .files
            .values()
            .filter(|(_, path)| path.starts_with("/gaia/"));
        on_gaia_hub.map(|(file, path)| (path.as_str(), read(file)))
    }
}

/// Checks the folder: one file for each content, `<contentId>_…`, equal to the published one, and
/// the list of all. Any other file is an error.
pub(super) fn compare(folder: &Path, expected: &BTreeMap<String, &Published>) -> Result<Restored> {
    let mut files = BTreeMap::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name == "manifest.json" {
            continue;
        }
        let id = name.split('_').next().unwrap_or_default();
        let published = expected
            .get(id)
            .with_context(|| format!("{name} belongs to no content"))?;
        let file = folder.join(&name);
        ensure!(
            read(&file)? == published.bytes,
            "{name} differs from the file published as {}",
            published.url
        );
        let other = files.insert(id.to_owned(), (file, published.path.clone()));
        ensure!(other.is_none(), "content {id} has two files");
    }
    let missing: Vec<_> = expected
        .keys()
        .filter(|id| !files.contains_key(*id))
        .collect();
    ensure!(
        missing.is_empty(),
        "these contents have no restored file: {missing:?}"
    );
    Ok(Restored { files })
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(bytes: &[u8]) -> Published {
        Published {
            storage_type: "gaia",
            url: "url".into(),
            path: "/gaia/x".into(),
            bytes: bytes.to_vec(),
        }
    }

    fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("holdfast-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        folder
    }

    fn fault(name: &str, files: &[(&str, &str)]) -> Option<String> {
        let (a, b) = (published(b"a"), published(b"b"));
        let expected = BTreeMap::from([("1".to_owned(), &a), ("2".to_owned(), &b)]);
        let folder = folder(name, files);
        let fault = compare(&folder, &expected).err();
        fs::remove_dir_all(&folder).unwrap();
        fault.map(|fault| fault.to_string())
    }

    #[test]
    fn a_restored_folder_is_refused_whatever_is_wrong_with_it() {
        assert_eq!(
            fault(
                "whole",
                &[("1_x.txt", "a"), ("2_y", "b"), ("manifest.json", "")]
            ),
            None
        );
        let faults = [
            (
                fault("other", &[("1_x.txt", "a"), ("2_y", "B")]),
                "2_y differs",
            ),
            (fault("missing", &[("1_x.txt", "a")]), r#"["2"]"#),
            (
                fault("foreign", &[("1_x.txt", "a"), ("2_y", "b"), ("3_z", "c")]),
                "3_z belongs to no content",
            ),
            (
                fault("twice", &[("1_x.txt", "a"), ("1_x.md", "a"), ("2_y", "b")]),
                "content 1 has two files",
            ),
        ];
        for (said, expected) in faults {
            assert!(
                said.clone().unwrap_or_default().contains(expected),
                "{expected}: {said:?}"
            );
        }
    }
}
