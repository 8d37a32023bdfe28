//! Decrypts a stored artifact segment by segment. A segment's plaintext is released after its
//! digest matched. The segment with the trailer also waits for the trailer's check. Memory: one
//! segment of 8 MiB, decrypted in place.

use std::{
    io::{self, Chain, Cursor, Read},
    ops::Range,
};

use aes::Aes256;
use cbc::cipher::{Array, BlockModeDecrypt, KeyIvInit};

use super::{
    ArtifactPlace, BLOCK_BYTES, HEADER_BYTES, TRAILER_BYTES, check_length,
    trailer::{TrailerCheck, within},
    unlock,
    verify::read_header,
};
use crate::{ArtifactDigest, ArtifactError, MasterKey, SegmentReader, digest::SEGMENT};

/// The plaintext of an encrypted artifact, checked by the manifest's digests. Read to `Ok(0)`.
/// After an error, every further read fails.
pub struct DecryptReader<R> {
    segments: SegmentReader<Chain<Cursor<Vec<u8>>, R>>,
    cipher: cbc::Decryptor<Aes256>,
    /// `None` after it matched.
    trailer: Option<TrailerCheck>,
    /// End of the ciphertext in the file.
    cipher_end: u64,
    /// Beginning of the next segment in the file.
    offset: u64,
    /// Plaintext of the present segment, ready for release.
    ready: Range<usize>,
}

impl<R: Read> DecryptReader<R> {
    /// Reads the header, and checks that it fits `master` and `place`. `expected` comes from an
    /// authentic manifest, or from [`verify`](crate::verify).
    ///
    /// # Errors
    /// [`ArtifactError`] for a fault of the artifact. A wrong key is reported before other faults.
    /// The reader's errors.
    pub fn open(
        inner: R,
        master: &MasterKey,
        place: &ArtifactPlace,
        expected: ArtifactDigest,
    ) -> io::Result<Self> {
        Self::open_segments(inner, master, place, expected, SEGMENT)
    }

    pub(super) fn open_segments(
        mut inner: R,
        master: &MasterKey,
        place: &ArtifactPlace,
        expected: ArtifactDigest,
        segment_bytes: usize,
    ) -> io::Result<Self> {
        let size_bytes = expected.size_bytes;
        check_length(size_bytes)?;
        let bytes = read_header(&mut inner, size_bytes, segment_bytes)?;
        let (header, keys) = unlock(bytes.get_ref(), master, place)?;
        // The header is part of the first segment. It is read again, and authenticated like all
        // other bytes.
        let whole = bytes.chain(inner);
        Ok(Self {
            segments: SegmentReader::with_segments(
                whole,
                keys.segment_hasher(),
                expected,
                segment_bytes,
            )?,
            cipher: cbc::Decryptor::new(&keys.encryption.into(), &header.iv.into()),
            trailer: Some(TrailerCheck::new(&keys, &place.object_key, size_bytes)),
            cipher_end: size_bytes - TRAILER_BYTES as u64,
            offset: 0,
            ready: 0..0,
        })
    }

    /// Continues with the next segment with plaintext. `false` at the end.
    fn advance(&mut self) -> io::Result<bool> {
        while self.ready.is_empty() {
            let Some(segment) = self.segments.next_segment()? else {
                return Ok(false);
            };
            let length = segment.len();
            if let Some(trailer) = &mut self.trailer {
                trailer.update(segment);
            }
            if let Some(trailer) = self.trailer.take_if(|trailer| trailer.is_complete()) {
                trailer.finish()?;
            }
            let begin = within((HEADER_BYTES as u64).saturating_sub(self.offset), length);
            let end = within(self.cipher_end.saturating_sub(self.offset), length);
            self.ready = begin..end.max(begin);
            let (blocks, _) = Array::slice_as_chunks_mut(&mut segment[self.ready.clone()]);
            self.cipher.decrypt_blocks(blocks);
            if !self.ready.is_empty() && self.offset + end as u64 == self.cipher_end {
                self.ready.end -= padding(&segment[self.ready.clone()])?;
            }
            self.offset += length as u64;
        }
        Ok(true)
    }
}

impl<R: Read> Read for DecryptReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        match self.advance() {
            Ok(true) => {}
            Ok(false) => return Ok(0),
            Err(error) => {
                self.segments.fail();
                self.ready = 0..0;
                return Err(error);
            }
        }
        let length = self.ready.len().min(into.len());
        into[..length].copy_from_slice(&self.segments.segment()[self.ready.start..][..length]);
        self.ready.start += length;
        Ok(length)
    }
}

/// Number of padding bytes at the end. They are authentic at this point, so a padding oracle is
/// impossible.
fn padding(plain: &[u8]) -> Result<usize, ArtifactError> {
    let padding = plain.last().map_or(0, |byte| usize::from(*byte));
    let well_formed = (1..=BLOCK_BYTES).contains(&padding)
        && plain.len() >= padding
        && plain[plain.len() - padding..]
            .iter()
            .all(|byte| usize::from(*byte) == padding);
    if well_formed {
        Ok(padding)
    } else {
        Err(ArtifactError::Padding)
    }
}
