//! A BSON value in its document's bytes, and the common part of all actions: empty values, and
//! names of types.

use bson::{Bson, RawDocument, spec::ElementType};

/// A BSON value: its type and its bytes, delimited by `raw::value_length`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value<'b> {
    pub(super) kind: u8,
    pub(super) bytes: &'b [u8],
}

/// The action does not support the value. The value must not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsupported;

/// The result bytes of an action. The type of the value stays.
pub(super) type Outcome = Result<Vec<u8>, Unsupported>;

/// A longer text is cut in displays.
const SHOWN_CHARACTERS: usize = 60;

impl<'b> Value<'b> {
    pub(super) fn is(self, kind: ElementType) -> bool {
        self.kind == kind as u8
    }

    /// Null and similar values: they contain nothing to hide.
    pub(super) fn is_empty(self) -> bool {
        use ElementType::{MaxKey, MinKey, Null, Undefined};
        [Null, Undefined, MinKey, MaxKey]
            .into_iter()
            .any(|kind| self.is(kind))
    }

    /// Of a string: its text, without length and NUL.
    pub(super) fn text(self) -> Option<&'b str> {
        let text = self
            .is(ElementType::String)
            .then(|| self.bytes.get(4..self.bytes.len().checked_sub(1)?))??;
        std::str::from_utf8(text).ok()
    }

    /// The value in readable form. A long one is cut.
    pub(super) fn shown(self) -> String {
        let mut document = vec![0; 4];
        document.push(self.kind);
        document.extend_from_slice(b"v\0");
        document.extend_from_slice(self.bytes);
        document.push(0);
        let length = u32::try_from(document.len()).unwrap_or(u32::MAX);
        document[..4].copy_from_slice(&length.to_le_bytes());
        let value = RawDocument::from_bytes(&document)
            .ok()
            .and_then(|document| document.get("v").ok().flatten());
        let value: Option<Bson> = value.and_then(|value| value.try_into().ok());
        let text = match value {
            Some(Bson::String(text)) => text,
            Some(other) => other.to_string(),
            None => "?".to_owned(),
        };
        match text.char_indices().nth(SHOWN_CHARACTERS) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

/// A string's bytes: its length with the NUL, the text, the NUL.
pub(super) fn string(text: &str) -> Vec<u8> {
    // A document, and so every text, has at most some tens of millions of bytes.
    let length = u32::try_from(text.len() + 1).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(text.len() + 5);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    bytes
}

/// A type's name, in the form of a query's `$type`.
pub(super) fn type_name(kind: u8) -> &'static str {
    match ElementType::from(kind) {
        Some(ElementType::Double) => "double",
        Some(ElementType::String) => "string",
        Some(ElementType::EmbeddedDocument) => "object",
        Some(ElementType::Array) => "array",
        Some(ElementType::Binary) => "binData",
        Some(ElementType::ObjectId) => "objectId",
        Some(ElementType::Boolean) => "bool",
        Some(ElementType::DateTime) => "date",
        Some(ElementType::Null) => "null",
        Some(ElementType::RegularExpression) => "regex",
        Some(ElementType::Int32) => "int",
        Some(ElementType::Timestamp) => "timestamp",
        Some(ElementType::Int64) => "long",
        Some(ElementType::Decimal128) => "decimal",
        _ => "of a rare type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_short() {
        let shown = |text: &str| {
            Value {
                kind: ElementType::String as u8,
                bytes: &string(text),
            }
            .shown()
        };
        assert_eq!(shown("ü"), "ü");
        assert_eq!(
            shown(&"ü".repeat(100)),
            format!("{}…", "ü".repeat(SHOWN_CHARACTERS))
        );
        assert_eq!(
            Value {
                kind: ElementType::Int32 as u8,
                bytes: &7_i32.to_le_bytes()
            }
            .shown(),
            "7"
        );
        assert_eq!(
            Value {
                kind: 0x99,
                bytes: &[]
            }
            .shown(),
            "?"
        );
    }

    #[test]
    fn a_string_is_read_as_it_was_written() {
        let bytes = string("ü");
        assert_eq!(bytes, [3, 0, 0, 0, 0xc3, 0xbc, 0]);
        assert_eq!(
            Value {
                kind: ElementType::String as u8,
                bytes: &bytes
            }
            .text(),
            Some("ü")
        );
        assert_eq!(
            Value {
                kind: ElementType::String as u8,
                bytes: &[1, 0, 0, 0]
            }
            .text(),
            None
        );
    }
}
