//! Writes to S3. Every body has its SHA-256 in a signed header, and S3 refuses altered bytes.
//! Afterwards S3's stored checksum is compared with ours, so a lost answer leaves no doubt.

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use holdfast_domain::ObjectKey;

use super::{S3Store, Seen, errors::translate, malformed};
use crate::{
    Checksum, PutMode, StoreError, Stored, UploadId, UploadedPart,
    checksum::{Md5, sha256, to_base64},
    error::NO_CHECKSUMS,
    proof::whole,
    retry::Call,
};

pub(super) async fn put(
    store: &S3Store,
    key: &ObjectKey,
    body: Bytes,
    mode: PutMode,
) -> Result<Stored, StoreError> {
    let expected = Stored {
        size_bytes: body.len() as u64,
        checksum: Checksum::Full(sha256(body.clone()).await),
    };
    let outcome = store
        .retry
        .run(Call::sending("put", key.as_str(), body.len()), async || {
            let request = store
                .client
                .put_object()
                .bucket(&*store.bucket)
                .key(store.full_key(key));
            let request = request
                .set_if_none_match((mode == PutMode::IfAbsent).then(|| "*".to_owned()))
                .set_if_match(if let PutMode::IfUnchanged(etag) = &mode {
                    Some(etag.clone())
                } else {
                    None
                })
                .checksum_sha256(expected.checksum.to_string())
                .body(body.clone().into())
                // Its digest is already a signed header. A signature of the body would only hash it
                // again.
                .customize()
                .disable_payload_signing();
            request
                .send()
                .await
                .map_err(|error| translate(key.as_str(), &error))
        });
    match outcome.await {
        Ok(answer) if answer.checksum_sha256 == Some(expected.checksum.to_string()) => Ok(expected),
        Ok(_) => compare(store, key, expected).await,
        Err(error @ (StoreError::AlreadyExists { .. } | StoreError::Unavailable { .. })) => {
            resolve_uncertain_write(store, key, expected, error).await
        }
        Err(error) => Err(error),
    }
}

pub(super) async fn begin(store: &S3Store, key: &ObjectKey) -> Result<UploadId, StoreError> {
    let answer = store
        .retry
        .run(Call::short("begin_upload", key.as_str()), async || {
            let request = store
                .client
                .create_multipart_upload()
                .bucket(&*store.bucket)
                .key(store.full_key(key));
            let algorithm = store.has_checksums().then_some(ChecksumAlgorithm::Sha256);
            request
                .set_checksum_algorithm(algorithm)
                .send()
                .await
                .map_err(|error| translate(key.as_str(), &error))
        });
    answer
        .await?
        .upload_id
        .map(UploadId)
        .ok_or_else(|| malformed(key.as_str(), "no upload id"))
}

pub(super) async fn part(
    store: &S3Store,
    key: &ObjectKey,
    upload: &UploadId,
    number: u32,
    body: Bytes,
) -> Result<UploadedPart, StoreError> {
    let digest = sha256(body.clone()).await;
    let md5 = (!store.has_checksums()).then(|| Md5::of(&body).to_base64());
    let part_number = s3_number(key, number)?;
    let answer = store.retry.run(
        Call::sending("upload_part", key.as_str(), body.len()),
        async || {
            let request = store
                .client
                .upload_part()
                .bucket(&*store.bucket)
                .key(store.full_key(key));
            let request = request
                .upload_id(&upload.0)
                .part_number(part_number)
                .set_checksum_sha256(store.has_checksums().then(|| to_base64(&digest)))
                .set_content_md5(md5.clone())
                .body(body.clone().into())
                .customize()
                .disable_payload_signing();
            request
                .send()
                .await
                .map_err(|error| translate(key.as_str(), &error))
        },
    );
    let etag = answer
        .await?
        .e_tag
        .ok_or_else(|| malformed(key.as_str(), "a part without an ETag"))?;
    Ok(UploadedPart {
        number,
        size_bytes: body.len() as u64,
        sha256: digest,
        etag,
    })
}

pub(super) async fn complete(
    store: &S3Store,
    key: &ObjectKey,
    upload: &UploadId,
    parts: &[UploadedPart],
) -> Result<Stored, StoreError> {
    let expected = whole(parts);
    match send_complete(
        store,
        key,
        upload,
        &part_list(store, key, parts)?,
        expected.size_bytes,
    )
    .await
    {
        Ok(()) => compare(store, key, expected).await,
        Err(error) if may_be_done(&error) => {
            resolve_uncertain_write(store, key, expected, error).await
        }
        Err(error) => Err(error),
    }
}

