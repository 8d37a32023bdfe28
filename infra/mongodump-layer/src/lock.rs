//! `mongodump.lock`: which archives were taken. The first build writes a line for its processor,
//! later ones hold to it.
//!
//! A line is `architecture version sha256 url`.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{error::Error, feed::Release, platform::Architecture};

const HEADER: &str =
    "# The archives of mongodump that builds hold to. Delete a line to take another one.\n";

/// The file as it was read.
pub(crate) struct Lock {
    path: PathBuf,
    /// Architecture and whole line of each.
    lines: Vec<(String, String)>,
}

impl Lock {
    /// Reads it; where there is none, nothing is held to yet.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            read => read.map_err(Error::at("read", path))?,
        };
        let meant = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
        let line =
            |(number, line): (usize, &str)| match line.split_whitespace().collect::<Vec<_>>()[..] {
                [architecture, version, sha256, url] => Ok((
                    architecture.to_owned(),
                    format!("{architecture} {version} {sha256} {url}"),
                )),
                _ => Err(Error::LockUnreadable {
                    lock: path.display().to_string(),
                    line: number + 1,
                }),
            };
        Ok(Self {
            path: path.to_path_buf(),
            lines: meant.map(line).collect::<Result<_, _>>()?,
        })
    }

    /// Refuses what is not the archive that was taken before.
    pub(crate) fn allows(&self, release: &Release) -> Result<(), Error> {
        let offered = line(release);
        match self.held(release.architecture) {
            Some(held) if held != offered => Err(Error::NotTheLockedOne {
                architecture: release.architecture,
                lock: self.path.display().to_string(),
                held: held.to_owned(),
                offered,
            }),
            _ => Ok(()),
        }
    }

    /// Writes a release down, unless it is there; the file is replaced as a whole.
    pub(crate) fn keep(mut self, release: &Release) -> Result<(), Error> {
        if self.held(release.architecture).is_some() {
            return Ok(());
        }
        self.lines
            .push((release.architecture.to_string(), line(release)));
        self.lines.sort();
        let lines: Vec<_> = self.lines.iter().map(|(_, line)| line.as_str()).collect();
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let written = NamedTempFile::new_in(folder).and_then(|mut file| {
            file.write_all(format!("{HEADER}{}\n", lines.join("\n")).as_bytes())?;
            readable_by_all(file.as_file())?;
            file.persist(&self.path).map_err(|error| error.error)
        });
        written.map(drop).map_err(Error::at("write", &self.path))
    }

    fn held(&self, architecture: Architecture) -> Option<&str> {
        let mut lines = self.lines.iter();
        lines
            .find(|(its, _)| its == architecture.name())
            .map(|(_, line)| line.as_str())
    }
}

fn line(release: &Release) -> String {
    format!(
        "{} {} {} {}",
        release.architecture, release.version, release.sha256, release.url
    )
}

/// It is a file of the repository; temporary ones are made for their owner alone.
fn readable_by_all(file: &fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}
