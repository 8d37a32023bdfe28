//! JSON without repeated fields in an object. Two programs may read different values of a repeated
//! field. So `{"dryRun": true, "dryRun": false}` is refused.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Why a text is refused.
#[derive(Debug)]
pub(crate) enum JsonFault {
    /// An object names this field more than once.
    Repeated(String),
    /// It is not JSON.
    Malformed(serde_json::Error),
}

/// The one value in this text.
pub(crate) fn parse(text: &[u8]) -> Result<Value, JsonFault> {
    let repeated = RefCell::default();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let parsed = Once(&repeated)
        .deserialize(&mut deserializer)
        .and_then(|value| {
            deserializer.end()?;
            Ok(value)
        });
    parsed.map_err(|error| {
        repeated
            .take()
            .map_or(JsonFault::Malformed(error), JsonFault::Repeated)
    })
}

/// Reads a value and remembers the first field that an object repeats.
#[derive(Clone, Copy)]
struct Once<'r>(&'r RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if object.contains_key(&name) {
                self.0.replace(Some(name));
                return Err(A::Error::custom("a field is given more than once"));
            }
            let value = fields.next_value_seed(self)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_field_is_refused_at_any_depth() {
        for (text, name) in [
            (r#"{"a":1,"a":1}"#, "a"),
            (r#"{"a":1,"b":2,"\u0061":3}"#, "a"),
            (r#"{"x":{"b":1,"b":2}}"#, "b"),
            (r#"[1,{"c":null,"c":null}]"#, "c"),
            (r#"{"":1,"":2}"#, ""),
        ] {
            assert!(
                matches!(parse(text.as_bytes()), Err(JsonFault::Repeated(found)) if found == name),
                "{text}"
            );
        }
    }

    #[test]
    fn all_else_is_read_as_ever() {
        for text in [
            "{}",
            "null",
            "true",
            "-1",
            "18446744073709551615",
            "0.5",
            "\"\\ud83d\\ude00\"",
            r#"{"a":[{"a":1}]}"#,
        ] {
            assert_eq!(
                parse(text.as_bytes()).unwrap(),
                serde_json::from_str::<Value>(text).unwrap(),
                "{text}"
            );
        }
        for text in ["", "{", "{}x", "{'a':1}", "[1,]", "\u{feff}{}"] {
            assert!(
                matches!(parse(text.as_bytes()), Err(JsonFault::Malformed(_))),
                "{text}"
            );
        }
        let deep = "[".repeat(100_000);
        assert!(
            matches!(parse(deep.as_bytes()), Err(JsonFault::Malformed(_))),
            "depth is limited"
        );
    }
}
