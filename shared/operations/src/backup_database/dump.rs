//! The dump on its way: engine → stages → upload, one stream, nothing on disk. It is proved before it is completed.

use std::sync::{Arc, atomic::Ordering};

use holdfast_codec::{ArtifactPlace, MasterKey};
use holdfast_database::Connection;
use holdfast_domain::{Encryption, EngineInfo, ObjectKey, RepositoryFile, Source, Timestamp, WrappedKey};
use holdfast_storage::{
    Checksum, Stored,
    upload::{self, PendingUpload, UploadError},
};
use tokio::task::JoinHandle;

use super::{
    Run,
    engine::{Dumped, choose},
    pipeline::{Meters, Proof, Recipe, Stages},
    watch::Watch,
};
use crate::{Holdfast, OperationError};

const APP_NAME: &str = "holdfast-backup";

/// The repository a run writes to, and the key it encrypts under.
pub(super) struct WritingKey {
    pub(super) repository: RepositoryFile,
    pub(super) master: Option<Arc<MasterKey>>,
    pub(super) encryption: Option<Encryption>,
    pub(super) wrapped: Vec<WrappedKey>,
}

/// A dump that is stored, checked, and not yet a backup.
pub(super) struct StoredDump {
    pub(super) key: ObjectKey,
    pub(super) proof: Proof,
    /// Names of the indexes of each namespace.
    pub(super) indexes: Vec<Vec<String>>,
    pub(super) engine: EngineInfo,
    /// What is worth telling of the choice of the engine.
    pub(super) note: Option<String>,
    pub(super) source: Source,
}

/// Finds or makes the repository and, where encryption is asked for, opens its newest key. Fails closed.
pub(super) async fn writing_key(h: &Holdfast) -> Result<WritingKey, OperationError> {
    let encrypt = h.settings.database.encryption;
    h.repository.ready_for_writing(encrypt, Timestamp::now()).await?;
    let repository = h.repository.open().await?;
    if !encrypt {
        return Ok(WritingKey { repository, master: None, encryption: None, wrapped: Vec::new() });
    }
    let epoch = repository.newest_epoch().cloned();
    let epoch = epoch.ok_or_else(|| crate::RepositoryError::NoKey(h.repository.location().clone()))?;
    let master = h.repository.unwrapped(&repository.id, &epoch).await?;
    let encryption = Encryption { suite: holdfast_codec::SUITE.to_owned(), key_epoch: epoch.epoch };
    Ok(WritingKey { repository, master: Some(master), encryption: Some(encryption), wrapped: epoch.keys })
}

pub(super) async fn dump_to_store(
    h: &Holdfast,
    run: &Run,
    key: &WritingKey,
    meters: &Meters,
    watch: &Watch,
) -> Result<StoredDump, OperationError> {
    let settings = &h.settings.database;
    let place = ObjectKey::database_dump(&run.job.backup_id, run.fence, settings.compression, settings.encryption);
    let connection = watch.guard(connect(h)).await?;
    let (engine, note) = watch.guard(choose(h, &connection)).await?;
    let info = engine.info();
    meters.expected.store(engine.estimated_bytes(), Ordering::Relaxed);
    let part_bytes = upload::part_bytes_for(engine.estimated_bytes());
    let engine = engine.within(h.settings.function_memory_mib, part_bytes as u64);
    let (sink, source) = upload::channel(part_bytes);
    let recipe = recipe(h, key, &place);
    let stages =
        Stages::new(&recipe, meters, sink).map_err(|error| OperationError::internal("begin the dump", &error))?;
    let uploading = Uploading(tokio::spawn({
        let (store, place) = (Arc::clone(h.repository.store()), place.clone());
        async move { upload::send_all(&store, &place, source).await }
    }));
    let dumped = engine.run(h, &connection, stages, watch).await;
    let (pending, Dumped { proof, indexes }) = match (uploading.wait(watch).await?, dumped) {
        (Ok(pending), Ok(dumped)) => (pending, dumped),
        (Ok(pending), Err(error)) => {
            pending.abort().await;
            return Err(error);
        }
        // The source died because the engine failed or was stopped: that is the cause. Else the store's fault is.
        (Err(UploadError::SourceDied { .. }), Err(error)) => return Err(error),
        (Err(UploadError::SourceDied { key }), Ok(_)) => {
            return Err(OperationError::internal("end the upload", &format!("{key} lost its source")));
        }
        (Err(UploadError::Store(error)), _) => return Err(error.into()),
    };
    complete(h, &place, pending, &proof, watch).await?;
    let source =
        Source { uri: connection.redacted_uri().to_owned(), server_version: connection.server_version().to_owned() };
    Ok(StoredDump { key: place, proof, indexes, engine: info, note, source })
}

