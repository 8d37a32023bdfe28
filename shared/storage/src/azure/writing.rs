//! Writing a blob whole, and deleting one. What Azure holds afterwards is compared by size and by the SHA-256 beside it,
//! which was stored together with bytes whose MD5 it checked; a blob that something else wrote is read.

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

pub(super) async fn put(store: &AzureStore, key: &ObjectKey, body: Bytes, mode: PutMode) -> Result<Stored, StoreError> {
    let digest = sha256(body.clone()).await;
    let expected = Stored { size_bytes: body.len() as u64, checksum: Checksum::Full(digest) };
    let md5 = Md5::of(&body).to_base64();
    let send = || {
        store.call(Call::sending("put", key.as_str(), body.len()), || {
            Request::of_blob(Method::PUT, store, key)
                .header("x-ms-blob-type", "BlockBlob")
                .header("content-md5", md5.clone())
                .header(CHECKSUM, expected.checksum.to_string())
                .header_if("if-none-match", (mode == PutMode::IfAbsent).then_some("*"))
                .header_if("if-match", if let PutMode::IfUnchanged(etag) = &mode { Some(etag) } else { None })
                .body(body.clone())
        })
    };
    let mut outcome = send().await;
    if remains::stand_in_the_way(store, key, &outcome).await? {
        outcome = send().await;
    }
    let piece = Piece { number: 1, range: 0..expected.size_bytes, sha256: digest };
    match outcome {
        // Azure compared the MD5, and stored bytes and SHA-256 as one.
        Ok(_) => Ok(expected),
        Err(error @ (StoreError::AlreadyExists { .. } | StoreError::Unavailable { .. })) => {
            settle_doubt(store, key, expected, std::iter::once(piece), error).await
        }
        Err(error) => Err(error),
    }
}

/// Success where the very object stands there; else the error that raised the doubt.
pub(super) async fn settle_doubt(
    store: &AzureStore,
    key: &ObjectKey,
    expected: Stored,
    pieces: impl Iterator<Item = Piece> + Send,
    doubt: StoreError,
) -> Result<Stored, StoreError> {
    let found = compare(store, key, expected, pieces).await;
    if found.is_ok() {
        tracing::info!(%key, reason = %doubt, "the object is in the store already, as it was sent");
    }
    found.map_err(|_| doubt)
}

/// Compares what the store holds with what was sent: by what stands beside it, or by reading where nothing does.
pub(super) async fn compare(
    store: &AzureStore,
    key: &ObjectKey,
    expected: Stored,
    pieces: impl Iterator<Item = Piece> + Send,
) -> Result<Stored, StoreError> {
    let Seen { size_bytes, checksum, .. } = store.look(key).await?;
    is_of_size(key, expected.size_bytes, size_bytes)?;
    match checksum {
        None => proof::by_reading(store, key, pieces).await?,
        Some(found) if found == expected.checksum.to_string() => {}
        Some(found) => {
            let cause = format!("it was sent with checksum {}, stored is one with {found}", expected.checksum);
            return Err(StoreError::Corrupt { key: key.to_string(), cause });
        }
    }
    Ok(expected)
}

/// Deletes a blob, or that very content of it.
pub(super) async fn delete(store: &AzureStore, key: &ObjectKey, etag: Option<&str>) -> Result<(), StoreError> {
    let outcome = store.call(Call::short("delete", key.as_str()), || {
        Request::of_blob(Method::DELETE, store, key)
            .header("x-ms-delete-snapshots", "include")
            .header_if("if-match", etag)
    });
    match outcome.await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
