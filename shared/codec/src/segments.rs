//! Reads a stored artifact segment by segment, and releases a segment after its digest matched. The
//! last segment also waits for the artifact's SHA-256 and end. Memory: one segment of 8 MiB.

use std::io::{self, Read};

use holdfast_domain::Sha256Digest;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{ArtifactDigest, ArtifactError, SegmentHasher, digest::SEGMENT};

/// An unencrypted artifact, checked by the manifest's digests. Read to `Ok(0)`. After an error,
/// every further read fails.
pub struct SegmentReader<R> {
    inner: R,
    expected: ArtifactDigest,
    hasher: SegmentHasher,
    segment_bytes: usize,
    whole: Sha256,
    /// Number of the next segment. With `ended`, there is no next one.
    next: usize,
    ended: bool,
    failed: bool,
    buffer: Vec<u8>,
    released: usize,
}

impl<R: Read> SegmentReader<R> {
    /// A reader of the artifact `inner`.
    ///
    /// # Errors
    /// [`ArtifactError::Digests`] for inconsistent digests.
    pub fn new(inner: R, expected: ArtifactDigest) -> Result<Self, ArtifactError> {
        Self::with_segments(inner, SegmentHasher::plain(), expected, SEGMENT)
    }

    pub(crate) fn with_segments(
        inner: R,
        hasher: SegmentHasher,
        expected: ArtifactDigest,
        segment_bytes: usize,
    ) -> Result<Self, ArtifactError> {
        if expected.size_bytes.div_ceil(segment_bytes as u64) != expected.segments.len() as u64 {
            let (size_bytes, segments) = (expected.size_bytes, expected.segments.len());
            return Err(ArtifactError::Digests {
                size_bytes,
                segments,
            });
        }
        let (whole, buffer) = (Sha256::new(), Vec::new());
        Ok(Self {
            inner,
            expected,
            hasher,
            segment_bytes,
            whole,
            next: 0,
            ended: false,
            failed: false,
            buffer,
            released: 0,
        })
    }

    /// The next authenticated segment. `None` after the last. The caller may change it in place.
    pub(crate) fn next_segment(&mut self) -> io::Result<Option<&mut [u8]>> {
        if self.failed {
            return Err(io::Error::other(
                "cannot read this artifact: an earlier read failed",
            ));
        }
        match self.load() {
            Ok(loaded) => Ok(loaded.then_some(&mut self.buffer)),
            Err(error) => {
                self.fail();
                Err(error)
            }
        }
    }

    /// The last result of [`Self::next_segment`].
    pub(crate) fn segment(&self) -> &[u8] {
        &self.buffer
    }

    /// Makes every further read an error.
    pub(crate) fn fail(&mut self) {
        self.failed = true;
        self.buffer.clear();
        self.released = 0;
    }

    fn load(&mut self) -> io::Result<bool> {
        self.released = 0;
        self.buffer.clear();
        let Some(expected) = self.expected.segments.get(self.next).copied() else {
            self.check_end()?;
            return Ok(false);
        };
        self.fill()?;
        self.check_segment(&expected)?;
        Digest::update(&mut self.whole, &self.buffer);
        self.next += 1;
        if self.next == self.expected.segments.len() {
            self.check_end()?;
        }
        Ok(true)
    }

    fn fill(&mut self) -> io::Result<()> {
        let before = self.next as u64 * self.segment_bytes as u64;
        let expected_bytes = (self.expected.size_bytes - before).min(self.segment_bytes as u64);
        self.buffer
            .reserve_exact(usize::try_from(expected_bytes).unwrap_or(self.segment_bytes));
        let found_bytes = self
            .inner
            .by_ref()
            .take(expected_bytes)
            .read_to_end(&mut self.buffer)? as u64;
        if found_bytes == expected_bytes {
            return Ok(());
        }
        let (index, segments) = (self.next as u64, self.expected.segments.len() as u64);
        Err(ArtifactError::Short {
            index,
            segments,
            expected_bytes,
            found_bytes,
        }
        .into())
    }

    fn check_segment(&self, expected: &Sha256Digest) -> Result<(), ArtifactError> {
        let (index, segments) = (self.next as u64, self.expected.segments.len() as u64);
        let found = self.hasher.digest(index, &self.buffer);
        let equal: bool = found.as_bytes().ct_eq(expected.as_bytes()).into();
        if equal {
            Ok(())
        } else {
            Err(ArtifactError::Segment { index, segments })
        }
    }

