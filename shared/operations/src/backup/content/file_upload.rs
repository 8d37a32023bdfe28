//! Stores a file while it is fetched: `chunks → [SHA-256, gzip where it helps, encrypt, digest,
//! parts] → upload`. Each file has one blocking thread and bounded channels at both ends.
//!
//! The address follows from the content, so a file above one part is uploaded to a temporary key
//! first. Memory of a file: `MAX_WAITING_CHUNKS` fetched chunks, three parts of 8 MiB (more for a
//! large file), and the members of gzip. A file is complete only if its fetcher confirms it. A
//! closed channel alone is no end.

use holdfast_domain::settings::Settings;
use std::{
    io::{self, Write as _},
    sync::Arc,
};

use bytes::Bytes;
use holdfast_codec::{ArtifactDigest, ArtifactPlace, MasterKey, is_worthwhile, random_bytes};
use holdfast_domain::{Encoding, ObjectKey, Sha256Digest};
use holdfast_repository::{
    Repository, RepositoryError,
    artifact_writer::{ArtifactWriter, Meters, Recipe},
    content::read::ReadFault,
    writing_key::WritingKey,
};
use holdfast_storage::{
    StoreError,
    upload::{self, PartSink, PendingUpload, UploadError},
};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::file_address;
use crate::{OperationError, job::artifact_upload::UploadTask};

/// Chunks that may wait between the network and the stages. The largest is one IPFS block of 4 MiB.
const MAX_WAITING_CHUNKS: usize = 4;

/// The beginning of a file that decides on its compression.
const SAMPLE_BYTES: usize = 64 * 1024;

/// Why a file was not stored.
#[derive(Debug)]
pub(super) enum FileFault {
    /// The store failed.
    Store(StoreError),
    /// The object in its place is damaged.
    Damaged(String),
    /// A fault of Holdfast, of the catalogue or of the keys.
    Own(OperationError),
}

impl From<StoreError> for FileFault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<OperationError> for FileFault {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Store(error) => Self::Store(error),
            error => Self::Own(error),
        }
    }
}

impl From<RepositoryError> for FileFault {
    fn from(error: RepositoryError) -> Self {
        OperationError::from(error).into()
    }
}

impl From<ReadFault> for FileFault {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Damaged(problem) => Self::Damaged(problem),
            ReadFault::Other(error) => error.into(),
        }
    }
}

/// The purpose of the bytes. Their place follows from it.
#[derive(Clone)]
pub(super) enum Destination {
    /// A file. Its place follows from its content.
    File {
        /// The gzip level, if files are compressed.
        compression_level: Option<u8>,
    },
    /// The record of a file's blocks, at this address.
    Dag(Sha256Digest),
}

impl Destination {
    fn compresses(&self, first: &[u8]) -> Option<u8> {
        match self {
            Self::File { compression_level } => compression_level.filter(|_| is_worthwhile(first)),
            Self::Dag(_) => None,
        }
    }

    /// Address and key of these bytes.
    fn address_and_key(
        &self,
        sha256: &Sha256Digest,
        compression_level: Option<u8>,
        master: Option<&MasterKey>,
    ) -> (Sha256Digest, ObjectKey) {
        let encoding = Encoding {
            compressed: compression_level.is_some(),
            encrypted: master.is_some(),
        };
        match self {
            Self::File { .. } => {
                let address = file_address(master, sha256);
                (address, ObjectKey::content_object(&address, encoding))
            }
            Self::Dag(address) => (*address, ObjectKey::content_dag(address, encoding)),
        }
    }
}

/// Bytes on their way into the store.
pub(super) struct FileUpload {
    whole: oneshot::Sender<()>,
    making: JoinHandle<io::Result<FileDigests>>,
    uploading: UploadTask,
}

/// All bytes, uploaded and not yet in their place.
pub(super) struct UploadedFile {
    pub(super) made: FileDigests,
    pub(super) pending: PendingUpload,
}

/// Digests and sizes, before and after the stages.
pub(super) struct FileDigests {
    pub(super) size: u64,
    pub(super) sha256: Sha256Digest,
    pub(super) compressed: bool,
    pub(super) address: Sha256Digest,
    pub(super) key: ObjectKey,
    pub(super) artifact: ArtifactDigest,
}

impl FileUpload {
    /// Begins to store a file. The caller sends its chunks in order.
    pub(super) fn begin(
        repository: &Repository,
        settings: &Settings,
        key: &WritingKey,
        destination: Destination,
    ) -> Result<(Self, mpsc::Sender<Bytes>), FileFault> {
        let incoming = ObjectKey::content_incoming(random_bytes().map_err(OperationError::from)?);
        let (sink, source) =
            upload::channel(upload::part_bytes_for(settings.content.max_file_size));
        let (chunks, received) = mpsc::channel(MAX_WAITING_CHUNKS);
        let (whole, is_whole) = oneshot::channel();
        let uploading = UploadTask::begin(repository, &incoming, source);
        let stages = Stages {
            destination,
            encryption: encryption(key, incoming),
        };
        let making = tokio::task::spawn_blocking(move || stages.run(received, is_whole, sink));
        Ok((
            Self {
                whole,
                making,
                uploading,
            },
            chunks,
        ))
    }

