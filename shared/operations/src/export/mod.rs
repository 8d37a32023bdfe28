//! The export: all metadata as one JSON object in the store, with a temporary link for reading it.
//!
//! It is written while the catalogue is read. Memory: a batch of rows, a few chunks of text, the
//! uploader's three parts. An interrupted export leaves nothing. `document` defines its content.

mod document;
mod text;

use holdfast_repository::Repository;
use std::{io, sync::Arc, time::Duration};

use holdfast_domain::{ObjectKey, Secret, Sha256Digest, Timestamp};
use holdfast_repository::artifact_writer::{ArtifactWriter, Meters, Recipe};
use holdfast_storage::upload::{self, PartSink, PendingUpload, UploadError};
use serde::{Serialize, Serializer};
use tokio::task;

use crate::{Holdfast, OperationError, job::artifact_upload::expect_as_sent};

/// Lifetime of a link: long enough for its user, and short if the link leaks.
const LINK_LIFETIME: Duration = Duration::from_mins(15);

/// A stored export.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Export {
    /// Key in the store: `exports/backup_metadata_<unix ms>.json`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub key: ObjectKey,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the export.
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[0-9a-f]{64}$"))]
    pub checksum: Sha256Digest,
    /// When the export started.
    pub created_at: Timestamp,
    /// Number of exported jobs.
    pub jobs: u64,
    /// Number of exported verifications.
    pub verifications: u64,
    /// Number of unreadable catalogue rows. The export names them.
    pub unreadable: u64,
    /// Link for a reader without credentials. Null if the store supports no links.
    pub link: Option<ExportLink>,
    /// Why there is no link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Temporary link to an export. It needs no credentials, and is valid for at most 15 minutes.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExportLink {
    /// The URL. Anyone with this URL can read the export.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    #[serde(serialize_with = "exposed")]
    pub url: Secret,
    /// When the link expires at the latest. It expires earlier if the credentials of the signing
    /// process do.
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
pub async fn export_metadata(
    holdfast: &Holdfast,
    now: Timestamp,
) -> Result<Export, OperationError> {
    let key = ObjectKey::metadata_export(now);
    let (sink, source) = upload::channel(upload::PART_BYTES);
    let (mut text, chunks) = text::channel();
    let writing = task::spawn_blocking(move || write(sink, chunks));
    let producing = async {
        let produced = Box::pin(document::write(holdfast, now, &mut text)).await;
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
        upload::send_all(holdfast.repository.store(), &key, source),
        producing,
        writing
    );
    let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
    let (pending, counts, (size, checksum)) = whole(pending, produced, written).await?;
    complete(&key, pending, size, checksum).await?;
    let (link, reason) = link(&holdfast.repository, &key).await;
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
    let stored = pending.complete().await?;
    Ok(expect_as_sent(key, &stored, size, &sha256)?)
}

/// The export exists with or without a link.
async fn link(repository: &Repository, key: &ObjectKey) -> (Option<ExportLink>, Option<String>) {
    let store = Arc::clone(repository.store());
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
                repository.location()
            );
            (None, Some(reason))
        }
        Err(error) => {
            tracing::warn!(%key, %error, "the link to the export could not be created");
            (None, Some(format!("{error}. Fetch the object by its key")))
        }
    }
}