    fn check_end(&mut self) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        let segments = self.expected.segments.len() as u64;
        if self.inner.by_ref().take(1).read_to_end(&mut Vec::new())? > 0 {
            return Err(ArtifactError::Long {
                segments,
                size_bytes: self.expected.size_bytes,
            }
            .into());
        }
        if self.whole.clone().finalize()[..] != self.expected.sha256.as_bytes()[..] {
            return Err(ArtifactError::Whole { segments }.into());
        }
        self.ended = true;
        Ok(())
    }
}

impl<R: Read> Read for SegmentReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.released == self.buffer.len() && !into.is_empty() && self.next_segment()?.is_none()
        {
            return Ok(0);
        }
        let ready = &self.buffer[self.released..];
        let length = ready.len().min(into.len());
        into[..length].copy_from_slice(&ready[..length]);
        self.released += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::DigestWriter;

    const SMALL: usize = 64;

    fn written(size: usize) -> (Vec<u8>, ArtifactDigest) {
        let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
        let mut writer = DigestWriter::with_segments(Vec::new(), SegmentHasher::plain(), SMALL);
        writer.write_all(&bytes).unwrap();
        writer.finish().unwrap()
    }

    /// The released bytes, and the result of the last read.
    fn read(stored: &[u8], expected: &ArtifactDigest) -> (Vec<u8>, Result<usize, ArtifactError>) {
        let mut reader =
            SegmentReader::with_segments(stored, SegmentHasher::plain(), expected.clone(), SMALL)
                .unwrap();
        let mut released = Vec::new();
        let end = reader.read_to_end(&mut released);
        if end.is_err() {
            assert!(reader.read(&mut [0]).is_err(), "a failed reader has no end");
        }
        (
            released,
            end.map_err(|error| ArtifactError::of(&error).unwrap().clone()),
        )
    }

    #[test]
    fn digests_that_contradict_their_size_are_refused() {
        let (_, mut digest) = written(129);
        digest.size_bytes = 128;
        let reader = SegmentReader::with_segments(&[][..], SegmentHasher::plain(), digest, SMALL);
        assert!(matches!(
            reader.err(),
            Some(ArtifactError::Digests {
                size_bytes: 128,
                segments: 3
            })
        ));
    }

    #[test]
    fn swapped_segments_are_refused_at_the_first_of_them() {
        let (mut bytes, digest) = written(200);
        bytes[64..192].rotate_left(64);
        let (released, end) = read(&bytes, &digest);
        assert_eq!(
            (released.len(), end),
            (
                64,
                Err(ArtifactError::Segment {
                    index: 1,
                    segments: 4
                })
            )
        );
    }

    #[test]
    fn a_matching_list_with_a_wrong_total_digest_is_refused() {
        let (bytes, mut digest) = written(100);
        digest.sha256 = Sha256Digest::new([0; 32]);
        assert_eq!(
            read(&bytes, &digest),
            (
                bytes[..64].to_vec(),
                Err(ArtifactError::Whole { segments: 2 })
            )
        );
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(size in 0_usize..400) {
            let (bytes, digest) = written(size);
            prop_assert_eq!(read(&bytes, &digest), (bytes, Ok(size)));
        }

        #[test]
        fn any_flipped_byte_is_refused_before_its_segment_is_released(size in 1_usize..400, at: prop::sample::Index, flip in 1_u8..) {
            let (mut bytes, digest) = written(size);
            let at = at.index(size);
            bytes[at] ^= flip;
            let (released, end) = read(&bytes, &digest);
            let index = (at / SMALL) as u64;
            prop_assert_eq!(released.len(), at / SMALL * SMALL);
            prop_assert_eq!(end, Err(ArtifactError::Segment { index, segments: digest.segments.len() as u64 }));
        }

        #[test]
        fn any_cut_is_refused(size in 1_usize..400, left: prop::sample::Index) {
            let (bytes, digest) = written(size);
            let left = left.index(size);
            let (released, end) = read(&bytes[..left], &digest);
            prop_assert_eq!(released.len(), left / SMALL * SMALL);
            let short = matches!(end, Err(ArtifactError::Short { index, .. }) if index == (left / SMALL) as u64);
            prop_assert!(short);
        }

        #[test]
        fn any_extension_is_refused(size in 0_usize..400, extra in 1_usize..200) {
            let (mut bytes, digest) = written(size);
            bytes.resize(size + extra, 0);
            let (_, end) = read(&bytes, &digest);
            let long = matches!(end, Err(ArtifactError::Long { .. }));
            prop_assert!(long);
        }
    }
}
