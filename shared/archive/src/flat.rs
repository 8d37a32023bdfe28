//! The flat BSON documents of an archive's framing: text, booleans and integers, nothing nested.
//! Reading is strict: every byte must be valid, so every flipped bit is detected.

use crate::{MAX_DOCUMENT_BYTES, MIN_DOCUMENT_BYTES};

const TEXT: u8 = 0x02;
const BOOLEAN: u8 = 0x08;
const INT32: u8 = 0x10;
const INT64: u8 = 0x12;

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Boolean(bool),
    Int32(i32),
    Int64(i64),
}

/// The length in the first four bytes of a document. Refuses lengths out of range.
pub(crate) fn document_length(first: [u8; 4]) -> Result<usize, i32> {
    let length = i32::from_le_bytes(first);
    usize::try_from(length)
        .ok()
        .filter(|bytes| (MIN_DOCUMENT_BYTES..=MAX_DOCUMENT_BYTES).contains(bytes))
        .ok_or(length)
}

/// All fields of a document, in order. The error is the reason.
pub(crate) fn fields(document: &[u8]) -> Result<Vec<(&str, Value<'_>)>, String> {
    let (_, mut rest) = document
        .split_at_checked(4)
        .ok_or("it is shorter than its own length")?;
    let mut fields = Vec::with_capacity(8);
    loop {
        match rest {
            [0] => return Ok(fields),
            [kind, more @ ..] => {
                let (name, more) = name(more)?;
                let (value, more) =
                    value(*kind, more).map_err(|reason| format!("its field `{name}` {reason}"))?;
                fields.push((name, value));
                rest = more;
            }
            [] => return Err("it does not end with a NUL".to_owned()),
        }
    }
}

fn name(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .ok_or("a field's name does not end")?;
    let name = std::str::from_utf8(&bytes[..end]).map_err(|_| "a field's name is not UTF-8")?;
    Ok((name, &bytes[end + 1..]))
}

fn value(kind: u8, bytes: &[u8]) -> Result<(Value<'_>, &[u8]), &'static str> {
    const SHORT: &str = "is cut short";
    match kind {
        TEXT => text(bytes),
        BOOLEAN => match bytes {
            [byte @ (0 | 1), rest @ ..] => Ok((Value::Boolean(*byte == 1), rest)),
            _ => Err("is not a boolean"),
        },
        INT32 => {
            let (number, rest) = bytes.split_first_chunk().ok_or(SHORT)?;
            Ok((Value::Int32(i32::from_le_bytes(*number)), rest))
        }
        INT64 => {
            let (number, rest) = bytes.split_first_chunk().ok_or(SHORT)?;
            Ok((Value::Int64(i64::from_le_bytes(*number)), rest))
        }
        _ => Err("has a type outside the framing"),
    }
}

fn text(bytes: &[u8]) -> Result<(Value<'_>, &[u8]), &'static str> {
    let (length, rest) = bytes.split_first_chunk().ok_or("is cut short")?;
    let length =
        usize::try_from(i32::from_le_bytes(*length)).map_err(|_| "has a negative length")?;
    let (text, rest) = rest
        .split_at_checked(length)
        .ok_or("is longer than its document")?;
    let (last, text) = text.split_last().ok_or("is text without a final NUL")?;
    if *last != 0 {
        return Err("is text without a final NUL");
    }
    let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8")?;
    Ok((Value::Text(text), rest))
}

/// Writes a flat document, field by field.
#[derive(Debug)]
pub(crate) struct Builder(Vec<u8>);

impl Builder {
    pub(crate) fn new() -> Self {
        Self(vec![0; 4])
    }

    pub(crate) fn field(mut self, name: &str, value: Value<'_>) -> Self {
        match value {
            Value::Text(text) => {
                self.name(TEXT, name);
                self.0.extend(length(text.len() + 1));
                self.0.extend(text.as_bytes());
                self.0.push(0);
            }
            Value::Boolean(boolean) => {
                self.name(BOOLEAN, name);
                self.0.push(u8::from(boolean));
            }
            Value::Int32(number) => {
                self.name(INT32, name);
                self.0.extend(number.to_le_bytes());
            }
            Value::Int64(number) => {
                self.name(INT64, name);
                self.0.extend(number.to_le_bytes());
            }
        }
        self
    }

    fn name(&mut self, kind: u8, name: &str) {
        self.0.push(kind);
        self.0.extend(name.as_bytes());
        self.0.push(0);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.push(0);
        let total = length(self.0.len());
        self.0[..4].copy_from_slice(&total);
        self.0
    }
}

/// A length in BSON's form. A length above the maximum is written as the maximum, and every reader
/// refuses it.
fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_read_and_is_bson() {
        let built = Builder::new()
            .field("text", Value::Text("ünïcödé"))
            .field("yes", Value::Boolean(true))
            .field("small", Value::Int32(-1))
            .field("large", Value::Int64(i64::MIN))
            .finish();
        assert_eq!(
            fields(&built).unwrap(),
            [
                ("text", Value::Text("ünïcödé")),
                ("yes", Value::Boolean(true)),
                ("small", Value::Int32(-1)),
                ("large", Value::Int64(i64::MIN)),
            ]
        );
        let expected =
            bson::doc! { "text": "ünïcödé", "yes": true, "small": -1, "large": i64::MIN };
        assert_eq!(built, expected.to_vec().unwrap());
    }

    #[test]
    fn lengths_out_of_range_are_refused() {
        assert_eq!(document_length(5_i32.to_le_bytes()), Ok(5));
        assert_eq!(document_length(4_i32.to_le_bytes()), Err(4));
        assert_eq!(document_length((-2_i32).to_le_bytes()), Err(-2));
        let greatest = i32::try_from(MAX_DOCUMENT_BYTES).unwrap();
        assert_eq!(
            document_length(greatest.to_le_bytes()),
            Ok(MAX_DOCUMENT_BYTES)
        );
        assert_eq!(
            document_length((greatest + 1).to_le_bytes()),
            Err(greatest + 1)
        );
    }

    #[test]
    fn anything_but_flat_fields_is_refused() {
        for document in [
            bson::doc! { "a": 1.5 },
            bson::doc! { "a": {} },
            bson::doc! { "a": [1] },
            bson::doc! { "a": null },
        ] {
            assert!(fields(&document.to_vec().unwrap()).is_err(), "{document}");
        }
        assert!(fields(&[]).is_err());
        assert!(fields(&[5, 0, 0, 0]).is_err());
        assert!(fields(&[6, 0, 0, 0, 0, 0]).is_err());
    }
}