    /// Confirms that all chunks were sent, and waits for the end of the upload.
    pub(super) async fn finish(self) -> Result<UploadedFile, FileFault> {
        let Self {
            whole,
            making,
            uploading,
        } = self;
        let _ = whole.send(());
        match join(making, uploading).await {
            (Ok(made), Ok(pending)) => Ok(UploadedFile { made, pending }),
            (Err(error), Ok(pending)) => {
                pending.abort().await;
                Err(error)
            }
            (_, Err(UploadError::Store(error))) => Err(error.into()),
            (Err(error), Err(UploadError::SourceDied { .. })) => Err(error),
            (Ok(_), Err(error)) => Err(internal(&error)),
        }
    }

    /// Discards the upload. Returns the error of the store, if the store had failed.
    pub(super) async fn abort(self) -> Option<StoreError> {
        let Self {
            whole,
            making,
            uploading,
        } = self;
        drop(whole);
        match join(making, uploading).await.1 {
            Ok(pending) => {
                pending.abort().await;
                None
            }
            Err(UploadError::Store(error)) => Some(error),
            Err(UploadError::SourceDied { .. }) => None,
        }
    }
}

/// Stores bytes from memory.
pub(super) async fn upload_bytes(
    repository: &Repository,
    settings: &Settings,
    key: &WritingKey,
    destination: Destination,
    bytes: Bytes,
) -> Result<UploadedFile, FileFault> {
    let (upload, chunks) = FileUpload::begin(repository, settings, key, destination)?;
    // If the receiver is gone, `finish` returns the reason.
    let _ = chunks.send(bytes).await;
    drop(chunks);
    upload.finish().await
}

async fn join(
    making: JoinHandle<io::Result<FileDigests>>,
    mut uploading: UploadTask,
) -> (
    Result<FileDigests, FileFault>,
    Result<PendingUpload, UploadError>,
) {
    let (made, uploaded) = tokio::join!(making, uploading.ended());
    let made = made
        .map_err(|error| internal(&error))
        .and_then(|made| made.map_err(|error| internal(&error)));
    let uploaded = uploaded.unwrap_or_else(|error| {
        let (key, cause) = (
            ObjectKey::INCOMING.to_owned(),
            format!("the upload was lost: {error}"),
        );
        Err(StoreError::Unavailable { key, cause }.into())
    });
    (made, uploaded)
}

fn internal(error: &dyn std::fmt::Display) -> FileFault {
    FileFault::Own(OperationError::internal("keep a file", error))
}

fn encryption(key: &WritingKey, incoming: ObjectKey) -> Option<(Arc<MasterKey>, ArtifactPlace)> {
    let (master, encryption) = key.master.as_ref().zip(key.encryption.as_ref())?;
    let (repository, key_epoch) = (key.repository.id.clone(), encryption.key_epoch);
    Some((
        Arc::clone(master),
        ArtifactPlace {
            repository,
            key_epoch,
            object_key: incoming,
        },
    ))
}

/// The stages on the blocking thread.
struct Stages {
    destination: Destination,
    encryption: Option<(Arc<MasterKey>, ArtifactPlace)>,
}

impl Stages {
    fn run(
        self,
        mut chunks: mpsc::Receiver<Bytes>,
        is_whole: oneshot::Receiver<()>,
        sink: PartSink,
    ) -> io::Result<FileDigests> {
        let first = first_chunks(&mut chunks);
        let sample: Vec<u8> = first.iter().flatten().copied().take(SAMPLE_BYTES).collect();
        let compression_level = self.destination.compresses(&sample);
        let recipe = Recipe {
            compression_level,
            encryption: self.encryption,
        };
        let mut writer = ArtifactWriter::new(&recipe, &Meters::default(), sink)?;
        let (mut hash, mut size) = (Sha256::new(), 0);
        for chunk in first
            .into_iter()
            .chain(std::iter::from_fn(|| chunks.blocking_recv()))
        {
            hash.update(&chunk);
            size += chunk.len() as u64;
            writer.write_all(&chunk)?;
        }
        is_whole
            .blocking_recv()
            .map_err(|_| io::Error::other("the file is incomplete"))?;
        let sha256 = Sha256Digest::new(hash.finalize().into());
        let compressed = compression_level.is_some();
        let master = recipe
            .encryption
            .as_ref()
            .map(|(master, _)| master.as_ref());
        let (address, key) = self
            .destination
            .address_and_key(&sha256, compression_level, master);
        let artifact = writer.finish_as(&key)?;
        Ok(FileDigests {
            size,
            sha256,
            compressed,
            address,
            key,
            artifact,
        })
    }
}

fn first_chunks(chunks: &mut mpsc::Receiver<Bytes>) -> Vec<Bytes> {
    let (mut first, mut bytes) = (Vec::new(), 0);
    while bytes < SAMPLE_BYTES {
        let Some(chunk) = chunks.blocking_recv() else {
            break;
        };
        bytes += chunk.len();
        first.push(chunk);
    }
    first
}
