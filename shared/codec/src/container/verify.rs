//! The first of two passes over a file without its manifest. It proves the HMAC, and makes the
//! digests for the second pass. The second pass releases only bytes that the first pass read.

use std::io::{self, Read, Write};

use super::{ArtifactPlace, HEADER_BYTES, check_length, trailer::TrailerCheck, unlock};
use crate::{ArtifactDigest, ArtifactError, DigestWriter, MasterKey, digest::SEGMENT};

const BUFFER_BYTES: usize = 128 * 1024;

/// Reads an encrypted file of `size_bytes` to its end, and checks its HMAC. Pass the digests to
/// [`DecryptReader::open`](crate::DecryptReader::open) for the second pass, so that it detects a
/// change in between.
///
/// # Errors
/// [`ArtifactError`] for a fault of the file. A wrong key is reported before other faults. The
/// reader's errors.
pub fn verify<R: Read>(
    inner: R,
    size_bytes: u64,
    master: &MasterKey,
    place: &ArtifactPlace,
) -> io::Result<ArtifactDigest> {
    verify_segments(inner, size_bytes, master, place, SEGMENT)
}

pub(super) fn verify_segments<R: Read>(
    mut inner: R,
    size_bytes: u64,
    master: &MasterKey,
    place: &ArtifactPlace,
    segment_bytes: usize,
) -> io::Result<ArtifactDigest> {
    check_length(size_bytes)?;
    let header = read_header(&mut inner, size_bytes, segment_bytes)?;
    let (_, keys) = unlock(header.get_ref(), master, place)?;
    let mut digest = DigestWriter::with_segments(io::sink(), keys.segment_hasher(), segment_bytes);
    let mut trailer = TrailerCheck::new(&keys, &place.object_key, size_bytes);
    let mut file = header.chain(inner).take(size_bytes.saturating_add(1));
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digest.write_all(&buffer[..length])?;
        trailer.update(&buffer[..length]);
    }
    let (_, digest) = digest.finish()?;
    check_size(digest.size_bytes, size_bytes, segment_bytes)?;
    trailer.finish()?;
    Ok(digest)
}

/// The bytes of the header. Fewer bytes mean that the file is cut in its first segment.
pub(super) fn read_header(
    inner: &mut impl Read,
    size_bytes: u64,
    segment_bytes: usize,
) -> io::Result<io::Cursor<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    inner.take(HEADER_BYTES as u64).read_to_end(&mut bytes)?;
    if bytes.len() < HEADER_BYTES {
        check_size(bytes.len() as u64, size_bytes, segment_bytes)?;
    }
    Ok(io::Cursor::new(bytes))
}

fn check_size(found: u64, expected: u64, segment_bytes: usize) -> Result<(), ArtifactError> {
    let segment = segment_bytes as u64;
    let segments = expected.div_ceil(segment);
    if found > expected {
        return Err(ArtifactError::Long {
            segments,
            size_bytes: expected,
        });
    }
    if found == expected {
        return Ok(());
    }
    let index = found / segment;
    let expected_bytes = (expected - index * segment).min(segment);
    Err(ArtifactError::Short {
        index,
        segments,
        expected_bytes,
        found_bytes: found % segment,
    })
}
