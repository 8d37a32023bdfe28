//! The header of a CAR, `{roots: [CID…], version: 1}` in DAG-CBOR. The reader is lenient, because
//! it trusts nothing in it: any order of keys, further keys, no roots. The writer uses the
//! canonical form.

use super::{
    super::{Cid, cid::read_whole},
    CarFault,
};

/// The tag of a CID.
const CID_TAG: u64 = 42;

/// Maximum nesting of skipped values.
const MAX_NESTING: u8 = 8;

/// Reads a header, and gives its roots.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Cid>, CarFault> {
    let mut cbor = Cbor(bytes);
    let (mut version, mut roots) = (None, Vec::new());
    for _ in 0..cbor.expect(Major::Map)? {
        match cbor.text()? {
            b"version" => version = Some(cbor.expect(Major::Unsigned)?),
            b"roots" => roots = cbor.roots()?,
            _ => cbor.skip(MAX_NESTING)?,
        }
    }
    match version {
        Some(1) if cbor.0.is_empty() => Ok(roots),
        Some(1) => Err(CarFault::Header("its header continues after its end")),
        Some(other) => Err(CarFault::Version(other)),
        None => Err(CarFault::Header("its header names no version")),
    }
}

pub(super) fn write(roots: &[Cid]) -> Vec<u8> {
    let mut out = Vec::new();
    put_head(&mut out, Major::Map, 2);
    put_bytes(&mut out, Major::Text, b"roots");
    put_head(&mut out, Major::Array, roots.len() as u64);
    for root in roots {
        put_head(&mut out, Major::Tag, CID_TAG);
        // The zero is the multibase prefix of plain binary.
        put_bytes(
            &mut out,
            Major::Bytes,
            &[&[0], &root.to_bytes()[..]].concat(),
        );
    }
    put_bytes(&mut out, Major::Text, b"version");
    put_head(&mut out, Major::Unsigned, 1);
    out
}

/// The kinds of values in CBOR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Major {
    Unsigned,
    Negative,
    Bytes,
    Text,
    Array,
    Map,
    Tag,
    Simple,
}

const MAJORS: [Major; 8] = [
    Major::Unsigned,
    Major::Negative,
    Major::Bytes,
    Major::Text,
    Major::Array,
    Major::Map,
    Major::Tag,
    Major::Simple,
];

/// The rest of a header.
struct Cbor<'a>(&'a [u8]);

impl<'a> Cbor<'a> {
    fn take(&mut self, bytes: u64) -> Result<&'a [u8], CarFault> {
        let taken = usize::try_from(bytes)
            .ok()
            .and_then(|bytes| self.0.split_at_checked(bytes));
        let (taken, rest) = taken.ok_or(CarFault::Header("its header ends within a value"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// A value's kind and its number: of an item its value, of all else its length.
    fn head(&mut self) -> Result<(Major, u64), CarFault> {
        let first = self.take(1)?[0];
        let number = match first & 0x1f {
            small @ 0..=0x17 => u64::from(small),
            long @ 0x18..=0x1b => {
                let bytes = self.take(1 << (long - 0x18))?;
                bytes
                    .iter()
                    .fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
            _ => return Err(CarFault::Header("its header is not DAG-CBOR")),
        };
        Ok((MAJORS[usize::from(first >> 5)], number))
    }

    fn expect(&mut self, expected: Major) -> Result<u64, CarFault> {
        match self.head()? {
            (found, number) if found == expected => Ok(number),
            _ => Err(CarFault::Header(
                "its header is not a map of roots and version",
            )),
        }
    }

    fn text(&mut self) -> Result<&'a [u8], CarFault> {
        let length = self.expect(Major::Text)?;
        self.take(length)
    }

    fn roots(&mut self) -> Result<Vec<Cid>, CarFault> {
        let mut roots = Vec::new();
        for _ in 0..self.expect(Major::Array)? {
            if self.expect(Major::Tag)? != CID_TAG {
                return Err(CarFault::Header("one of its roots is not a CID"));
            }
            let length = self.expect(Major::Bytes)?;
            let cid = self.take(length)?.strip_prefix(&[0]).and_then(read_whole);
            roots.push(cid.ok_or(CarFault::Header("one of its roots is not a CID"))?);
        }
        Ok(roots)
    }

    fn skip(&mut self, nesting: u8) -> Result<(), CarFault> {
        let (major, number) = self.head()?;
        let within = match major {
            Major::Unsigned | Major::Negative | Major::Simple => 0,
            Major::Bytes | Major::Text => return self.take(number).map(|_| ()),
            Major::Array => number,
            Major::Map => number.saturating_mul(2),
            Major::Tag => 1,
        };
        if within > 0 && nesting == 0 {
            return Err(CarFault::Header("its header is nested too deeply"));
        }
        (0..within).try_for_each(|_| self.skip(nesting - 1))
    }
}

fn put_head(out: &mut Vec<u8>, major: Major, number: u64) {
    let major = (major as u8) << 5;
    let bytes = number.to_be_bytes();
    match number {
        0..=23 => out.push(major | bytes[7]),
        24..=0xff => out.extend_from_slice(&[major | 0x18, bytes[7]]),
        0x100..=0xffff => out.extend_from_slice(&[major | 0x19, bytes[6], bytes[7]]),
        0x1_0000..=0xffff_ffff => {
            out.push(major | 0x1a);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(major | 0x1b);
            out.extend_from_slice(&bytes);
        }
    }
}

fn put_bytes(out: &mut Vec<u8>, major: Major, bytes: &[u8]) {
    put_head(out, major, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cid() -> Cid {
        "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
            .parse()
            .unwrap()
    }

    #[test]
    fn roots_are_read_as_they_were_written() {
        for count in [0, 1, 2, 23, 24, 300] {
            let roots = vec![cid(); count];
            assert_eq!(read(&write(&roots)), Ok(roots));
        }
    }

    #[test]
    fn another_order_and_further_keys_are_read() {
        // {"version": 1, "note": [{"a": -1}, 42(h'00'), 1.5], "roots": []}
        let header = b"\xa3\x67version\x01\x64note\x83\xa1\x61a\x20\xd8\x2a\x41\x00\xf9\x3e\x00\x65roots\x80";
        assert_eq!(read(header), Ok(Vec::new()));
    }

    #[test]
    fn version_2_is_refused_by_its_name() {
        assert_eq!(read(b"\xa1\x67version\x02"), Err(CarFault::Version(2)));
    }

    #[test]
    fn a_header_cut_short_or_nested_without_end_is_refused() {
        let whole = write(&[cid()]);
        for length in 0..whole.len() {
            assert!(
                matches!(read(&whole[..length]), Err(CarFault::Header(_))),
                "{length} bytes"
            );
        }
        let nested = [&b"\xa2\x67version\x01\x61x"[..], &vec![0x81; 30_000]].concat();
        assert_eq!(
            read(&nested),
            Err(CarFault::Header("its header is nested too deeply"))
        );
        let endless = b"\xa1\x61x\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x00";
        assert_eq!(
            read(endless),
            Err(CarFault::Header("its header ends within a value"))
        );
    }
}
