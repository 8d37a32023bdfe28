//! An upload in parts: uncommitted blocks under the blob's name, then one commit.

use bytes::Bytes;
use holdfast_domain::{ObjectKey, Timestamp};
use jiff::SignedDuration;
use reqwest::Method;

use super::{
    AzureStore,
    answers::{self, BlockList, CHECKSUM},
    blocks::Upload,
    client::Request,
    remains,
    writing::{compare, resolve_uncertain_write},
};
use crate::{
    StoreError, Stored, UploadId, UploadedPart,
    checksum::{Md5, sha256},
    proof::{pieces, whole},
    retry::Call,
};

/// Another upload's blocks under the same name are kept for this time, because it may be running.
/// No function runs longer.
const MAX_UPLOAD_DURATION: SignedDuration = SignedDuration::from_hours(24);

/// Sends nothing: an upload exists from its first block on.
pub(super) fn begin(key: &ObjectKey) -> Result<UploadId, StoreError> {
    Upload::begin(key, Timestamp::now()).map(Upload::id)
}

pub(super) async fn part(
    store: &AzureStore,
    key: &ObjectKey,
    upload: &UploadId,
    number: u32,
    body: Bytes,
) -> Result<UploadedPart, StoreError> {
    let digest = sha256(body.clone()).await;
    let block = parse(key, upload)?.block(number, &digest);
    let md5 = Md5::of(&body).to_base64();
    let sent = store.call(
        Call::sending("upload_part", key.as_str(), body.len()),
        || {
            Request::for_blob(Method::PUT, store, key)
                .query("comp", "block")
                .query("blockid", block.clone())
                .header("content-md5", md5.clone())
                .body(body.clone())
        },
    );
    sent.await?;
    Ok(UploadedPart {
        number,
        size_bytes: body.len() as u64,
        sha256: digest,
        etag: block,
    })
}

pub(super) async fn complete(
    store: &AzureStore,
    key: &ObjectKey,
    upload: &UploadId,
    parts: &[UploadedPart],
) -> Result<Stored, StoreError> {
    let (upload, expected) = (parse(key, upload)?, whole(parts));
    if parts.is_empty() {
        return Err(StoreError::Invalid {
            key: key.to_string(),
            cause: "an upload needs at least one part".to_owned(),
        });
    }
    let list = Bytes::from(upload.list(parts));
    let send = || {
        store.call(Call::long("complete_upload", key.as_str()), || {
            Request::for_blob(Method::PUT, store, key)
                .query("comp", "blocklist")
                .header("content-md5", Md5::of(&list).to_base64())
                .header(CHECKSUM, expected.checksum.to_string())
                .header("if-none-match", "*")
                .body(list.clone())
        })
    };
    let mut outcome = send().await;
    if remains::remove_abort_mark(store, key, &outcome).await? {
        outcome = send().await;
    }
    let doubt = match outcome {
        // The blob has exactly these blocks, because a block's name contains its checksum.
        Ok(_) => return compare(store, key, expected, pieces(parts)).await,
        Err(error @ (StoreError::AlreadyExists { .. } | StoreError::Unavailable { .. })) => error,
        // Some of these blocks are missing: either all are, or other blocks were sent.
        Err(StoreError::Corrupt { key: name, cause }) => {
            if waiting(store, key).await?.contains(&upload) {
                return Err(StoreError::Corrupt { key: name, cause });
            }
            StoreError::NotFound { key: name, cause }
        }
        Err(error) => return Err(error),
    };
    resolve_uncertain_write(store, key, expected, pieces(parts), doubt).await
}

pub(super) async fn abort(
    store: &AzureStore,
    key: &ObjectKey,
    upload: &UploadId,
) -> Result<(), StoreError> {
    let Some(upload) = Upload::parse(upload) else {
        return Ok(());
    };
    let waiting = waiting(store, key).await?;
    if !waiting.contains(&upload) {
        return Ok(());
    }
    let now = Timestamp::now();
    let may_be_running = |other: &Upload| {
        *other != upload && now.duration_since(other.begun_at()) < MAX_UPLOAD_DURATION
    };
    if waiting.iter().any(may_be_running) {
        // Its completion or abort ends these blocks too.
        tracing::info!(%key, upload = upload.id().0, "kept the blocks of an upload of the same name, because it may be running");
        return Ok(());
    }
    remains::discard(store, key, upload).await
}

/// The uploads with uncommitted blocks under a name.
pub(super) async fn waiting(
    store: &AzureStore,
    key: &ObjectKey,
) -> Result<Vec<Upload>, StoreError> {
    let asked = store.call_for_text(Call::short("list_blocks", key.as_str()), || {
        Request::for_blob(Method::GET, store, key)
            .query("comp", "blocklist")
            .query("blocklisttype", "uncommitted")
    });
    let text = match asked.await {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        text => text?,
    };
    let list: BlockList = answers::read(key.as_str(), &text)?;
    let mut uploads: Vec<_> = list.uncommitted().filter_map(Upload::from_block).collect();
    uploads.sort();
    uploads.dedup();
    Ok(uploads)
}

fn parse(key: &ObjectKey, upload: &UploadId) -> Result<Upload, StoreError> {
    let unknown = || StoreError::NotFound {
        key: key.to_string(),
        cause: format!("there is no upload {}", upload.0),
    };
    Upload::parse(upload).ok_or_else(unknown)
}
