//! The store in S3, or in a compatible store. A write counts only after checksum and size agree.

mod client;
mod copying;
mod errors;
mod interoperable;
mod linking;
mod listing;
mod locking;
mod reading;
mod writing;

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_s3::{Client, primitives::DateTime, types::ChecksumMode};
use bytes::Bytes;
use holdfast_domain::{ObjectKey, Timestamp};

pub use client::{interoperable_client, s3_client};
use interoperable::Names;

use crate::{
    ByteStream, Link, Lock, ObjectInfo, ObjectStream, PutMode, RetryPolicy, Store, StoreError,
    Stored, UnfinishedUpload, UploadId, UploadedPart, body, proof::copy_through_here, retry::Call,
};

/// A repository in a bucket, under a prefix. Cheap to clone.
#[derive(Clone)]
pub struct S3Store {
    client: Client,
    bucket: Arc<str>,
    /// Empty, or ends in `/`.
    root: Arc<str>,
    retry: RetryPolicy,
    page_size: i32,
    dialect: Dialect,
    names: Arc<Names>,
}

/// The server's variant of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// All required features, like AWS.
    Full,
    /// The calls, but without SHA-256 of objects and without conditional writes.
    Interoperable,
}

impl S3Store {
    /// The repository at `prefix` (may be empty) in `bucket`. `client` comes from [`s3_client`].
    #[must_use]
    pub fn new(client: Client, bucket: impl Into<String>, prefix: impl Into<String>) -> Self {
        let prefix: String = prefix.into();
        let root = match prefix.trim_matches('/') {
            "" => String::new(),
            trimmed => format!("{trimmed}/"),
        };
        let (bucket, root) = (bucket.into().into(), root.into());
        let (retry, dialect, names) = (RetryPolicy::default(), Dialect::Full, Arc::default());
        Self {
            client,
            bucket,
            root,
            retry,
            page_size: 1000,
            dialect,
            names,
        }
    }

    /// A repository in a store with S3's calls, but without its SHA-256 and its conditional writes,
    /// such as Google's S3-compatible interface. `client` comes from [`interoperable_client`].
    #[must_use]
    pub fn interoperable(
        client: Client,
        bucket: impl Into<String>,
        prefix: impl Into<String>,
    ) -> Self {
        Self {
            dialect: Dialect::Interoperable,
            ..Self::new(client, bucket, prefix)
        }
    }

    /// The same store with another retry policy.
    #[must_use]
    pub fn with_retry(self, retry: RetryPolicy) -> Self {
        Self { retry, ..self }
    }

    /// The same store with lists in pages of this size (S3's limit is 1,000).
    #[must_use]
    pub fn with_page_size(self, page_size: i32) -> Self {
        Self { page_size, ..self }
    }

    /// Whether the store keeps a SHA-256 of an object.
    fn has_checksums(&self) -> bool {
        self.dialect == Dialect::Full
    }

    fn full_key(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.root)
    }

    /// Holdfast's key for this name. `None` for an impossible name of an object.
    fn own_key(&self, full_key: &str) -> Option<ObjectKey> {
        let key = full_key
            .strip_prefix(&*self.root)
            .and_then(|relative| relative.parse().ok());
        if key.is_none() {
            tracing::debug!(bucket = %self.bucket, name = full_key, "skipped a foreign name in the store");
        }
        key
    }
}

#[async_trait]
impl Store for S3Store {
    async fn put(&self, key: &ObjectKey, body: Bytes, mode: PutMode) -> Result<Stored, StoreError> {
        match self.dialect {
            Dialect::Full => writing::put(self, key, body, mode).await,
            Dialect::Interoperable => interoperable::put(self, key, body, mode).await,
        }
    }

    async fn begin_upload(&self, key: &ObjectKey) -> Result<UploadId, StoreError> {
        writing::begin(self, key).await
    }

