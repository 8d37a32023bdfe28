//! Reads only gzip in Holdfast's own form. A general gunzip skips the header fields of a member, so
//! it does not notice a changed one. This reader compares them, and the checksum and length of each
//! member.

use std::io::{self, BufRead, BufReader, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::ArtifactError;

const BUFFER_BYTES: usize = 128 * 1024;
const HEADER_BYTES: usize = 10;
/// Deflate, no flags, no time. The next two fields are compared separately.
const HEADER_BEGINS: [u8; 8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0];
/// Valid values of the field for extra flags. The value depends on the level.
const EXTRA_FLAGS: [u8; 3] = [0, 2, 4];
const UNKNOWN_SYSTEM: u8 = 255;

/// The content of a gzip stream of one or more members. Read to `Ok(0)`. After an error, every
/// further read fails.
pub struct MemberReader<R> {
    inner: BufReader<R>,
    inflater: Decompress,
    crc: Crc,
    at: At,
    expanded_bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    FirstHeader,
    Header,
    Body,
    Failed,
}

impl<R: Read> MemberReader<R> {
    /// A reader of the gzip stream `inner`. Reads nothing yet.
    pub fn new(inner: R) -> Self {
        let inner = BufReader::with_capacity(BUFFER_BYTES, inner);
        Self {
            inner,
            inflater: Decompress::new(false),
            crc: Crc::new(),
            at: At::FirstHeader,
            expanded_bytes: 0,
        }
    }

    fn advance(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.at == At::Failed {
                return Err(io::Error::other(
                    "cannot read this gzip stream: an earlier read failed",
                ));
            }
            if self.at != At::Body && !self.begin_member()? {
                return Ok(0);
            }
            let count = self.expand(into)?;
            if count > 0 {
                return Ok(count);
            }
        }
    }

    /// Reads the next header. `false` at the end of the stream.
    fn begin_member(&mut self) -> io::Result<bool> {
        if self.at == At::Header && self.inner.fill_buf()?.is_empty() {
            return Ok(false);
        }
        let mut header = [0; HEADER_BYTES];
        self.fill(&mut header)?;
        let [begins @ .., extra_flags, system] = header;
        if begins != HEADER_BEGINS
            || !EXTRA_FLAGS.contains(&extra_flags)
            || system != UNKNOWN_SYSTEM
        {
            return Err(self.damaged("a member's header has another form than Holdfast's"));
        }
        self.inflater.reset(false);
        self.crc.reset();
        self.at = At::Body;
        Ok(true)
    }

    fn expand(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let input = self.inner.fill_buf()?;
        let is_at_end = input.is_empty();
        let (read, written) = (self.inflater.total_in(), self.inflater.total_out());
        let status = self.inflater.decompress(input, into, FlushDecompress::None);
        let count = usize::try_from(self.inflater.total_out() - written).unwrap_or_default();
        let consumed = usize::try_from(self.inflater.total_in() - read).unwrap_or_default();
        self.inner.consume(consumed);
        let status = status.map_err(|error| self.damaged(&error.to_string()))?;
        self.crc.update(&into[..count]);
        self.expanded_bytes = self.expanded_bytes.saturating_add(count as u64);
        match status {
            Status::StreamEnd => self.end_member()?,
            _ if count == 0 && is_at_end => return Err(ArtifactError::GzipCut.into()),
            _ if count == 0 && consumed == 0 => return Err(self.damaged("it cannot be expanded")),
            _ => {}
        }
        Ok(count)
    }

    fn end_member(&mut self) -> io::Result<()> {
        let mut ends = [0; 8];
        self.fill(&mut ends)?;
        let expected = u64::from_le_bytes(ends);
        if expected != u64::from(self.crc.sum()) | u64::from(self.crc.amount()) << 32 {
            return Err(self.damaged("the checksum or the length of a member is wrong"));
        }
        self.at = At::Header;
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner
            .read_exact(bytes)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => ArtifactError::GzipCut.into(),
                _ => error,
            })
    }

    fn damaged(&self, reason: &str) -> io::Error {
        ArtifactError::GzipDamaged {
            expanded_bytes: self.expanded_bytes,
            reason: reason.to_owned(),
        }
        .into()
    }
}

impl<R: Read> Read for MemberReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let result = self.advance(into);
        if result.is_err() {
            self.at = At::Failed;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, num::NonZeroUsize};

    use proptest::prelude::*;

    use super::*;
    use crate::GzipWriter;

    fn written(content: &[u8], level: u8) -> Vec<u8> {
        let mut writer = GzipWriter::new(Vec::new(), level, NonZeroUsize::MIN).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap().0
    }

    fn read(stored: &[u8]) -> Result<Vec<u8>, ArtifactError> {
        let (mut content, mut reader) = (Vec::new(), MemberReader::new(stored));
        let end = reader.read_to_end(&mut content);
        if end.is_err() {
            assert!(reader.read(&mut [0]).is_err(), "a failed reader has no end");
        }
        end.map(|_| content)
            .map_err(|error| ArtifactError::of(&error).unwrap().clone())
    }

    fn text(bytes: usize) -> Vec<u8> {
        (0_u32..)
            .flat_map(|n| format!("line {n} of a file\n").into_bytes())
            .take(bytes)
            .collect()
    }

    #[test]
    fn what_every_level_writes_is_read() {
        for content in [Vec::new(), b"short".to_vec(), text(600_000)] {
            for level in 1..=12 {
                assert!(
                    read(&written(&content, level)).unwrap() == content,
                    "level {level}"
                );
            }
        }
    }

    #[test]
    fn a_changed_header_of_any_member_is_refused() {
        let (one, two) = (written(&text(1000), 6), written(b"second", 6));
        for first in [0, one.len()] {
            for at in 0..HEADER_BYTES {
                let mut bytes = [one.clone(), two.clone()].concat();
                bytes[first + at] ^= 1;
                assert!(
                    matches!(read(&bytes), Err(ArtifactError::GzipDamaged { .. })),
                    "byte {at} from {first}"
                );
            }
        }
    }

    #[test]
    fn a_changed_checksum_or_length_is_refused() {
        let whole = written(&text(1000), 6);
        for from_end in 1..=8 {
            let mut bytes = whole.clone();
            let at = bytes.len() - from_end;
            bytes[at] ^= 1;
            assert!(
                matches!(read(&bytes), Err(ArtifactError::GzipDamaged { .. })),
                "{from_end} from the end"
            );
        }
    }

    proptest! {
        #[test]
        fn any_cut_within_a_member_and_any_extension_are_refused(size in 0_usize..3000, at: prop::sample::Index) {
            let whole = written(&text(size), 6);
            prop_assert_eq!(read(&whole[..at.index(whole.len())]), Err(ArtifactError::GzipCut));
            prop_assert!(read(&[whole, b"x".to_vec()].concat()).is_err());
        }

        #[test]
        fn no_flipped_byte_makes_other_content(size in 1_usize..3000, at: prop::sample::Index, flip in 1_u8..) {
            let content = text(size);
            let mut bytes = written(&content, 6);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(read(&bytes).map_or(true, |read| read == content));
        }
    }
}
