//! Unsigned LEB128, as CAR, CIDs and protobuf write numbers.

/// Bytes of the longest number.
const MAX_BYTES: usize = 10;

/// A number of more than 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overlong;

/// The number at the beginning of these bytes, and its length. None while bytes are missing. An
/// overlong number is accepted, as in protobuf.
pub(super) fn read(bytes: &[u8]) -> Result<Option<(u64, usize)>, Overlong> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        if index == MAX_BYTES - 1 && *byte > 1 {
            return Err(Overlong);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    Ok(None)
}

pub(super) fn write(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_it_was_written() {
        for value in [
            0,
            1,
            0x7f,
            0x80,
            0x3fff,
            0x4000,
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            write(&mut bytes, value);
            assert_eq!(read(&bytes), Ok(Some((value, bytes.len()))));
            assert_eq!(
                read(&bytes[..bytes.len() - 1]),
                Ok(None),
                "a number cut short wants more"
            );
        }
    }

    #[test]
    fn a_number_past_64_bits_is_refused() {
        assert_eq!(read(&[0xff; 10]), Err(Overlong));
        assert_eq!(
            read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]),
            Err(Overlong)
        );
        assert_eq!(read(&[0x80; 12]), Err(Overlong));
    }
}
