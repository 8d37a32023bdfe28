//! Extracts a time series' measurements from a bucket, for servers that store measurements and
//! refuse buckets.
//!
//! Columns (BSON binary subtype 7) are read if they contain only plain values and gaps, as written
//! by such servers. Columns with deltas are refused, never guessed: a server that writes them also
//! accepts its buckets.

use crate::raw::value_length;

/// Reason why a bucket's measurements cannot be extracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnpackError {
    #[error("a bucket of the archive is malformed")]
    NotABucket,
    #[error(
        "this server refuses buckets, and those of the archive are compressed: restore the time series to a server with buckets"
    )]
    Compressed,
}

const DOCUMENT: u8 = 0x03;
const ARRAY: u8 = 0x04;
const BINARY: u8 = 0x05;

/// The binary subtype of a column.
const COLUMN: u8 = 7;

/// Column control bytes: the end, and one to sixteen words of integers.
const END: u8 = 0x00;
const FIRST_WORDS: u8 = 0x80;
const LAST_WORDS: u8 = 0x8f;

/// A word for one measurement without the field.
const GAP: u64 = 0xffff_ffff_ffff_fffe;

/// A BSON value: its type and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Value<'b> {
    kind: u8,
    bytes: &'b [u8],
}

/// The bucket's measurements, each as a document: first the meta field, then the others in the
/// bucket's order.
pub(super) fn unpack(bucket: &[u8], meta_field: Option<&str>) -> Result<Vec<Vec<u8>>, UnpackError> {
    let fields = fields(bucket).ok_or(UnpackError::NotABucket)?;
    let data = fields
        .iter()
        .find(|(name, _)| *name == b"data")
        .ok_or(UnpackError::NotABucket)?;
    let mut columns = Vec::new();
    for (name, column) in self::fields(data.1.bytes).ok_or(UnpackError::NotABucket)? {
        columns.push((name, values_of(column)?));
    }
    let count = columns
        .iter()
        .map(|(_, values)| values.len())
        .max()
        .unwrap_or(0);
    let mut measurements = vec![vec![0; 4]; count];
    let meta = fields
        .iter()
        .find(|(name, _)| *name == b"meta")
        .zip(meta_field);
    if let Some(((_, value), name)) = meta {
        for measurement in &mut measurements {
            push(measurement, name.as_bytes(), *value);
        }
    }
    for (name, values) in &columns {
        for (measurement, value) in measurements.iter_mut().zip(values) {
            if let Some(value) = value {
                push(measurement, name, *value);
            }
        }
    }
    Ok(measurements.into_iter().map(finished).collect())
}

fn push(document: &mut Vec<u8>, name: &[u8], value: Value<'_>) {
    document.push(value.kind);
    document.extend_from_slice(name);
    document.push(0);
    document.extend_from_slice(value.bytes);
}

fn finished(mut document: Vec<u8>) -> Vec<u8> {
    document.push(0);
    // A measurement is smaller than its bucket, and the bucket's length fits.
    let length = u32::try_from(document.len()).unwrap_or(u32::MAX);
    document[..4].copy_from_slice(&length.to_le_bytes());
    document
}

/// The same document with its fields, and those of nested documents, in the order of their names:
/// servers store measurements in their own order. Invalid BSON stays unchanged.
pub(super) fn in_name_order(document: &[u8]) -> Vec<u8> {
    sorted(document, DEPTH, Order::Names).unwrap_or_else(|| document.to_vec())
}

/// Order of a document's elements.
#[derive(Clone, Copy)]
enum Order {
    Names,
    /// An array's elements keep their order.
    AsTheyAre,
}

/// Documents nested deeper keep their order. Servers take 100 levels.
const DEPTH: u8 = 120;

fn sorted(document: &[u8], depth: u8, order: Order) -> Option<Vec<u8>> {
    let mut elements = fields(document)?;
    if let Order::Names = order {
        elements.sort_by_key(|(name, _)| *name);
    }
    let mut sorted_document = vec![0; 4];
    for (name, value) in elements {
        let nested = match value.kind {
            DOCUMENT if depth > 0 => sorted(value.bytes, depth - 1, Order::Names),
            ARRAY if depth > 0 => sorted(value.bytes, depth - 1, Order::AsTheyAre),
            _ => None,
        };
        let bytes = nested.as_deref().unwrap_or(value.bytes);
        push(
            &mut sorted_document,
            name,
            Value {
                kind: value.kind,
                bytes,
            },
        );
    }
    Some(finished(sorted_document))
}

/// A field's values, measurement by measurement: an object of them, or a column.
fn values_of(column: Value<'_>) -> Result<Vec<Option<Value<'_>>>, UnpackError> {
    match column.kind {
        DOCUMENT => by_number(column.bytes).ok_or(UnpackError::NotABucket),
        BINARY if column.bytes.get(4) == Some(&COLUMN) => from_column(&column.bytes[5..]),
        _ => Err(UnpackError::NotABucket),
    }
}

/// `{"0": a, "2": c}`: a measurement without the field has no entry.
fn by_number(object: &[u8]) -> Option<Vec<Option<Value<'_>>>> {
    /// More than any bucket contains.
    const MEASUREMENTS: usize = 100_000;
    let mut values = Vec::new();
    for (name, value) in fields(object)? {
        let number: usize = std::str::from_utf8(name).ok()?.parse().ok()?;
        if number >= MEASUREMENTS {
            return None;
        }
        values.resize(values.len().max(number + 1), None);
        values[number] = Some(value);
    }
    Some(values)
}

