//! The store in Azure Blob Storage: block blobs. Every body has an MD5, and Azure checks it. The
//! SHA-256 of the sent bytes is in the blob's metadata and in the name of each block. Only flat
//! accounts are supported, no hierarchical namespaces.

mod account;
mod answers;
mod blocks;
mod client;
mod deleting;
mod errors;
mod linking;
mod listing;
mod reading;
mod remains;
mod uploading;
mod writing;

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::{ObjectKey, Timestamp};
use reqwest::Method;
use url::Url;

pub use account::AzureKey;

use self::{
    account::Account,
    answers::{Seen, timestamp},
    client::Request,
};
use crate::{
    ByteStream, Link, Lock, ObjectInfo, ObjectStream, PutMode, RetryPolicy, Store, StoreError,
    Stored, UnfinishedUpload, UploadId, UploadedPart, body, clock::CorrectedClock,
    proof::copy_through_here, retry::Call,
};

/// A repository in a container, under a prefix. Cheap to clone.
#[derive(Clone)]
pub struct AzureStore {
    account: Arc<Account>,
    http: reqwest::Client,
    container: Arc<str>,
    /// Empty, or ends in `/`.
    root: Arc<str>,
    retry: RetryPolicy,
    page_size: u32,
    clock: Arc<CorrectedClock>,
}

impl AzureStore {
    /// The repository at `prefix` (may be empty) in `container` of this storage account. `key` is
    /// the account's key. `endpoint` is the address of the account's blobs, if it is not
    /// Azure's own. Some servers need the account in its path.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if no HTTP client can be made.
    pub fn new(
        account: &str,
        key: AzureKey,
        endpoint: Option<&Url>,
        container: &str,
        prefix: &str,
    ) -> Result<Self, StoreError> {
        let root = match prefix.trim_matches('/') {
            "" => String::new(),
            trimmed => format!("{trimmed}/"),
        };
        Ok(Self {
            account: Arc::new(Account::new(account, key, endpoint)),
            http: client::http(container)?,
            container: container.into(),
            root: root.into(),
            retry: RetryPolicy::default(),
            page_size: 5000,
            clock: Arc::default(),
        })
    }

    /// The same store with another retry policy.
    #[must_use]
    pub fn with_retry(self, retry: RetryPolicy) -> Self {
        Self { retry, ..self }
    }

    /// The same store with lists in pages of this size (Azure's limit is 5,000).
    #[must_use]
    pub fn with_page_size(self, page_size: u32) -> Self {
        Self { page_size, ..self }
    }

    /// Makes the container. An existing container is success.
    ///
    /// # Errors
    /// Those of [`StoreError`].
    pub async fn create_container(&self) -> Result<(), StoreError> {
        let call = Call::short("create_container", &self.container);
        match self
            .call(call, || Request::for_container(Method::PUT, self))
            .await
        {
            Err(error) if !matches!(&error, StoreError::AlreadyExists { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    fn full_key(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.root)
    }

    /// Holdfast's key for this name. `None` for an impossible name of an object.
    fn own_key(&self, name: &str) -> Option<ObjectKey> {
        let key = name
            .strip_prefix(&*self.root)
            .and_then(|relative| relative.parse().ok());
        if key.is_none() {
            tracing::debug!(container = %self.container, name, "skipped a foreign name in the store");
        }
        key
    }

    /// Reads the properties of a blob. The remains of an aborted upload count as missing.
    async fn head_object(&self, key: &ObjectKey) -> Result<Seen, StoreError> {
        let seen = self.head_any(key).await?;
        if seen.is_remains {
            let cause = "it is the remainder of an aborted upload".to_owned();
            return Err(StoreError::NotFound {
                key: key.to_string(),
                cause,
            });
        }
        Ok(seen)
    }

    async fn head_any(&self, key: &ObjectKey) -> Result<Seen, StoreError> {
        let answer = self
            .call(Call::short("head", key.as_str()), || {
                Request::for_blob(Method::HEAD, self, key)
            })
            .await?;
        Seen::read(key.as_str(), answer.headers())
    }
}

#[async_trait]
impl Store for AzureStore {
    async fn put(&self, key: &ObjectKey, body: Bytes, mode: PutMode) -> Result<Stored, StoreError> {
        keeps_its_name(key)?;
        writing::put(self, key, body, mode).await
    }

    async fn begin_upload(&self, key: &ObjectKey) -> Result<UploadId, StoreError> {
        keeps_its_name(key)?;
        uploading::begin(key)
    }

    async fn upload_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        body: Bytes,
    ) -> Result<UploadedPart, StoreError> {
        uploading::part(self, key, upload, number, body).await
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<Stored, StoreError> {
        uploading::complete(self, key, upload, parts).await
    }

    async fn abort_upload(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), StoreError> {
        uploading::abort(self, key, upload).await
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        parts: &[UploadedPart],
    ) -> Result<Stored, StoreError> {
        copy_through_here(Arc::new(self.clone()), from, to, parts).await
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
        let last_modified_at: Timestamp = timestamp(key.as_str(), seen.last_modified.as_deref())?;
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
        deleting::delete(self, key, None).await
    }

    async fn lock(&self, key: &ObjectKey) -> Result<Lock, StoreError> {
        match self.head_object(key).await {
            Ok(seen) => seen.lock(key),
            Err(error) if error.is_not_found() => Ok(Lock::default()),
            Err(error) => Err(error),
        }
    }

    async fn link(&self, key: &ObjectKey, lifetime: Duration) -> Result<Option<Link>, StoreError> {
        linking::link(self, key, lifetime).map(Some)
    }

    async fn list_unfinished_uploads(
        &self,
        prefix: &str,
    ) -> Result<Vec<UnfinishedUpload>, StoreError> {
        listing::unfinished_uploads(self, prefix).await
    }
}

/// Azure changes `\` to `/`, and drops dots at the end of a segment. Holdfast's names have neither.
fn keeps_its_name(key: &ObjectKey) -> Result<(), StoreError> {
    if !key.as_str().contains('\\')
        && !key
            .as_str()
            .split('/')
            .any(|segment| segment.ends_with('.'))
    {
        return Ok(());
    }
    let cause = "Azure would store it under another name".to_owned();
    Err(StoreError::Invalid {
        key: key.to_string(),
        cause,
    })
}
