//! Copies inside S3, part by part, without a download. The SHA-256 of each copied part, if S3
//! returns it, is compared before the copy becomes visible. The complete object's checksum is
//! compared afterwards. A store without checksums of copies is not trusted: the copy is read back,
//! and deleted if it differs.

use std::sync::Arc;

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_domain::ObjectKey;

use super::{
    S3Store,
    errors::translate,
    malformed,
    writing::{agree, compare, may_be_done, s3_number, send_complete},
};
use crate::{
    Store, StoreError, Stored, UploadId, UploadedPart,
    checksum::to_base64,
    proof::{Piece, by_reading, pieces, whole},
    retry::Call,
    upload::OpenUpload,
};

/// Number of parts copied at a time. S3 does the work, and takes some 0.1 s for each.
const MAX_CONCURRENT_PARTS: usize = 8;

pub(super) async fn copy(
    store: &S3Store,
    from: &ObjectKey,
    to: &ObjectKey,
    parts: &[UploadedPart],
) -> Result<Stored, StoreError> {
    compare(store, from, whole(parts)).await?;
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let open = OpenUpload::begin(&shared, to).await?;
    let copying = Copying {
        store,
        from,
        to,
        parts,
    };
    let outcome = match open.id() {
        Ok(upload) => copying.run(upload).await,
        Err(error) => Err(error),
    };
    // Also after a success: the object may come from a faster writer with the same content.
    open.abort().await;
    outcome
}

struct Copying<'a> {
    store: &'a S3Store,
    from: &'a ObjectKey,
    to: &'a ObjectKey,
    parts: &'a [UploadedPart],
}

impl Copying<'_> {
    async fn run(&self, upload: &UploadId) -> Result<Stored, StoreError> {
        let list = self.copy_parts(upload).await?;
        match send_complete(
            self.store,
            self.to,
            upload,
            &list,
            whole(self.parts).size_bytes,
        )
        .await
        {
            Ok(()) => self.keep_what_is_proved().await,
            Err(error) if may_be_done(&error) => self.prove().await.map_err(|_| error),
            Err(error) => Err(error),
        }
    }

    async fn copy_parts(&self, upload: &UploadId) -> Result<CompletedMultipartUpload, StoreError> {
        let calls = pieces(self.parts).map(|piece| self.copy_part(upload, piece));
        let list: Vec<CompletedPart> = stream::iter(calls)
            .buffered(MAX_CONCURRENT_PARTS)
            .try_collect()
            .await?;
        Ok(CompletedMultipartUpload::builder()
            .set_parts(Some(list))
            .build())
    }

    async fn copy_part(
        &self,
        upload: &UploadId,
        piece: Piece,
    ) -> Result<CompletedPart, StoreError> {
        let number = s3_number(self.to, piece.number)?;
        // S3 accepts ranges of large objects only. A single part is the complete object.
        let range = (self.parts.len() > 1).then(|| range_header(&piece));
        let answer =
            self.store
                .retry
                .run(Call::long("copy_part", self.from.as_str()), async || {
                    let request = self
                        .store
                        .client
                        .upload_part_copy()
                        .bucket(&*self.store.bucket);
                    let request = request
                        .key(self.store.full_key(self.to))
                        .upload_id(&upload.0)
                        .part_number(number)
                        .copy_source(source_header(self.store, self.from))
                        .set_copy_source_range(range.clone());
                    request
                        .send()
                        .await
                        .map_err(|error| translate(self.from.as_str(), &error))
                });
        let copied = answer
            .await?
            .copy_part_result
            .ok_or_else(|| malformed(self.to.as_str(), "no copied part"))?;
        if let Some(found) = &copied.checksum_sha256 {
            self.agrees(&piece, found)?;
        }
        let etag = copied
            .e_tag
            .ok_or_else(|| malformed(self.to.as_str(), "a copied part without an ETag"))?;
        let entry = CompletedPart::builder().part_number(number).e_tag(etag);
        Ok(entry.set_checksum_sha256(copied.checksum_sha256).build())
    }

    /// This copy has just made the object. If it is not the sent content, it is deleted before a
    /// reader can find it.
    async fn keep_what_is_proved(&self) -> Result<Stored, StoreError> {
        let proved = self.prove().await;
        if let Err(StoreError::Corrupt { .. }) = &proved
            && let Err(error) = self.store.delete(self.to).await
        {
            tracing::warn!(key = %self.to, reason = %error, "could not delete a damaged copy");
        }
        proved
    }

    /// Proves it by the store's checksum, or by reading if the store has no checksum.
    async fn prove(&self) -> Result<Stored, StoreError> {
        let (seen, expected) = (self.store.head_object(self.to).await?, whole(self.parts));
        if seen.sha256.is_some() || seen.size_bytes != expected.size_bytes {
            return agree(self.to, seen, expected);
        }
        by_reading(self.store, self.to, pieces(self.parts)).await?;
        Ok(expected)
    }

    fn agrees(&self, piece: &Piece, found: &str) -> Result<(), StoreError> {
        let (number, from, expected) = (piece.number, self.from, to_base64(&piece.sha256));
        if found == expected {
            return Ok(());
        }
        let cause = format!(
            "part {number} of `{from}` was sent with checksum {expected}, but its copy has {found}"
        );
        Err(StoreError::Corrupt {
            key: self.to.to_string(),
            cause,
        })
    }
}

fn range_header(piece: &Piece) -> String {
    format!(
        "bytes={}-{}",
        piece.range.start,
        piece.range.end.saturating_sub(1)
    )
}

/// Bucket and key in the form of S3's copy header: all escaped, except `/` and unreserved
/// characters.
fn source_header(store: &S3Store, key: &ObjectKey) -> String {
    let name = format!("{}/{}", store.bucket, store.full_key(key));
    let escaped = name.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    escaped.collect()
}
