//! Moves an uploaded file to its place, once. An existing object is reused if it proves itself.
//! Objects are never overwritten.

use bytes::Bytes;
use holdfast_catalog::SourceAddress;
use holdfast_content::{FetchedFile, ipfs::DagRecord};
use holdfast_domain::{
    Artifact, Compression, SEGMENT_BYTES, StorageType, StoredFile, StoredObject,
};
use holdfast_repository::{
    content::{
        proof::{ContentObject, Holds},
        read::{ObjectSource, Plain, ReadFault},
    },
    writing_key::WritingKey,
};
use holdfast_storage::StoreError;

use super::{
    dag_address,
    file_upload::{self, Destination, FileDigests, FileFault, UploadedFile},
    source::ItemSource,
    stored::in_store,
};
use crate::{Holdfast, OperationError};

/// Stores the record of the blocks, then the uploaded file, each in its place. Then records both as
/// stored for the source.
pub(super) async fn place_and_record(
    h: &Holdfast,
    key: &WritingKey,
    source: &ItemSource,
    sent: UploadedFile,
    fetched: FetchedFile,
) -> Result<StoredFile, FileFault> {
    if sent.made.size != fetched.size {
        let cause = format!("{} bytes came of {}", sent.made.size, fetched.size);
        sent.pending.abort().await;
        return Err(OperationError::internal("keep a file", &cause).into());
    }
    let dag = match &fetched.dag {
        None => None,
        Some(record) => Some(store_dag(h, key, source, record).await?),
    };
    let (size, file_sha256, address) = (sent.made.size, sent.made.sha256, sent.made.address);
    let object = place_file(h, key, sent).await?;
    let now = h.catalog.now().await.map_err(OperationError::from)?;
    let file = StoredFile {
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
        fetched_at: now,
    };
    let source_address = SourceAddress {
        storage_type: source.storage_type,
        locator: &source.locator,
        address: &address,
    };
    h.catalog
        .record_stored_file(&source_address, &file, now)
        .await
        .map_err(OperationError::from)?;
    Ok(file)
}

async fn place_file(
    h: &Holdfast,
    key: &WritingKey,
    sent: UploadedFile,
) -> Result<StoredObject, FileFault> {
    if let Some(object) = already_stored(h, &sent.made).await? {
        sent.pending.abort().await;
        return Ok(object);
    }
    let made = sent.made;
    match sent.pending.complete_as(&made.key).await {
        Ok(_) => Ok(stored_object(key, &made)),
        Err(StoreError::AlreadyExists { .. }) => {
            let holds = Holds::File(Plain {
                size: made.size,
                sha256: made.sha256,
            });
            reuse_existing(
                h,
                key,
                ContentObject {
                    stored: stored_object(key, &made),
                    holds,
                },
            )
            .await
        }
        Err(error) => Err(error.into()),
    }
}

/// An existing object of another source or an earlier time with this very file.
async fn already_stored(
    h: &Holdfast,
    made: &FileDigests,
) -> Result<Option<StoredObject>, FileFault> {
    let stored = h
        .catalog
        .stored_file_by_address(&made.address)
        .await
        .map_err(OperationError::from)?;
    let Some(stored) = stored.filter(|stored| stored.file_sha256 == made.sha256) else {
        return Ok(None);
    };
    let found = in_store(
        h,
        &StoredFile {
            dag: None,
            ..stored
        },
    )
    .await?;
    Ok(found.map(|file| file.object))
}

/// Stores the record of the blocks. Its place follows from the CID and the path, so another item
/// may have stored it.
async fn store_dag(
    h: &Holdfast,
    key: &WritingKey,
    source: &ItemSource,
    record: &DagRecord,
) -> Result<StoredObject, FileFault> {
    let address = dag_address(key.master.as_deref(), &source.locator);
    let sent = file_upload::upload_bytes(
        h,
        key,
        Destination::Dag(address),
        Bytes::from(record.to_bytes()),
    )
    .await?;
    let made = sent.made;
    match sent.pending.complete_as(&made.key).await {
        Ok(_) => Ok(stored_object(key, &made)),
        Err(StoreError::AlreadyExists { .. }) => {
            let holds = Holds::Blocks {
                path: Some(record.path().to_string()),
                file_size: record.size(),
            };
            reuse_existing(
                h,
                key,
                ContentObject {
                    stored: stored_object(key, &made),
                    holds,
                },
            )
            .await
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the stored form of the object in the place of the uploaded one.
async fn reuse_existing(
    h: &Holdfast,
    key: &WritingKey,
    sent: ContentObject,
) -> Result<StoredObject, FileFault> {
    match ObjectSource::new(&h.repository, &key.repository.id)
        .prove(&sent)
        .await
    {
        Ok(form) => Ok(form),
        Err(ReadFault::Damaged(problem)) => Err(FileFault::Damaged(format!(
            "{} is damaged ({problem}). It was left as it is. Examine it, then delete it: the next backup stores the \
             file again",
            sent.key()
        ))),
        Err(ReadFault::Other(error)) => Err(error.into()),
    }
}

fn stored_object(key: &WritingKey, made: &FileDigests) -> StoredObject {
    let artifact = Artifact {
        key: made.key.clone(),
        size: made.artifact.size_bytes,
        sha256: made.artifact.sha256,
        segment_bytes: SEGMENT_BYTES,
        segments: made.artifact.segments.clone(),
    };
    let compression = made.compressed.then_some(Compression::Gzip);
    StoredObject {
        artifact,
        compression,
        encryption: key.encryption.clone(),
    }
}
