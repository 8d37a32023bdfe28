//! Digests of a stored artifact: its size, the SHA-256 of all bytes, and one digest for each 8 MiB
//! segment. A segment can be checked alone. All are computed in one pass during writing.

use std::io::{self, Write};

use hmac::Mac;
use holdfast_domain::{SEGMENT_BYTES, Sha256Digest};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::mac::{self, HmacSha256};

/// [`SEGMENT_BYTES`] as a length in memory.
pub(crate) const SEGMENT: usize = 8 * 1024 * 1024;
const _: () = assert!(SEGMENT as u64 == SEGMENT_BYTES);

/// Size and digests of an artifact, as in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactDigest {
    /// Bytes stored.
    pub size_bytes: u64,
    /// SHA-256 of all of them.
    pub sha256: Sha256Digest,
    /// One digest for each 8 MiB. The last segment may be shorter. Empty for zero bytes.
    pub segments: Vec<Sha256Digest>,
}

/// Method of the segment digests: SHA-256 of the bytes. In an encrypted artifact: HMAC-SHA256 of
/// the segment's number (counted from 0, 8 bytes, big-endian) and its bytes. Only the key's owner
/// can make such a digest or move a segment.
#[derive(Clone)]
pub struct SegmentHasher(Option<HmacSha256>);

impl SegmentHasher {
    /// For unencrypted artifacts.
    #[must_use]
    pub const fn plain() -> Self {
        Self(None)
    }

    pub(crate) fn keyed(key: &[u8; 32]) -> Self {
        Self(Some(mac::hmac(key)))
    }

    /// The digest of one complete segment.
    #[must_use]
    pub fn digest(&self, index: u64, segment: &[u8]) -> Sha256Digest {
        let mut hash = self.start(index);
        hash.update(segment);
        hash.finish()
    }

    fn start(&self, index: u64) -> SegmentHash {
        match &self.0 {
            None => SegmentHash::Plain(Sha256::new()),
            Some(mac) => SegmentHash::Keyed(mac.clone().chain_update(index.to_be_bytes())),
        }
    }
}

/// The digest of an incomplete segment.
enum SegmentHash {
    Plain(Sha256),
    Keyed(HmacSha256),
}

impl SegmentHash {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Plain(hash) => Digest::update(hash, bytes),
            Self::Keyed(mac) => Mac::update(mac, bytes),
        }
    }

    fn finish(self) -> Sha256Digest {
        match self {
            Self::Plain(hash) => Sha256Digest::new(Digest::finalize(hash).into()),
            Self::Keyed(mac) => Sha256Digest::new(Mac::finalize(mac).into_bytes().into()),
        }
    }
}

/// Passes bytes on, and computes their digests.
pub struct DigestWriter<W> {
    inner: W,
    hasher: SegmentHasher,
    segment_bytes: usize,
    size_bytes: u64,
    whole: Sha256,
    segments: Vec<Sha256Digest>,
    /// The segment being written and its bytes so far: at least one.
    current: Option<(SegmentHash, usize)>,
}

impl<W: Write> DigestWriter<W> {
    /// A stage with output to `inner`.
    pub fn new(inner: W, hasher: SegmentHasher) -> Self {
        Self::with_segments(inner, hasher, SEGMENT)
    }

    pub(crate) fn with_segments(inner: W, hasher: SegmentHasher, segment_bytes: usize) -> Self {
        let (whole, segments) = (Sha256::new(), Vec::new());
        Self {
            inner,
            hasher,
            segment_bytes,
            size_bytes: 0,
            whole,
            segments,
            current: None,
        }
    }

    /// Ends the last segment.
    ///
    /// # Errors
    /// Never fails. The `Result` is the common shape of all stages.
    pub fn finish(mut self) -> io::Result<(W, ArtifactDigest)> {
        self.close_segment();
        let sha256 = Sha256Digest::new(self.whole.finalize().into());
        Ok((
            self.inner,
            ArtifactDigest {
                size_bytes: self.size_bytes,
                sha256,
                segments: self.segments,
            },
        ))
    }

    fn absorb(&mut self, mut bytes: &[u8]) {
        self.size_bytes += bytes.len() as u64;
        Digest::update(&mut self.whole, bytes);
        while !bytes.is_empty() {
            let index = self.segments.len() as u64;
            let (hash, length) = self
                .current
                .get_or_insert_with(|| (self.hasher.start(index), 0));
            let (now, later) = bytes.split_at(bytes.len().min(self.segment_bytes - *length));
            hash.update(now);
            *length += now.len();
            if *length == self.segment_bytes {
                self.close_segment();
            }
            bytes = later;
        }
    }

    fn close_segment(&mut self) {
        if let Some((hash, _)) = self.current.take() {
            self.segments.push(hash.finish());
        }
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.absorb(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest_of(bytes: &[u8], hasher: &SegmentHasher, chunk: usize) -> ArtifactDigest {
        let mut writer = DigestWriter::with_segments(Vec::new(), hasher.clone(), 100);
        for piece in bytes.chunks(chunk) {
            writer.write_all(piece).unwrap();
        }
        let (inner, digest) = writer.finish().unwrap();
        assert_eq!(inner, bytes);
        digest
    }

    #[test]
    fn nothing_has_no_segment() {
        let digest = digest_of(&[], &SegmentHasher::plain(), 1);
        assert_eq!((digest.size_bytes, digest.segments.len()), (0, 0));
        assert_eq!(
            digest.sha256.to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_keyed_digest_binds_the_segment_to_its_place() {
        let hasher = SegmentHasher::keyed(&[1; 32]);
        assert_ne!(hasher.digest(0, b"x"), hasher.digest(1, b"x"));
        assert_ne!(
            hasher.digest(0, b"x"),
            SegmentHasher::keyed(&[2; 32]).digest(0, b"x")
        );
        assert_eq!(
            hasher.digest(258, b"x"),
            mac::hmac_of(&[1; 32], b"\0\0\0\0\0\0\x01\x02x")
        );
    }

    proptest! {
        #[test]
        fn digests_do_not_depend_on_how_bytes_were_cut(size in 0_usize..450, chunk in 1_usize..450, keyed: bool) {
            let bytes: Vec<u8> = (0..=255).cycle().take(size).collect();
            let hasher = if keyed { SegmentHasher::keyed(&[1; 32]) } else { SegmentHasher::plain() };
            let digest = digest_of(&bytes, &hasher, chunk);
            let segments: Vec<_> = (0..).zip(bytes.chunks(100)).map(|(index, bytes)| hasher.digest(index, bytes)).collect();
            prop_assert_eq!(digest.segments, segments);
            prop_assert_eq!(digest.sha256, Sha256Digest::new(Sha256::digest(&bytes).into()));
            prop_assert_eq!(digest.size_bytes, size as u64);
        }
    }
}
