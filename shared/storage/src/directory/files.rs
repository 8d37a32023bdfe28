//! Files and directories of the store. They are readable only by their user. They are synced before
//! they count. One atomic step gives a file its name.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, ErrorKind, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use holdfast_domain::Sha256Digest;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use sha2::{Digest, Sha256};

use super::{
    errors::{invalid, is_absent, is_unsupported, translate},
    place::{Area, MARK},
};
use crate::StoreError;

/// Bytes per read.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

/// A change of names takes milliseconds. A process with the lock for longer is stuck.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// A new file, readable only by its owner with any umask.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    allow_unsupported(file.set_permissions(Permissions::from_mode(0o600)))?;
    Ok(file)
}

/// A new file in place of an existing one.
pub(super) fn create_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => create(path),
    }
}

/// Makes a directory, accessible only by its owner with any umask. An existing one stays unchanged.
/// Returns whether it was made.
pub(super) fn create_directory(path: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error)
            if error.kind() == ErrorKind::AlreadyExists && fs::symlink_metadata(path)?.is_dir() =>
        {
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    allow_unsupported(fs::set_permissions(path, Permissions::from_mode(0o700)))?;
    if let Some(parent) = path.parent() {
        sync_directory(parent)?;
    }
    Ok(true)
}

/// An error is acceptable: the initial mode was already as narrow, or the file system has no modes.
/// A umask can only narrow it further.
fn allow_unsupported(outcome: io::Result<()>) -> io::Result<()> {
    outcome.or_else(|error| {
        if is_unsupported(&error) {
            Ok(())
        } else {
            Err(error)
        }
    })
}

/// Makes every directory from the existing `top` down to `directory`.
pub(super) fn create_directories(top: &Path, directory: &Path) -> io::Result<()> {
    let below = directory.strip_prefix(top).unwrap_or(Path::new(""));
    let mut path = top.to_owned();
    for name in below {
        path.push(name);
        create_directory(&path)?;
    }
    Ok(())
}

/// Syncs the written bytes to the disk, and drops them from the system's cache, so that the next
/// read comes from the disk. The modification time is set at the clock's full resolution, because
/// it is part of the content's mark.
pub(super) fn settle(file: &File) -> io::Result<()> {
    file.set_modified(SystemTime::now())?;
    file.sync_all()?;
    forget(file);
    Ok(())
}

/// Only advice. If the system ignores it, the next read comes from memory.
#[cfg(target_os = "linux")]
fn forget(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn forget(_: &File) {}

/// Syncs the names in a directory, if its file system supports it.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    sync_opened(&File::open(path)?)
}

/// Syncs an opened directory. It may be already removed.
fn sync_opened(directory: &File) -> io::Result<()> {
    directory.sync_all().or_else(|error| {
        if is_unsupported(&error) {
            Ok(())
        } else {
            Err(error)
        }
    })
}

/// SHA-256 of consecutive pieces of these lengths. If the file ends early, the last piece is
/// shorter and the rest is missing.
pub(super) fn digests(
    file: &File,
    lengths: impl Iterator<Item = u64>,
) -> io::Result<Vec<Sha256Digest>> {
    let mut reader = file.try_clone()?;
    io::Seek::rewind(&mut reader)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    lengths
        .map(|length| digest(&mut (&mut reader).take(length), &mut buffer))
        .collect()
}

fn digest(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<Sha256Digest> {
    let mut hasher = Sha256::new();
    loop {
        match reader.read(buffer) {
            Ok(0) => return Ok(Sha256Digest::new(hasher.finalize().into())),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Renames a file if the new name is free. Returns whether it was.
pub(super) fn rename_if_absent(from: &Path, to: &Path) -> io::Result<bool> {
    let renamed =
        renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from);
    match renamed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) if is_unsupported(&error) => {
            if !link_if_absent(from, to)? {
                return Ok(false);
            }
            fs::remove_file(from).map(|()| true)
        }
        Err(error) => Err(error),
    }
}

/// Gives a file a second name if the name is free. Returns whether it was.
pub(super) fn link_if_absent(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// The lock for changing names in an area, across processes. It is released on drop, or at the end
/// of the process.
pub(super) struct Naming {
    _lock: File,
}

impl Naming {
    pub(super) fn begin(key: &str, area: Area<'_>) -> Result<Self, StoreError> {
        let path = area.directory.join(MARK).join("lock");
        let failed = |error: &io::Error| translate(key, "lock", &path, error);
        let lock = open_lock(&path).map_err(|error| failed(&error))?;
        let began = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { _lock: lock }),
                Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => {
                    let cause = format!(
                        "another process holds {} for more than {} s",
                        path.display(),
                        LOCK_PATIENCE.as_secs()
                    );
                    return Err(StoreError::Unavailable {
                        key: key.to_owned(),
                        cause,
                    });
                }
                Err(TryLockError::Error(error)) => return Err(failed(&error)),
            }
        }
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => match create(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                OpenOptions::new().write(true).open(path)
            }
            made => made,
        },
        opened => opened,
    }
}

/// Gives `file` its name by `rename` under the lock, and syncs the directory. Returns whether the
/// name was free.
pub(super) fn publish(
    key: &str,
    area: Area<'_>,
    target: &Path,
    rename: impl FnOnce() -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    let parent = parent_in(area, target);
    let naming = Naming::begin(key, area)?;
    create_directories(area.directory, &parent)
        .map_err(|error| cannot_hold(key, &parent, &error))?;
    let is_done = rename()?;
    let opened = File::open(&parent);
    drop(naming);
    if is_done {
        let synced = opened.and_then(|directory| sync_opened(&directory));
        synced.map_err(|error| translate(key, "sync", &parent, &error))?;
    }
    Ok(is_done)
}

fn cannot_hold(key: &str, parent: &Path, error: &io::Error) -> StoreError {
    if is_absent(error) || error.kind() == ErrorKind::AlreadyExists {
        return invalid(
            key,
            format!("cannot make the directory {}: {error}", parent.display()),
        );
    }
    translate(key, "make the directory", parent, error)
}

/// Removes a name, and the directories left empty. A missing name is success.
pub(super) fn remove(key: &str, area: Area<'_>, target: &Path) -> Result<(), StoreError> {
    let naming = Naming::begin(key, area)?;
    match fs::remove_file(target) {
        Ok(()) => {}
        Err(error)
            if is_absent(&error)
                || fs::symlink_metadata(target).is_ok_and(|found| found.is_dir()) =>
        {
            return Ok(());
        }
        Err(error) => return Err(translate(key, "delete", target, &error)),
    }
    let mut parent = parent_in(area, target);
    while parent != area.directory && fs::remove_dir(&parent).is_ok() {
        parent = parent_in(area, &parent);
    }
    let opened = File::open(&parent);
    drop(naming);
    let synced = opened.and_then(|directory| sync_opened(&directory));
    synced.map_err(|error| translate(key, "sync", &parent, &error))
}

fn parent_in(area: Area<'_>, path: &Path) -> PathBuf {
    path.parent().unwrap_or(area.directory).to_owned()
}
