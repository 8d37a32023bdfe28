//! Prepares the next entries in their order. Several small files are read and proved at a time.

use futures_util::{StreamExt as _, stream};
use holdfast_domain::{BackupId, ItemRecord, StoredFile};
use holdfast_repository::content::{
    proof::ContentObject,
    read::{Hashing, ObjectSource, Plain, ReadFault, blocking},
};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{PREPARED, SMALL_BYTES};
use crate::{
    Holdfast, OperationError,
    backup::content::finalize::{damage::fail_item, rows::Rows, tar::read_up_to},
};

/// The next item.
pub(super) enum Next {
    /// An item without a file.
    Passed(ItemRecord),
    /// A file, complete and proved.
    Small(ItemRecord, Vec<u8>),
    /// A file to be streamed.
    Large(ItemRecord),
    /// There are no more.
    End,
}

/// The entries. Dropping them stops the preparation.
pub(super) struct Entries {
    prepared: mpsc::Receiver<Result<Next, OperationError>>,
    preparing: JoinHandle<()>,
}

impl Entries {
    pub(super) fn begin(h: &Holdfast, id: &BackupId, source: &ObjectSource, rows: Rows) -> Self {
        let (sender, prepared) = mpsc::channel(1);
        let (h, id, source) = (h.clone(), id.clone(), source.clone());
        let preparing = tokio::spawn(async move {
            let items = stream::unfold(Some(rows), next_row);
            let prepare = |item: Result<ItemRecord, OperationError>| {
                let (h, id, source) = (h.clone(), id.clone(), source.clone());
                async move { prepare(&h, &id, &source, item?).await }
            };
            let mut entries = Box::pin(items.map(prepare).buffered(PREPARED));
            while let Some(entry) = entries.next().await {
                let failed = entry.is_err();
                if sender.send(entry).await.is_err() || failed {
                    return;
                }
            }
            let _ = sender.send(Ok(Next::End)).await;
        });
        Self {
            prepared,
            preparing,
        }
    }

    /// The next entry, for a blocking thread. The end is an entry too, and a closed channel is an
    /// error.
    pub(super) fn next(&mut self) -> Result<Next, OperationError> {
        let next = self.prepared.blocking_recv();
        next.unwrap_or_else(|| {
            Err(OperationError::internal(
                "prepare the archive",
                &"its files stopped coming",
            ))
        })
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        self.preparing.abort();
    }
}

async fn next_row(
    rows: Option<Rows>,
) -> Option<(Result<ItemRecord, OperationError>, Option<Rows>)> {
    let mut rows = rows?;
    match rows.next().await {
        Ok(Some(record)) => Some((Ok(record), Some(rows))),
        Ok(None) => None,
        Err(error) => Some((Err(error), None)),
    }
}

async fn prepare(
    h: &Holdfast,
    id: &BackupId,
    source: &ObjectSource,
    record: ItemRecord,
) -> Result<Next, OperationError> {
    let Some(file) = &record.file else {
        return Ok(Next::Passed(record));
    };
    if file.size > SMALL_BYTES || file.object.artifact.size > 2 * SMALL_BYTES {
        return Ok(Next::Large(record));
    }
    match read_small(source, &record).await {
        Ok(bytes) => Ok(Next::Small(record, bytes)),
        Err(ReadFault::Damaged(problem)) => {
            fail_item(h, id, &record, &file.object, &problem).await?;
            Ok(Next::Passed(record))
        }
        Err(ReadFault::Other(error)) => Err(error.into()),
    }
}

async fn read_small(source: &ObjectSource, record: &ItemRecord) -> Result<Vec<u8>, ReadFault> {
    let Some(file) = &record.file else {
        return Ok(Vec::new());
    };
    let mut reader = Hashing::new(source.open_stored(ContentObject::file(file)).await?);
    let read = blocking("read an object", move || {
        let (bytes, _) = read_up_to(
            &mut reader,
            usize::try_from(SMALL_BYTES).unwrap_or(usize::MAX),
        )?;
        Ok((bytes, reader.finish()))
    });
    let (bytes, plain) = read
        .await?
        .map_err(|error| ReadFault::of(&error, &file.object.artifact.key))?;
    match differs(file, plain) {
        Some(problem) => Err(ReadFault::Damaged(problem)),
        None => Ok(bytes),
    }
}

/// The difference between a file's record and its content, if any.
pub(super) fn differs(file: &StoredFile, read: Plain) -> Option<String> {
    let key = &file.object.artifact.key;
    if read.size != file.size {
        return Some(format!(
            "{key} holds a file of {} bytes, {} were kept",
            read.size, file.size
        ));
    }
    // Omits the hash of the file: it is secret with encryption, and this text is logged.
    (read.sha256 != file.file_sha256)
        .then(|| format!("{key} holds another file: the SHA-256 differs"))
}
