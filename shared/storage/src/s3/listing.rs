//! Lists the bucket page by page: objects and open uploads.

use aws_sdk_s3::types::{MultipartUpload, Object};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{S3Store, errors::translate, length, timestamp};
use crate::{ObjectInfo, ObjectStream, StoreError, UnfinishedUpload, UploadId, retry::Call};

/// Beginning of the next page of a list.
enum Page {
    First,
    After(String),
    None,
}

pub(super) fn objects(store: S3Store, prefix: &str) -> ObjectStream {
    let state = (store, prefix.to_owned(), Page::First);
    let pages = stream::try_unfold(state, async |(store, prefix, page)| {
        let token = match page {
            Page::First => None,
            Page::After(token) => Some(token),
            Page::None => return Ok::<_, StoreError>(None),
        };
        let (infos, next) = object_page(&store, &prefix, token).await?;
        Ok(Some((
            stream::iter(infos.into_iter().map(Ok)),
            (store, prefix, next),
        )))
    });
    pages.try_flatten().boxed()
}

async fn object_page(
    store: &S3Store,
    prefix: &str,
    token: Option<String>,
) -> Result<(Vec<ObjectInfo>, Page), StoreError> {
    let answer = store.retry.run(Call::short("list", prefix), async || {
        let request = store
            .client
            .list_objects_v2()
            .bucket(&*store.bucket)
            .max_keys(store.page_size);
        let request = request
            .prefix(format!("{}{prefix}", store.root))
            .set_continuation_token(token.clone());
        request
            .send()
            .await
            .map_err(|error| translate(prefix, &error))
    });
    let answer = answer.await?;
    let infos = answer
        .contents()
        .iter()
        .filter_map(|object| info(store, object).transpose());
    let infos = infos.collect::<Result<_, _>>()?;
    let next = match answer.next_continuation_token {
        Some(token) if answer.is_truncated == Some(true) => Page::After(token),
        _ => Page::None,
    };
    Ok((infos, next))
}

fn info(store: &S3Store, object: &Object) -> Result<Option<ObjectInfo>, StoreError> {
    let Some(key) = object.key().and_then(|name| store.own_key(name)) else {
        return Ok(None);
    };
    let size_bytes = length(key.as_str(), object.size)?;
    let last_modified_at = timestamp(key.as_str(), object.last_modified())?;
    let etag = object.e_tag().unwrap_or_default().to_owned();
    Ok(Some(ObjectInfo {
        key,
        size_bytes,
        last_modified_at,
        etag,
    }))
}

pub(super) async fn unfinished_uploads(
    store: &S3Store,
    prefix: &str,
) -> Result<Vec<UnfinishedUpload>, StoreError> {
    let mut uploads = Vec::new();
    let mut markers = (None, None);
    loop {
        let answer = store
            .retry
            .run(Call::short("list_unfinished_uploads", prefix), async || {
                let request = store
                    .client
                    .list_multipart_uploads()
                    .bucket(&*store.bucket)
                    .max_uploads(store.page_size);
                let request = request
                    .prefix(format!("{}{prefix}", store.root))
                    .set_key_marker(markers.0.clone())
                    .set_upload_id_marker(markers.1.clone());
                request
                    .send()
                    .await
                    .map_err(|error| translate(prefix, &error))
            });
        let answer = answer.await?;
        for upload in answer.uploads() {
            uploads.extend(unfinished(store, upload)?);
        }
        if answer.is_truncated != Some(true) || answer.next_key_marker.is_none() {
            return Ok(uploads);
        }
        markers = (answer.next_key_marker, answer.next_upload_id_marker);
    }
}

fn unfinished(
    store: &S3Store,
    upload: &MultipartUpload,
) -> Result<Option<UnfinishedUpload>, StoreError> {
    let Some(key) = upload.key().and_then(|name| store.own_key(name)) else {
        return Ok(None);
    };
    let initiated_at = timestamp(key.as_str(), upload.initiated())?;
    let upload_id = UploadId(upload.upload_id().unwrap_or_default().to_owned());
    Ok(Some(UnfinishedUpload {
        key,
        upload_id,
        initiated_at,
    }))
}
