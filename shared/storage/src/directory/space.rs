//! Free space on the disk, checked before each write. A full disk is reported while other programs
//! still have some space.

use std::{io, path::Path};

use super::{DirectoryStore, errors::translate};
use crate::StoreError;

/// Reserved free bytes: for the manifest and the guide of the present run, and for other users of
/// the disk.
const RESERVE_BYTES: u64 = 16 * 1024 * 1024;

/// Free bytes for an unprivileged user at `path`.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    // Some network file systems do not report it.
    if found.f_blocks == 0 {
        return Ok(u64::MAX);
    }
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Refuses `bytes` more than the free space of `directory`.
pub(super) fn check(
    store: &DirectoryStore,
    key: &str,
    directory: &Path,
    bytes: u64,
) -> Result<(), StoreError> {
    let free = (store.free_space)(directory)
        .map_err(|error| translate(key, "look at the room in", directory, &error))?;
    if free >= bytes.saturating_add(RESERVE_BYTES) {
        return Ok(());
    }
    let (shown, needed, free, reserve) = (
        directory.display(),
        mib(bytes),
        mib(free),
        mib(RESERVE_BYTES),
    );
    let cause =
        format!("not enough space in {shown}: {needed} needed, {free} free ({reserve} reserved)");
    Err(StoreError::Full {
        key: key.to_owned(),
        cause,
    })
}

/// In MiB, rounded down. Below 1 MiB in bytes.
fn mib(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    if bytes < MIB {
        format!("{bytes} B")
    } else {
        format!("{} MiB", bytes / MIB)
    }
}
