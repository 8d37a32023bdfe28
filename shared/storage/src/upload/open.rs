//! An upload in parts with a guaranteed end: it is completed or aborted, even if its owner is
//! dropped.

use std::{mem, sync::Arc};

use holdfast_domain::ObjectKey;

use crate::{Store, StoreError, Stored, UploadId, UploadedPart};

/// An open upload. On drop, a new task aborts it.
pub(crate) struct OpenUpload {
    store: Arc<dyn Store>,
    key: ObjectKey,
    id: Option<UploadId>,
}

impl OpenUpload {
    /// Runs in its own task. If the caller is dropped before the answer, the upload is still known,
    /// and aborted.
    pub(crate) async fn begin(store: &Arc<dyn Store>, key: &ObjectKey) -> Result<Self, StoreError> {
        let (store, owned_key) = (Arc::clone(store), key.clone());
        let begun = tokio::spawn(async move {
            let id = store.begin_upload(&owned_key).await?;
            Ok(Self {
                store,
                key: owned_key,
                id: Some(id),
            })
        });
        begun.await.unwrap_or_else(|failure| {
            Err(StoreError::Unavailable {
                key: key.to_string(),
                cause: format!("the beginning of the upload was cancelled: {failure}"),
            })
        })
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }

    pub(crate) fn id(&self) -> Result<&UploadId, StoreError> {
        let ended = || StoreError::Invalid {
            key: self.key.to_string(),
            cause: "the upload has ended".to_owned(),
        };
        self.id.as_ref().ok_or_else(ended)
    }

    pub(crate) async fn complete(mut self, parts: &[UploadedPart]) -> Result<Stored, StoreError> {
        match self
            .store
            .complete_upload(&self.key, self.id()?, parts)
            .await
        {
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

    /// Also succeeds if the upload has become an object, because there is nothing to abort.
    pub(crate) async fn abort(mut self) {
        // Forgotten only after the abort. An interrupted abort is repeated on drop.
        if let Some(id) = &self.id {
            abort(&*self.store, &self.key, id).await;
        }
        self.id = None;
    }
}

impl Drop for OpenUpload {
    fn drop(&mut self) {
        let Some(id) = mem::take(&mut self.id) else {
            return;
        };
        // Without a runtime the process is ending: the sweep finds the upload.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (store, key) = (Arc::clone(&self.store), self.key.clone());
        runtime.spawn(async move { abort(&*store, &key, &id).await });
    }
}

async fn abort(store: &dyn Store, key: &ObjectKey, id: &UploadId) {
    if let Err(error) = store.abort_upload(key, id).await {
        tracing::warn!(%key, upload = id.0, reason = %error, "could not abort an upload: the sweep will remove it");
    }
}
