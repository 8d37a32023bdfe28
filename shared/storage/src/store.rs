//! The seam between Holdfast and where its bytes are kept. Every key is relative to the repository's root.

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

/// What to do where the key is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutMode {
    /// Write over it.
    Replace,
    /// Leave it: [`StoreError::AlreadyExists`], or success where its content is the same. A store that knows no conditions
    /// is asked before: then a lease must keep other processes that write this key away.
    IfAbsent,
    /// Write over exactly the content of this `ETag`: [`StoreError::AlreadyExists`] where it is another by now.
    IfUnchanged(String),
}

/// An object as the store lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key.
    pub key: ObjectKey,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// When it was written last.
    pub last_modified_at: Timestamp,
    /// The store's own mark of this very content.
    pub etag: String,
}

/// What keeps an object from being deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lock {
    /// The end of its retention period, if it has one; it may be over.
    pub retained_until: Option<Timestamp>,
    /// Whether it is under a legal hold, which has no end of its own.
    pub legal_hold: bool,
}

impl Lock {
    /// Whether it keeps the object now.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.legal_hold || self.retained_until.is_some_and(|until| until > now)
    }
}

/// An address under which one object can be read without credentials, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The address. Whoever has it may read the object.
    pub url: Secret,
    /// When it ends, at the latest: what was signed by temporary credentials ends with them.
    pub expires_at: Timestamp,
}

/// What is stored now, as the store itself confirmed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The object's length in bytes.
    pub size_bytes: u64,
    /// The checksum of what was sent. It was compared with the store's own, or with what was read back where it has none.
    pub checksum: Checksum,
}

/// The store's name for an upload that is neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UploadId(pub String);

/// A part that the store took, and everything needed to complete with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedPart {
    /// 1 to 10,000.
    pub number: u32,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The digest that it was sent under.
    pub sha256: Sha256Digest,
    /// The store's receipt.
    pub etag: String,
}

/// An upload that somebody began and nobody ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// The object it would become.
    pub key: ObjectKey,
    /// Its name, for [`Store::abort_upload`].
    pub upload_id: UploadId,
    /// When it was begun.
    pub initiated_at: Timestamp,
}

/// Where a repository's bytes are kept.
///
/// Transient faults are retried inside, so an error is final for the caller's purposes; a transient one then means
/// that the store was not to be had for a while.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes the place ready for a repository, where the store has places that are made and that can be away. What is
    /// there is kept. Only for a person who asks for it: nothing else may take what is away for new.
    ///
    /// # Errors
    /// As the kind says.
    async fn prepare(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Puts a small object whole, and compares size and SHA-256 with what the store then holds.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] where the mode forbids to write over what stands under the key; any other kind as
    /// its name says.
    async fn put(&self, key: &ObjectKey, body: Bytes, mode: PutMode) -> Result<Stored, StoreError>;

    /// Begins an upload in parts. Nothing is visible under the key until it is completed.
    ///
    /// # Errors
    /// As the kind says.
    async fn begin_upload(&self, key: &ObjectKey) -> Result<UploadId, StoreError>;

    /// Sends one part under its SHA-256. All parts but the last are 5 MiB or more.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where what arrived was, several times, not what was sent; any other kind as it says.
    async fn upload_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        body: Bytes,
    ) -> Result<UploadedPart, StoreError>;

    /// Makes one object of the parts, and compares its size and composite checksum with ours. Succeeds too where the
    /// very object is there already because an earlier answer got lost.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] where another object stands under the key, which is left; [`StoreError::Corrupt`]
    /// where the object that came of it is not what was sent; any other kind as it says.
    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<Stored, StoreError>;

    /// Throws an upload and its parts away. An upload that is not there is success.
    ///
    /// # Errors
    /// As the kind says.
    async fn abort_upload(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), StoreError>;

    /// Copies an object inside the store, in the parts that it was completed of, and proves that the copy is those bytes.
    /// Never writes over what stands under `to`. Succeeds too where the very object is there already.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where there is no `from`; [`StoreError::AlreadyExists`] where another object stands under
    /// `to`, which is left; [`StoreError::Corrupt`] where `from`, or the copy, is not of these parts, and nothing is left
    /// under `to`; any other kind as it says. After [`StoreError::Unavailable`] the copy may be there all the same.
    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, parts: &[UploadedPart]) -> Result<Stored, StoreError>;

    /// Reads an object, or a range of it. A broken body is resumed where it broke, on the same content only.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Invalid`] for a range that starts past the end; inside the stream
    /// [`StoreError::Corrupt`] where the object was replaced or its checksum is wrong.
    async fn get(&self, key: &ObjectKey, range: Option<Range<u64>>) -> Result<ByteStream, StoreError>;

    /// Looks at an object without reading it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or as the kind says.
    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo, StoreError>;

    /// All objects whose key begins with `prefix` (empty: all), in key order. Names that Holdfast could not have
    /// given are left out.
    fn list(&self, prefix: &str) -> ObjectStream;

    /// Deletes an object. One that is not there is success.
    ///
    /// # Errors
    /// As the kind says.
    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError>;

    /// Looks at what keeps an object from being deleted: nothing, where the store knows no locks. To be asked before a
    /// delete, which may succeed on a locked object too, and hide it.
    ///
    /// # Errors
    /// [`StoreError::Denied`] where the lock may not be read; any other kind as it says. Then it counts as locked.
    async fn lock(&self, key: &ObjectKey) -> Result<Lock, StoreError>;

    /// An address under which an object can be read without credentials until `lifetime` is over; none where the store
    /// cannot make one. Whether the object is there is not looked at.
    ///
    /// # Errors
    /// [`StoreError::Denied`] where there are no credentials to sign it with; any other kind as it says.
    async fn link(&self, _key: &ObjectKey, _lifetime: Duration) -> Result<Option<Link>, StoreError> {
        Ok(None)
    }

    /// All uploads under `prefix` that were begun and neither completed nor aborted.
    ///
    /// # Errors
    /// As the kind says.
    async fn list_unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>, StoreError>;
}
