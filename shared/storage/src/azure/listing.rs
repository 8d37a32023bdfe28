//! Lists the container page by page: blobs, and uncommitted blocks.

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Method;

use super::{
    AzureStore,
    answers::{self, Blob, timestamp},
    client::Request,
    uploading,
};
use crate::{ObjectInfo, ObjectStream, StoreError, UnfinishedUpload, retry::Call};

/// Beginning of the next page of a list.
enum Page {
    First,
    After(String),
    None,
}

pub(super) fn objects(store: AzureStore, prefix: &str) -> ObjectStream {
    let state = (store, prefix.to_owned(), Page::First);
    let pages = stream::try_unfold(state, async |(store, prefix, page)| {
        let marker = match page {
            Page::First => None,
            Page::After(marker) => Some(marker),
            Page::None => return Ok::<_, StoreError>(None),
        };
        let (blobs, next) = page_of(&store, &prefix, "metadata", marker).await?;
        let infos = blobs
            .iter()
            .filter_map(|blob| info(&store, blob).transpose())
            .collect::<Vec<_>>();
        let next = next.map_or(Page::None, Page::After);
        Ok(Some((stream::iter(infos), (store, prefix, next))))
    });
    pages.try_flatten().boxed()
}

async fn page_of(
    store: &AzureStore,
    prefix: &str,
    include: &str,
    marker: Option<String>,
) -> Result<(Vec<Blob>, Option<String>), StoreError> {
    let asked = store.call_for_text(Call::short("list", prefix), || {
        let request = Request::for_container(Method::GET, store)
            .query("comp", "list")
            .query("include", include)
            .query("maxresults", store.page_size.to_string())
            .query("prefix", format!("{}{prefix}", store.root));
        match &marker {
            Some(marker) => request.query("marker", marker.clone()),
            None => request,
        }
    });
    let text = asked.await.map_err(|error| from_list(prefix, error))?;
    Ok(answers::read::<answers::Page>(prefix, &text)?.into_parts())
}

/// A list of a missing container is an error for every code. It is never an empty list.
fn from_list(prefix: &str, error: StoreError) -> StoreError {
    match error {
        StoreError::NotFound { cause, .. } => StoreError::Invalid {
            key: prefix.to_owned(),
            cause,
        },
        error => error,
    }
}

fn info(store: &AzureStore, blob: &Blob) -> Result<Option<ObjectInfo>, StoreError> {
    let Some(key) = blob.name().and_then(|name| store.own_key(name)) else {
        return Ok(None);
    };
    if blob.is_remains() {
        return Ok(None);
    }
    let last_modified_at = timestamp(key.as_str(), blob.last_modified())?;
    Ok(Some(ObjectInfo {
        size_bytes: blob.size_bytes(),
        last_modified_at,
        etag: blob.etag(),
        key,
    }))
}

pub(super) async fn unfinished_uploads(
    store: &AzureStore,
    prefix: &str,
) -> Result<Vec<UnfinishedUpload>, StoreError> {
    let mut uploads = Vec::new();
    let mut marker = None;
    loop {
        let (blobs, next) = page_of(store, prefix, "uncommittedblobs", marker).await?;
        // Blobs without committed content have no length.
        for blob in blobs.iter().filter(|blob| blob.size_bytes() == 0) {
            let Some(key) = blob.name().and_then(|name| store.own_key(name)) else {
                continue;
            };
            for upload in uploading::waiting(store, &key).await? {
                let (upload_id, initiated_at) = (upload.id(), upload.begun_at());
                uploads.push(UnfinishedUpload {
                    key: key.clone(),
                    upload_id,
                    initiated_at,
                });
            }
        }
        if next.is_none() {
            return Ok(uploads);
        }
        marker = next;
    }
}
