//! Canonical extended JSON, in the text of Go's driver. One difference: in a document with the
//! shape of a wrapper, the `$` of the keys is escaped.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bson::{Bson, Document};

/// The value as canonical extended JSON without spaces, byte for byte as mongodump writes metadata.
#[must_use]
pub fn to_extended_json(value: &Bson) -> String {
    let mut text = String::new();
    push_value(&mut text, value);
    text
}

/// Fields of wrappers, alone or as a pair.
const WRAPPERS: [&str; 15] = [
    "$numberInt",
    "$numberLong",
    "$numberDouble",
    "$numberDecimal",
    "$oid",
    "$symbol",
    "$code",
    "$date",
    "$timestamp",
    "$binary",
    "$regularExpression",
    "$minKey",
    "$maxKey",
    "$undefined",
    "$dbPointer",
];

/// Whether a reader could mistake the document for a wrapper. Each wrapper of two fields has one of
/// these too.
fn resembles_wrapper(document: &Document) -> bool {
    document.len() <= 2 && document.keys().any(|key| WRAPPERS.contains(&key.as_str()))
}

pub(crate) fn push_document(out: &mut String, document: &Document) {
    let push_key = if resembles_wrapper(document) {
        push_escaped
    } else {
        push_text
    };
    out.push('{');
    for (number, (key, value)) in document.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        push_key(out, key);
        out.push(':');
        push_value(out, value);
    }
    out.push('}');
}

/// Writes a key with its first `$` escaped. Other tools read the same key. Our reader recognizes it
/// as data.
fn push_escaped(out: &mut String, key: &str) {
    let Some(rest) = key.strip_prefix('$') else {
        return push_text(out, key);
    };
    let start = out.len();
    push_text(out, rest);
    out.insert_str(start + 1, "\\u0024");
}

fn push_array(out: &mut String, values: &[Bson]) {
    out.push('[');
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        push_value(out, value);
    }
    out.push(']');
}

fn push_value(out: &mut String, value: &Bson) {
    match value {
        Bson::Document(document) => push_document(out, document),
        Bson::Array(values) => push_array(out, values),
        Bson::String(text) => push_text(out, text),
        Bson::Boolean(boolean) => out.push_str(if *boolean { "true" } else { "false" }),
        Bson::Null => out.push_str("null"),
        Bson::Int32(number) => push_wrapped(out, "$numberInt", &number.to_string()),
        Bson::Int64(number) => push_wrapped(out, "$numberLong", &number.to_string()),
        Bson::Double(number) => push_wrapped(out, "$numberDouble", &double(*number)),
        Bson::Decimal128(number) => push_wrapped(out, "$numberDecimal", &number.to_string()),
        Bson::ObjectId(id) => push_wrapped(out, "$oid", &id.to_hex()),
        Bson::Symbol(text) => push_wrapped(out, "$symbol", text),
        Bson::JavaScriptCode(code) => push_wrapped(out, "$code", code),
        Bson::Undefined => out.push_str(r#"{"$undefined":true}"#),
        Bson::MinKey => out.push_str(r#"{"$minKey":1}"#),
        Bson::MaxKey => out.push_str(r#"{"$maxKey":1}"#),
        composed => push_composed(out, composed),
    }
}

fn push_composed(out: &mut String, value: &Bson) {
    match value {
        Bson::DateTime(at) => {
            out.push_str(r#"{"$date":"#);
            push_wrapped(out, "$numberLong", &at.timestamp_millis().to_string());
        }
        Bson::Timestamp(at) => {
            let _ = write!(
                out,
                r#"{{"$timestamp":{{"t":{},"i":{}}}"#,
                at.time, at.increment
            );
        }
        Bson::Binary(binary) => {
            let (base64, subtype) = (STANDARD.encode(&binary.bytes), u8::from(binary.subtype));
            let _ = write!(
                out,
                r#"{{"$binary":{{"base64":"{base64}","subType":"{subtype:02x}"}}"#
            );
        }
        Bson::RegularExpression(regex) => {
            out.push_str(r#"{"$regularExpression":{"pattern":"#);
            push_text(out, regex.pattern.as_str());
            out.push_str(r#","options":"#);
            push_text(out, regex.options.as_str());
            out.push('}');
        }
        Bson::JavaScriptCodeWithScope(code) => {
            out.push_str(r#"{"$code":"#);
            push_text(out, &code.code);
            out.push_str(r#","$scope":"#);
            push_document(out, &code.scope);
        }
        // Only the driver can read a database pointer, and its own form has the same text.
        pointer => {
            let json = serde_json::to_string(pointer).unwrap_or_default();
            out.push_str(json.strip_suffix('}').unwrap_or("{"));
        }
    }
    out.push('}');
}

fn push_wrapped(out: &mut String, name: &str, text: &str) {
    out.push('{');
    push_text(out, name);
    out.push(':');
    push_text(out, text);
    out.push('}');
}

/// Escapes the characters of JSON and, like Go, the two line separators of Unicode. `<`, `>` and
/// `&` stay.
pub(crate) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Go's `%G` with as many digits as it takes: an exponent of two digits or more below 1e-4 and from
/// 1e6 on, else a decimal point always.
fn double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}E{sign}{:02}", exponent.abs())
}
