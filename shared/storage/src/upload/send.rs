//! The async end of an upload: parts go out as they come, two at a time; completing is a step of its own, so that a
//! caller can still decide against it when every byte is stored.

use std::{mem, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use holdfast_domain::ObjectKey;

use super::{
    MAX_PARTS, PartSource,
    parts::{BUFFERS, Message},
};
use crate::{PutMode, Store, StoreError, Stored, UploadId, UploadedPart};

/// Parts on their way at a time: all buffers but the one being filled.
const IN_FLIGHT: usize = BUFFERS - 1;

/// Why an upload did not come to the point where it could be completed. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The source ended without saying that it was done.
    #[error("the data for `{key}` broke off before their end; what was uploaded is thrown away")]
    SourceDied {
        /// The object.
        key: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UploadError {
    /// Whether the same upload may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

/// Every byte has been handed to the store, and nothing is visible yet. Complete it or abort it; dropped, it aborts.
pub struct PendingUpload {
    store: Arc<dyn Store>,
    key: ObjectKey,
    size_bytes: u64,
    content: Content,
}

enum Content {
    /// Fits in one part: kept here until it is completed, then put whole.
    Whole(Bytes),
    Parts(OpenUpload, Vec<UploadedPart>),
}

/// Takes all parts from `source` and sends them to `store`. To cancel, drop the future: what was begun is aborted by
/// a task of its own.
///
/// # Errors
/// [`UploadError::SourceDied`] where the source ended without its end; [`UploadError::Store`] where the store failed
/// for good. The upload was aborted then.
pub async fn send_all(
    store: &Arc<dyn Store>,
    key: &ObjectKey,
    mut source: PartSource,
) -> Result<PendingUpload, UploadError> {
    let (size_bytes, content) = match source.receive().await {
        None => return Err(UploadError::SourceDied { key: key.to_string() }),
        Some(Message::End(whole)) => (whole.len() as u64, Content::Whole(whole)),
        Some(Message::More(first)) => {
            let open = OpenUpload::begin(store, key).await?;
            match open.send_parts(first, source).await {
                Ok(parts) => (parts.iter().map(|part| part.size_bytes).sum(), Content::Parts(open, parts)),
                Err(error) => {
                    open.abort().await;
                    return Err(error);
                }
            }
        }
    };
    Ok(PendingUpload { store: Arc::clone(store), key: key.clone(), size_bytes, content })
}

impl PendingUpload {
    /// How many bytes wait to be completed.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Makes the object visible, compared with what was sent. It never writes over what stands under the key; any other
    /// failure leaves nothing there, so the key must be the writer's own.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] where the key is taken by another's object, which is left; else what the store said.
    pub async fn complete(self) -> Result<Stored, StoreError> {
        let outcome = match self.content {
            Content::Whole(body) => self.store.put(&self.key, body, PutMode::IfAbsent).await,
            Content::Parts(open, parts) => open.complete(&parts).await,
        };
        if outcome.as_ref().is_err_and(|error| !matches!(error, StoreError::AlreadyExists { .. })) {
            // The store may have done what it could not confirm.
            if let Err(error) = self.store.delete(&self.key).await {
                tracing::warn!(key = %self.key, reason = %error, "what a failed upload may have left could not be deleted");
            }
        }
        outcome
    }

    /// Throws everything away.
    pub async fn abort(self) {
        if let Content::Parts(open, _) = self.content {
            open.abort().await;
        }
    }
}

/// An upload in parts that somebody has to end: dropped, it is aborted by a task of its own.
struct OpenUpload {
    store: Arc<dyn Store>,
    key: ObjectKey,
    id: Option<UploadId>,
}

impl OpenUpload {
    /// Runs in a task of its own: where the caller leaves before the answer, the upload is still known, and aborted.
    async fn begin(store: &Arc<dyn Store>, key: &ObjectKey) -> Result<Self, StoreError> {
        let (store, owned_key) = (Arc::clone(store), key.clone());
        let begun = tokio::spawn(async move {
            let id = store.begin_upload(&owned_key).await?;
            Ok(Self { store, key: owned_key, id: Some(id) })
        });
        begun.await.unwrap_or_else(|failure| {
            Err(StoreError::Unavailable {
                key: key.to_string(),
                cause: format!("the upload's begin was lost: {failure}"),
            })
        })
    }

    async fn send_parts(&self, first: Bytes, mut source: PartSource) -> Result<Vec<UploadedPart>, UploadError> {
        let mut in_flight = FuturesUnordered::from_iter([self.send_part(1, first)]);
        let mut sent = Vec::new();
        let mut number = 1;
        let mut ended = false;
        loop {
            tokio::select! {
                Some(part) = in_flight.next() => sent.push(part?),
                message = source.receive(), if !ended && in_flight.len() < IN_FLIGHT => {
                    let body = match message {
                        None => return Err(UploadError::SourceDied { key: self.key.to_string() }),
                        Some(Message::More(body)) => body,
                        Some(Message::End(body)) => { ended = true; body }
                    };
                    number += 1;
                    in_flight.push(self.send_part(number, body));
                }
                else => break,
            }
        }
        sent.sort_by_key(|part| part.number);
        Ok(sent)
    }

    async fn send_part(&self, number: u32, body: Bytes) -> Result<UploadedPart, StoreError> {
        if number > MAX_PARTS {
            let cause = format!("it takes more than {MAX_PARTS} parts of {} bytes", body.len());
            return Err(StoreError::Limit { key: self.key.to_string(), cause });
        }
        self.store.upload_part(&self.key, self.id()?, number, body).await
    }

    async fn complete(mut self, parts: &[UploadedPart]) -> Result<Stored, StoreError> {
        match self.store.complete_upload(&self.key, self.id()?, parts).await {
            Ok(stored) => {
                self.id = None;
                Ok(stored)
            }
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    async fn abort(mut self) {
        // Forgotten only when it is done: an abort that is cut short is made again on drop.
        if let Some(id) = &self.id {
            abort(&*self.store, &self.key, id).await;
        }
        self.id = None;
    }

    fn id(&self) -> Result<&UploadId, StoreError> {
        let ended = || StoreError::Invalid { key: self.key.to_string(), cause: "the upload has ended".to_owned() };
        self.id.as_ref().ok_or_else(ended)
    }
}

impl Drop for OpenUpload {
    fn drop(&mut self) {
        let Some(id) = mem::take(&mut self.id) else { return };
        // Without a runtime the process is ending: the sweep finds the upload.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        runtime.spawn(async move { abort(&*store, &key, &id).await });
    }
}

async fn abort(store: &dyn Store, key: &ObjectKey, id: &UploadId) {
    if let Err(error) = store.abort_upload(key, id).await {
        tracing::warn!(%key, upload = id.0, reason = %error, "an upload could not be aborted; the sweep will find it");
    }
}
