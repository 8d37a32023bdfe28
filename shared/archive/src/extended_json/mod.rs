//! Extended JSON. Writing: mongodump's form, canonical version 2, equal to the byte. Reading:
//! version 2 or 1, canonical or relaxed, from any tool.
//!
//! In metadata, data and query operators have keys with `$` too. An object is a wrapper only if it
//! has exactly a wrapper's shape. In a document of the same shape, `$` is written as `\u0024`, so
//! that it is read as a document.

mod json;
mod read;
mod write;

pub use json::JsonError;
pub use read::{JsonVersion, from_extended_json};
pub use write::to_extended_json;
pub(crate) use write::{push_document, push_text};

#[cfg(test)]
mod tests {
    use bson::{
        Binary, Bson, DateTime, Decimal128, JavaScriptCodeWithScope, Regex, Timestamp, bson, doc,
        oid::ObjectId, spec::BinarySubtype,
    };
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Bson {
        from_extended_json(text, JsonVersion::V2).unwrap()
    }

    fn examples() -> Vec<(Bson, &'static str)> {
        let oid = ObjectId::from_bytes([0xab; 12]);
        let uuid = Binary {
            subtype: BinarySubtype::Uuid,
            bytes: vec![0, 255],
        };
        let regex = Regex {
            pattern: "^a\"".try_into().unwrap(),
            options: "im".try_into().unwrap(),
        };
        let scope = JavaScriptCodeWithScope {
            code: "f()".to_owned(),
            scope: doc! { "x": 1 },
        };
        vec![
            (Bson::Int32(-1), r#"{"$numberInt":"-1"}"#),
            (
                Bson::Int64(i64::MAX),
                r#"{"$numberLong":"9223372036854775807"}"#,
            ),
            (Bson::Double(1.0), r#"{"$numberDouble":"1.0"}"#),
            (Bson::Double(-0.0), r#"{"$numberDouble":"-0.0"}"#),
            (Bson::Double(1.5e-7), r#"{"$numberDouble":"1.5E-07"}"#),
            (Bson::Double(123_456.0), r#"{"$numberDouble":"123456.0"}"#),
            (
                Bson::Double(1_073_741_824.0),
                r#"{"$numberDouble":"1.073741824E+09"}"#,
            ),
            (Bson::Double(0.000_1), r#"{"$numberDouble":"0.0001"}"#),
            (Bson::Double(1e300), r#"{"$numberDouble":"1E+300"}"#),
            (
                Bson::Double(f64::INFINITY),
                r#"{"$numberDouble":"Infinity"}"#,
            ),
            (
                Bson::Double(f64::NEG_INFINITY),
                r#"{"$numberDouble":"-Infinity"}"#,
            ),
            (
                Bson::Decimal128("1.50".parse::<Decimal128>().unwrap()),
                r#"{"$numberDecimal":"1.50"}"#,
            ),
            (Bson::Boolean(true), "true"),
            (Bson::Null, "null"),
            (Bson::Undefined, r#"{"$undefined":true}"#),
            (Bson::MinKey, r#"{"$minKey":1}"#),
            (Bson::MaxKey, r#"{"$maxKey":1}"#),
            (
                Bson::ObjectId(oid),
                r#"{"$oid":"abababababababababababab"}"#,
            ),
            (
                Bson::DateTime(DateTime::from_millis(-5)),
                r#"{"$date":{"$numberLong":"-5"}}"#,
            ),
            (
                Bson::Timestamp(Timestamp {
                    time: 7,
                    increment: 8,
                }),
                r#"{"$timestamp":{"t":7,"i":8}}"#,
            ),
            (
                Bson::Binary(uuid),
                r#"{"$binary":{"base64":"AP8=","subType":"04"}}"#,
            ),
            (
                Bson::RegularExpression(regex),
                r#"{"$regularExpression":{"pattern":"^a\"","options":"im"}}"#,
            ),
            (Bson::JavaScriptCode("f()".to_owned()), r#"{"$code":"f()"}"#),
            (
                Bson::JavaScriptCodeWithScope(scope),
                r#"{"$code":"f()","$scope":{"x":{"$numberInt":"1"}}}"#,
            ),
            (Bson::Symbol("s".to_owned()), r#"{"$symbol":"s"}"#),
            (
                bson!([1, [], {}, { "$gt": "a" }]),
                r#"[{"$numberInt":"1"},[],{},{"$gt":"a"}]"#,
            ),
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
            assert_eq!(read(text), value, "{text}");
        }
        let nan = to_extended_json(&Bson::Double(f64::NAN));
        assert_eq!(nan, r#"{"$numberDouble":"NaN"}"#);
        assert!(read(&nan).as_f64().unwrap().is_nan());
    }

    #[test]
    fn a_database_pointer_goes_through() {
        let text = r#"{"$dbPointer":{"$ref":"a.b","$id":{"$oid":"abababababababababababab"}}}"#;
        let value = read(text);
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
            (
                r#"{"$date":"1970-01-01T00:00:01Z"}"#,
                Bson::DateTime(DateTime::from_millis(1000)),
            ),
            (r#"{"$date":5}"#, Bson::DateTime(DateTime::from_millis(5))),
            (
                r#"{"$binary":"AP8=","$type":"00"}"#,
                Bson::Binary(Binary {
                    subtype: BinarySubtype::Generic,
                    bytes: vec![0, 255],
                }),
            ),
            (
                r#""\u003ca\u0026b\u003e""#,
                Bson::String("<a&b>".to_owned()),
            ),
        ] {
            assert_eq!(read(text), value, "{text}");
        }
    }

    #[test]
    fn operators_are_documents() {
        for text in [
            r#"{"$regex":"^a"}"#,
            r#"{"$regex":"^a","$options":"i"}"#,
            r#"{"$type":"string"}"#,
            r#"{"$date":{"x":"y"}}"#,
            r#"{"$numberInt":"one"}"#,
            r#"{"$code":"a","other":"b"}"#,
        ] {
            let value = read(text);
            assert!(value.as_document().is_some(), "{text}");
            assert_eq!(read(&to_extended_json(&value)), value, "{text}");
        }
        let operator = r#"{"$regex":"^a","$options":"i"}"#;
        assert_eq!(to_extended_json(&read(operator)), operator);
    }

    #[test]
    fn a_document_in_the_shape_of_a_wrapper_stays_a_document() {
        let oid = ObjectId::from_bytes([0xab; 12]);
        for (document, text) in [
            (
                doc! { "$oid": oid.to_hex() },
                r#"{"\u0024oid":"abababababababababababab"}"#,
            ),
            (doc! { "$oid": "$owner" }, r#"{"\u0024oid":"$owner"}"#),
            (
                doc! { "$date": 5_i64 },
                r#"{"\u0024date":{"$numberLong":"5"}}"#,
            ),
            (doc! { "$numberLong": "5" }, r#"{"\u0024numberLong":"5"}"#),
            (
                doc! { "$code": "f()", "$scope": {} },
                r#"{"\u0024code":"f()","\u0024scope":{}}"#,
            ),
            (
                doc! { "$binary": "AP8=", "$type": "00" },
                r#"{"\u0024binary":"AP8=","\u0024type":"00"}"#,
            ),
            (
                doc! { "$timestamp": { "t": 1_i64, "i": 2 } },
                r#"{"\u0024timestamp":{"t":{"$numberLong":"1"},"i":{"$numberInt":"2"}}}"#,
            ),
        ] {
            let value = Bson::Document(document);
            assert_eq!(to_extended_json(&value), text);
            assert_eq!(read(text), value, "{text}");
        }
        // Any JSON reader gives the same keys as for mongodump's own text.
        let text = to_extended_json(&bson!({ "$oid": "$owner" }));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            serde_json::json!({ "$oid": "$owner" })
        );
    }

    #[test]
    fn version_1_is_read_as_its_tools_meant_it() {
        let regex = |pattern: &str, options: &str| {
            let (pattern, options) = (pattern.try_into().unwrap(), options.try_into().unwrap());
            Bson::RegularExpression(Regex { pattern, options })
        };
        for (text, value) in [
            (r#"{ "$regex": "^a", "$options": "" }"#, regex("^a", "")),
            (r#"{"$options":"mi","$regex":"a"}"#, regex("a", "im")),
            (
                r#"{ "$date": "1970-01-01T00:00:00.005Z" }"#,
                Bson::DateTime(DateTime::from_millis(5)),
            ),
            (
                r#"{ "$date": { "$numberLong" : "5" }}"#,
                Bson::DateTime(DateTime::from_millis(5)),
            ),
            (r#"{ "$undefined": true }"#, Bson::Undefined),
            ("+Infinity", Bson::Double(f64::INFINITY)),
            ("1e+21", Bson::Double(1e21)),
            (
                r#"{ "$code": "f(\x01)"}"#,
                Bson::JavaScriptCode("f(\u{1})".to_owned()),
            ),
        ] {
            assert_eq!(
                from_extended_json(text, JsonVersion::V1).unwrap(),
                value,
                "{text}"
            );
        }
        let pattern = r#"{"$regex":{"x":1},"$options":"i"}"#;
        assert!(
            from_extended_json(pattern, JsonVersion::V1)
                .unwrap()
                .as_document()
                .is_some()
        );
    }

    fn key() -> impl Strategy<Value = String> {
        let wrapper = prop::sample::select(
            &[
                "$oid",
                "$date",
                "$numberLong",
                "$numberInt",
                "$numberDouble",
                "$numberDecimal",
                "$binary",
                "$type",
                "$code",
                "$scope",
                "$timestamp",
                "t",
                "i",
                "$regularExpression",
                "pattern",
                "options",
                "$symbol",
                "$minKey",
                "$maxKey",
                "$undefined",
                "$dbPointer",
                "$ref",
                "$id",
                "$regex",
                "$options",
                "$uuid",
                "base64",
                "subType",
                "$$ROOT",
                "$",
            ][..],
        );
        prop_oneof![4 => wrapper.prop_map(str::to_owned), 1 => "[^\u{0}]{0,6}"]
    }

    fn any_value() -> impl Strategy<Value = Bson> {
        let text = prop::sample::select(
            &[
                "5",
                "1.5",
                "NaN",
                "AP8=",
                "00",
                "abababababababababababab",
                "1970-01-01T00:00:01Z",
                "",
                "i",
            ][..],
        );
        let leaf = prop_oneof![
            text.prop_map(|text| Bson::String(text.to_owned())),
            any::<i32>().prop_map(Bson::Int32),
            any::<i64>().prop_map(Bson::Int64),
            prop::num::f64::NORMAL.prop_map(Bson::Double),
            any::<bool>().prop_map(Bson::Boolean),
            any::<i64>().prop_map(|millis| Bson::DateTime(DateTime::from_millis(millis))),
            any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(ObjectId::from_bytes(bytes))),
            Just(Bson::Null),
            Just(Bson::Int32(1)),
            Just(Bson::Undefined),
            Just(Bson::MinKey),
        ];
        leaf.prop_recursive(6, 48, 4, |inner| {
            prop_oneof![
                3 => prop::collection::vec((key(), inner.clone()), 0..4)
                    .prop_map(|fields| Bson::Document(fields.into_iter().collect())),
                1 => prop::collection::vec(inner, 0..4).prop_map(Bson::Array),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_document_is_read_as_it_is_written(value in any_value()) {
            prop_assert_eq!(read(&to_extended_json(&value)), value);
        }

        #[test]
        fn every_number_is_read_as_it_is_written(double in any::<f64>(), long in any::<i64>()) {
            prop_assume!(!double.is_nan());
            for value in [Bson::Double(double), Bson::Int64(long)] {
                prop_assert_eq!(read(&to_extended_json(&value)), value);
            }
        }

        #[test]
        fn every_text_and_key_is_read_as_it_is_written(key in any::<String>(), text in any::<String>()) {
            let value = Bson::Document(doc! { key: [text] });
            prop_assert_eq!(read(&to_extended_json(&value)), value);
        }
    }
}
