//! Discards the uncommitted blocks of an aborted upload. Azure can discard them only by a commit of
//! other blocks. An aborted upload is therefore committed as a marked empty blob, and deleted at
//! once. If the process dies in between, the store treats the marked blob as missing: lists, reads
//! and writes ignore it.

use bytes::Bytes;
use holdfast_domain::ObjectKey;
use reqwest::{Method, Response};

use super::{
    AzureStore,
    answers::REMAINS,
    blocks::{Upload, empty_list},
    client::Request,
    deleting,
};
use crate::{StoreError, retry::Call};

/// Discards all uncommitted blocks under a name. If a blob exists there, the blocks stay, and Azure
/// drops them after a week.
pub(super) async fn discard(
    store: &AzureStore,
    key: &ObjectKey,
    upload: Upload,
) -> Result<(), StoreError> {
    let committed = store.call(Call::short("abort_upload", key.as_str()), || {
        Request::for_blob(Method::PUT, store, key)
            .query("comp", "blocklist")
            .header(REMAINS, upload.id().0)
            .header("if-none-match", "*")
            .body(Bytes::from(empty_list()))
    });
    match committed.await {
        // An existing blob is either the mark of an abort with a lost answer, or an object. An
        // object stays.
        Ok(_) | Err(StoreError::AlreadyExists { .. }) => clear(store, key).await.map(drop),
        Err(error) => Err(error),
    }
}

/// Whether the mark of an abort made a write fail. The mark is then deleted, and the write can be
/// retried.
pub(super) async fn remove_abort_mark(
    store: &AzureStore,
    key: &ObjectKey,
    outcome: &Result<Response, StoreError>,
) -> Result<bool, StoreError> {
    match outcome {
        Err(StoreError::AlreadyExists { .. }) => clear(store, key).await,
        _ => Ok(false),
    }
}

/// Deletes the mark of an abort. Returns whether the blob was one.
async fn clear(store: &AzureStore, key: &ObjectKey) -> Result<bool, StoreError> {
    let seen = match store.head_any(key).await {
        Err(error) if error.is_not_found() => return Ok(false),
        seen => seen?,
    };
    if seen.is_remains {
        match deleting::delete(store, key, Some(&seen.etag)).await {
            // Another writer has replaced it in the meantime.
            Err(StoreError::AlreadyExists { .. }) => return Ok(false),
            outcome => outcome?,
        }
    }
    Ok(seen.is_remains)
}
