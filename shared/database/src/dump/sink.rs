//! The blocking end of a dump: one thread that turns the readers' batches into an archive. The end of data is a
//! message; a channel that merely closes is a dump that broke off, and leaves an archive without an end.

use std::io::{self, Write};

use holdfast_archive::{BlockWriter, Prelude, WriteError, Written};
use mongodb::raw_batch_cursor::RawBatch;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{DatabaseError, raw::documents};

/// A block ends when it has so much; one with a larger document has more.
const BLOCK_BYTES: usize = 1024 * 1024;

/// What a block's buffer keeps between batches; a larger one was for a large document.
const KEPT_BYTES: usize = 2 * BLOCK_BYTES;

/// What readers hand over.
pub(super) enum Message {
    /// Documents of a namespace. The permit is its share of the memory, given back when they are written.
    Batch { namespace: usize, batch: RawBatch, share: OwnedSemaphorePermit },
    /// A namespace is complete.
    Close { namespace: usize },
    /// All of them are.
    End,
}

/// Why the thread stopped.
pub(super) enum SinkError {
    /// The readers broke off; their error is the one to tell.
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

/// Writes the archive until its end; the writer comes back only from a whole one.
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
            Message::Batch { namespace, batch, share } => {
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