    async fn upload_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        body: Bytes,
    ) -> Result<UploadedPart, StoreError> {
        writing::part(self, key, upload, number, body).await
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<Stored, StoreError> {
        match self.dialect {
            Dialect::Full => writing::complete(self, key, upload, parts).await,
            Dialect::Interoperable => interoperable::complete(self, key, upload, parts).await,
        }
    }

    async fn abort_upload(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), StoreError> {
        writing::abort(self, key, upload).await
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        parts: &[UploadedPart],
    ) -> Result<Stored, StoreError> {
        match self.dialect {
            Dialect::Full => copying::copy(self, from, to, parts).await,
            Dialect::Interoperable => {
                copy_through_here(Arc::new(self.clone()), from, to, parts).await
            }
        }
    }

    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, StoreError> {
        body::read(self.clone(), key, range).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo, StoreError> {
        let seen = self.head_object(key).await?;
        let last_modified_at = timestamp(key.as_str(), seen.last_modified.as_ref())?;
        Ok(ObjectInfo {
            key: key.clone(),
            size_bytes: seen.size_bytes,
            last_modified_at,
            etag: seen.etag,
        })
    }

    fn list(&self, prefix: &str) -> ObjectStream {
        listing::objects(self.clone(), prefix)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let full_key = self.full_key(key);
        let outcome = self
            .retry
            .run(Call::short("delete", key.as_str()), async || {
                let request = self
                    .client
                    .delete_object()
                    .bucket(&*self.bucket)
                    .key(&full_key);
                request
                    .send()
                    .await
                    .map_err(|error| errors::translate(key.as_str(), &error))
            });
        match outcome.await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn lock(&self, key: &ObjectKey) -> Result<Lock, StoreError> {
        match self.dialect {
            Dialect::Full => locking::lock(self, key).await,
            // In such a store, a delete of a held object fails correctly.
            Dialect::Interoperable => Ok(Lock::default()),
        }
    }

    async fn link(&self, key: &ObjectKey, lifetime: Duration) -> Result<Option<Link>, StoreError> {
        linking::link(self, key, lifetime).await.map(Some)
    }

    async fn list_unfinished_uploads(
        &self,
        prefix: &str,
    ) -> Result<Vec<UnfinishedUpload>, StoreError> {
        listing::unfinished_uploads(self, prefix).await
    }
}

/// The result of a HEAD request for an object, with its checksum.
struct Seen {
    size_bytes: u64,
    etag: String,
    last_modified: Option<DateTime>,
    sha256: Option<String>,
}

impl S3Store {
    async fn head_object(&self, key: &ObjectKey) -> Result<Seen, StoreError> {
        let full_key = self.full_key(key);
        let call = Call::short("head", key.as_str());
        let seen = self.retry.run(call, async || {
            let request = self
                .client
                .head_object()
                .bucket(&*self.bucket)
                .key(&full_key);
            let mode = self.has_checksums().then_some(ChecksumMode::Enabled);
            request
                .set_checksum_mode(mode)
                .send()
                .await
                .map_err(|error| errors::translate(key.as_str(), &error))
        });
        let seen = seen.await?;
        Ok(Seen {
            size_bytes: length(key.as_str(), seen.content_length)?,
            etag: seen.e_tag.unwrap_or_default(),
            last_modified: seen.last_modified,
            sha256: seen.checksum_sha256,
        })
    }
}

fn length(key: &str, length: Option<i64>) -> Result<u64, StoreError> {
    length
        .and_then(|length| u64::try_from(length).ok())
        .ok_or_else(|| malformed(key, "no length"))
}

fn timestamp(key: &str, time: Option<&DateTime>) -> Result<Timestamp, StoreError> {
    let time = time.ok_or_else(|| malformed(key, "no modification time"))?;
    let nanoseconds = i32::try_from(time.subsec_nanos()).unwrap_or(0);
    Timestamp::new(time.secs(), nanoseconds).map_err(|_| malformed(key, "an impossible time"))
}

/// An answer that violates the protocol. Such a server is temporarily unreliable, so the error is
/// transient.
fn malformed(key: &str, what: &str) -> StoreError {
    StoreError::Unavailable {
        key: key.to_owned(),
        cause: format!("its answer is malformed: {what}"),
    }
}
