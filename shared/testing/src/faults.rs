//! A store that fails on demand. Its errors are final: the inner store's retries do not see them.

use std::{
    collections::HashMap,
    future,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use holdfast_domain::{ObjectKey, Sha256Digest};
use holdfast_storage::{
    ByteStream, Checksum, Link, Lock, ObjectInfo, ObjectStream, PutMode, Store, StoreError, Stored,
    UnfinishedUpload, UploadId, UploadedPart,
};
use sha2::{Digest, Sha256};

/// The operations of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`Store::put`]
    Put,
    /// [`Store::begin_upload`]
    BeginUpload,
    /// [`Store::upload_part`]
    UploadPart,
    /// [`Store::complete_upload`]
    CompleteUpload,
    /// [`Store::abort_upload`]
    AbortUpload,
    /// [`Store::copy`]
    Copy,
    /// [`Store::get`]
    Get,
    /// [`Store::head`]
    Head,
    /// [`Store::list`]
    List,
    /// [`Store::delete`]
    Delete,
    /// [`Store::lock`]
    Lock,
    /// [`Store::list_unfinished_uploads`]
    ListUnfinishedUploads,
}

/// The failure of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Does nothing: [`StoreError::Unavailable`].
    Unavailable,
    /// Does nothing: [`StoreError::Denied`].
    Denied,
    /// Does nothing: [`StoreError::Full`].
    Full,
    /// Does nothing, and never responds.
    Hang,
    /// It is done, but only after this time.
    Late(Duration),
    /// It is done, but reported as [`StoreError::Unavailable`].
    LostAnswer,
    /// Silently flips a bit of the body. For puts and parts in the store, with the correct digests
    /// in the result. For gets in the returned body. Other calls are unchanged.
    Alter,
    /// A body ends with [`StoreError::Unavailable`] after its first chunk. Other calls are
    /// unchanged.
    Cut,
}

/// Wraps a store. Without faults it behaves like that store.
pub struct FaultStore {
    inner: Arc<dyn Store>,
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    calls: HashMap<Operation, u32>,
    once: HashMap<(Operation, u32), Fault>,
    always: HashMap<Operation, Fault>,
}

impl FaultStore {
    /// A store that behaves like `inner`, until faults are set.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            script: Mutex::default(),
        })
    }

    /// The `nth` call of this operation fails, counted from 1 since the store's creation.
    pub fn on(&self, operation: Operation, nth: u32, fault: Fault) {
        self.script().once.insert((operation, nth), fault);
    }

    /// Every later call of this operation fails.
    pub fn on_every(&self, operation: Operation, fault: Fault) {
        self.script().always.insert(operation, fault);
    }

    /// No call fails any more.
    pub fn heal(&self) {
        let mut script = self.script();
        script.once.clear();
        script.always.clear();
    }

    /// Number of calls of this operation.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u32 {
        self.script().calls.get(&operation).copied().unwrap_or(0)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call and finds its fault.
    fn next_fault(&self, operation: Operation) -> Option<Fault> {
        let mut script = self.script();
        let calls = script.calls.entry(operation).or_insert(0);
        *calls += 1;
        let nth = *calls;
        script
            .once
            .get(&(operation, nth))
            .or_else(|| script.always.get(&operation))
            .copied()
    }

    /// Makes the call according to the script. The caller applies faults of bodies.
    async fn call<T>(
        &self,
        operation: Operation,
        key: &str,
        call: impl AsyncFnOnce(Option<Fault>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.next_fault(operation) {
            Some(Fault::Unavailable) => Err(unavailable(key)),
            Some(Fault::Denied) => Err(denied(key)),
            Some(Fault::Full) => Err(full(key)),
            Some(Fault::Hang) => future::pending().await,
            Some(Fault::Late(late)) => {
                tokio::time::sleep(late).await;
                call(None).await
            }
            Some(Fault::LostAnswer) => call(None).await.and_then(|_| Err(unavailable(key))),
            body_fault => call(body_fault).await,
        }
    }
}

#[async_trait]
impl Store for FaultStore {
    /// No fault is counted.
    async fn prepare(&self) -> Result<(), StoreError> {
        self.inner.prepare().await
    }

    async fn put(&self, key: &ObjectKey, body: Bytes, mode: PutMode) -> Result<Stored, StoreError> {
        self.call(Operation::Put, key.as_str(), async |fault| {
            let sent = Checksum::Full(sha256(&body));
            let stored = self.inner.put(key, altered_if(fault, body), mode).await?;
            Ok(Stored {
                checksum: sent,
                ..stored
            })
        })
        .await
    }

