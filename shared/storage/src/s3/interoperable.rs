//! Writes to a store with S3's calls, but without SHA-256 of its objects and without conditional
//! writes. A body has an MD5, and such stores check it. The stored checksum is then compared, or
//! the object is read back. A request checks first whether the name is free. Inside this process, a
//! second writer of a name waits for the first. A lease must separate writers in two processes.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use bytes::Bytes;
use holdfast_domain::ObjectKey;
use tokio::sync::{Mutex, MutexGuard};

use super::{
    S3Store,
    errors::translate,
    writing::{may_be_done, part_list},
};
use crate::{
    Checksum, PutMode, Store, StoreError, Stored, UploadId, UploadedPart,
    checksum::{Md5, sha256},
    proof::{self, Piece, is_of_size, pieces, whole},
    retry::Call,
};

/// Locks for names in use by writers. Two names may share a lock: the second writer then waits
/// unnecessarily, without harm.
#[derive(Default)]
pub(super) struct Names([Mutex<()>; 32]);

impl Names {
    async fn keep(&self, key: &ObjectKey) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key.as_str());
        let place = usize::try_from(hash % self.0.len() as u64).unwrap_or_default();
        self.0[place].lock().await
    }
}

pub(super) async fn put(
    store: &S3Store,
    key: &ObjectKey,
    body: Bytes,
    mode: PutMode,
) -> Result<Stored, StoreError> {
    let (size_bytes, digest, md5) = (
        body.len() as u64,
        sha256(body.clone()).await,
        Md5::of(&body),
    );
    let expected = Stored {
        size_bytes,
        checksum: Checksum::Full(digest),
    };
    let piece = || {
        std::iter::once(Piece {
            number: 1,
            range: 0..size_bytes,
            sha256: digest,
        })
    };
    let _kept = store.names.keep(key).await;
    match &mode {
        PutMode::Replace => {}
        PutMode::IfAbsent => {
            if is_there(store, key, size_bytes, piece()).await? {
                return Ok(expected);
            }
        }
        PutMode::IfUnchanged(etag) => is_unchanged(store, key, etag).await?,
    }
    let outcome = store
        .retry
        .run(Call::sending("put", key.as_str(), body.len()), async || {
            let request = store
                .client
                .put_object()
                .bucket(&*store.bucket)
                .key(store.full_key(key));
            let request = request
                .content_md5(md5.to_base64())
                .body(body.clone().into());
            let answer = request
                .send()
                .await
                .map_err(|error| translate(key.as_str(), &error))?;
            if answer.e_tag.is_some_and(|etag| md5.is(&etag)) {
                return Ok(());
            }
            compare(store, key, size_bytes, piece()).await
        });
    match outcome.await {
        Ok(()) => Ok(expected),
        // The write may have succeeded with a lost answer.
        Err(doubt @ StoreError::Unavailable { .. }) => {
            match compare(store, key, size_bytes, piece()).await {
                Ok(()) => Ok(expected),
                Err(_) => Err(doubt),
            }
        }
        Err(error @ StoreError::Corrupt { .. }) => {
            // The name was free, so this write made the object. It is deleted before a reader can
            // find it.
            if mode == PutMode::IfAbsent {
                delete_damaged(store, key).await;
            }
            Err(error)
        }
        Err(error) => Err(error),
    }
}

pub(super) async fn complete(
    store: &S3Store,
    key: &ObjectKey,
    upload: &UploadId,
    parts: &[UploadedPart],
) -> Result<Stored, StoreError> {
    let expected = whole(parts);
    let _kept = store.names.keep(key).await;
    if is_there(store, key, expected.size_bytes, pieces(parts)).await? {
        // The object may come from a faster writer with the same content.
        store.abort_upload(key, upload).await?;
        return Ok(expected);
    }
    let list = part_list(store, key, parts)?;
    let outcome = store
        .retry
        .run(Call::long("complete_upload", key.as_str()), async || {
            let request = store
                .client
                .complete_multipart_upload()
                .bucket(&*store.bucket)
                .key(store.full_key(key));
            let request = request.upload_id(&upload.0).multipart_upload(list.clone());
            request
                .send()
                .await
                .map_err(|error| translate(key.as_str(), &error))
        });
    match outcome.await {
        Ok(_) => keep_what_is_proved(store, key, parts).await,
        Err(error) if may_be_done(&error) => {
            match compare(store, key, expected.size_bytes, pieces(parts)).await {
                Ok(()) => Ok(expected),
                Err(_) => Err(from_upload(store, key, upload, error).await),
            }
        }
        Err(error) => Err(error),
    }
}

/// Some servers do not report a missing upload: one fails internally.
async fn from_upload(
    store: &S3Store,
    key: &ObjectKey,
    upload: &UploadId,
    error: StoreError,
) -> StoreError {
    match (error, store.list_unfinished_uploads(key.as_str()).await) {
        (StoreError::Unavailable { key, cause }, Ok(known))
            if known.iter().all(|one| one.upload_id != *upload) =>
        {
            StoreError::NotFound {
                key,
                cause: format!("there is no such upload: {cause}"),
            }
        }
        (error, _) => error,
    }
}

/// This upload has just made the object. If it is not the sent content, it is deleted before a
/// reader can find it.
async fn keep_what_is_proved(
    store: &S3Store,
    key: &ObjectKey,
    parts: &[UploadedPart],
) -> Result<Stored, StoreError> {
    let expected = whole(parts);
    let proved = compare(store, key, expected.size_bytes, pieces(parts)).await;
    if let Err(StoreError::Corrupt { .. }) = &proved {
        delete_damaged(store, key).await;
    }
    proved.map(|()| expected)
}

async fn delete_damaged(store: &S3Store, key: &ObjectKey) {
    if let Err(error) = store.delete(key).await {
        tracing::warn!(%key, reason = %error, "could not delete a damaged object");
    }
}

/// Whether the same object exists. A different object is an error.
async fn is_there(
    store: &S3Store,
    key: &ObjectKey,
    size_bytes: u64,
    pieces: impl Iterator<Item = Piece> + Send,
) -> Result<bool, StoreError> {
    match compare(store, key, size_bytes, pieces).await {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(StoreError::Corrupt { key, cause }) => Err(StoreError::AlreadyExists { key, cause }),
        Err(error) => Err(error),
    }
}

async fn is_unchanged(store: &S3Store, key: &ObjectKey, etag: &str) -> Result<(), StoreError> {
    let found = store.head_object(key).await?.etag;
    if found == etag {
        return Ok(());
    }
    let cause = format!("its ETag changed from {etag} to {found}");
    Err(StoreError::AlreadyExists {
        key: key.to_string(),
        cause,
    })
}

async fn compare(
    store: &S3Store,
    key: &ObjectKey,
    size_bytes: u64,
    pieces: impl Iterator<Item = Piece> + Send,
) -> Result<(), StoreError> {
    is_of_size(key, size_bytes, store.head_object(key).await?.size_bytes)?;
    proof::by_reading(store, key, pieces).await
}
