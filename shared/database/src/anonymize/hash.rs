//! The action `hash`: another value of the same type. Equal values become equal everywhere, so
//! joins still work. No two numbers of one range become equal. For other types a collision is as
//! improbable as their length permits.
//!
//! Whole numbers still join across their types (5 and 5.0), and so does an `ObjectId` with its hex
//! text.

use bson::spec::ElementType;

use super::{
    key::Key,
    value::{Outcome, Unsupported, Value, string},
};

/// Hex digits of a hashed text.
const TEXT_DIGITS: usize = 32;

const OBJECT_ID_BYTES: usize = 12;

/// Below this, every number type represents whole numbers exactly.
const SAFE_INTEGERS: u64 = 1 << 53;

pub(super) fn hash(key: &Key, value: Value<'_>) -> Outcome {
    let bytes = value.bytes;
    match ElementType::from(value.kind) {
        Some(ElementType::String) => text(key, value),
        Some(ElementType::ObjectId) => Ok(object_id(key, bytes).to_vec()),
        Some(ElementType::Binary) => binary(key, bytes),
        Some(ElementType::Int32) => {
            let hashed = number(key, i32::from_le_bytes(exactly(bytes)?).into())?;
            Ok(i32::try_from(hashed)
                .map_err(|_| Unsupported)?
                .to_le_bytes()
                .to_vec())
        }
        Some(ElementType::Int64) => Ok(number(key, i64::from_le_bytes(exactly(bytes)?))?
            .to_le_bytes()
            .to_vec()),
        Some(ElementType::Double) => double(key, f64::from_le_bytes(exactly(bytes)?)),
        _ => Err(Unsupported),
    }
}

fn text(key: &Key, value: Value<'_>) -> Outcome {
    // A text with invalid UTF-8 is hashed by its bytes.
    let bytes = value
        .bytes
        .get(4..value.bytes.len().saturating_sub(1))
        .ok_or(Unsupported)?;
    let is_object_id = bytes.len() == 2 * OBJECT_ID_BYTES
        && bytes
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut id = [0; OBJECT_ID_BYTES];
    if is_object_id && hex::decode_to_slice(bytes, &mut id).is_ok() {
        return Ok(string(&hex::encode(object_id(key, &id))));
    }
    Ok(string(&hex::encode(
        key.draw("text", bytes).bytes::<{ TEXT_DIGITS / 2 }>(),
    )))
}

fn object_id(key: &Key, bytes: &[u8]) -> [u8; OBJECT_ID_BYTES] {
    key.draw("objectId", bytes).bytes()
}

/// The same length. A UUID becomes a UUID of version 4.
fn binary(key: &Key, bytes: &[u8]) -> Outcome {
    const HEADER_BYTES: usize = 5;
    const UUID: u8 = 4;
    let (header, content) = bytes.split_at_checked(HEADER_BYTES).ok_or(Unsupported)?;
    let subtype = header[HEADER_BYTES - 1];
    // Generic, a function, a UUID old and new, MD5, user-defined. All other subtypes have an inner
    // structure.
    if !matches!(subtype, 0 | 1 | 3 | UUID | 5 | 0x80..) {
        return Err(Unsupported);
    }
    let mut hashed = bytes.to_vec();
    key.draw("binary", content)
        .fill(&mut hashed[HEADER_BYTES..]);
    if subtype == UUID && content.len() == 16 {
        hashed[HEADER_BYTES + 6] = hashed[HEADER_BYTES + 6] & 0x0f | 0x40;
        hashed[HEADER_BYTES + 8] = hashed[HEADER_BYTES + 8] & 0x3f | 0x80;
    }
    Ok(hashed)
}

fn double(key: &Key, value: f64) -> Outcome {
    #[expect(clippy::cast_precision_loss, reason = "2^53 is a power of two")]
    let is_safe = value.fract().abs() <= 0.0 && value.abs() < SAFE_INTEGERS as f64;
    if !is_safe {
        return Err(Unsupported);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "whole, and below 2^53"
    )]
    let hashed = number(key, value as i64)? as f64;
    Ok(hashed.to_le_bytes().to_vec())
}

