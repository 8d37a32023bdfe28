//! One document with a value of every BSON type, including the deprecated ones. A faithful backup
//! keeps all of them.

use anyhow::Result;
use mongodb::bson::{
    Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, RawDocumentBuf, Regex,
    Timestamp, doc, oid::ObjectId, spec::BinarySubtype,
};

/// The document.
pub(crate) fn document() -> Result<Document> {
    let binary = |subtype, bytes: &[u8]| Binary {
        subtype,
        bytes: bytes.to_vec(),
    };
    let regex = Regex {
        pattern: "^0x[0-9a-f]+$".try_into()?,
        options: "i".try_into()?,
    };
    let scope = JavaScriptCodeWithScope {
        code: "return x + 1".into(),
        scope: doc! { "x": 41 },
    };
    Ok(doc! {
        "_id": "every BSON type",
        "double": -0.0,
        "notANumber": f64::NAN,
        "string": "„Grüezi“ 🌍 \u{0}.",
        "document": { "a": { "b": {} } },
        "array": [1, "two", [3.0], Bson::Null],
        "binary": binary(BinarySubtype::Generic, &[0, 1, 2, 255]),
        "uuid": binary(BinarySubtype::Uuid, &[7; 16]),
        "userDefined": binary(BinarySubtype::UserDefined(0x80), b"raw"),
        "undefined": Bson::Undefined,
        "objectId": ObjectId::from_bytes([0x42; 12]),
        "true": true,
        "false": false,
        "date": DateTime::from_millis(-1),
        "null": Bson::Null,
        "regex": regex,
        "dbPointer": db_pointer()?,
        "code": Bson::JavaScriptCode("function () { return 1 }".into()),
        "symbol": Bson::Symbol("sym".into()),
        "codeWithScope": scope,
        "int32": i32::MIN,
        "timestamp": Timestamp { time: 1_700_000_000, increment: 7 },
        "int64": i64::MAX,
        "decimal128": "-1234567890.123456789012345678".parse::<Decimal128>()?,
        "minKey": Bson::MinKey,
        "maxKey": Bson::MaxKey,
        "": "an empty name",
    })
}

/// A deprecated, read-only pointer, parsed from the bytes of `{"p": DBPointer("users", 4242…)}`.
fn db_pointer() -> Result<Bson> {
    let mut bytes = vec![30, 0, 0, 0, 0x0c, b'p', 0, 6, 0, 0, 0];
    bytes.extend(b"users\0");
    bytes.extend([0x42; 12]);
    bytes.push(0);
    let document = Document::try_from(RawDocumentBuf::from_bytes(bytes)?)?;
    Ok(document.get("p").cloned().unwrap_or(Bson::Null))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_bson_type_is_missing() {
        let document = document().unwrap();
        let types: BTreeSet<u8> = document
            .values()
            .map(|value| value.element_type() as u8)
            .collect();
        let all = (1..=0x13).chain([0x7f, 0xff]);
        assert_eq!(types, all.collect());
    }
}
