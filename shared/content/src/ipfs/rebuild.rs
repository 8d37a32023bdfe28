//! Rebuilds the blocks from the file's bytes and the record. A walk from the root requests them, so
//! the result is proved to be the complete DAG of that root, in order. Memory is one block and
//! twice the record.

use std::io::{self, Read};

use bytes::Bytes;

use super::{
    Cid, DagFault, DagRecord, RecordError, Walk, WalkError, WalkLimits,
    record::{Entries, Entry},
};

/// Why the blocks were not rebuilt, or not written.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The file cannot be read, or the blocks cannot be written: the reason is the reader's or the
    /// writer's own.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file's bytes do not make the block. Permanent.
    #[error(
        "the file does not match its record of blocks: the block {cid} differs, from byte {offset} on"
    )]
    OtherFile {
        /// The expected block.
        cid: String,
        /// Offset of its bytes in the file.
        offset: u64,
    },
    /// The file ends too early or too late. Permanent.
    #[error("the file does not match its record of blocks: it does not end at {size_bytes} bytes")]
    OtherSize {
        /// Its expected size in bytes.
        size_bytes: u64,
    },
    /// The record does not describe one DAG. Permanent.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The record does not describe a DAG. Permanent.
    #[error("the record of an IPFS file's blocks is malformed: {0}")]
    Dag(#[from] DagFault),
}

impl DagRecord {
    /// Rebuilds every block in the order of the walk, including repeated ones. Each is proved
    /// against its CID, then passed on. Blocks of the path come first.
    ///
    /// # Errors
    /// [`RebuildError`], for the first block that differs, or a file with bytes after the last
    /// block.
    pub fn rebuild(
        &self,
        file: impl Read,
        mut out: impl FnMut(&Cid, &[u8]) -> io::Result<()>,
    ) -> Result<(), RebuildError> {
        let mut file = File {
            reader: file,
            offset: 0,
            size: self.size(),
        };
        let (mut walk, bytes) = Walk::begin(self.path(), self.limits())?;
        file.compare(&bytes, 0)?;
        for entry in Entries(&self.entries) {
            let (entry, cid) = (entry?, *walk.wanted().ok_or(SURPLUS)?);
            let block = file.block(&entry)?;
            let bytes = walk
                .supply(&block)
                .map_err(|error| file.refused(&error, &cid, &entry))?;
            out(&cid, &block)?;
            file.compare(&bytes, entry.of_file)?;
        }
        let walked = walk
            .finish()
            .map_err(|_| RecordError::Malformed("blocks are missing at its end"))?;
        if walked.record != *self {
            return Err(SURPLUS.into());
        }
        file.end()
    }

    /// The limits follow from the record itself.
    fn limits(&self) -> WalkLimits {
        let inner_bytes = self.entries.len() as u64;
        WalkLimits {
            depth: usize::MAX,
            blocks: u64::MAX,
            inner_bytes,
            file_bytes: self.size(),
        }
    }
}

const SURPLUS: RecordError = RecordError::Malformed("it has more than the DAG of its root");

/// The part of the file that was read.
struct File<R> {
    reader: R,
    offset: u64,
    size: u64,
}

impl<R: Read> File<R> {
    fn block(&mut self, entry: &Entry<'_>) -> Result<Bytes, RebuildError> {
        let mut block = Vec::with_capacity(entry.prefix.len() + entry.of_file + entry.suffix.len());
        block.extend_from_slice(entry.prefix);
        self.read_into(&mut block, entry.of_file)?;
        block.extend_from_slice(entry.suffix);
        Ok(block.into())
    }

    fn read_into(&mut self, block: &mut Vec<u8>, bytes: usize) -> Result<(), RebuildError> {
        let read = self.reader.by_ref().take(bytes as u64).read_to_end(block)?;
        self.offset += read as u64;
        if read < bytes {
            Err(RebuildError::OtherSize {
                size_bytes: self.size,
            })
        } else {
            Ok(())
        }
    }

    /// Reads the output of the walk beyond its input: the bytes in identity CIDs.
    fn compare(&mut self, delivered: &[Bytes], went_in: usize) -> Result<(), RebuildError> {
        let mut skipped = went_in;
        for bytes in delivered {
            let skip = skipped.min(bytes.len());
            skipped -= skip;
            let mut found = Vec::with_capacity(bytes.len() - skip);
            self.read_into(&mut found, bytes.len() - skip)?;
            if found != bytes[skip..] {
                return Err(self.other_file("within its parent's CID".to_owned(), found.len()));
            }
        }
        Ok(())
    }

    fn refused(&self, error: &WalkError, cid: &Cid, entry: &Entry<'_>) -> RebuildError {
        match error {
            WalkError::Dag(fault) => fault.clone().into(),
            _ => self.other_file(cid.to_string(), entry.of_file),
        }
    }

    fn other_file(&self, cid: String, read: usize) -> RebuildError {
        RebuildError::OtherFile {
            cid,
            offset: self.offset - read as u64,
        }
    }

    fn end(&mut self) -> Result<(), RebuildError> {
        let read = self.reader.by_ref().take(1).read_to_end(&mut Vec::new())?;
        let ended = read == 0 && self.offset == self.size;
        if ended {
            Ok(())
        } else {
            Err(RebuildError::OtherSize {
                size_bytes: self.size,
            })
        }
    }
}
