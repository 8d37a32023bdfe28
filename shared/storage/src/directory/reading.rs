//! Reads one file, opened once. An object replaced during a read is read to its old end. A change
//! in the file is detected by its length and time, recorded when it was opened.

use std::{
    fs::{self, File, Metadata},
    io,
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use holdfast_domain::{ObjectKey, Timestamp};

use super::{
    DirectoryStore,
    errors::{corrupt, invalid, is_absent, not_found, translate},
    files::CHUNK_BYTES,
};
use crate::{ByteStream, ObjectInfo, StoreError};

pub(super) fn head(store: &DirectoryStore, key: &ObjectKey) -> Result<ObjectInfo, StoreError> {
    let path = store.places.reading(key)?;
    info(key, &path, &metadata_of(key, &path)?)
}

/// Information about a file, for lists.
pub(super) fn info(
    key: &ObjectKey,
    path: &Path,
    found: &Metadata,
) -> Result<ObjectInfo, StoreError> {
    let failed = |error: &io::Error| translate(key.as_str(), "look at", path, error);
    let modified = found.modified().map_err(|error| failed(&error))?;
    let last_modified_at =
        Timestamp::try_from(modified).map_err(|error| failed(&io::Error::other(error)))?;
    Ok(ObjectInfo {
        key: key.clone(),
        size_bytes: found.len(),
        last_modified_at,
        etag: mark(found),
    })
}

/// The mark of a content: a complete file gets its time, to the nanosecond, just before its name.
pub(super) fn mark(found: &Metadata) -> String {
    format!(
        "{:x}-{:x}-{:09}-{:x}",
        found.ino(),
        found.mtime(),
        found.mtime_nsec(),
        found.len()
    )
}

/// Metadata at the object's path, if it is a file.
pub(super) fn metadata_of(key: &ObjectKey, path: &Path) -> Result<Metadata, StoreError> {
    let none = || not_found(key.as_str(), format!("there is no file {}", path.display()));
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(found),
        Ok(_) => Err(none()),
        Err(error) if is_absent(&error) => Err(none()),
        Err(error) => Err(translate(key.as_str(), "look at", path, &error)),
    }
}

/// The object's file, and its metadata at opening.
pub(super) fn open(key: &ObjectKey, path: &Path) -> Result<(File, Metadata), StoreError> {
    // Checked first, because opening a pipe would block.
    metadata_of(key, path)?;
    let opened = File::open(path).and_then(|file| file.metadata().map(|found| (file, found)));
    opened.map_err(|error| translate(key.as_str(), "open", path, &error))
}

pub(super) fn get(
    store: &DirectoryStore,
    key: &ObjectKey,
    range: Option<Range<u64>>,
) -> Result<ByteStream, StoreError> {
    if range.as_ref().is_some_and(Range::is_empty) {
        return Ok(stream::empty().boxed());
    }
    let path = store.places.reading(key)?;
    let (file, found) = open(key, &path)?;
    let length = found.len();
    let range = range.unwrap_or(0..length);
    if range.start >= length && !range.is_empty() {
        let cause = format!(
            "the range begins at {}, but the object has {length} bytes",
            range.start
        );
        return Err(invalid(key.as_str(), cause));
    }
    let reading = Reading {
        file: Arc::new(file),
        key: key.clone(),
        mark: mark(&found),
        position: range.start,
        end: range.end.min(length),
    };
    Ok(stream::try_unfold(reading, Reading::next).boxed())
}

struct Reading {
    file: Arc<File>,
    key: ObjectKey,
    mark: String,
    position: u64,
    end: u64,
}

impl Reading {
    async fn next(self) -> Result<Option<(Bytes, Self)>, StoreError> {
        let key = self.key.to_string();
        let read = tokio::task::spawn_blocking(move || self.read());
        read.await.unwrap_or_else(|failure| {
            Err(StoreError::Unavailable {
                key,
                cause: format!("the read was cancelled: {failure}"),
            })
        })
    }

    fn read(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        if self.position >= self.end {
            return self.check_unchanged().map(|()| None);
        }
        let wanted = usize::try_from(self.end - self.position)
            .map_or(CHUNK_BYTES, |rest| rest.min(CHUNK_BYTES));
        let mut chunk = vec![0; wanted];
        let count = loop {
            match self.file.read_at(&mut chunk, self.position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome.map_err(|error| self.failed(&error))?,
            }
        };
        if count == 0 {
            let cause = format!(
                "it was cut during the read: it ends at byte {} of {}",
                self.position, self.end
            );
            return Err(corrupt(self.key.as_str(), cause));
        }
        chunk.truncate(count);
        self.position += count as u64;
        Ok(Some((chunk.into(), self)))
    }

    fn check_unchanged(&self) -> Result<(), StoreError> {
        let now = self.file.metadata().map_err(|error| self.failed(&error))?;
        if mark(&now) == self.mark {
            return Ok(());
        }
        Err(corrupt(
            self.key.as_str(),
            "its file changed during the read",
        ))
    }

    fn failed(&self, error: &io::Error) -> StoreError {
        let cause = format!("cannot read byte {}: {error}", self.position);
        StoreError::Unavailable {
            key: self.key.to_string(),
            cause,
        }
    }
}
