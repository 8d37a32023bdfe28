//! Reads gzip of any number of members to the very end. A cut inside a member, a wrong checksum and
//! bytes after the last member are errors. A cut between two members is invisible here. Digests
//! detect it.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::ArtifactError;

const BUFFER_BYTES: usize = 128 * 1024;

/// The content of a gzip stream. Read to `Ok(0)`: only then are the last checksum and the end of
/// the stream checked. After an error, every further read fails.
pub struct GunzipReader<R> {
    decoder: MultiGzDecoder<BufReader<Watched<R>>>,
    limit_bytes: u64,
    expanded_bytes: u64,
    failed: bool,
}

impl<R: Read> GunzipReader<R> {
    /// A reader without a limit. It reads the first member's header at once. A fault in the header
    /// fails the first read.
    pub fn new(inner: R) -> Self {
        Self::with_limit(inner, u64::MAX)
    }

    /// A reader with a limit. It fails after `limit_bytes` of output, and releases no byte above
    /// the limit.
    pub fn with_limit(inner: R, limit_bytes: u64) -> Self {
        let watched = Watched {
            inner,
            failed: false,
        };
        let decoder = MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, watched));
        Self {
            decoder,
            limit_bytes,
            expanded_bytes: 0,
            failed: false,
        }
    }

    fn expand(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.decoder.read(into).map_err(|error| self.named(error))?;
        self.expanded_bytes = self.expanded_bytes.saturating_add(length as u64);
        if self.expanded_bytes > self.limit_bytes {
            return Err(ArtifactError::GzipLimit {
                limit_bytes: self.limit_bytes,
            }
            .into());
        }
        Ok(length)
    }

    /// Keeps the inner reader's errors. The decoder's errors become [`ArtifactError`]s.
    fn named(&self, error: io::Error) -> io::Error {
        if self.decoder.get_ref().get_ref().failed {
            return error;
        }
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return ArtifactError::GzipCut.into();
        }
        ArtifactError::GzipDamaged {
            expanded_bytes: self.expanded_bytes,
            reason: error.to_string(),
        }
        .into()
    }
}

impl<R: Read> Read for GunzipReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            // The decoder would report the end of its stream.
            return Err(io::Error::other(
                "cannot read this gzip stream: an earlier read failed",
            ));
        }
        if into.is_empty() {
            return Ok(0);
        }
        let result = self.expand(into);
        self.failed = result.is_err();
        result
    }
}

/// Records a failure of the inner reader, and retries interrupted reads: the decoder fails on them.
struct Watched<R> {
    inner: R,
    failed: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    self.failed |= result.is_err();
                    return result;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, num::NonZeroUsize};

    use super::*;
    use crate::GzipWriter;

    /// Three members, and the end of each.
    fn members() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for text in ["first member", "", "the third member"] {
            let mut writer = GzipWriter::new(bytes, 6, NonZeroUsize::MIN).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
            bytes = writer.finish().unwrap().0;
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn read(mut reader: GunzipReader<impl Read>) -> Result<String, ArtifactError> {
        let mut text = String::new();
        let end = reader.read_to_string(&mut text);
        if end.is_err() {
            assert!(reader.read(&mut [0]).is_err(), "a failed reader has no end");
        }
        end.map(|_| text)
            .map_err(|error| ArtifactError::of(&error).unwrap().clone())
    }

    #[test]
    fn all_members_are_read() {
        assert_eq!(
            read(GunzipReader::new(members().0.as_slice())).unwrap(),
            "first memberthe third member"
        );
    }

    #[test]
    fn any_cut_inside_a_member_is_refused() {
        let (bytes, ends) = members();
        for length in (0..bytes.len()).filter(|length| !ends.contains(length)) {
            assert_eq!(
                read(GunzipReader::new(&bytes[..length])),
                Err(ArtifactError::GzipCut),
                "cut to {length}"
            );
        }
    }

    #[test]
    fn anything_after_the_last_member_is_refused() {
        let (bytes, _) = members();
        for tail in [
            &b"\0"[..],
            b"garbage after it",
            &[0; 100],
            &bytes[..5],
            b"\x1f\x8b\x08garbage as well",
        ] {
            assert!(
                read(GunzipReader::new([&bytes, tail].concat().as_slice())).is_err(),
                "{tail:?}"
            );
        }
    }

    #[test]
    fn a_flip_in_a_checksum_is_refused() {
        let (bytes, ends) = members();
        for end in ends {
            for at in end - 8..end {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1;
                let result = read(GunzipReader::new(flipped.as_slice()));
                assert!(
                    matches!(result, Err(ArtifactError::GzipDamaged { .. })),
                    "{at}: {result:?}"
                );
            }
        }
    }

    #[test]
    fn a_limit_is_kept_to_the_byte() {
        let (bytes, _) = members();
        assert!(read(GunzipReader::with_limit(bytes.as_slice(), 28)).is_ok());
        let result = read(GunzipReader::with_limit(bytes.as_slice(), 27));
        assert_eq!(result, Err(ArtifactError::GzipLimit { limit_bytes: 27 }));
    }

    #[test]
    fn an_error_of_the_inner_reader_stays_what_it_is() {
        struct Resets<'a>(&'a [u8]);
        impl Read for Resets<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                match self.0.read(into)? {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    length => Ok(length),
                }
            }
        }
        let (bytes, ends) = members();
        for length in [0, 5, 20, ends[0], bytes.len()] {
            let error = GunzipReader::new(Resets(&bytes[..length]))
                .read_to_end(&mut Vec::new())
                .unwrap_err();
            assert!(
                ArtifactError::of(&error).is_none() && error.kind() == io::ErrorKind::UnexpectedEof,
                "{length}"
            );
        }
    }

    #[test]
    fn an_interrupted_read_is_tried_again() {
        struct Interrupts<'a>(&'a [u8], bool);
        impl Read for Interrupts<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 {
                    Err(io::ErrorKind::Interrupted.into())
                } else {
                    self.0.read(&mut into[..1])
                }
            }
        }
        let (bytes, _) = members();
        assert!(read(GunzipReader::new(Interrupts(&bytes, false))).is_ok());
    }
}