async fn connect(h: &Holdfast) -> Result<Connection, OperationError> {
    let preference = h.settings.database.read_preference;
    Ok(Connection::open(&h.settings.mongodb_uri, preference, APP_NAME).await?)
}

fn recipe(h: &Holdfast, key: &WritingKey, object_key: &ObjectKey) -> Recipe {
    let settings = &h.settings.database;
    let encryption = key.master.as_ref().zip(key.encryption.as_ref()).map(|(master, encryption)| {
        let place = ArtifactPlace {
            repository: key.repository.id.clone(),
            key_epoch: encryption.key_epoch,
            object_key: object_key.clone(),
        };
        (Arc::clone(master), place)
    });
    Recipe { compression_level: settings.compression.then_some(settings.compression_level), encryption }
}

/// Completes the upload and compares what the store says it has with what was sent. Whatever goes wrong, nothing of it
/// stays.
async fn complete(
    h: &Holdfast,
    key: &ObjectKey,
    pending: PendingUpload,
    proof: &Proof,
    watch: &Watch,
) -> Result<(), OperationError> {
    let mut completing = tokio::spawn(pending.complete());
    let completed = tokio::select! {
        completed = &mut completing => completed.map_err(|error| OperationError::internal("complete the upload", &error))?,
        // It is not left half-way: the store might finish it all the same.
        () = stopped_and_waited(watch) => {
            completing.abort();
            remove(h, key).await;
            return Err(watch.stopped().await.into());
        }
    };
    let Stored { size_bytes, checksum } = completed?;
    let sent = proof.artifact.size_bytes;
    let same_checksum = match checksum {
        Checksum::Full(sha256) => sha256 == proof.artifact.sha256,
        // Compared with the parts' own by the store.
        Checksum::Composite(_) => true,
    };
    if size_bytes == sent && same_checksum {
        return Ok(());
    }
    remove(h, key).await;
    let cause = format!("it has {size_bytes} bytes there, {sent} were sent, or its checksum differs");
    Err(holdfast_storage::StoreError::Corrupt { key: key.to_string(), cause }.into())
}

/// Removes this run's own dump, which no manifest names.
pub(super) async fn remove(h: &Holdfast, dump_key: &ObjectKey) {
    match h.repository.store().delete(dump_key).await {
        Ok(()) => tracing::info!(key = %dump_key, "a dump without a manifest was removed"),
        Err(error) => tracing::warn!(key = %dump_key, %error, "a dump without a manifest could not be removed"),
    }
}

/// The upload's task: it ends by itself when its source does, and is waited for, so that nothing is left behind.
struct Uploading(JoinHandle<Result<PendingUpload, UploadError>>);

impl Uploading {
    async fn wait(mut self, watch: &Watch) -> Result<Result<PendingUpload, UploadError>, OperationError> {
        let ended = tokio::select! {
            ended = &mut self.0 => ended,
            // Stopped: the source is dead by now, or will be in a moment, and the upload aborts itself.
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

async fn stopped_and_waited(watch: &Watch) {
    const ABORT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
    watch.stopped().await;
    tokio::time::sleep(ABORT_TIMEOUT).await;
}
