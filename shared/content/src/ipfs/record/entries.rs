//! The entries of a record, one for each block: length of the prefix, prefix, bytes of the file,
//! length of the suffix, suffix. Numbers are varints. A raw leaf takes five bytes, a dag-pb leaf
//! about twenty, an inner block its own size.

use std::ops::Range;

use super::{
    super::{Cid, DagFault, IpfsPath, MAX_BLOCK_BYTES, varint},
    DagRecord, RecordError,
};

/// Writes the entries of a walk.
#[derive(Debug)]
pub(in super::super) struct Recorder {
    entries: Vec<u8>,
    blocks: u64,
    limit_bytes: u64,
}

impl Recorder {
    pub(in super::super) fn new(limit_bytes: u64) -> Self {
        Self {
            entries: Vec::new(),
            blocks: 0,
            limit_bytes,
        }
    }

    /// Adds a block with this range of the file. A block without bytes of the file is stored
    /// completely.
    pub(in super::super) fn add(
        &mut self,
        block: &[u8],
        of_file: Range<usize>,
    ) -> Result<(), DagFault> {
        let of_file = if of_file.is_empty() { 0..0 } else { of_file };
        self.text(&block[..of_file.start]);
        varint::write(&mut self.entries, of_file.len() as u64);
        self.text(&block[of_file.end..]);
        self.blocks += 1;
        if self.entries.len() as u64 > self.limit_bytes {
            return Err(DagFault::TooMuchStructure {
                limit_bytes: self.limit_bytes,
            });
        }
        Ok(())
    }

    fn text(&mut self, bytes: &[u8]) {
        varint::write(&mut self.entries, bytes.len() as u64);
        self.entries.extend_from_slice(bytes);
    }

    pub(in super::super) fn finish(self, path: IpfsPath, file_cid: Cid, size: u64) -> DagRecord {
        DagRecord {
            path,
            file_cid,
            size,
            blocks: self.blocks,
            entries: self.entries,
        }
    }
}

/// One entry: a block without the bytes of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Entry<'a> {
    pub(in super::super) prefix: &'a [u8],
    pub(in super::super) of_file: usize,
    pub(in super::super) suffix: &'a [u8],
}

/// The entries of a record. None for a block above the size limit.
#[derive(Debug)]
pub(in super::super) struct Entries<'a>(pub(in super::super) &'a [u8]);

impl<'a> Entries<'a> {
    fn entry(&mut self) -> Result<Entry<'a>, RecordError> {
        let prefix = take_text(&mut self.0)?;
        let of_file = take_number(&mut self.0)?;
        let suffix = take_text(&mut self.0)?;
        let room = MAX_BLOCK_BYTES.checked_sub(prefix.len().saturating_add(suffix.len()));
        let of_file = usize::try_from(of_file)
            .ok()
            .filter(|bytes| room.is_some_and(|room| *bytes <= room));
        of_file
            .map(|of_file| Entry {
                prefix,
                of_file,
                suffix,
            })
            .ok_or(RecordError::Malformed("a block is too large"))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| self.entry())
    }
}

/// Takes a number off the front.
pub(super) fn take_number(bytes: &mut &[u8]) -> Result<u64, RecordError> {
    match varint::read(bytes) {
        Ok(Some((number, taken))) => {
            *bytes = &bytes[taken..];
            Ok(number)
        }
        Ok(None) => Err(RecordError::Malformed("it ends within a number")),
        Err(varint::Overlong) => Err(RecordError::Malformed("a number has more than 64 bits")),
    }
}

/// Takes a length and so many bytes off the front.
pub(super) fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], RecordError> {
    let length = usize::try_from(take_number(bytes)?).unwrap_or(usize::MAX);
    let (text, rest) = bytes
        .split_at_checked(length)
        .ok_or(RecordError::Malformed("it ends within a field"))?;
    *bytes = rest;
    Ok(text)
}