/// Requests the completion. An existing object under the key is never overwritten.
pub(super) async fn send_complete(
    store: &S3Store,
    key: &ObjectKey,
    upload: &UploadId,
    list: &CompletedMultipartUpload,
    size_bytes: u64,
) -> Result<(), StoreError> {
    let outcome = store
        .retry
        .run(Call::long("complete_upload", key.as_str()), async || {
            let request = store
                .client
                .complete_multipart_upload()
                .bucket(&*store.bucket)
                .key(store.full_key(key));
            let request = request
                .upload_id(&upload.0)
                .multipart_upload(list.clone())
                .if_none_match("*")
                .mpu_object_size(i64::try_from(size_bytes).unwrap_or(i64::MAX));
            request
                .send()
                .await
                .map_err(|error| translate(key.as_str(), &error))
        });
    outcome.await.map(drop)
}

/// An earlier attempt may have completed it with a lost answer. Then the upload is gone and the
/// object exists.
pub(super) fn may_be_done(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::NotFound { .. }
            | StoreError::AlreadyExists { .. }
            | StoreError::Unavailable { .. }
    )
}

pub(super) async fn abort(
    store: &S3Store,
    key: &ObjectKey,
    upload: &UploadId,
) -> Result<(), StoreError> {
    let outcome = store
        .retry
        .run(Call::short("abort_upload", key.as_str()), async || {
            let request = store
                .client
                .abort_multipart_upload()
                .bucket(&*store.bucket)
                .key(store.full_key(key));
            request
                .upload_id(&upload.0)
                .send()
                .await
                .map_err(|error| translate(key.as_str(), &error))
        });
    match outcome.await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Compares the stored object with the sent one, without reading it.
pub(super) async fn compare(
    store: &S3Store,
    key: &ObjectKey,
    expected: Stored,
) -> Result<Stored, StoreError> {
    agree(key, store.head_object(key).await?, expected)
}

/// Whether the stored object is the sent one.
pub(super) fn agree(key: &ObjectKey, seen: Seen, expected: Stored) -> Result<Stored, StoreError> {
    let checksum = expected.checksum.to_string();
    if seen.size_bytes == expected.size_bytes && seen.sha256.as_ref() == Some(&checksum) {
        return Ok(expected);
    }
    if seen.sha256.is_none() && seen.size_bytes == expected.size_bytes {
        return Err(StoreError::Unsupported {
            key: key.to_string(),
            cause: NO_CHECKSUMS.to_owned(),
        });
    }
    let found = seen.sha256.unwrap_or_else(|| "none".to_owned());
    let (sent, stored) = (expected.size_bytes, seen.size_bytes);
    let cause = format!(
        "{sent} bytes were sent with checksum {checksum}, but {stored} bytes stored with checksum {found}"
    );
    Err(StoreError::Corrupt {
        key: key.to_string(),
        cause,
    })
}

/// Success if the same object exists. Otherwise the original error.
async fn resolve_uncertain_write(
    store: &S3Store,
    key: &ObjectKey,
    expected: Stored,
    doubt: StoreError,
) -> Result<Stored, StoreError> {
    let found = compare(store, key, expected).await;
    if found.is_ok() {
        tracing::info!(%key, reason = %doubt, "the same object is already in the store");
    }
    found.map_err(|_| doubt)
}

pub(super) fn part_list(
    store: &S3Store,
    key: &ObjectKey,
    parts: &[UploadedPart],
) -> Result<CompletedMultipartUpload, StoreError> {
    let mut list = CompletedMultipartUpload::builder();
    for part in parts {
        let entry = CompletedPart::builder()
            .part_number(s3_number(key, part.number)?)
            .e_tag(&part.etag)
            .set_checksum_sha256(store.has_checksums().then(|| to_base64(&part.sha256)));
        list = list.parts(entry.build());
    }
    Ok(list.build())
}

pub(super) fn s3_number(key: &ObjectKey, number: u32) -> Result<i32, StoreError> {
    let limit = || StoreError::Limit {
        key: key.to_string(),
        cause: format!("there is no part {number} in S3"),
    };
    i32::try_from(number).map_err(|_| limit())
}
