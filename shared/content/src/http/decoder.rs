//! Decodes a coded body piece by piece. One step returns 32 KiB at most, so a decompression bomb
//! costs no memory: the limit of the response ends it.

use std::{io, io::Write};

use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::coding::Coding;

/// Decodes one body.
#[derive(Debug)]
pub(super) struct Decoder {
    stage: Stage,
    /// Received but not yet decoded.
    waiting: Bytes,
    has_begun: bool,
    has_ended: bool,
}

#[derive(Debug)]
enum Stage {
    Gzip(MultiGzDecoder<Vec<u8>>),
    /// `deflate` is zlib's format. Many servers send the bare format instead. The first two bytes
    /// distinguish them.
    Unknown(Vec<u8>),
    Zlib(ZlibDecoder<Vec<u8>>),
    Deflate(DeflateDecoder<Vec<u8>>),
}

/// The result of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next bytes of the file.
    Bytes(Bytes),
    /// More of the body is needed.
    Hungry,
    /// The body was decoded to its end, including its checksum.
    End,
}

impl Decoder {
    pub(super) fn new(coding: Coding) -> Self {
        let stage = match coding {
            Coding::Gzip => Stage::Gzip(MultiGzDecoder::new(Vec::new())),
            Coding::Deflate => Stage::Unknown(Vec::new()),
        };
        Self {
            stage,
            waiting: Bytes::new(),
            has_begun: false,
            has_ended: false,
        }
    }

    /// Takes the next bytes of the body, or `None` at its end.
    pub(super) fn feed(&mut self, piece: Option<Bytes>) {
        match piece {
            None => self.has_ended = true,
            Some(piece) => {
                self.has_begun |= !piece.is_empty();
                self.waiting = piece;
            }
        }
    }

    /// Decodes the next part.
    ///
    /// # Errors
    /// If the body does not match its coding, or is truncated.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        while !self.waiting.is_empty() {
            let taken = self.stage.write(&self.waiting)?;
            if taken == 0 {
                return Err(io::Error::other("bytes follow its end"));
            }
            let _ = self.waiting.split_to(taken);
            if let Some(bytes) = self.stage.decoded() {
                return Ok(Step::Bytes(bytes));
            }
        }
        if !self.has_ended {
            return Ok(Step::Hungry);
        }
        // Clients accept an empty body as an empty file, with any coding.
        if self.has_begun {
            self.stage.finish()?;
        }
        Ok(self.stage.decoded().map_or(Step::End, Step::Bytes))
    }
}

impl Stage {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.write(bytes),
            Self::Zlib(decoder) => decoder.write(bytes),
            Self::Deflate(decoder) => decoder.write(bytes),
            Self::Unknown(first) => {
                let taken = bytes.len().min(2 - first.len());
                first.extend_from_slice(&bytes[..taken]);
                if let [method, flags] = first[..] {
                    *self = Self::from_header(method, flags)?;
                }
                Ok(taken)
            }
        }
    }

    /// RFC 1950 §2.2: the method is 8, and both bytes together are a multiple of 31.
    fn from_header(method: u8, flags: u8) -> io::Result<Self> {
        let is_zlib = method & 0x0f == 8 && u16::from_be_bytes([method, flags]).is_multiple_of(31);
        let mut stage = if is_zlib {
            Self::Zlib(ZlibDecoder::new(Vec::new()))
        } else {
            Self::Deflate(DeflateDecoder::new(Vec::new()))
        };
        let mut first: &[u8] = &[method, flags];
        while !first.is_empty() {
            match stage.write(first)? {
                0 => {
                    return Err(io::Error::other(
                        "its first bytes are not a compressed file's",
                    ));
                }
                taken => first = &first[taken..],
            }
        }
        Ok(stage)
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Zlib(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
            Self::Unknown(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The bytes decoded since the last call.
    fn decoded(&mut self) -> Option<Bytes> {
        let decoded = match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Unknown(_) => return None,
        };
        (!decoded.is_empty()).then(|| std::mem::take(decoded).into())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(coding: Coding, coded: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let mut decoder = Decoder::new(coding);
        let mut pieces = coded.chunks(piece);
        let mut file = Vec::new();
        loop {
            match decoder.step()? {
                Step::Bytes(bytes) => {
                    assert!(bytes.len() <= 64 * 1024, "{}", bytes.len());
                    file.extend_from_slice(&bytes);
                }
                Step::Hungry => decoder.feed(pieces.next().map(Bytes::copy_from_slice)),
                Step::End => return Ok(file),
            }
        }
    }

    #[test]
    fn every_coding_is_undone_in_pieces_of_any_size() {
        let body: Vec<u8> = (0..200_000_u32)
            .flat_map(|number| (number / 7).to_le_bytes())
            .collect();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&body).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(&body).unwrap();
        let coded = [
            (Coding::Gzip, gzip(&body)),
            (
                Coding::Gzip,
                [gzip(&body[..1000]), gzip(b""), gzip(&body[1000..])].concat(),
            ),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, bare.finish().unwrap()),
        ];
        for (coding, coded) in coded {
            for piece in [1, 7, 65_536, usize::MAX] {
                assert!(
                    decoded(coding, &coded, piece).unwrap() == body,
                    "{coding:?} {piece}"
                );
            }
        }
    }

    #[test]
    fn a_body_that_is_cut_or_altered_is_an_error() {
        let coded = gzip(&b"some text ".repeat(5_000));
        for end in [1, 5, 12, coded.len() / 2, coded.len() - 9, coded.len() - 1] {
            assert!(decoded(Coding::Gzip, &coded[..end], 100).is_err(), "{end}");
        }
        let mut altered = coded.clone();
        let last = altered.len() - 6;
        altered[last] ^= 1;
        assert!(
            decoded(Coding::Gzip, &altered, 100).is_err(),
            "its checksum"
        );
        assert!(decoded(Coding::Gzip, b"no gzip at all", 100).is_err());
        assert!(decoded(Coding::Gzip, &[coded.as_slice(), b"behind"].concat(), 100).is_err());
        assert!(decoded(Coding::Deflate, &[0x78], 1).is_err());
    }

    #[test]
    fn an_empty_body_is_an_empty_file() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            assert!(decoded(coding, b"", 1).unwrap().is_empty());
        }
    }
}
