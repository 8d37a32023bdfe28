//! Extended JSON, canonical, relaxed, and the older forms of binary data and dates.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bson::{
    Binary, Bson, DateTime, Document, JavaScriptCodeWithScope, Regex, Timestamp, oid::ObjectId, spec::BinarySubtype,
};
use serde_json::{Map, Value};

use crate::MetadataError;

/// The value that an extended JSON text gives.
///
/// # Errors
/// The text is not JSON, or nested more than 127 deep.
pub fn from_extended_json(text: &str) -> Result<Bson, MetadataError> {
    Ok(value(serde_json::from_str(text)?))
}

fn value(json: Value) -> Bson {
    match json {
        Value::Null => Bson::Null,
        Value::Bool(boolean) => Bson::Boolean(boolean),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32),
            None => Bson::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Bson::String(text),
        Value::Array(values) => Bson::Array(values.into_iter().map(value).collect()),
        Value::Object(fields) => wrapped(&fields).unwrap_or_else(|| Bson::Document(document(fields))),
    }
}

fn document(fields: Map<String, Value>) -> Document {
    fields.into_iter().map(|(key, json)| (key, value(json))).collect()
}

/// The value that an object wraps, if it has exactly the shape of a wrapper.
fn wrapped(fields: &Map<String, Value>) -> Option<Bson> {
    let mut pairs = fields.iter();
    let (name, first) = pairs.next()?;
    match (pairs.next(), pairs.next()) {
        (None, _) => wrapped_one(name, first),
        (Some((second_name, second)), None) => wrapped_two([(name.as_str(), first), (second_name.as_str(), second)]),
        _ => None,
    }
}

fn wrapped_one(name: &str, json: &Value) -> Option<Bson> {
    match name {
        "$numberInt" => json.as_str()?.parse().ok().map(Bson::Int32),
        "$numberLong" => long(json).map(Bson::Int64),
        "$numberDouble" => double(json).map(Bson::Double),
        "$numberDecimal" => json.as_str()?.parse().ok().map(Bson::Decimal128),
        "$oid" => ObjectId::parse_str(json.as_str()?).ok().map(Bson::ObjectId),
        "$symbol" => Some(Bson::Symbol(json.as_str()?.to_owned())),
        "$code" => Some(Bson::JavaScriptCode(json.as_str()?.to_owned())),
        "$date" => date(json).map(Bson::DateTime),
        "$timestamp" => timestamp(json.as_object()?).map(Bson::Timestamp),
        "$binary" => binary(json.as_object()?).map(Bson::Binary),
        "$regularExpression" => regex(json.as_object()?).map(Bson::RegularExpression),
        "$minKey" => (json.as_i64()? == 1).then_some(Bson::MinKey),
        "$maxKey" => (json.as_i64()? == 1).then_some(Bson::MaxKey),
        "$undefined" => json.as_bool()?.then_some(Bson::Undefined),
        // The driver alone can make a database pointer.
        "$dbPointer" => serde_json::from_value(serde_json::json!({ name: json })).ok(),
        _ => None,
    }
}

fn wrapped_two(pairs: [(&str, &Value); 2]) -> Option<Bson> {
    match pairs {
        [("$code", code), ("$scope", Value::Object(scope))] => {
            Some(Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
                code: code.as_str()?.to_owned(),
                scope: document(scope.clone()),
            }))
        }
        [("$binary", base64), ("$type", subtype)] => binary_of(base64, subtype).map(Bson::Binary),
        _ => None,
    }
}

/// The two values of an object that has these fields and no others.
fn both<'a>(fields: &'a Map<String, Value>, names: [&str; 2]) -> Option<[&'a Value; 2]> {
    if fields.len() != 2 {
        return None;
    }
    Some([fields.get(names[0])?, fields.get(names[1])?])
}

fn long(json: &Value) -> Option<i64> {
    json.as_i64().or_else(|| json.as_str()?.parse().ok())
}

fn double(json: &Value) -> Option<f64> {
    match json.as_str()? {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    }
}

fn date(json: &Value) -> Option<DateTime> {
    match json {
        Value::String(text) => DateTime::parse_rfc3339_str(text).ok(),
        Value::Object(wrapper) if wrapper.len() == 1 => long(wrapper.get("$numberLong")?).map(DateTime::from_millis),
        other => other.as_i64().map(DateTime::from_millis),
    }
}

fn timestamp(fields: &Map<String, Value>) -> Option<Timestamp> {
    let [time, increment] = both(fields, ["t", "i"])?.map(|json| u32::try_from(json.as_u64()?).ok());
    Some(Timestamp { time: time?, increment: increment? })
}

fn binary(fields: &Map<String, Value>) -> Option<Binary> {
    let [base64, subtype] = both(fields, ["base64", "subType"])?;
    binary_of(base64, subtype)
}

fn binary_of(base64: &Value, subtype: &Value) -> Option<Binary> {
    let bytes = STANDARD.decode(base64.as_str()?).ok()?;
    let subtype = u8::from_str_radix(subtype.as_str()?, 16).ok().map(BinarySubtype::from)?;
    Some(Binary { subtype, bytes })
}

fn regex(fields: &Map<String, Value>) -> Option<Regex> {
    let [pattern, options] = both(fields, ["pattern", "options"])?;
    let mut options: Vec<char> = options.as_str()?.chars().collect();
    options.sort_unstable();
    Some(Regex {
        pattern: pattern.as_str()?.try_into().ok()?,
        options: options.into_iter().collect::<String>().try_into().ok()?,
    })
}
