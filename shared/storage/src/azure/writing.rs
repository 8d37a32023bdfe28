//! Writes and deletes complete blobs. After a write, size and SHA-256 of the blob are compared.
//! Azure checks the MD5 of the bytes when it stores this SHA-256. A blob of another program has no
//! SHA-256, so Holdfast reads the blob.

use bytes::Bytes;
use holdfast_domain::ObjectKey;
use reqwest::Method;

use super::{
    AzureStore,
    answers::{CHECKSUM, Seen},
    client::Request,
    remains,
};
use crate::{
    Checksum, PutMode, StoreError, Stored,
    checksum::{Md5, sha256},
    proof::{self, Piece, is_of_size},
    retry::Call,
};

pub(super) async fn put(
    store: &AzureStore,
    key: &ObjectKey,
    body: Bytes,
    mode: PutMode,
) -> Result<Stored, StoreError> {
    let digest = sha256(body.clone()).await;
    let expected = Stored {
        size_bytes: body.len() as u64,
        checksum: Checksum::Full(digest),
    };
    let md5 = Md5::of(&body).to_base64();
    let send = || {
        store.call(Call::sending("put", key.as_str(), body.len()), || {
            Request::for_blob(Method::PUT, store, key)
                .header("x-ms-blob-type", "BlockBlob")
                .header("content-md5", md5.clone())
                .header(CHECKSUM, expected.checksum.to_string())
                .header_if("if-none-match", (mode == PutMode::IfAbsent).then_some("*"))
                .header_if(
                    "if-match",
                    if let PutMode::IfUnchanged(etag) = &mode {
                        Some(etag)
                    } else {
                        None
                    },
                )
                .body(body.clone())
        })
    };
    let mut outcome = send().await;
    if remains::remove_abort_mark(store, key, &outcome).await? {
        outcome = send().await;
    }
    let piece = Piece {
        number: 1,
        range: 0..expected.size_bytes,
        sha256: digest,
    };
    match outcome {
        // Azure compared the MD5, and stored bytes and SHA-256 together.
        Ok(_) => Ok(expected),
        Err(error @ (StoreError::AlreadyExists { .. } | StoreError::Unavailable { .. })) => {
            resolve_uncertain_write(store, key, expected, std::iter::once(piece), error).await
        }
        Err(error) => Err(error),
    }
}

/// Success if the same object exists. Otherwise the original error.
pub(super) async fn resolve_uncertain_write(
    store: &AzureStore,
    key: &ObjectKey,
    expected: Stored,
    pieces: impl Iterator<Item = Piece> + Send,
    doubt: StoreError,
) -> Result<Stored, StoreError> {
    let found = compare(store, key, expected, pieces).await;
    if found.is_ok() {
        tracing::info!(%key, reason = %doubt, "the same object is already in the store");
    }
    found.map_err(|_| doubt)
}

/// Compares the stored object with the sent one: by its stored checksum, or else by reading.
pub(super) async fn compare(
    store: &AzureStore,
    key: &ObjectKey,
    expected: Stored,
    pieces: impl Iterator<Item = Piece> + Send,
) -> Result<Stored, StoreError> {
    let Seen {
        size_bytes,
        checksum,
        ..
    } = store.head_object(key).await?;
    is_of_size(key, expected.size_bytes, size_bytes)?;
    match checksum {
        None => proof::by_reading(store, key, pieces).await?,
        Some(found) if found == expected.checksum.to_string() => {}
        Some(found) => {
            let cause = format!(
                "it was sent with checksum {}, but stored with {found}",
                expected.checksum
            );
            return Err(StoreError::Corrupt {
                key: key.to_string(),
                cause,
            });
        }
    }
    Ok(expected)
}
