//! Extended JSON v2 as mongodump writes it (canonical, to the byte) and as any tool may have written it (canonical or
//! relaxed). What looks like a wrapper but has another shape is read as the document it is: metadata hold query
//! operators, which begin with `$` too.

mod read;
mod write;

pub use read::from_extended_json;
pub use write::to_extended_json;
pub(crate) use write::{push_document, push_text};

#[cfg(test)]
mod tests {
    use bson::{
        Binary, Bson, DateTime, Decimal128, JavaScriptCodeWithScope, Regex, Timestamp, bson, doc, oid::ObjectId,
        spec::BinarySubtype,
    };
    use proptest::prelude::*;

    use super::*;

    fn examples() -> Vec<(Bson, &'static str)> {
        let oid = ObjectId::from_bytes([0xab; 12]);
        let uuid = Binary { subtype: BinarySubtype::Uuid, bytes: vec![0, 255] };
        let regex = Regex { pattern: "^a\"".try_into().unwrap(), options: "im".try_into().unwrap() };
        let scope = JavaScriptCodeWithScope { code: "f()".to_owned(), scope: doc! { "x": 1 } };
        vec![
            (Bson::Int32(-1), r#"{"$numberInt":"-1"}"#),
            (Bson::Int64(i64::MAX), r#"{"$numberLong":"9223372036854775807"}"#),
            (Bson::Double(1.0), r#"{"$numberDouble":"1.0"}"#),
            (Bson::Double(-0.0), r#"{"$numberDouble":"-0.0"}"#),
            (Bson::Double(1.5e-7), r#"{"$numberDouble":"1.5E-07"}"#),
            (Bson::Double(123_456.0), r#"{"$numberDouble":"123456.0"}"#),
            (Bson::Double(1_073_741_824.0), r#"{"$numberDouble":"1.073741824E+09"}"#),
            (Bson::Double(0.000_1), r#"{"$numberDouble":"0.0001"}"#),
            (Bson::Double(1e300), r#"{"$numberDouble":"1E+300"}"#),
            (Bson::Double(f64::INFINITY), r#"{"$numberDouble":"Infinity"}"#),
            (Bson::Double(f64::NEG_INFINITY), r#"{"$numberDouble":"-Infinity"}"#),
            (Bson::Decimal128("1.50".parse::<Decimal128>().unwrap()), r#"{"$numberDecimal":"1.50"}"#),
            (Bson::Boolean(true), "true"),
            (Bson::Null, "null"),
            (Bson::Undefined, r#"{"$undefined":true}"#),
            (Bson::MinKey, r#"{"$minKey":1}"#),
            (Bson::MaxKey, r#"{"$maxKey":1}"#),
            (Bson::ObjectId(oid), r#"{"$oid":"abababababababababababab"}"#),
            (Bson::DateTime(DateTime::from_millis(-5)), r#"{"$date":{"$numberLong":"-5"}}"#),
            (Bson::Timestamp(Timestamp { time: 7, increment: 8 }), r#"{"$timestamp":{"t":7,"i":8}}"#),
            (Bson::Binary(uuid), r#"{"$binary":{"base64":"AP8=","subType":"04"}}"#),
            (Bson::RegularExpression(regex), r#"{"$regularExpression":{"pattern":"^a\"","options":"im"}}"#),
            (Bson::JavaScriptCode("f()".to_owned()), r#"{"$code":"f()"}"#),
            (Bson::JavaScriptCodeWithScope(scope), r#"{"$code":"f()","$scope":{"x":{"$numberInt":"1"}}}"#),
            (Bson::Symbol("s".to_owned()), r#"{"$symbol":"s"}"#),
            (bson!([1, [], {}, { "$gt": "a" }]), r#"[{"$numberInt":"1"},[],{},{"$gt":"a"}]"#),
            (
                Bson::String("<a&b> \u{8}\u{c}\n\r\t\u{1}\"\\ ü\u{7f}\u{2028}".to_owned()),
                "\"<a&b> \\b\\f\\n\\r\\t\\u0001\\\"\\\\ ü\u{7f}\\u2028\"",
            ),
        ]
    }

    #[test]
    fn every_type_is_written_canonically_and_read_back() {
        for (value, text) in examples() {
            assert_eq!(to_extended_json(&value), text);
            assert_eq!(from_extended_json(text).unwrap(), value, "{text}");
        }
        let nan = to_extended_json(&Bson::Double(f64::NAN));
        assert_eq!(nan, r#"{"$numberDouble":"NaN"}"#);
        assert!(from_extended_json(&nan).unwrap().as_f64().unwrap().is_nan());
    }

    #[test]
    fn a_database_pointer_goes_through() {
        let text = r#"{"$dbPointer":{"$ref":"a.b","$id":{"$oid":"abababababababababababab"}}}"#;
        let value = from_extended_json(text).unwrap();
        assert!(matches!(value, Bson::DbPointer(_)), "{value:?}");
        assert_eq!(to_extended_json(&value), text);
    }

    #[test]
    fn relaxed_and_older_forms_are_read() {
        for (text, value) in [
            ("2", Bson::Int32(2)),
            ("-2147483649", Bson::Int64(-2_147_483_649)),
            ("1.0", Bson::Double(1.0)),
            (r#"{"$numberLong":5}"#, Bson::Int64(5)),
            (r#"{"$date":"1970-01-01T00:00:01Z"}"#, Bson::DateTime(DateTime::from_millis(1000))),
            (r#"{"$date":5}"#, Bson::DateTime(DateTime::from_millis(5))),
            (
                r#"{"$binary":"AP8=","$type":"00"}"#,
                Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 255] }),
            ),
            (r#""\u003ca\u0026b\u003e""#, Bson::String("<a&b>".to_owned())),
        ] {
            assert_eq!(from_extended_json(text).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn operators_are_documents() {
        for text in [
            r#"{"$regex":"^a"}"#,
            r#"{"$type":"string"}"#,
            r#"{"$date":{"x":"y"}}"#,
            r#"{"$numberInt":"one"}"#,
            r#"{"$code":"a","other":"b"}"#,
        ] {
            let value = from_extended_json(text).unwrap();
            assert!(value.as_document().is_some(), "{text}");
            assert_eq!(to_extended_json(&value), text);
        }
    }

    proptest! {
        #[test]
        fn every_number_is_read_as_it_is_written(double in any::<f64>(), long in any::<i64>()) {
            prop_assume!(!double.is_nan());
            for value in [Bson::Double(double), Bson::Int64(long)] {
                prop_assert_eq!(from_extended_json(&to_extended_json(&value)).unwrap(), value);
            }
        }

        #[test]
        fn every_text_and_key_is_read_as_it_is_written(key in "[^$].*", text in any::<String>()) {
            let value = Bson::Document(doc! { key: [text] });
            prop_assert_eq!(from_extended_json(&to_extended_json(&value)).unwrap(), value);
        }
    }
}
