//! Azure has no way to throw away blocks that wait, but to commit others. So an aborted upload is committed as an empty
//! blob that is marked, which is deleted at once. To this store such a blob is nothing: it is in no list, and is neither
//! read nor in the way, should the process have died between the two.

use bytes::Bytes;
use holdfast_domain::ObjectKey;
use reqwest::{Method, Response};

use super::{
    AzureStore,
    answers::REMAINS,
    blocks::{Upload, empty_list},
    client::Request,
    writing,
};
use crate::{StoreError, retry::Call};

/// Throws away all blocks that wait under a name. Where a blob stands there, they stay, and Azure drops them after a week.
pub(super) async fn discard(store: &AzureStore, key: &ObjectKey, upload: Upload) -> Result<(), StoreError> {
    let committed = store.call(Call::short("abort_upload", key.as_str()), || {
        Request::of_blob(Method::PUT, store, key)
            .query("comp", "blocklist")
            .header(REMAINS, upload.id().0)
            .header("if-none-match", "*")
            .body(Bytes::from(empty_list()))
    });
    match committed.await {
        // What is there already is its own, whose answer got lost, or an object, which is left.
        Ok(_) | Err(StoreError::AlreadyExists { .. }) => clear(store, key).await.map(drop),
        Err(error) => Err(error),
    }
}

/// Whether a write failed for what an abort left, and is to be tried again: it is deleted now.
pub(super) async fn stand_in_the_way(
    store: &AzureStore,
    key: &ObjectKey,
    outcome: &Result<Response, StoreError>,
) -> Result<bool, StoreError> {
    match outcome {
        Err(StoreError::AlreadyExists { .. }) => clear(store, key).await,
        _ => Ok(false),
    }
}

/// Deletes what an abort left, if it is that; says whether it was.
async fn clear(store: &AzureStore, key: &ObjectKey) -> Result<bool, StoreError> {
    let seen = match store.look_at_all(key).await {
        Err(error) if error.is_not_found() => return Ok(false),
        seen => seen?,
    };
    if seen.is_remains {
        match writing::delete(store, key, Some(&seen.etag)).await {
            // Another has written there meanwhile.
            Err(StoreError::AlreadyExists { .. }) => return Ok(false),
            outcome => outcome?,
        }
    }
    Ok(seen.is_remains)
}
