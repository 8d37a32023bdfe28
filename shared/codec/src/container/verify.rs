//! The first of two passes over a file whose manifest is not at hand: proves its HMAC, and makes the digests with which
//! the second pass releases no byte that the first did not see.

use std::io::{self, Read, Write};

use super::{ArtifactPlace, HEADER_BYTES, check_length, trailer::TrailerCheck, unlock};
use crate::{ArtifactDigest, ArtifactError, DigestWriter, MasterKey, digest::SEGMENT};

const BUFFER_BYTES: usize = 128 * 1024;

/// Reads an encrypted file of `size_bytes` to its end, and checks its HMAC. Hand the digests to
/// [`DecryptReader::open`](crate::DecryptReader::open) for the second pass: it finds a file that has changed in between.
///
/// # Errors
/// [`ArtifactError`] for what is wrong with the file, a wrong key first of all; the reader's own.
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

/// The bytes that should be a header: fewer mean that the file is cut in its first segment.
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
        return Err(ArtifactError::Long { segments, size_bytes: expected });
    }
    if found == expected {
        return Ok(());
    }
    let index = found / segment;
    let expected_bytes = (expected - index * segment).min(segment);
    Err(ArtifactError::Short { index, segments, expected_bytes, found_bytes: found % segment })
}
