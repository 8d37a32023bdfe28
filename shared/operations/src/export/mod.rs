//! The export: all metadata as one JSON object in the store, with a temporary link for reading it.
//!
//! It is written while the catalogue is read. Memory: a batch of rows, a few chunks of text, the
//! uploader's three parts. An interrupted export leaves nothing. `document` defines its content.

mod document;
mod text;

use std::{io, sync::Arc, time::Duration};

use holdfast_domain::{ObjectKey, Secret, Sha256Digest, Timestamp};
use holdfast_repository::artifact_writer::{ArtifactWriter, Meters, Recipe};
use holdfast_storage::{
    Checksum, StoreError, Stored,
    upload::{self, PartSink, PendingUpload, UploadError},
};
use serde::{Serialize, Serializer};
use tokio::task;

use crate::{Holdfast, OperationError};

/// Lifetime of a link: enough for its user, and short for a later finder.
const LINK_LIFETIME: Duration = Duration::from_mins(15);

/// An export in the store.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    /// Its key in the store.
    pub key: ObjectKey,
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256.
    pub checksum: Sha256Digest,
    /// Time of its start.
    pub created_at: Timestamp,
    /// Number of jobs in it.
    pub jobs: u64,
    /// Number of verifications in it.
    pub verifications: u64,
    /// Number of unreadable rows of the catalogue. The export names them.
    pub unreadable: u64,
    /// A link for fetching it without credentials.
    pub link: Option<ExportLink>,
    /// The reason for a missing link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A temporary link for fetching an export without credentials.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportLink {
    /// The URL. It grants access to the export.
    #[serde(serialize_with = "exposed")]
    pub url: Secret,
    /// Its latest end.
    pub expires_at: Timestamp,
}

/// The caller requested the URL, so it is not redacted.
fn exposed<S: Serializer>(url: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(url.expose())
}

/// Writes all metadata into the store.
///
/// # Errors
/// If the catalogue cannot be read to its end, or the store refuses the export. Then nothing is
/// left in the store.
pub async fn export_metadata(h: &Holdfast, now: Timestamp) -> Result<Export, OperationError> {
    let key = ObjectKey::metadata_export(now);
    let (sink, source) = upload::channel(upload::PART_BYTES);
    let (mut text, chunks) = text::channel();
    let writing = task::spawn_blocking(move || write(sink, chunks));
    let producing = async {
        let produced = Box::pin(document::write(h, now, &mut text)).await;
        // Text without its end marks an interrupted export.
        match produced {
            Ok(counts) => text.end().await.map(|()| counts),
            Err(error) => {
                drop(text);
                Err(error)
            }
        }
    };
    let (pending, produced, written) = tokio::join!(
        upload::send_all(h.repository.store(), &key, source),
        producing,
        writing
    );
    let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
    let (pending, counts, (size, checksum)) = whole(pending, produced, written).await?;
    complete(&key, pending, size, checksum).await?;
    let (link, reason) = link(h, &key).await;
    let document::Counts {
        jobs,
        verifications,
        unreadable,
    } = counts;
    Ok(Export {
        key,
        size,
        checksum,
        created_at: now,
        jobs,
        verifications,
        unreadable,
        link,
        reason,
    })
}

type Written = (u64, Sha256Digest);

fn write(sink: PartSink, mut chunks: text::Chunks) -> io::Result<Written> {
    use io::Write as _;
    let plain = Recipe {
        compression_level: None,
        encryption: None,
    };
    let mut writer = ArtifactWriter::new(&plain, &Meters::default(), sink)?;
    while let Some(chunk) = chunks.next()? {
        writer.write_all(&chunk)?;
    }
    let digest = writer.finish()?;
    Ok((digest.size_bytes, digest.sha256))
}

/// All three ends, or the fault that caused the other failures.
async fn whole(
    pending: Result<PendingUpload, UploadError>,
    produced: Result<document::Counts, OperationError>,
    written: io::Result<Written>,
) -> Result<(PendingUpload, document::Counts, Written), OperationError> {
    match (pending, produced, written) {
        (Err(UploadError::Store(error)), ..) => Err(error.into()),
        (Ok(pending), Ok(counts), Ok(written)) => Ok((pending, counts, written)),
        (pending, produced, written) => {
            if let Ok(pending) = pending {
                pending.abort().await;
            }
            produced?;
            let cause = written.err().map_or_else(
                || "it lost its source".to_owned(),
                |error| error.to_string(),
            );
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
    let Stored {
        size_bytes,
        checksum,
    } = pending.complete().await?;
    let is_same = match checksum {
        Checksum::Full(stored) => stored == sha256,
        // The store already compared it with the parts' checksums.
        Checksum::Composite(_) => true,
    };
    if is_same && size_bytes == size {
        return Ok(());
    }
    let cause = format!("the store has {size_bytes} of {size} sent bytes, or its checksum differs");
    Err(StoreError::Corrupt {
        key: key.to_string(),
        cause,
    }
    .into())
}

/// The export exists with or without a link.
async fn link(h: &Holdfast, key: &ObjectKey) -> (Option<ExportLink>, Option<String>) {
    let store = Arc::clone(h.repository.store());
    match store.link(key, LINK_LIFETIME).await {
        Ok(Some(link)) => (
            Some(ExportLink {
                url: link.url,
                expires_at: link.expires_at,
            }),
            None,
        ),
        Ok(None) => {
            let reason = format!(
                "{} supports no links: fetch the object by its key",
                h.repository.location()
            );
            (None, Some(reason))
        }
        Err(error) => {
            tracing::warn!(%key, %error, "the link to the export could not be created");
            (None, Some(format!("{error}. Fetch the object by its key")))
        }
    }
}
