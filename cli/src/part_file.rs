//! A file that has its name only once it is whole: written as `<name>.part` beside its place, then renamed. Dropped
//! before that, it is removed.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use crate::output::Output;

/// The name of a file that is being written.
#[derive(Debug)]
pub(crate) struct PartFile {
    part: PathBuf,
    place: PathBuf,
    kept: bool,
}

impl PartFile {
    /// Begins the file. What stands at its place stays until the new one is whole; a device or a folder is refused, for
    /// a rename would go over it.
    pub(crate) fn create(place: &Path) -> io::Result<(Self, File)> {
        if fs::metadata(place).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is there, and not a regular file"));
        }
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = place.with_file_name(name);
        let file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&part)?;
        Ok((Self { part, place: place.to_owned(), kept: false }, file))
    }

    /// The file is whole and on the disk: it gets its name. A file that it replaces is reported.
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
            // What cannot be removed is still named `.part`, and so nobody takes it for a backup.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// A dump is nobody else's business.
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
