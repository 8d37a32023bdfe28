//! Extended JSON of both versions, canonical and relaxed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bson::{
    Binary, Bson, DateTime, Document, JavaScriptCodeWithScope, Regex, Timestamp, oid::ObjectId,
    spec::BinarySubtype,
};

use super::{
    JsonError,
    json::{Json, Key, parse},
};

/// Version of extended JSON. The versions differ in the meaning of `{"$regex": …, "$options": …}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JsonVersion {
    /// Of tools before 4.2: a regular expression.
    V1,
    /// Of later tools and Holdfast: a query operator.
    #[default]
    V2,
}

/// The value of an extended JSON text.
///
/// # Errors
/// Another text than JSON, or more than 256 levels of nesting.
pub fn from_extended_json(text: &str, version: JsonVersion) -> Result<Bson, JsonError> {
    Ok(Reader { version }.value(parse(text)?))
}

#[derive(Clone, Copy)]
struct Reader {
    version: JsonVersion,
}

impl Reader {
    fn value(self, json: Json) -> Bson {
        match json {
            Json::Null => Bson::Null,
            Json::Undefined => Bson::Undefined,
            Json::Boolean(boolean) => Bson::Boolean(boolean),
            Json::Whole(whole) => i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32),
            Json::Double(number) => Bson::Double(number),
            Json::Text(text) => Bson::String(text),
            Json::Array(values) => {
                Bson::Array(values.into_iter().map(|value| self.value(value)).collect())
            }
            Json::Object(fields) => self
                .wrapped(&fields)
                .unwrap_or_else(|| Bson::Document(self.document(fields))),
        }
    }

    fn document(self, fields: Vec<(Key, Json)>) -> Document {
        fields
            .into_iter()
            .map(|(key, json)| (key.text, self.value(json)))
            .collect()
    }

    /// The value inside an object with exactly the shape of a wrapper. With an escaped `$` the
    /// object is a document.
    fn wrapped(self, fields: &[(Key, Json)]) -> Option<Bson> {
        if fields.iter().any(|(key, _)| key.is_escaped) {
            return None;
        }
        match fields {
            [(name, json)] => wrapped_one(&name.text, json),
            [(first, one), (second, other)] => {
                self.wrapped_two([(&first.text, one), (&second.text, other)])
            }
            _ => None,
        }
    }

    fn wrapped_two(self, pairs: [(&str, &Json); 2]) -> Option<Bson> {
        match pairs {
            [("$code", code), ("$scope", Json::Object(scope))] => {
                Some(Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
                    code: code.as_str()?.to_owned(),
                    scope: self.document(scope.clone()),
                }))
            }
            [("$binary", base64), ("$type", subtype)] => {
                binary_from(base64, subtype).map(Bson::Binary)
            }
            [("$regex", pattern), ("$options", options)]
            | [("$options", options), ("$regex", pattern)]
                if self.version == JsonVersion::V1 =>
            {
                regex_from(pattern, options).map(Bson::RegularExpression)
            }
            _ => None,
        }
    }
}

fn wrapped_one(name: &str, json: &Json) -> Option<Bson> {
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
        "$undefined" => (*json == Json::Boolean(true)).then_some(Bson::Undefined),
        "$dbPointer" => pointer(json.as_object()?),
        _ => None,
    }
}

/// Only the driver can make a database pointer.
fn pointer(fields: &[(Key, Json)]) -> Option<Bson> {
    let [collection, id] = both(fields, ["$ref", "$id"])?;
    let [(name, oid)] = id.as_object()? else {
        return None;
    };
    let (collection, oid) = (collection.as_str()?, oid.as_str()?);
    let json =
        serde_json::json!({ "$dbPointer": { "$ref": collection, "$id": { &name.text: oid } } });
    serde_json::from_value(json).ok()
}

/// The two values of an object with exactly these fields.
fn both<'a>(fields: &'a [(Key, Json)], names: [&str; 2]) -> Option<[&'a Json; 2]> {
    let [(first, one), (second, other)] = fields else {
        return None;
    };
    let found = [first.text.as_str(), second.text.as_str()];
    if found == names {
        Some([one, other])
    } else {
        (found == [names[1], names[0]]).then_some([other, one])
    }
}

fn long(json: &Json) -> Option<i64> {
    json.as_i64().or_else(|| json.as_str()?.parse().ok())
}

fn double(json: &Json) -> Option<f64> {
    match json.as_str()? {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    }
}

fn date(json: &Json) -> Option<DateTime> {
    match json {
        Json::Text(text) => DateTime::parse_rfc3339_str(text).ok(),
        Json::Object(fields) => match fields.as_slice() {
            [(name, number)] if name.text == "$numberLong" => {
                long(number).map(DateTime::from_millis)
            }
            _ => None,
        },
        other => other.as_i64().map(DateTime::from_millis),
    }
}

fn timestamp(fields: &[(Key, Json)]) -> Option<Timestamp> {
    let [time, increment] =
        both(fields, ["t", "i"])?.map(|json| u32::try_from(json.as_i64()?).ok());
    Some(Timestamp {
        time: time?,
        increment: increment?,
    })
}

fn binary(fields: &[(Key, Json)]) -> Option<Binary> {
    let [base64, subtype] = both(fields, ["base64", "subType"])?;
    binary_from(base64, subtype)
}

fn binary_from(base64: &Json, subtype: &Json) -> Option<Binary> {
    let bytes = STANDARD.decode(base64.as_str()?).ok()?;
    let subtype = u8::from_str_radix(subtype.as_str()?, 16)
        .ok()
        .map(BinarySubtype::from)?;
    Some(Binary { subtype, bytes })
}

fn regex(fields: &[(Key, Json)]) -> Option<Regex> {
    let [pattern, options] = both(fields, ["pattern", "options"])?;
    regex_from(pattern, options)
}

fn regex_from(pattern: &Json, options: &Json) -> Option<Regex> {
    let mut options: Vec<char> = options.as_str()?.chars().collect();
    options.sort_unstable();
    Some(Regex {
        pattern: pattern.as_str()?.try_into().ok()?,
        options: options.into_iter().collect::<String>().try_into().ok()?,
    })
}
