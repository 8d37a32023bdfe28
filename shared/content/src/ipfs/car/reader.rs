//! Reads blocks from a CAR in pieces of any size. Memory is one block and one piece. Nothing is
//! trusted: the walk checks that each block matches its CID, and that the CAR is complete.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{
    super::{Cid, MAX_BLOCK_BYTES, cid::is_identity, varint},
    CarFault, MAX_CID_BYTES, MAX_HEADER_BYTES, header,
};

/// Reads one CAR: `push` a piece, then call `next_block` until it returns none.
#[derive(Debug, Default)]
pub struct CarReader {
    buffer: BytesMut,
    /// Bytes taken out of the buffer.
    offset: u64,
    roots: Option<Vec<Cid>>,
}

/// A block as a CAR has it, not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarBlock {
    /// Its CID in the CAR.
    pub cid: Cid,
    /// Its bytes.
    pub bytes: Bytes,
}

impl CarReader {
    /// A reader at the beginning of a CAR.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the CAR.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next complete block. Blocks under identity CIDs are skipped, because their CIDs contain
    /// the same bytes.
    ///
    /// # Errors
    /// The first fault. Later calls return the same one.
    pub fn next_block(&mut self) -> Result<Option<CarBlock>, CarFault> {
        if self.roots.is_none() {
            let Some(bytes) = self.section("a header", MAX_HEADER_BYTES)? else {
                return Ok(None);
            };
            self.roots = Some(header::read(&self.buffer[bytes.clone()])?);
            self.take(bytes);
        }
        while let Some(section) = self.section("a block", MAX_CID_BYTES + MAX_BLOCK_BYTES)? {
            let mut rest = &self.buffer[section.clone()];
            let cid =
                Cid::read_bytes(&mut rest).map_err(|_| self.malformed("a block has no CID"))?;
            if rest.len() > MAX_BLOCK_BYTES {
                return Err(self.too_large("a block", rest.len() as u64, MAX_BLOCK_BYTES));
            }
            let block = rest.len();
            let mut bytes = self.take(section);
            if !is_identity(&cid) {
                return Ok(Some(CarBlock {
                    cid,
                    bytes: bytes.split_off(bytes.len() - block),
                }));
            }
        }
        Ok(None)
    }

    /// The roots in the header, once it is complete. They have no effect.
    #[must_use]
    pub fn roots(&self) -> Option<&[Cid]> {
        self.roots.as_deref()
    }

    /// Ends the CAR. An end between two blocks is valid: only the walk knows the missing blocks.
    ///
    /// # Errors
    /// [`CarFault::Cut`] for an end inside the header or a block.
    pub fn finish(self) -> Result<(), CarFault> {
        let inside = match self.roots {
            None => "its header",
            Some(_) if !self.buffer.is_empty() => "a block",
            Some(_) => return Ok(()),
        };
        Err(CarFault::Cut {
            offset: self.offset + self.buffer.len() as u64,
            inside,
        })
    }

    /// Range of the next section in the buffer, after its length, once it is complete.
    fn section(
        &mut self,
        what: &'static str,
        limit_bytes: usize,
    ) -> Result<Option<std::ops::Range<usize>>, CarFault> {
        let length = varint::read(&self.buffer)
            .map_err(|_| self.malformed("a length has more than 64 bits"))?;
        let Some((length, start)) = length else {
            return Ok(None);
        };
        if length == 0 {
            return Err(self.malformed("a section is empty"));
        }
        let bytes = usize::try_from(length)
            .ok()
            .filter(|bytes| *bytes <= limit_bytes);
        let Some(bytes) = bytes else {
            return Err(self.too_large(what, length, limit_bytes));
        };
        let end = start + bytes;
        if self.buffer.len() < end {
            self.buffer.reserve(end - self.buffer.len());
            return Ok(None);
        }
        Ok(Some(start..end))
    }

    fn take(&mut self, section: std::ops::Range<usize>) -> Bytes {
        self.offset += section.end as u64;
        let mut taken = self.buffer.split_to(section.end);
        taken.advance(section.start);
        taken.freeze()
    }

    fn malformed(&self, reason: &'static str) -> CarFault {
        CarFault::Malformed {
            offset: self.offset,
            reason,
        }
    }

    fn too_large(&self, what: &'static str, size_bytes: u64, limit_bytes: usize) -> CarFault {
        CarFault::TooLarge {
            what,
            offset: self.offset,
            size_bytes,
            limit_bytes,
        }
    }
}
