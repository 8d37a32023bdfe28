//! Bringing what was sent to its place, once: where its address is taken, what stands there is taken for it if it is the
//! same, and never written over.

use std::io;

use bytes::Bytes;
use holdfast_catalog::HoldSource;
use holdfast_codec::{ArtifactDigest, ArtifactPlace, DigestWriter, Header, SegmentHasher};
use holdfast_content::{FetchedFile, ipfs::DagRecord};
use holdfast_domain::{
    Artifact, Compression, Encryption, KeptFile, ObjectKey, SEGMENT_BYTES, StorageType, StoredObject, Timestamp,
};
use holdfast_storage::{ByteReader, StoreError};

use super::{
    dag_address,
    held::is_there,
    keep::{self, KeepError, Made, Naming, Sent},
    read::{ObjectSource, ReadFault},
    source::ItemSource,
};
use crate::{Holdfast, OperationError, writing_key::WritingKey};

/// A record of a file's blocks larger than this is none of ours.
const MAX_DAG_BYTES: u64 = 256 * 1024 * 1024;

/// Puts a file that was sent, and before it what rebuilds its blocks, where they belong; then writes what is held of the
/// source.
pub(super) async fn settle_in_place(
    h: &Holdfast,
    key: &WritingKey,
    source: &ItemSource,
    sent: Sent,
    fetched: FetchedFile,
) -> Result<KeptFile, KeepError> {
    if sent.made.size != fetched.size {
        let cause = format!("{} bytes came of {}", sent.made.size, fetched.size);
        sent.pending.abort().await;
        return Err(OperationError::internal("keep a file", &cause).into());
    }
    let dag = match &fetched.dag {
        None => None,
        Some(record) => Some(keep_dag(h, key, source, record).await?),
    };
    let (size, file_sha256, address) = (sent.made.size, sent.made.sha256, sent.made.address);
    let object = place_file(h, key, sent).await?;
    let file = KeptFile {
        size,
        file_sha256,
        object,
        dag,
        cid: (source.storage_type == StorageType::Ipfs).then(|| source.locator.clone()),
        verified: fetched.verified,
        served_by: fetched.source,
        validator: fetched.validator,
        content_type: fetched.content_type,
        content_encoding: fetched.content_encoding,
        fetched_at: Timestamp::now(),
    };
    let hold = HoldSource { storage_type: source.storage_type, locator: &source.locator, address: &address };
    h.catalog.hold(&hold, &file, Timestamp::now()).await.map_err(OperationError::from)?;
    Ok(file)
}

async fn place_file(h: &Holdfast, key: &WritingKey, sent: Sent) -> Result<StoredObject, KeepError> {
    if let Some(object) = held_already(h, &sent.made).await? {
        sent.pending.abort().await;
        return Ok(object);
    }
    let made = sent.made;
    match sent.pending.complete_as(&made.key).await {
        Ok(_) => Ok(stored_object(key, &made)),
        Err(StoreError::AlreadyExists { .. }) => {
            let object = object_at(h, key, &made.key, made.compressed).await?;
            let plain = ObjectSource::new(&h.repository, &key.repository.id).prove(&object).await?;
            if plain.sha256 == made.sha256 { Ok(object) } else { Err(not_what_it_should_be(&made.key)) }
        }
        Err(error) => Err(error.into()),
    }
}

/// The object of another source, or of an earlier time, that holds this very file.
async fn held_already(h: &Holdfast, made: &Made) -> Result<Option<StoredObject>, KeepError> {
    let held = h.catalog.held_by_address(&made.address).await.map_err(OperationError::from)?;
    let Some(held) = held.filter(|held| held.file_sha256 == made.sha256) else { return Ok(None) };
    let file = KeptFile { dag: None, ..held };
    Ok(is_there(h, &file).await?.then_some(file.object))
}