/// Another number of the same sign and range: below 2³¹, below 2⁵³, or any. So it fits every type
/// of the old one.
fn number(key: &Key, value: i64) -> Result<i64, Unsupported> {
    const SMALL_HALF: u32 = 16;
    const SAFE_HALF: u32 = 27;
    const ANY_HALF: u32 = 32;
    const SMALL: u64 = 1 << 31;
    const ANY: u64 = 1 << 63;
    // For a negative number its distance from -1, so that the smallest number has one too.
    let magnitude = if value < 0 { !value } else { value }.unsigned_abs();
    let (name, half_bits, range) = match magnitude {
        0..SMALL => ("number below 2^31", SMALL_HALF, 0..SMALL),
        SMALL..SAFE_INTEGERS => ("number below 2^53", SAFE_HALF, SMALL..SAFE_INTEGERS),
        _ => ("number", ANY_HALF, SAFE_INTEGERS..ANY),
    };
    // Repeats until the result is in the range, so the mapping stays one to one. Every second step
    // is in the range.
    let mut hashed = key.permute(name, magnitude, half_bits);
    while !range.contains(&hashed) {
        hashed = key.permute(name, hashed, half_bits);
    }
    let hashed = i64::try_from(hashed).map_err(|_| Unsupported)?;
    Ok(if value < 0 { !hashed } else { hashed })
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Unsupported> {
    bytes.try_into().map_err(|_| Unsupported)
}

#[cfg(test)]
mod tests {
    use bson::{Binary, Bson, DateTime, Decimal128, oid::ObjectId, rawdoc, spec::BinarySubtype};
    use proptest::prelude::*;

    use super::*;

    fn hashed(value: impl Into<Bson>) -> Option<Bson> {
        let value: Bson = value.into();
        let kind = value.element_type() as u8;
        let document = bson::doc! { "v": value }.to_vec().unwrap();
        let bytes = hash(
            &Key::for_test(1),
            Value {
                kind,
                bytes: &document[7..document.len() - 1],
            },
        )
        .ok()?;
        let mut again = rawdoc! {}.into_bytes();
        again.pop();
        again.extend([kind, b'v', 0]);
        again.extend(bytes);
        again.push(0);
        let length = i32::try_from(again.len()).unwrap();
        again[..4].copy_from_slice(&length.to_le_bytes());
        Some(
            bson::Document::from_reader(&again[..])
                .unwrap()
                .remove("v")
                .unwrap(),
        )
    }

    #[test]
    fn a_value_becomes_another_of_its_type() {
        let binary = |subtype| {
            Bson::Binary(Binary {
                subtype,
                bytes: vec![7; 40],
            })
        };
        let values: [Bson; 8] = [
            "ada@example.org".into(),
            ObjectId::from_bytes([7; 12]).into(),
            5_i32.into(),
            (-5_i64).into(),
            i64::MIN.into(),
            5.0.into(),
            binary(BinarySubtype::Generic),
            binary(BinarySubtype::UserDefined(0x80)),
        ];
        for value in values {
            let hashed = hashed(value.clone()).unwrap();
            assert_eq!(hashed.element_type(), value.element_type());
            assert_ne!(hashed, value);
        }
    }

    #[test]
    fn what_has_no_sensible_hash_is_refused() {
        let old = Binary {
            subtype: BinarySubtype::BinaryOld,
            bytes: vec![1],
        };
        let values: [Bson; 6] = [
            true.into(),
            0.5.into(),
            f64::NAN.into(),
            DateTime::MIN.into(),
            Bson::Decimal128("1".parse::<Decimal128>().unwrap()),
            old.into(),
        ];
        for value in values {
            assert_eq!(hashed(value.clone()), None, "{value}");
        }
    }

    #[test]
    fn a_whole_number_is_the_same_in_every_type() {
        for number in [0, 5, i32::MAX, -1, i32::MIN] {
            let Some(Bson::Int32(hashed_number)) = hashed(number) else {
                panic!("{number}")
            };
            assert_eq!(
                hashed(i64::from(number)),
                Some(i64::from(hashed_number).into())
            );
            assert_eq!(
                hashed(f64::from(number)),
                Some(f64::from(hashed_number).into())
            );
        }
        let large = (1_i64 << 53) - 1;
        let Some(Bson::Int64(hashed_large)) = hashed(large) else {
            panic!()
        };
        #[expect(clippy::cast_precision_loss, reason = "both are below 2^53")]
        let (large, expected) = (large as f64, hashed_large as f64);
        assert_eq!(hashed(large), Some(expected.into()));
    }

    #[test]
    fn an_object_id_joins_with_its_text() {
        let id = ObjectId::from_bytes([0xab; 12]);
        let Some(Bson::ObjectId(hashed_id)) = hashed(id) else {
            panic!()
        };
        assert_eq!(hashed(id.to_hex()), Some(hashed_id.to_hex().into()));
        assert_eq!(
            hashed(id.to_hex().to_uppercase())
                .unwrap()
                .as_str()
                .unwrap()
                .len(),
            TEXT_DIGITS
        );
    }

    #[test]
    fn a_uuid_stays_a_uuid() {
        let id = Binary {
            subtype: BinarySubtype::Uuid,
            bytes: vec![0xff; 16],
        };
        let Some(Bson::Binary(hashed)) = hashed(id) else {
            panic!()
        };
        assert_eq!(
            (
                hashed.bytes.len(),
                hashed.bytes[6] >> 4,
                hashed.bytes[8] >> 6
            ),
            (16, 4, 2)
        );
    }

    proptest! {
        #[test]
        fn numbers_keep_sign_and_range_and_stay_apart(first: i64, second: i64, shift in 0_u32..63) {
            let key = Key::for_test(1);
            let (first, second) = (first >> shift, second >> shift);
            let (one, other) = (number(&key, first).unwrap(), number(&key, second).unwrap());
            prop_assert_eq!(first == second, one == other);
            prop_assert_eq!(first < 0, one < 0);
            prop_assert_eq!(i32::try_from(first).is_ok(), i32::try_from(one).is_ok());
        }
    }
}
