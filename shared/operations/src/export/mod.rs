//! The export: all metadata as one JSON object in the store, beside a link under which it can be read for a while.
//!
//! It is written as it is read. Memory: a batch of rows, a few chunks of text, the uploader's three parts. An export that
//! breaks off leaves nothing. What is in it is `document`'s to say.

mod document;
mod text;

use std::{io, sync::Arc, time::Duration};

use holdfast_domain::{ObjectKey, Secret, Sha256Digest, Timestamp};
use holdfast_storage::{
    Checksum, StoreError, Stored,
    upload::{self, PartSink, PendingUpload, UploadError},
};
use serde::{Serialize, Serializer};
use tokio::task;

use crate::{Holdfast, OperationError};
use holdfast_repository::artifact_writer::{ArtifactWriter, Meters, Recipe};

/// How long a link works: enough for a person to follow it, and little for whoever finds it later.
const LINK_LASTS: Duration = Duration::from_mins(15);

/// An export that is in the store.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    /// Where it is in the store.
    pub key: ObjectKey,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of them.
    pub checksum: Sha256Digest,
    /// When it was begun.
    pub created_at: Timestamp,
    /// Jobs in it.
    pub jobs: u64,
    /// Verifications in it.
    pub verifications: u64,
    /// Rows of the catalogue that could not be read: it names them.
    pub unreadable: u64,
    /// Where it can be fetched without credentials.
    pub link: Option<ExportLink>,
    /// Why there is no link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where an export can be fetched without credentials, for a while.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportLink {
    /// The address: whoever has it reads the export.
    #[serde(serialize_with = "exposed")]
    pub url: Secret,
    /// When it ends, at the latest.
    pub expires_at: Timestamp,
}

/// It is what was asked for.
fn exposed<S: Serializer>(url: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(url.expose())
}

/// Writes all metadata into the store.
///
/// # Errors
/// Where the catalogue cannot be read to its end, or the store does not take it: then nothing is there.
pub async fn export_metadata(h: &Holdfast, now: Timestamp) -> Result<Export, OperationError> {
    let key = ObjectKey::metadata_export(now);
    let (sink, source) = upload::channel(upload::PART_BYTES);
    let (mut text, chunks) = text::channel();
    let writing = task::spawn_blocking(move || write(sink, chunks));
    let telling = async {
        let told = Box::pin(document::tell(h, now, &mut text)).await;
        // Without its end the text is one that broke off.
        match told {
            Ok(counts) => text.end().await.map(|()| counts),
            Err(error) => {
                drop(text);
                Err(error)
            }
        }
    };
    let (pending, told, written) = tokio::join!(upload::send_all(h.repository.store(), &key, source), telling, writing);
    let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
    let (pending, counts, (size, checksum)) = whole(pending, told, written).await?;
    complete(&key, pending, size, checksum).await?;
    let (link, reason) = link(h, &key).await;
    let document::Counts { jobs, verifications, unreadable } = counts;
    Ok(Export { key, size, checksum, created_at: now, jobs, verifications, unreadable, link, reason })
}

type Written = (u64, Sha256Digest);

fn write(sink: PartSink, mut chunks: text::Chunks) -> io::Result<Written> {
    use io::Write as _;
    let plain = Recipe { compression_level: None, encryption: None };
    let mut writer = ArtifactWriter::new(&plain, &Meters::default(), sink)?;
    while let Some(chunk) = chunks.next()? {
        writer.write_all(&chunk)?;
    }
    let digest = writer.finish()?;
    Ok((digest.size_bytes, digest.sha256))
}

/// All three ends, or the fault that made the others fail.
async fn whole(
    pending: Result<PendingUpload, UploadError>,
    told: Result<document::Counts, OperationError>,
    written: io::Result<Written>,
) -> Result<(PendingUpload, document::Counts, Written), OperationError> {
    match (pending, told, written) {
        (Err(UploadError::Store(error)), ..) => Err(error.into()),
        (Ok(pending), Ok(counts), Ok(written)) => Ok((pending, counts, written)),
        (pending, told, written) => {
            if let Ok(pending) = pending {
                pending.abort().await;
            }
            told?;
            let cause = written.err().map_or_else(|| "it lost its source".to_owned(), |error| error.to_string());
            Err(OperationError::internal("write the export", &cause))
        }
    }
}

async fn complete(
    key: &ObjectKey,
    pending: PendingUpload,
    size: u64,
    sha256: Sha256Digest,
) -> Result<(), OperationError> {
    let Stored { size_bytes, checksum } = pending.complete().await?;
    let is_same = match checksum {
        Checksum::Full(stored) => stored == sha256,
        // Compared with the parts' own by the store.
        Checksum::Composite(_) => true,
    };
    if is_same && size_bytes == size {
        return Ok(());
    }
    let cause = format!("it has {size_bytes} bytes there, {size} were sent, or its checksum differs");
    Err(StoreError::Corrupt { key: key.to_string(), cause }.into())
}

/// The export is there, whether or not there is a link to it.
async fn link(h: &Holdfast, key: &ObjectKey) -> (Option<ExportLink>, Option<String>) {
    let store = Arc::clone(h.repository.store());
    match store.link(key, LINK_LASTS).await {
        Ok(Some(link)) => (Some(ExportLink { url: link.url, expires_at: link.expires_at }), None),
        Ok(None) => {
            let reason = format!("{} makes no links: fetch the object by its key", h.repository.location());
            (None, Some(reason))
        }
        Err(error) => {
            tracing::warn!(%key, %error, "no link to the export could be made");
            (None, Some(format!("{error}; fetch the object by its key")))
        }
    }
}
