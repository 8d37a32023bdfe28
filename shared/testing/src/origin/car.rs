//! Enough of version 1 of CAR to break one: a header and then sections, each after its length as an
//! unsigned LEB128 number. A section is a CID and its block.

use bytes::Bytes;

/// Flips the last bit of that section's block.
pub(super) fn flip(car: &[u8], number: usize) -> Bytes {
    let mut altered = car.to_vec();
    if let Some((_, end)) = section(car, number) {
        altered[end - 1] ^= 1;
    }
    altered.into()
}

/// Removes that section.
pub(super) fn drop(car: &[u8], number: usize) -> Bytes {
    let Some((start, end)) = section(car, number) else {
        return Bytes::copy_from_slice(car);
    };
    [&car[..start], &car[end..]].concat().into()
}

/// Range of a section with its length. Bytes without such a section are not changed.
fn section(car: &[u8], number: usize) -> Option<(usize, usize)> {
    // The header is framed like a section.
    let mut start = end_of_frame(car, 0)?;
    for _ in 0..number {
        start = end_of_frame(car, start)?;
    }
    Some((start, end_of_frame(car, start)?))
}

fn end_of_frame(car: &[u8], start: usize) -> Option<usize> {
    let mut length = 0;
    for (index, byte) in car.get(start..)?.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let end = start + index + 1 + length;
            return (end <= car.len()).then_some(end);
        }
    }
    None
}
