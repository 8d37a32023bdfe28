//! Proof by reading, for stores without a SHA-256 of their objects. The stored object is read and
//! compared with the sent one, part by part.

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_domain::{ObjectKey, Sha256Digest};
use sha2::{Digest, Sha256};

use crate::{
    Checksum, CompositeDigest, Store, StoreError, Stored, UploadedPart,
    checksum::{sha256, to_base64},
    upload::OpenUpload,
};

/// Number of parts read or copied at a time.
const MAX_CONCURRENT_READS: usize = 4;

/// A part, and its place in the object.
pub(crate) struct Piece {
    pub(crate) number: u32,
    pub(crate) range: Range<u64>,
    pub(crate) sha256: Sha256Digest,
}

/// The parts in their places.
pub(crate) fn pieces(parts: &[UploadedPart]) -> impl Iterator<Item = Piece> + Send {
    parts.iter().scan(0, |end, part| {
        let start = *end;
        *end += part.size_bytes;
        Some(Piece {
            number: part.number,
            range: start..*end,
            sha256: part.sha256,
        })
    })
}

/// Checksum and size of an object with these parts.
pub(crate) fn whole(parts: &[UploadedPart]) -> Stored {
    Stored {
        size_bytes: parts.iter().map(|part| part.size_bytes).sum(),
        checksum: Checksum::Composite(CompositeDigest::of(parts.iter().map(|part| &part.sha256))),
    }
}

/// Reads an object of the right size. Fails with [`StoreError::Corrupt`] at the first different
/// piece.
pub(crate) async fn by_reading(
    store: &dyn Store,
    key: &ObjectKey,
    pieces: impl Iterator<Item = Piece> + Send,
) -> Result<(), StoreError> {
    let reads = pieces.map(|piece| async move {
        let mut chunks = store.get(key, Some(piece.range.clone())).await?;
        let mut hasher = Sha256::new();
        while let Some(chunk) = chunks.try_next().await? {
            hasher.update(&chunk);
        }
        agrees(key, &piece, Sha256Digest::new(hasher.finalize().into()))
    });
    stream::iter(reads)
        .buffer_unordered(MAX_CONCURRENT_READS)
        .try_collect()
        .await
}

fn agrees(key: &ObjectKey, piece: &Piece, found: Sha256Digest) -> Result<(), StoreError> {
    if found == piece.sha256 {
        return Ok(());
    }
    let (number, sent, found) = (piece.number, to_base64(&piece.sha256), to_base64(&found));
    let cause = format!("part {number} was sent with SHA-256 {sent}, but stored with {found}");
    Err(StoreError::Corrupt {
        key: key.to_string(),
        cause,
    })
}

/// Compares the stored size with the sent size.
pub(crate) fn is_of_size(key: &ObjectKey, sent: u64, stored: u64) -> Result<(), StoreError> {
    if sent == stored {
        return Ok(());
    }
    let cause = format!("{sent} bytes were sent, but {stored} stored");
    Err(StoreError::Corrupt {
        key: key.to_string(),
        cause,
    })
}

/// [`Store::copy`] for a store without proof of its copies: the bytes go through this process, each
/// part is compared, and the copy is completed like an upload. Memory: a few parts.
pub(crate) async fn copy_through_here(
    store: Arc<dyn Store>,
    from: &ObjectKey,
    to: &ObjectKey,
    parts: &[UploadedPart],
) -> Result<Stored, StoreError> {
    let expected = whole(parts);
    is_of_size(
        from,
        expected.size_bytes,
        store.head(from).await?.size_bytes,
    )?;
    if let Some(settled) = find_existing(&*store, to, parts).await? {
        return Ok(settled);
    }
    let open = OpenUpload::begin(&store, to).await?;
    match send_pieces(&open, from, parts).await {
        Ok(sent) => open.complete(&sent).await,
        Err(error) => {
            open.abort().await;
            Err(error)
        }
    }
}

async fn find_existing(
    store: &dyn Store,
    to: &ObjectKey,
    parts: &[UploadedPart],
) -> Result<Option<Stored>, StoreError> {
    let expected = whole(parts);
    let stands = match store.head(to).await {
        Err(error) if error.is_not_found() => return Ok(None),
        stands => stands?,
    };
    let compared = match is_of_size(to, expected.size_bytes, stands.size_bytes) {
        Ok(()) => by_reading(store, to, pieces(parts)).await,
        other => other,
    };
    match compared {
        Ok(()) => Ok(Some(expected)),
        Err(StoreError::Corrupt { key, cause }) => Err(StoreError::AlreadyExists { key, cause }),
        Err(error) => Err(error),
    }
}

async fn send_pieces(
    open: &OpenUpload,
    from: &ObjectKey,
    parts: &[UploadedPart],
) -> Result<Vec<UploadedPart>, StoreError> {
    let sends = pieces(parts).map(|piece| async move {
        let body = read_piece(open.store(), from, &piece).await?;
        agrees(from, &piece, sha256(body.clone()).await)?;
        open.store()
            .upload_part(open.key(), open.id()?, piece.number, body)
            .await
    });
    stream::iter(sends)
        .buffered(MAX_CONCURRENT_READS)
        .try_collect()
        .await
}

async fn read_piece(
    store: &dyn Store,
    from: &ObjectKey,
    piece: &Piece,
) -> Result<Bytes, StoreError> {
    let mut chunks = store.get(from, Some(piece.range.clone())).await?;
    let mut body = BytesMut::new();
    while let Some(chunk) = chunks.try_next().await? {
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