/// Keeps what rebuilds the blocks; its place follows from the CID and the path, so another item may have kept it.
async fn keep_dag(
    h: &Holdfast,
    key: &WritingKey,
    source: &ItemSource,
    record: &DagRecord,
) -> Result<StoredObject, KeepError> {
    let address = dag_address(key.master.as_deref(), &source.locator);
    let sent = keep::send(h, key, Naming::Dag(address), Bytes::from(record.to_bytes())).await?;
    let made = sent.made;
    match sent.pending.complete_as(&made.key).await {
        Ok(_) => Ok(stored_object(key, &made)),
        Err(StoreError::AlreadyExists { .. }) => {
            let object = object_at(h, key, &made.key, false).await?;
            let found = read_dag(h, key, &object).await?;
            let is_same = found.is_some_and(|found| {
                found.path() == record.path() && found.file_cid() == record.file_cid() && found.size() == record.size()
            });
            if is_same { Ok(object) } else { Err(not_what_it_should_be(&made.key)) }
        }
        Err(error) => Err(error.into()),
    }
}

async fn read_dag(h: &Holdfast, key: &WritingKey, object: &StoredObject) -> Result<Option<DagRecord>, KeepError> {
    if object.artifact.size > MAX_DAG_BYTES {
        return Ok(None);
    }
    let mut reader = ObjectSource::new(&h.repository, &key.repository.id).open(object).await?;
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut reader, &mut bytes).map(|_| bytes)
    });
    let bytes = read.await.map_err(|error| OperationError::internal("read an object", &error))?;
    let bytes = bytes.map_err(|error| ReadFault::of(&error, &object.artifact.key))?;
    Ok(DagRecord::from_bytes(&bytes).ok())
}

fn not_what_it_should_be(key: &ObjectKey) -> KeepError {
    KeepError::Damaged(format!(
        "{key} is damaged: what it holds is not what its name says. It was left as it is: look at it, then delete it, \
         and the next backup stores the file anew"
    ))
}

fn stored_object(key: &WritingKey, made: &Made) -> StoredObject {
    object(&made.key, made.artifact.clone(), made.compressed, key.encryption.clone())
}

fn object(key: &ObjectKey, digest: ArtifactDigest, compressed: bool, encryption: Option<Encryption>) -> StoredObject {
    let artifact = Artifact {
        key: key.clone(),
        size: digest.size_bytes,
        sha256: digest.sha256,
        segment_bytes: SEGMENT_BYTES,
        segments: digest.segments,
    };
    StoredObject { artifact, compression: compressed.then_some(Compression::Gzip), encryption }
}

/// What is known of an object by reading it: its digests, and where it is encrypted that it is authentic. What it holds
/// is the caller's to find out.
async fn object_at(
    h: &Holdfast,
    key: &WritingKey,
    object_key: &ObjectKey,
    compressed: bool,
) -> Result<StoredObject, KeepError> {
    let Some(asked) = &key.encryption else {
        let digest = digests(h, object_key).await?;
        return Ok(object(object_key, digest, compressed, None));
    };
    let size_bytes = h.repository.store().head(object_key).await?.size_bytes;
    let header = reading(h, object_key, Header::read_from).await?;
    let master = h.repository.master_key(header.key_epoch).await?;
    let (repository, key_epoch) = (key.repository.id.clone(), header.key_epoch);
    let place = ArtifactPlace { repository, key_epoch, object_key: object_key.clone() };
    let digest =
        reading(h, object_key, move |reader| holdfast_codec::verify(reader, size_bytes, &master, &place)).await?;
    Ok(object(object_key, digest, compressed, Some(Encryption { suite: asked.suite.clone(), key_epoch })))
}

async fn digests(h: &Holdfast, object_key: &ObjectKey) -> Result<ArtifactDigest, KeepError> {
    reading(h, object_key, |mut reader| {
        let mut writer = DigestWriter::new(io::sink(), SegmentHasher::plain());
        io::copy(&mut reader, &mut writer)?;
        Ok(writer.finish()?.1)
    })
    .await
}

/// Reads an object on a blocking thread.
async fn reading<T: Send + 'static>(
    h: &Holdfast,
    object_key: &ObjectKey,
    read: impl FnOnce(ByteReader) -> io::Result<T> + Send + 'static,
) -> Result<T, KeepError> {
    let reader = ByteReader::new(h.repository.store().get(object_key, None).await?);
    let read = tokio::task::spawn_blocking(move || read(reader)).await;
    let read = read.map_err(|error| OperationError::internal("read an object", &error))?;
    read.map_err(|error| ReadFault::of(&error, object_key).into())
}
