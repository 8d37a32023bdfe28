//! Whether a content backup in a directory's repository is still at work: each run of this machine holds a lock for as long as
//! its process lives. While files are fetched nobody beats, and no function would go on with what a killed run left.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
};

use holdfast_domain::settings::{Directories, StoreLocation};

/// The only run of content on this machine.
pub(super) struct Alone {
    _lock: File,
}

impl Alone {
    /// Nothing where another is at work, and where the repository is in no directory: there, the functions see to it.
    pub(super) fn with_content_of(location: &StoreLocation) -> Option<Self> {
        let StoreLocation::Directory(Directories { root, .. }) = location else { return None };
        let path = root.join(".holdfast/content-run");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).ok()?;
        lock.try_lock().ok()?;
        Some(Self { _lock: lock })
    }
}
