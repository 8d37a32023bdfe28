//! The interface between Holdfast and its stores. Every key is relative to the repository's root.

use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use holdfast_domain::{ObjectKey, Secret, Sha256Digest, Timestamp};

use crate::{Checksum, StoreError};

/// An object's bytes in order. It ends without an error only after every promised byte.
pub type ByteStream = BoxStream<'static, Result<Bytes, StoreError>>;

/// Objects in the order of their keys, fetched page by page.
pub type ObjectStream = BoxStream<'static, Result<ObjectInfo, StoreError>>;

/// Behaviour for an existing object under the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutMode {
    /// Replace it.
    Replace,
    /// Keep it: [`StoreError::AlreadyExists`], or success for the same content. In a store without
    /// conditional writes, a request checks the key first. There, a lease must exclude other
    /// processes that write this key.
    IfAbsent,
    /// Replace only the content with this `ETag`. [`StoreError::AlreadyExists`] if the content has
    /// changed.
    IfUnchanged(String),
}

/// An object in the store's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key.
    pub key: ObjectKey,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Time of its last write.
    pub last_modified_at: Timestamp,
    /// The store's own mark of this content.
    pub etag: String,
}

/// Locks on deletion of an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lock {
    /// The end of its retention period, if it has one. It may be in the past.
    pub retained_until: Option<Timestamp>,
    /// Whether it is under a legal hold. A hold has no end time.
    pub legal_hold: bool,
}

impl Lock {
    /// Whether it prevents a deletion now.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.legal_hold || self.retained_until.is_some_and(|until| until > now)
    }
}

/// A temporary URL for reading one object without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The URL. It gives read access to the object.
    pub url: Secret,
    /// Latest end of validity. With temporary credentials, the URL ends with them.
    pub expires_at: Timestamp,
}

/// The stored object, confirmed by the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The object's length in bytes.
    pub size_bytes: u64,
    /// The checksum of the sent bytes. It was compared with the store's own, or with the bytes
    /// read back if the store has no checksum.
    pub checksum: Checksum,
}

/// The store's name for an open upload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UploadId(pub String);

/// An accepted part, with all values for the completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedPart {
    /// 1 to 10,000.
    pub number: u32,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The digest sent with the part.
    pub sha256: Sha256Digest,
    /// The store's receipt.
    pub etag: String,
}

/// An open upload, without completion or abort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// The future object.
    pub key: ObjectKey,
    /// Its name, for [`Store::abort_upload`].
    pub upload_id: UploadId,
    /// Time of its beginning.
    pub initiated_at: Timestamp,
}

/// The storage of a repository's bytes.
///
/// Transient faults are retried inside, so an error is final for the caller. A transient error then
/// means that the store was unavailable for a while.
#[async_trait]
pub trait Store: Send + Sync {
    /// Prepares the place for a repository, if the store has places that can be missing. Existing
    /// content stays. Call it only on a person's request: otherwise a missing disk could be
    /// replaced with an empty place.
    ///
    /// # Errors
    /// Those of [`StoreError`].
    async fn prepare(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Puts a complete small object, and compares size and SHA-256 with the stored object.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if the mode forbids replacing the existing object. Others by
    /// their kind.
    async fn put(&self, key: &ObjectKey, body: Bytes, mode: PutMode) -> Result<Stored, StoreError>;

    /// Begins an upload in parts. Nothing is visible under the key until it is completed.
    ///
    /// # Errors
    /// Those of [`StoreError`].
    async fn begin_upload(&self, key: &ObjectKey) -> Result<UploadId, StoreError>;

    /// Sends one part with its SHA-256. All parts except the last have 5 MiB or more.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if several attempts arrived altered. Others by their kind.
    async fn upload_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        body: Bytes,
    ) -> Result<UploadedPart, StoreError>;

    /// Makes one object from the parts, and compares its size and composite checksum. Also succeeds
    /// if the same object exists because of an earlier lost answer.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] for a different object under the key, which stays.
    /// [`StoreError::Corrupt`] if the new object is not the sent content. Others by their kind.
    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<Stored, StoreError>;

    /// Discards an upload and its parts. A missing upload is success.
    ///
    /// # Errors
    /// Those of [`StoreError`].
    async fn abort_upload(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), StoreError>;

    /// Copies an object inside the store, in its original parts, and proves the copy's bytes. Never
    /// replaces an object under `to`. Also succeeds if the same object exists there.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without an object under `from`. [`StoreError::AlreadyExists`] for a
    /// different object under `to`, which stays. [`StoreError::Corrupt`] if `from` or the copy
    /// does not have these parts. Nothing then remains under `to`. Others by their kind. After
    /// [`StoreError::Unavailable`] the copy may exist.
    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        parts: &[UploadedPart],
    ) -> Result<Stored, StoreError>;

    /// Reads an object, or a range of it. A broken body is resumed at the same byte, on the same
    /// content only.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]. [`StoreError::Invalid`] for a range that starts past the end.
    /// Inside the stream, [`StoreError::Corrupt`] for a replaced object or a wrong checksum.
    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, StoreError>;

    /// Information about an object, without reading it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or others by their kind.
    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo, StoreError>;

    /// All objects with this `prefix` (empty: all), in key order. Names outside Holdfast's form are
    /// left out.
    fn list(&self, prefix: &str) -> ObjectStream;

    /// Deletes an object. A missing object is success.
    ///
    /// # Errors
    /// Those of [`StoreError`].
    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError>;

    /// Reads the locks on deletion of an object. Empty for a store without locks. Call it before a
    /// delete: a delete may succeed on a locked object too, and hide it.
    ///
    /// # Errors
    /// [`StoreError::Denied`] without permission to read the lock. Others by their kind. Treat the
    /// object as locked after an error.
    async fn lock(&self, key: &ObjectKey) -> Result<Lock, StoreError>;

    /// A temporary URL for reading an object without credentials during `lifetime`. `None` if the
    /// store cannot make one. The object's existence is not checked.
    ///
    /// # Errors
    /// [`StoreError::Denied`] without credentials for the signature. Others by their kind.
    async fn link(
        &self,
        _key: &ObjectKey,
        _lifetime: Duration,
    ) -> Result<Option<Link>, StoreError> {
        Ok(None)
    }

    /// All open uploads under `prefix`.
    ///
    /// # Errors
    /// Those of [`StoreError`].
    async fn list_unfinished_uploads(
        &self,
        prefix: &str,
    ) -> Result<Vec<UnfinishedUpload>, StoreError>;
}
