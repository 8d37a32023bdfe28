//! Stores an artifact: uploads it while it is made, and proves it before it is completed. A failure
//! leaves no object.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use holdfast_codec::ArtifactDigest;
use holdfast_domain::{Artifact, ObjectKey, SEGMENT_BYTES};
use holdfast_repository::artifact_writer::{ArtifactWriter, Meters, Recipe};
use holdfast_storage::{
    Checksum, StoreError, Stored,
    upload::{self, PartSource, PendingUpload, UploadError},
};
use tokio::task::JoinHandle;

use super::watch::Watch;
use crate::{Holdfast, OperationError};

/// Stores the bytes that `produce` writes on a blocking thread. If the run must stop, the writer
/// refuses more bytes, and this ends the producer.
pub(crate) async fn store_artifact<T: Send + 'static, E: From<OperationError> + Send + 'static>(
    h: &Holdfast,
    key: &ObjectKey,
    recipe: &Recipe,
    (expected_bytes, meters): (u64, &Meters),
    watch: &Watch,
    produce: impl FnOnce(&mut UntilStopped) -> Result<T, E> + Send + 'static,
) -> Result<(Artifact, T), E> {
    let (sink, source) = upload::channel(upload::part_bytes_for(expected_bytes));
    let begun = ArtifactWriter::new(recipe, meters, sink);
    let writer = begun.map_err(|error| OperationError::internal("begin an artifact", &error))?;
    let stopped = Arc::new(AtomicBool::new(false));
    let mut writer = UntilStopped {
        writer,
        stopped: Arc::clone(&stopped),
    };
    let uploading = Uploading::begin(h, key, source);
    let producing = tokio::task::spawn_blocking(move || {
        let made = produce(&mut writer)?;
        let digest = writer.writer.finish();
        Ok::<_, E>((
            digest.map_err(|error| OperationError::internal("end an artifact", &error))?,
            made,
        ))
    });
    let produced = tokio::select! {
        biased;
        reason = watch.stopped() => {
            stopped.store(true, Ordering::Relaxed);
            Err(OperationError::from(reason).into())
        }
        produced = producing => {
            produced.unwrap_or_else(|error| Err(OperationError::internal("make an artifact", &error).into()))
        }
    };
    let (pending, (digest, made)) = uploading.join(produced, watch).await?;
    complete(h, key, pending, &digest, watch).await?;
    Ok((artifact(key, digest), made))
}

/// Refuses to write after the run must stop, and so ends the producer.
pub(crate) struct UntilStopped {
    writer: ArtifactWriter,
    stopped: Arc<AtomicBool>,
}

impl Write for UntilStopped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::other("the run has to stop"));
        }
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn artifact(key: &ObjectKey, digest: ArtifactDigest) -> Artifact {
    Artifact {
        key: key.clone(),
        size: digest.size_bytes,
        sha256: digest.sha256,
        segment_bytes: SEGMENT_BYTES,
        segments: digest.segments,
    }
}

/// The task of an upload. It ends with its source, and the caller waits for it, so that no parts
/// remain.
pub(crate) struct Uploading(JoinHandle<Result<PendingUpload, UploadError>>);

impl Uploading {
    /// Begins to upload the parts of the source.
    pub(crate) fn begin(h: &Holdfast, key: &ObjectKey, source: PartSource) -> Self {
        let (store, key) = (Arc::clone(h.repository.store()), key.clone());
        Self(tokio::spawn(async move {
            upload::send_all(&store, &key, source).await
        }))
    }

    /// Waits for the end of the upload, and combines its result with the result of its source.
    pub(crate) async fn join<T, E: From<OperationError>>(
        self,
        made: Result<T, E>,
        watch: &Watch,
    ) -> Result<(PendingUpload, T), E> {
        match (self.wait(watch).await?, made) {
            (Ok(pending), Ok(made)) => Ok((pending, made)),
            (Ok(pending), Err(error)) => {
                pending.abort().await;
                Err(error)
            }
            // The source failed or was stopped, and this is the cause. Otherwise the fault of the
            // store is the cause.
            (Err(UploadError::SourceDied { .. }), Err(error)) => Err(error),
            (Err(UploadError::SourceDied { key }), Ok(_)) => Err(OperationError::internal(
                "end the upload",
                &format!("{key} lost its source"),
            )
            .into()),
            (Err(UploadError::Store(error)), _) => Err(OperationError::from(error).into()),
        }
    }

    async fn wait(
        mut self,
        watch: &Watch,
    ) -> Result<Result<PendingUpload, UploadError>, OperationError> {
        let ended = tokio::select! {
            ended = &mut self.0 => ended,
            // Stopped: the source is dead, or will be in a moment, and the upload aborts itself.
            () = stopped_and_waited(watch) => return Err(watch.stopped().await.into()),
        };
        ended.map_err(|error| OperationError::internal("upload", &error))
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Completes the upload and compares the store's checksum with the sent bytes.
pub(crate) async fn complete(
    h: &Holdfast,
    key: &ObjectKey,
    pending: PendingUpload,
    sent: &ArtifactDigest,
    watch: &Watch,
) -> Result<(), OperationError> {
    let mut completing = tokio::spawn(pending.complete());
    let completed = tokio::select! {
        completed = &mut completing => completed.map_err(|error| OperationError::internal("complete the upload", &error))?,
        // The completion is awaited, because the store might finish it anyway.
        () = stopped_and_waited(watch) => {
            completing.abort();
            remove(h, key).await;
            return Err(watch.stopped().await.into());
        }
    };
    let Stored {
        size_bytes,
        checksum,
    } = completed?;
    let same_checksum = match checksum {
        Checksum::Full(sha256) => sha256 == sent.sha256,
        // The store has compared it with the checksums of the parts.
        Checksum::Composite(_) => true,
    };
    if size_bytes == sent.size_bytes && same_checksum {
        return Ok(());
    }
    remove(h, key).await;
    let cause = format!(
        "it has {size_bytes} bytes there, {} were sent, or its checksum differs",
        sent.size_bytes
    );
    Err(StoreError::Corrupt {
        key: key.to_string(),
        cause,
    }
    .into())
}

/// Removes an artifact of this run without a reference from a manifest.
pub(crate) async fn remove(h: &Holdfast, key: &ObjectKey) {
    match h.repository.store().delete(key).await {
        Ok(()) => tracing::info!(%key, "an artifact without a manifest was removed"),
        Err(error) => {
            tracing::warn!(%key, %error, "an artifact without a manifest could not be removed");
        }
    }
}

async fn stopped_and_waited(watch: &Watch) {
    const ABORT_TIMEOUT: Duration = Duration::from_secs(10);
    watch.stopped().await;
    tokio::time::sleep(ABORT_TIMEOUT).await;
}