fn from_column(mut column: &[u8]) -> Result<Vec<Option<Value<'_>>>, UnpackError> {
    let mut values = Vec::new();
    loop {
        let (&control, rest) = column.split_first().ok_or(UnpackError::NotABucket)?;
        match control {
            END => return Ok(values),
            FIRST_WORDS..=LAST_WORDS => {
                let words = usize::from(control - FIRST_WORDS) + 1;
                let bytes = rest.get(..words * 8).ok_or(UnpackError::NotABucket)?;
                if bytes
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .any(|word| u64::from_le_bytes(*word) != GAP)
                {
                    return Err(UnpackError::Compressed);
                }
                values.extend(std::iter::repeat_n(None, words));
                column = &rest[words * 8..];
            }
            kind => {
                let bytes = rest.strip_prefix(&[0]).ok_or(UnpackError::Compressed)?;
                let length = value_length(kind, bytes).ok_or(UnpackError::Compressed)?;
                values.push(Some(Value {
                    kind,
                    bytes: bytes.get(..length).ok_or(UnpackError::NotABucket)?,
                }));
                column = &bytes[length..];
            }
        }
    }
}

/// A document's fields, in its order.
fn fields(document: &[u8]) -> Option<Vec<(&[u8], Value<'_>)>> {
    let mut rest = document.get(4..document.len().checked_sub(1)?)?;
    let mut fields = Vec::new();
    while let Some((&kind, after)) = rest.split_first() {
        let name_end = after.iter().position(|byte| *byte == 0)?;
        let value = &after[name_end + 1..];
        let length = value_length(kind, value)?;
        fields.push((
            &after[..name_end],
            Value {
                kind,
                bytes: value.get(..length)?,
            },
        ));
        rest = &value[length..];
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use bson::{Binary, Bson, Document, doc, spec::BinarySubtype};

    use super::*;

    fn unpacked(bucket: &Document, meta: Option<&str>) -> Result<Vec<Document>, UnpackError> {
        let measurements = unpack(&bucket.to_vec().unwrap(), meta)?;
        Ok(measurements
            .iter()
            .map(|bytes| Document::from_reader(&bytes[..]).unwrap())
            .collect())
    }

    fn column(bytes: Vec<u8>) -> Bson {
        Bson::Binary(Binary {
            subtype: BinarySubtype::Column,
            bytes,
        })
    }

    /// A value in a column: an element without a name.
    fn literal(value: impl Into<Bson>) -> Vec<u8> {
        let element = doc! { "": value.into() }.to_vec().unwrap();
        element[4..element.len() - 1].to_vec()
    }

    #[test]
    fn a_bucket_of_columns_gives_its_measurements() {
        let gap = [&[0x80][..], &GAP.to_le_bytes()].concat();
        let bucket = doc! {
            "_id": 1, "control": { "version": 2, "count": 2 }, "meta": { "id": 7 },
            "data": {
                "at": column([literal(5_i64), literal(6_i64), vec![0]].concat()),
                "note": column([gap, literal("x"), vec![0]].concat()),
            },
        };
        let wanted = [
            doc! { "sensor": { "id": 7 }, "at": 5_i64 },
            doc! { "sensor": { "id": 7 }, "at": 6_i64, "note": "x" },
        ];
        assert_eq!(unpacked(&bucket, Some("sensor")).unwrap(), wanted);
    }

    #[test]
    fn an_uncompressed_bucket_gives_its_measurements() {
        let bucket =
            doc! { "_id": 1, "data": { "at": { "0": 5_i64, "1": 6_i64 }, "v": { "1": [1, 2] } } };
        assert_eq!(
            unpacked(&bucket, None).unwrap(),
            [doc! { "at": 5_i64 }, doc! { "at": 6_i64, "v": [1, 2] }]
        );
    }

    #[test]
    fn measurements_are_alike_whatever_the_order_of_their_fields() {
        let bytes = |document: Document| in_name_order(&document.to_vec().unwrap());
        let one = bytes(doc! { "s": { "a": 1, "b": [{ "x": 1, "y": 2 }, 3] }, "at": 5 });
        assert_eq!(
            one,
            bytes(doc! { "at": 5, "s": { "b": [{ "y": 2, "x": 1 }, 3], "a": 1 } })
        );
        assert_ne!(
            one,
            bytes(doc! { "at": 5, "s": { "b": [3, { "y": 2, "x": 1 }], "a": 1 } })
        );
        assert_eq!(in_name_order(&[9, 0, 0, 0, 3, 0]), [9, 0, 0, 0, 3, 0]);
    }

    #[test]
    fn what_is_compressed_is_refused_and_never_guessed_at() {
        let words = [&[0x80][..], &0x1234_u64.to_le_bytes(), &[0]].concat();
        for bytes in [words, vec![0x90; 9], vec![0xf1, 5, 0, 0, 0, 0, 0]] {
            let bucket = doc! { "data": { "at": column([literal(5_i64), bytes].concat()) } };
            assert_eq!(unpacked(&bucket, None), Err(UnpackError::Compressed));
        }
        assert_eq!(
            unpacked(&doc! { "data": 1 }, None),
            Err(UnpackError::NotABucket)
        );
        assert_eq!(
            unpacked(&doc! { "_id": 1 }, None),
            Err(UnpackError::NotABucket)
        );
        assert_eq!(unpack(&[5, 0, 0, 0, 3], None), Err(UnpackError::NotABucket));
    }
}