    async fn begin_upload(&self, key: &ObjectKey) -> Result<UploadId, StoreError> {
        self.call(Operation::BeginUpload, key.as_str(), async |_| {
            self.inner.begin_upload(key).await
        })
        .await
    }

    async fn upload_part(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        body: Bytes,
    ) -> Result<UploadedPart, StoreError> {
        self.call(Operation::UploadPart, key.as_str(), async |fault| {
            let sent = sha256(&body);
            let part = self
                .inner
                .upload_part(key, upload, number, altered_if(fault, body))
                .await?;
            Ok(UploadedPart {
                sha256: sent,
                ..part
            })
        })
        .await
    }

    async fn complete_upload(
        &self,
        key: &ObjectKey,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<Stored, StoreError> {
        self.call(Operation::CompleteUpload, key.as_str(), async |_| {
            self.inner.complete_upload(key, upload, parts).await
        })
        .await
    }

    async fn abort_upload(&self, key: &ObjectKey, upload: &UploadId) -> Result<(), StoreError> {
        self.call(Operation::AbortUpload, key.as_str(), async |_| {
            self.inner.abort_upload(key, upload).await
        })
        .await
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        parts: &[UploadedPart],
    ) -> Result<Stored, StoreError> {
        self.call(Operation::Copy, to.as_str(), async |_| {
            self.inner.copy(from, to, parts).await
        })
        .await
    }

    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, StoreError> {
        self.call(Operation::Get, key.as_str(), async |fault| {
            let stream = self.inner.get(key, range).await?;
            Ok(match fault {
                Some(Fault::Alter) => altered_stream(stream),
                Some(Fault::Cut) => {
                    let cut = stream::iter([Err(unavailable(key.as_str()))]);
                    stream.take(1).chain(cut).boxed()
                }
                _ => stream,
            })
        })
        .await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo, StoreError> {
        self.call(Operation::Head, key.as_str(), async |_| {
            self.inner.head(key).await
        })
        .await
    }

    fn list(&self, prefix: &str) -> ObjectStream {
        let failed = |error| stream::iter([Err(error)]).boxed();
        match self.next_fault(Operation::List) {
            Some(Fault::Unavailable | Fault::LostAnswer) => failed(unavailable(prefix)),
            Some(Fault::Denied) => failed(denied(prefix)),
            Some(Fault::Hang) => stream::pending().boxed(),
            Some(Fault::Late(_) | Fault::Alter | Fault::Cut | Fault::Full) | None => {
                self.inner.list(prefix)
            }
        }
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.call(Operation::Delete, key.as_str(), async |_| {
            self.inner.delete(key).await
        })
        .await
    }

    async fn lock(&self, key: &ObjectKey) -> Result<Lock, StoreError> {
        self.call(Operation::Lock, key.as_str(), async |_| {
            self.inner.lock(key).await
        })
        .await
    }

    /// Sends no request, so no fault is counted.
    async fn link(&self, key: &ObjectKey, lifetime: Duration) -> Result<Option<Link>, StoreError> {
        self.inner.link(key, lifetime).await
    }

    async fn list_unfinished_uploads(
        &self,
        prefix: &str,
    ) -> Result<Vec<UnfinishedUpload>, StoreError> {
        self.call(Operation::ListUnfinishedUploads, prefix, async |_| {
            self.inner.list_unfinished_uploads(prefix).await
        })
        .await
    }
}

fn altered_if(fault: Option<Fault>, body: Bytes) -> Bytes {
    if fault == Some(Fault::Alter) {
        altered(&body)
    } else {
        body
    }
}

fn sha256(body: &[u8]) -> Sha256Digest {
    Sha256Digest::new(Sha256::digest(body).into())
}

/// One bit flipped in the middle.
fn altered(body: &[u8]) -> Bytes {
    let mut bytes = body.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}

fn altered_stream(stream: ByteStream) -> ByteStream {
    let chunks = stream.enumerate();
    chunks
        .map(|(index, chunk)| {
            if index == 0 {
                chunk.map(|bytes| altered(&bytes))
            } else {
                chunk
            }
        })
        .boxed()
}

fn unavailable(key: &str) -> StoreError {
    StoreError::Unavailable {
        key: key.to_owned(),
        cause: "injected fault".to_owned(),
    }
}

fn full(key: &str) -> StoreError {
    StoreError::Full {
        key: key.to_owned(),
        cause: "injected fault".to_owned(),
    }
}

fn denied(key: &str) -> StoreError {
    StoreError::Denied {
        key: key.to_owned(),
        cause: "injected fault".to_owned(),
    }
}
