//! Lists the directories in the order of the keys. The walk opens one directory at a time, on a
//! thread for blocking work, and pauses after each page. It skips links, and names outside
//! Holdfast's form.

use std::{
    fs::{self, DirEntry},
    io::ErrorKind,
    path::PathBuf,
};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    DirectoryStore,
    errors::translate,
    place::{Area, check_readable, is_reserved},
    reading::info,
};
use crate::{ObjectInfo, ObjectStream, StoreError};

/// Objects per step of the walk. After it, the walk releases its thread.
const PAGE: usize = 1000;

pub(super) fn objects(store: DirectoryStore, prefix: &str) -> ObjectStream {
    let pages = stream::try_unfold(Some(Walk::new(store, prefix)), async |walk| {
        let Some(mut walk) = walk else {
            return Ok::<_, StoreError>(None);
        };
        let prefix = walk.prefix.clone();
        let walked =
            tokio::task::spawn_blocking(move || walk.page().map(|infos| (infos, walk))).await;
        let (infos, walk) = walked.unwrap_or_else(|failure| {
            Err(StoreError::Unavailable {
                key: prefix,
                cause: format!("the listing was cancelled: {failure}"),
            })
        })?;
        let rest = (!walk.rest.is_empty()).then_some(walk);
        Ok(Some((stream::iter(infos.into_iter().map(Ok)), rest)))
    });
    pages.try_flatten().boxed()
}

struct Walk {
    store: DirectoryStore,
    prefix: String,
    /// The remaining entries, the next one last.
    rest: Vec<Entry>,
}

struct Entry {
    /// Order of the entry among keys. For a directory, the beginning of its objects' keys.
    key: String,
    path: PathBuf,
    is_directory: bool,
}

impl Walk {
    fn new(store: DirectoryStore, prefix: &str) -> Self {
        let area = store.places.area(prefix);
        let first = top(area);
        Self {
            store,
            prefix: prefix.to_owned(),
            rest: vec![first],
        }
    }

    fn page(&mut self) -> Result<Vec<ObjectInfo>, StoreError> {
        let mut infos = Vec::new();
        while infos.len() < PAGE
            && let Some(entry) = self.rest.pop()
        {
            if entry.is_directory {
                self.open(&entry)?;
            } else {
                infos.extend(object_info(&entry)?);
            }
        }
        Ok(infos)
    }

    /// Replaces a directory with its entries.
    fn open(&mut self, directory: &Entry) -> Result<(), StoreError> {
        let places = &self.store.places;
        let place = places.all().find(|area| area.directory == directory.path);
        if let Some(area) = place {
            places.check_record(&self.prefix, area)?;
            check_readable(&self.prefix, area)?;
        }
        let failed =
            |error: &std::io::Error| translate(&self.prefix, "list", &directory.path, error);
        let entries = match fs::read_dir(&directory.path) {
            Ok(entries) => entries,
            // Its last object was deleted a moment ago.
            Err(error) if error.kind() == ErrorKind::NotFound && place.is_none() => return Ok(()),
            Err(error) => return Err(failed(&error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed(&error))?;
            let path = entry.path();
            let is_reserved = place.is_some() && is_reserved(&path);
            if !is_reserved && !places.is_other_place(&path) {
                found.extend(
                    self.own(directory, &entry)
                        .map_err(|error| failed(&error))?,
                );
            }
        }
        if directory.key.is_empty() {
            found.retain(|entry| places.aside().all(|area| area.prefix != entry.key));
            found.extend(
                places
                    .aside()
                    .filter(|area| self.is_on_the_way(area.prefix))
                    .map(top),
            );
        }
        found.sort_by(|one, other| other.key.cmp(&one.key));
        self.rest.append(&mut found);
        Ok(())
    }

    /// The entry, if it is Holdfast's own and within the prefix.
    fn own(&self, directory: &Entry, entry: &DirEntry) -> std::io::Result<Option<Entry>> {
        let (kind, path) = (entry.file_type()?, entry.path());
        let name = entry.file_name();
        let name = name.to_str().filter(|name| {
            name.bytes()
                .all(|byte| byte.is_ascii_graphic() || byte == b' ')
        });
        let Some(name) = name.filter(|_| kind.is_dir() || kind.is_file()) else {
            tracing::debug!(path = %path.display(), "skipped a foreign name in the store");
            return Ok(None);
        };
        let slash = if kind.is_dir() { "/" } else { "" };
        let key = format!("{}{name}{slash}", directory.key);
        Ok(self.is_on_the_way(&key).then_some(Entry {
            key,
            path,
            is_directory: kind.is_dir(),
        }))
    }

    /// Whether keys with this beginning can have the prefix.
    fn is_on_the_way(&self, key: &str) -> bool {
        key.starts_with(&self.prefix) || (key.ends_with('/') && self.prefix.starts_with(key))
    }
}

fn top(area: Area<'_>) -> Entry {
    Entry {
        key: area.prefix.to_owned(),
        path: area.directory.to_owned(),
        is_directory: true,
    }
}

/// Information about an object. `None` if it was deleted in the meantime.
fn object_info(entry: &Entry) -> Result<Option<ObjectInfo>, StoreError> {
    let Ok(key) = entry.key.parse() else {
        return Ok(None);
    };
    match fs::symlink_metadata(&entry.path) {
        Ok(found) => info(&key, &entry.path, &found).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(translate(&entry.key, "look at", &entry.path, &error)),
    }
}
