//! The async end of an upload: parts go out as they come, two at a time; completing is a step of its own, so that a
//! caller can still decide against it when every byte is stored.

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
            match send_parts(&open, first, source).await {
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
        clear_up(&*self.store, &self.key, outcome).await
    }

    /// The same under `key`, for a name that was known only when every byte was through. What fits in one part is put
    /// there at once; the rest is completed under the key it was begun with, copied inside the store, and deleted there.
    /// Nothing is written over, and after a failure nothing whole is deleted under `key`: it may be another's by now.
    /// Dropped half-way, it can leave the object under the first key.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] where `key` is taken by other content, which is left; else what the store said. After
    /// [`StoreError::Unavailable`] the object may be there all the same, as it was sent.
    pub async fn complete_as(self, key: &ObjectKey) -> Result<Stored, StoreError> {
        let (open, parts) = match self.content {
            Content::Whole(body) => return self.store.put(key, body, PutMode::IfAbsent).await,
            Content::Parts(open, parts) => (open, parts),
        };
        clear_up(&*self.store, &self.key, open.complete(&parts).await).await?;
        let outcome = self.store.copy(&self.key, key, &parts).await;
        delete(&*self.store, &self.key).await;
        outcome
    }

    /// Throws everything away.
    pub async fn abort(self) {
        if let Content::Parts(open, _) = self.content {
            open.abort().await;
        }
    }
}

/// After a failure the store may have done what it could not confirm. The key is the writer's own, unless it was taken.
async fn clear_up(
    store: &dyn Store,
    key: &ObjectKey,
    outcome: Result<Stored, StoreError>,
) -> Result<Stored, StoreError> {
    if outcome.as_ref().is_err_and(|error| !matches!(error, StoreError::AlreadyExists { .. })) {
        delete(store, key).await;
    }
    outcome
}

async fn delete(store: &dyn Store, key: &ObjectKey) {
    if let Err(error) = store.delete(key).await {
        tracing::warn!(%key, reason = %error, "what an upload left on its way could not be deleted");
    }
}

async fn send_parts(open: &OpenUpload, first: Bytes, mut source: PartSource) -> Result<Vec<UploadedPart>, UploadError> {
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

async fn send_part(open: &OpenUpload, number: u32, body: Bytes) -> Result<UploadedPart, StoreError> {
    if number > MAX_PARTS {
        let cause = format!("it takes more than {MAX_PARTS} parts of {} bytes", body.len());
        return Err(StoreError::Limit { key: open.key().to_string(), cause });
    }
    open.store().upload_part(open.key(), open.id()?, number, body).await
}
