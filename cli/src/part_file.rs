//! A file that gets its name only when it is complete. It is written as `<name>.part` in the same
//! folder, then renamed. Dropping it earlier removes it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use crate::output::Output;

/// Name of an unfinished file.
#[derive(Debug)]
pub(crate) struct PartFile {
    part: PathBuf,
    place: PathBuf,
    kept: bool,
}

impl PartFile {
    /// Creates the file. An existing file stays until the new one is complete. A device or a folder
    /// is refused, because the rename would replace it.
    pub(crate) fn create(place: &Path) -> io::Result<(Self, File)> {
        if fs::metadata(place).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it exists and is not a regular file",
            ));
        }
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = place.with_file_name(name);
        let file =
            private(OpenOptions::new().write(true).create(true).truncate(true)).open(&part)?;
        Ok((
            Self {
                part,
                place: place.to_owned(),
                kept: false,
            },
            file,
        ))
    }

    /// Gives the complete file its name, once it is on the disk. Replacing a file is reported.
    pub(crate) fn keep(self, output: Output) -> io::Result<()> {
        let place = self.place.clone();
        if self.replace()? {
            output.note(&format!("{} existed, and was replaced", place.display()));
        }
        Ok(())
    }

    /// Returns whether a file was replaced.
    fn replace(mut self) -> io::Result<bool> {
        File::open(&self.part)?.sync_all()?;
        let existed = self.place.exists();
        fs::rename(&self.part, &self.place)?;
        self.kept = true;
        Ok(existed)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.kept {
            // If the removal fails, the suffix `.part` still marks the file as incomplete.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Only the owner may read a dump.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_no_file_is_not_replaced_by_one() {
        for place in [Path::new("/dev/null"), std::env::temp_dir().as_path()] {
            assert!(PartFile::create(place).is_err());
        }
        assert!(!Path::new("/dev/null").is_file());
    }

    #[test]
    fn a_file_that_was_not_finished_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("dump");
        let (part, mut file) = PartFile::create(&place).unwrap();
        file.write_all(b"half").unwrap();
        drop(part);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_was_finished_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("dump");
        let (part, _) = PartFile::create(&place).unwrap();
        assert!(!part.replace().unwrap());
        fs::write(&place, "old").unwrap();
        let (part, mut file) = PartFile::create(&place).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"old");
        assert!(part.replace().unwrap());
        assert_eq!(fs::read(&place).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
