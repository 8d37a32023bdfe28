//! The blocking end of a dump: one thread writes the readers' batches as an archive. A message
//! marks the end of data. A closed channel without it is a broken dump, and leaves an archive
//! without an end.

use std::io::{self, Write};

use holdfast_archive::{BlockWriter, Prelude, WriteError, Written};
use mongodb::raw_batch_cursor::RawBatch;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{DatabaseError, raw::documents};

/// Size of a complete block. A block with a larger document exceeds it.
const BLOCK_BYTES: usize = 1024 * 1024;

/// Size of a block's buffer between batches. A larger buffer was for a large document.
const KEPT_BYTES: usize = 2 * BLOCK_BYTES;

/// Messages of the readers.
pub(super) enum Message {
    /// Documents of a namespace. The permit is its share of the memory, returned after the write.
    Batch {
        namespace: usize,
        batch: RawBatch,
        share: OwnedSemaphorePermit,
    },
    /// A namespace is complete.
    Close { namespace: usize },
    /// All namespaces are complete.
    End,
}

/// Reason for the end of the thread.
pub(super) enum SinkError {
    /// The readers failed. Their error is the one to report.
    Abandoned,
    Io(io::Error),
    Archive(WriteError),
    Database(DatabaseError),
}

impl From<WriteError> for SinkError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Io(error) => Self::Io(error),
            other => Self::Archive(other),
        }
    }
}

/// Writes the archive to its end. Only a complete archive returns the writer.
pub(super) fn write_archive<W: Write>(
    prelude: Prelude,
    mut writer: W,
    mut messages: mpsc::Receiver<Message>,
) -> Result<(W, Written), SinkError> {
    let mut archive = BlockWriter::new(prelude)?;
    archive.begin(&mut writer)?;
    let mut block = Vec::new();
    loop {
        match messages.blocking_recv().ok_or(SinkError::Abandoned)? {
            Message::Batch {
                namespace,
                batch,
                share,
            } => {
                for document in documents(&batch) {
                    let document = document.map_err(SinkError::Database)?;
                    if !block.is_empty() && block.len() + document.len() > BLOCK_BYTES {
                        write_block(&mut archive, &mut writer, namespace, &mut block)?;
                    }
                    block.extend_from_slice(document);
                }
                drop(batch);
                write_block(&mut archive, &mut writer, namespace, &mut block)?;
                drop(share);
            }
            Message::Close { namespace } => archive.close(&mut writer, namespace)?,
            Message::End => return Ok((writer, archive.finish()?)),
        }
    }
}

fn write_block(
    archive: &mut BlockWriter,
    writer: &mut impl Write,
    namespace: usize,
    block: &mut Vec<u8>,
) -> Result<(), WriteError> {
    archive.documents(writer, namespace, block)?;
    block.clear();
    block.shrink_to(KEPT_BYTES);
    Ok(())
}
