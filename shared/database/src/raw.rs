//! Undecoded documents in the server's answer. They are separated by their length fields alone.

use bson::RawDocument;
use mongodb::raw_batch_cursor::RawBatch;

use crate::DatabaseError;

/// A server's batch has at most 16 MiB of documents. A batch of this size saves many round trips.
pub(crate) const BATCH_BYTES: u64 = 1024 * 1024;

/// Limit of documents per request, for any size.
const BATCH_DOCUMENTS: u64 = 20_000;

/// Documents per request for an unknown size.
const UNKNOWN_BATCH_DOCUMENTS: u32 = 100;

/// Documents of this average size vary so much that a batch of many could be several times as large
/// as intended.
const LARGE_AVERAGE_BYTES: u64 = 8 * 1024;

/// Number of documents for a batch of about [`BATCH_BYTES`]. For large documents, a quarter of
/// that.
pub(crate) fn batch_size(average_bytes: Option<u64>) -> u32 {
    average_bytes.map_or(UNKNOWN_BATCH_DOCUMENTS, |average| {
        let wanted = if average > LARGE_AVERAGE_BYTES {
            BATCH_BYTES / 4
        } else {
            BATCH_BYTES
        };
        let documents = (wanted / average.max(1)).clamp(1, BATCH_DOCUMENTS);
        u32::try_from(documents).unwrap_or(u32::MAX)
    })
}

/// The documents of a batch, one after another.
///
/// # Errors
/// An item is an error if the answer is not valid for a cursor.
pub(crate) fn documents(batch: &RawBatch) -> impl Iterator<Item = Result<&[u8], DatabaseError>> {
    let (mut rest, mut broken) = match batch.doc_slices() {
        // Past the array's length, without its closing NUL.
        Ok(array) => (
            array
                .as_bytes()
                .get(4..array.as_bytes().len() - 1)
                .unwrap_or_default(),
            false,
        ),
        Err(_) => (&[][..], true),
    };
    std::iter::from_fn(move || {
        if std::mem::take(&mut broken) {
            return Some(Err(nonsense()));
        }
        if rest.is_empty() {
            return None;
        }
        let (document, after) = element(rest).unwrap_or_default();
        rest = after;
        Some(if document.is_empty() {
            Err(nonsense())
        } else {
            Ok(document)
        })
    })
}

/// An array's element: a type byte, the index as a text with NUL, the value.
fn element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    const EMBEDDED_DOCUMENT: u8 = 0x03;
    if *bytes.first()? != EMBEDDED_DOCUMENT {
        return None;
    }
    let name_end = bytes.iter().position(|byte| *byte == 0)?;
    let value = &bytes[name_end + 1..];
    let length = usize::try_from(i32::from_le_bytes(*value.first_chunk()?)).ok()?;
    (length >= 5 && length <= value.len()).then(|| value.split_at(length))
}

fn nonsense() -> DatabaseError {
    DatabaseError::Lost("the server's answer is malformed".to_owned())
}

/// Number of bytes in a value of this type (bsonspec.org, version 1.1). `None` for an unknown type.
pub(crate) fn value_length(kind: u8, bytes: &[u8]) -> Option<usize> {
    let prefix = || usize::try_from(i32::from_le_bytes(*bytes.first_chunk()?)).ok();
    match kind {
        0x06 | 0x0a | 0x7f | 0xff => Some(0),
        0x08 => Some(1),
        0x10 => Some(4),
        0x01 | 0x09 | 0x11 | 0x12 => Some(8),
        0x07 => Some(12),
        0x13 => Some(16),
        0x02 | 0x0d | 0x0e => prefix()?.checked_add(4),
        0x05 => prefix()?.checked_add(5),
        0x0c => prefix()?.checked_add(16),
        0x03 | 0x04 | 0x0f => prefix(),
        0x0b => {
            let ends = bytes
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte == 0)
                .map(|(at, _)| at + 1);
            ends.take(2).nth(1)
        }
        _ => None,
    }
    .filter(|length| *length <= bytes.len())
}

/// The value of a document's `_id`.
pub(crate) fn id_of(document: &[u8]) -> Option<bson::Bson> {
    let document = RawDocument::from_bytes(document).ok()?;
    document.get("_id").ok()??.try_into().ok()
}

/// Whether a field at a document's top level is `Timestamp(0, 0)`. Servers replace it with the time
/// of the insert.
pub(crate) fn has_zero_timestamp(document: &[u8]) -> bool {
    RawDocument::from_bytes(document).is_ok_and(|document| {
        document.iter_elements().flatten().any(|element| {
            element.element_type() == bson::spec::ElementType::Timestamp
                && element.key() != "_id"
                && matches!(element.value(), Ok(bson::RawBsonRef::Timestamp(time)) if time.time == 0 && time.increment == 0)
        })
    })
}

#[cfg(test)]
mod tests {
    use bson::{Timestamp, doc};

    use super::*;

    #[test]
    fn a_batch_is_about_a_mebibyte_and_never_empty() {
        assert_eq!(batch_size(Some(1024)), 1024);
        assert_eq!(batch_size(Some(64 * 1024)), 4);
        assert_eq!(batch_size(Some(16 * 1024 * 1024)), 1);
        assert_eq!(batch_size(Some(1)), 20_000);
        assert_eq!(batch_size(None), 100);
    }

    #[test]
    fn only_a_zero_timestamp_on_the_top_level_is_one() {
        let zero = Timestamp {
            time: 0,
            increment: 0,
        };
        let bytes = |document: bson::Document| document.to_vec().unwrap();
        assert!(has_zero_timestamp(&bytes(
            doc! { "_id": 1, "a": "x", "at": zero }
        )));
        assert!(!has_zero_timestamp(&bytes(
            doc! { "_id": zero, "a": { "at": zero } }
        )));
        assert!(!has_zero_timestamp(&bytes(
            doc! { "_id": 1, "at": Timestamp { time: 0, increment: 1 } }
        )));
    }

    #[test]
    fn an_element_that_overruns_its_array_is_refused() {
        let document = doc! { "a": 1 }.to_vec().unwrap();
        let mut bytes = vec![3, b'0', 0];
        bytes.extend(&document);
        assert_eq!(element(&bytes), Some((&document[..], &[][..])));
        assert_eq!(element(&bytes[..bytes.len() - 1]), None);
        assert_eq!(element(&[2, b'0', 0, 5, 0, 0, 0, 0]), None);
    }
}
