//! A folder to build in, and what came of a build.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// The release that these tests ask for.
pub(crate) const VERSION: &str = "100.18.0";

/// Where one test builds.
pub(crate) struct Bench {
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Builds from a site.
    pub(crate) fn build(&self, architecture: &str, feed: &str) -> Built {
        self.build_with(architecture, &[("MONGODUMP_FEED_URL", feed.as_ref())])
    }

    /// Builds from a file, or with another word for `MONGODUMP_BINARY`. No site is there to be
    /// asked.
    pub(crate) fn build_from(&self, architecture: &str, binary: &Path) -> Built {
        let nowhere = Path::new("http://127.0.0.1:1/");
        self.build_with(
            architecture,
            &[
                ("MONGODUMP_BINARY", binary),
                ("MONGODUMP_FEED_URL", nowhere),
            ],
        )
    }

    fn build_with(&self, architecture: &str, variables: &[(&str, &Path)]) -> Built {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast-mongodump-layer"));
        command.args(["--architecture", architecture, "--tools-version", VERSION]);
        for (option, name) in [
            ("--out", "layer"),
            ("--lock", "mongodump.lock"),
            ("--downloads", "downloads"),
        ] {
            command.arg(option).arg(self.path(name));
        }
        run(without_surroundings(&mut command).envs(variables.iter().copied()))
    }

    /// A file of the layer, as text.
    pub(crate) fn layer_text(&self, path: &str) -> String {
        fs::read_to_string(self.path("layer").join(path)).unwrap()
    }

    /// Every file of the layer with its mode.
    pub(crate) fn layer_files(&self) -> Vec<(String, u32)> {
        let mut files = Vec::new();
        collect(&self.path("layer"), &self.path("layer"), &mut files);
        files.sort();
        files
    }

    /// Names of what is in the folder, except what only keeps whole archives, if that is empty.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let mut names = names_in(self.folder.path());
        names.retain(|name| name != "downloads" || !names_in(&self.path("downloads")).is_empty());
        names
    }
}

/// How a build ended.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) well: bool,
    pub(crate) said: String,
    pub(crate) complained: String,
}

impl Built {
    /// It failed, and its message has each of these.
    pub(crate) fn refused_with(&self, parts: &[&str]) {
        assert!(!self.well, "it was built: {self:?}");
        for part in parts {
            assert!(
                self.complained.contains(part),
                "no {part:?} in {:?}",
                self.complained
            );
        }
    }

    /// It was built, and what it said has each of these.
    pub(crate) fn built_saying(&self, parts: &[&str]) {
        assert!(self.well, "{}", self.complained);
        for part in parts {
            assert!(self.said.contains(part), "no {part:?} in {:?}", self.said);
        }
    }
}

/// Neither a proxy nor a variable of the developer's may matter.
pub(crate) fn without_surroundings(command: &mut Command) -> &mut Command {
    command
        .env("NO_PROXY", "127.0.0.1")
        .env_remove("MONGODUMP_BINARY")
        .env_remove("MONGODUMP_FEED_URL")
}

pub(crate) fn run(command: &mut Command) -> Built {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Built {
        well: status.success(),
        said: text(stdout),
        complained: text(stderr),
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, u32)>) {
    for name in names_in(folder) {
        let path = folder.join(name);
        if path.is_dir() {
            collect(root, &path, files);
            continue;
        }
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        files.push((
            path.strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned(),
            mode,
        ));
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
