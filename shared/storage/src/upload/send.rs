//! The async end of an upload: parts are sent as they come, two at a time. The completion is a
//! separate step, so a caller can still abort after every byte is stored.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use holdfast_domain::ObjectKey;

use super::{
    MAX_PARTS, PartSource,
    open::OpenUpload,
    parts::{BUFFERS, Message},
};
use crate::{PutMode, Store, StoreError, Stored, UploadedPart};

/// Parts sent at a time: all buffers except the one being filled.
const IN_FLIGHT: usize = BUFFERS - 1;

/// Reason for an upload without a possible completion. Nothing of it remains.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The source ended without its end message.
    #[error("the data for `{key}` ended early: the uploaded parts are discarded")]
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

/// All bytes are in the store, but not yet visible. Complete it or abort it. A drop aborts it.
pub struct PendingUpload {
    store: Arc<dyn Store>,
    key: ObjectKey,
    size_bytes: u64,
    content: Content,
}

enum Content {
    /// Fits in one part: kept in memory until the completion, then put as one object.
    Whole(Bytes),
    Parts(OpenUpload, Vec<UploadedPart>),
}

/// Takes all parts from `source` and sends them to `store`. To cancel, drop the future: a new task
/// then aborts the upload.
///
/// # Errors
/// [`UploadError::SourceDied`] if the source ended without its end. [`UploadError::Store`] after a
/// permanent failure of the store. In both cases the upload was aborted.
pub async fn send_all(
    store: &Arc<dyn Store>,
    key: &ObjectKey,
    mut source: PartSource,
) -> Result<PendingUpload, UploadError> {
    let (size_bytes, content) = match source.receive().await {
        None => {
            return Err(UploadError::SourceDied {
                key: key.to_string(),
            });
        }
        Some(Message::End(whole)) => (whole.len() as u64, Content::Whole(whole)),
        Some(Message::More(first)) => {
            let open = OpenUpload::begin(store, key).await?;
            match send_parts(&open, first, source).await {
                Ok(parts) => (
                    parts.iter().map(|part| part.size_bytes).sum(),
                    Content::Parts(open, parts),
                ),
                Err(error) => {
                    open.abort().await;
                    return Err(error);
                }
            }
        }
    };
    Ok(PendingUpload {
        store: Arc::clone(store),
        key: key.clone(),
        size_bytes,
        content,
    })
}

impl PendingUpload {
    /// Number of bytes waiting for the completion.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Makes the object visible, and compares it with the sent bytes. An existing object under the
    /// key is never overwritten. Every other failure leaves nothing under the key, so the key
    /// must belong to this writer alone.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] for another writer's object under the key, which stays.
    /// Otherwise the store's error.
    pub async fn complete(self) -> Result<Stored, StoreError> {
        let outcome = match self.content {
            Content::Whole(body) => self.store.put(&self.key, body, PutMode::IfAbsent).await,
            Content::Parts(open, parts) => open.complete(&parts).await,
        };
        delete_after_failure(&*self.store, &self.key, outcome).await
    }

    /// Completes the upload under `key`, for a name that depends on the content. An upload of one
    /// part is put there at once. A larger one is completed under its first key, copied inside
    /// the store, and deleted there. Nothing is overwritten. After a failure, no complete
    /// object is deleted under `key`: it may be another writer's. If this future is dropped
    /// early, the object can remain under the first key.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] for other content under `key`, which stays. Otherwise the
    /// store's error. After [`StoreError::Unavailable`] the sent object may exist.
    pub async fn complete_as(self, key: &ObjectKey) -> Result<Stored, StoreError> {
        let (open, parts) = match self.content {
            Content::Whole(body) => return self.store.put(key, body, PutMode::IfAbsent).await,
            Content::Parts(open, parts) => (open, parts),
        };
        delete_after_failure(&*self.store, &self.key, open.complete(&parts).await).await?;
        let outcome = self.store.copy(&self.key, key, &parts).await;
        delete(&*self.store, &self.key).await;
        outcome
    }

    /// Discards everything.
    pub async fn abort(self) {
        if let Content::Parts(open, _) = self.content {
            open.abort().await;
        }
    }
}

/// After a failure, the store may have completed an unconfirmed write. The key is the writer's own,
/// unless it was already taken.
async fn delete_after_failure(
    store: &dyn Store,
    key: &ObjectKey,
    outcome: Result<Stored, StoreError>,
) -> Result<Stored, StoreError> {
    if outcome
        .as_ref()
        .is_err_and(|error| !matches!(error, StoreError::AlreadyExists { .. }))
    {
        delete(store, key).await;
    }
    outcome
}

async fn delete(store: &dyn Store, key: &ObjectKey) {
    if let Err(error) = store.delete(key).await {
        tracing::warn!(%key, reason = %error, "could not delete the remains of an upload");
    }
}

async fn send_parts(
    open: &OpenUpload,
    first: Bytes,
    mut source: PartSource,
) -> Result<Vec<UploadedPart>, UploadError> {
    let mut in_flight = FuturesUnordered::from_iter([send_part(open, 1, first)]);
    let mut sent = Vec::new();
    let mut number = 1;
    let mut ended = false;
    loop {
        tokio::select! {
            Some(part) = in_flight.next() => sent.push(part?),
            message = source.receive(), if !ended && in_flight.len() < IN_FLIGHT => {
                let body = match message {
                    None => return Err(UploadError::SourceDied { key: open.key().to_string() }),
                    Some(Message::More(body)) => body,
                    Some(Message::End(body)) => { ended = true; body }
                };
                number += 1;
                in_flight.push(send_part(open, number, body));
            }
            else => break,
        }
    }
    sent.sort_by_key(|part| part.number);
    Ok(sent)
}

async fn send_part(
    open: &OpenUpload,
    number: u32,
    body: Bytes,
) -> Result<UploadedPart, StoreError> {
    if number > MAX_PARTS {
        let cause = format!(
            "it needs more than {MAX_PARTS} parts of {} bytes",
            body.len()
        );
        return Err(StoreError::Limit {
            key: open.key().to_string(),
            cause,
        });
    }
    open.store()
        .upload_part(open.key(), open.id()?, number, body)
        .await
}
