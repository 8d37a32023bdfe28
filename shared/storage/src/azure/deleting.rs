//! Deletes blobs.

use holdfast_domain::ObjectKey;
use reqwest::Method;

use super::{AzureStore, client::Request};
use crate::{StoreError, retry::Call};

/// Deletes a blob. With an `etag`, only this content of it.
pub(super) async fn delete(
    store: &AzureStore,
    key: &ObjectKey,
    etag: Option<&str>,
) -> Result<(), StoreError> {
    let outcome = store.call(Call::short("delete", key.as_str()), || {
        Request::for_blob(Method::DELETE, store, key)
            .header("x-ms-delete-snapshots", "include")
            .header_if("if-match", etag)
    });
    match outcome.await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
