//! The store in directories of this machine. An object is a file with its key's name, always
//! complete. It is written to a temporary file in the same file system, synced, read back, and only
//! then renamed. There is no object lock.

mod copying;
mod errors;
mod files;
mod listing;
mod making;
mod place;
mod reading;
mod space;
mod temporary;
mod uploads;
mod writing;

use std::{
    collections::HashMap,
    io,
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::{ObjectKey, settings::Directories};

use crate::{
    ByteStream, Checksum, CompositeDigest, Lock, ObjectInfo, ObjectStream, PutMode, Store,
    StoreError, Stored, UnfinishedUpload, UploadId, UploadedPart,
};
use place::Places;

/// Returns the free bytes at a path.
type FreeSpace = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// A repository in a directory. `database/` and `content/` may be directories elsewhere. Cheap to
/// clone.
///
/// Nothing is written without an earlier `holdfast init`. So a disk that is not mounted is an
/// error, not an empty repository.
#[derive(Clone)]
pub struct DirectoryStore {
    places: Arc<Places>,
    free_space: FreeSpace,
    /// Size of the parts of each open upload. If it is missing, a part is only written twice.
    part_sizes: Arc<Mutex<HashMap<UploadId, u64>>>,
}

impl DirectoryStore {
    /// The repository in these directories. Does not access the disk.
    #[must_use]
    pub fn new(directories: Directories) -> Self {
        Self {
            places: Arc::new(Places::new(directories)),
            free_space: Arc::new(space::free_bytes),
            part_sizes: Arc::default(),
        }
    }

    /// The same store with another source of free bytes.
    #[must_use]
    pub fn with_free_space(
        self,
        free_space: impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static,
    ) -> Self {
        Self {
            free_space: Arc::new(free_space),
            ..self
        }
    }

    fn part_sizes(&self) -> MutexGuard<'_, HashMap<UploadId, u64>> {
        self.part_sizes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs this on a thread for blocking work. It always runs to its end, even if the caller is
    /// gone.
    async fn on_disk<T: Send + 'static>(
        &self,
        key: &str,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.unwrap_or_else(|failure| {
            let cause = format!("the work on it was cancelled: {failure}");
            Err(StoreError::Unavailable {
                key: key.to_owned(),
                cause,
            })
        })
    }
}

#[async_trait]
impl Store for DirectoryStore {
    async fn prepare(&self) -> Result<(), StoreError> {
        self.on_disk("", |store| making::prepare(&store.places))
            .await
    }

    async fn put(&self, key: &ObjectKey, body: Bytes, mode: PutMode) -> Result<Stored, StoreError> {
        let owned = key.clone();
        self.on_disk(key.as_str(), move |store| {
            writing::put(store, &owned, &body, &mode)
        })
        .await
    }

    async fn begin_upload(&self, key: &ObjectKey) -> Result<UploadId, StoreError> {
        let owned = key.clone();
        self.on_disk(key.as_str(), move |store| uploads::begin(store, &owned))
            .await
    }

    async fn upload_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        body: Bytes,
    ) -> Result<UploadedPart, StoreError> {
        let (owned, upload) = (key.clone(), upload.clone());
        // Recorded before the first await, so that later parts find it.
        if number == 1 {
            self.part_sizes()
                .entry(upload.clone())
                .or_insert(body.len() as u64);
        }
        self.on_disk(key.as_str(), move |store| {
            uploads::part(store, &owned, &upload, number, &body)
        })
        .await
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<Stored, StoreError> {
        let (owned, upload, parts) = (key.clone(), upload.clone(), parts.to_vec());
        self.on_disk(key.as_str(), move |store| {
            uploads::complete(store, &owned, &upload, &parts)
        })
        .await
    }

    async fn abort_upload(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), StoreError> {
        let (owned, upload) = (key.clone(), upload.clone());
        self.on_disk(key.as_str(), move |store| {
            uploads::abort(store, &owned, &upload)
        })
        .await
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        parts: &[UploadedPart],
    ) -> Result<Stored, StoreError> {
        let (from, owned, parts) = (from.clone(), to.clone(), parts.to_vec());
        self.on_disk(to.as_str(), move |store| {
            copying::copy(store, &from, &owned, &parts)
        })
        .await
    }

    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, StoreError> {
        let owned = key.clone();
        self.on_disk(key.as_str(), move |store| {
            reading::get(store, &owned, range)
        })
        .await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo, StoreError> {
        let owned = key.clone();
        self.on_disk(key.as_str(), move |store| reading::head(store, &owned))
            .await
    }

    fn list(&self, prefix: &str) -> ObjectStream {
        listing::objects(self.clone(), prefix)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let owned = key.clone();
        self.on_disk(key.as_str(), move |store| writing::delete(store, &owned))
            .await
    }

    async fn lock(&self, _key: &ObjectKey) -> Result<Lock, StoreError> {
        Ok(Lock::default())
    }

    async fn list_unfinished_uploads(
        &self,
        prefix: &str,
    ) -> Result<Vec<UnfinishedUpload>, StoreError> {
        let owned = prefix.to_owned();
        self.on_disk(prefix, move |store| uploads::unfinished(store, &owned))
            .await
    }
}

/// Checksum and size of an object with these parts.
fn whole(parts: &[UploadedPart]) -> Stored {
    Stored {
        size_bytes: parts.iter().map(|part| part.size_bytes).sum(),
        checksum: Checksum::Composite(CompositeDigest::of(parts.iter().map(|part| &part.sha256))),
    }
}
