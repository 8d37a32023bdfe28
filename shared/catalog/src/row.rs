//! Rows: the JSON form of a value, with times as BSON dates and numbers as 64-bit integers.
//!
//! Dates have a precision of milliseconds. Finer digits are cut off.

use bson::{Bson, DateTime, Document, doc};
use holdfast_domain::ObjectKey;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::CatalogError;

/// A time in the form of the catalogue.
pub(crate) fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.as_millisecond())
}

/// The row of a value, without `_id`.
pub(crate) fn of<T: Serialize>(value: &T) -> Result<Document, CatalogError> {
    let invalid = |problem| CatalogError::Invalid {
        what: "the row to be written".to_owned(),
        problem,
    };
    match serde_json::to_value(value).map_err(|error| invalid(error.to_string()))? {
        Value::Object(fields) => document(fields).map_err(invalid),
        _ => Err(invalid("is not an object".to_owned())),
    }
}

fn document(fields: Map<String, Value>) -> Result<Document, String> {
    fields
        .into_iter()
        .map(|(key, value)| {
            let value = bson(&key, value)?;
            Ok((key, value))
        })
        .collect()
}

fn bson(key: &str, value: Value) -> Result<Bson, String> {
    Ok(match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => Bson::Boolean(flag),
        Value::Number(number) => Bson::Int64(
            number
                .as_i64()
                .ok_or_else(|| format!("has a {key} of {number}, expected a 64-bit integer"))?,
        ),
        Value::String(text) if is_time(key) => {
            let at: Timestamp = text
                .parse()
                .map_err(|_| format!("has an invalid time in {key}"))?;
            Bson::DateTime(date(at))
        }
        Value::String(text) => Bson::String(text),
        Value::Array(values) => Bson::Array(
            values
                .into_iter()
                .map(|value| bson(key, value))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(fields) => Bson::Document(document(fields)?),
    })
}

fn is_time(key: &str) -> bool {
    key == "at" || key.ends_with("At")
}

/// The value of a row. Unknown fields are ignored, whatever their types.
pub(crate) fn read<T: DeserializeOwned>(
    collection: &'static str,
    row: Document,
) -> Result<T, CatalogError> {
    let id = id_of(&row);
    let fields = row
        .into_iter()
        .map(|(key, value)| (key, json(value)))
        .collect();
    serde_json::from_value(Value::Object(fields)).map_err(|error| CatalogError::Corrupt {
        collection,
        id,
        problem: error.to_string(),
    })
}

/// A row's `_id` as text.
pub(crate) fn id_of(row: &Document) -> String {
    match row.get("_id") {
        Some(Bson::String(id)) => id.clone(),
        Some(other) => other.to_string(),
        None => "without _id".to_owned(),
    }
}

fn json(value: Bson) -> Value {
    match value {
        Bson::Null => Value::Null,
        Bson::Boolean(flag) => flag.into(),
        Bson::Int32(number) => number.into(),
        Bson::Int64(number) => number.into(),
        Bson::Double(number) => whole(number).map_or_else(|| number.into(), Value::from),
        Bson::String(text) => text.into(),
        Bson::DateTime(at) => match Timestamp::from_millisecond(at.timestamp_millis()) {
            Ok(at) => at.to_string().into(),
            Err(_) => at.timestamp_millis().into(),
        },
        Bson::Array(values) => values.into_iter().map(json).collect(),
        Bson::Document(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| (key, json(value)))
                .collect(),
        ),
        // No field of Holdfast accepts an object with this key.
        other => Value::Object(Map::from_iter([(
            "$bson".to_owned(),
            format!("{:?}", other.element_type()).into(),
        )])),
    }
}

/// A shell writes integers as doubles.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and within ±2^53, where the cast is exact"
    )]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// A count or a sum from the server's aggregation.
pub(crate) fn unsigned(row: &Document, key: &str) -> u64 {
    let number = match row.get(key) {
        Some(Bson::Int32(number)) => i64::from(*number),
        Some(Bson::Int64(number)) => *number,
        Some(Bson::Double(number)) => whole(*number).unwrap_or(0),
        _ => 0,
    };
    u64::try_from(number).unwrap_or(0)
}

/// A number in the form of the catalogue. A larger one matches nothing, and no count reaches it.
pub(crate) fn int64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The filter of one row.
pub(crate) fn by_id(id: &str) -> Document {
    doc! { "_id": id }
}

/// The alternatives of a filter for rows with this object as their file or record of blocks.
pub(crate) fn refers_to(key: &ObjectKey) -> Vec<Document> {
    vec![
        doc! { "file.object.key": key.as_str() },
        doc! { "file.dag.key": key.as_str() },
    ]
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{BackupId, BackupType, Job, Trigger, TriggerKind};

    use super::*;

    fn job() -> Job {
        let at = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        let trigger = Trigger {
            kind: TriggerKind::Manual,
            by: Some("ada".to_owned()),
        };
        let mut job = Job::pending(
            BackupId::new(BackupType::Database, at, [1, 2, 3, 4]),
            trigger,
            at,
        );
        job.size = Some(5_000_000_000);
        job
    }

    #[test]
    fn times_are_dates_and_numbers_are_64_bit() {
        let row = of(&job()).unwrap();
        assert_eq!(
            row.get("createdAt"),
            Some(&Bson::DateTime(DateTime::from_millis(1_700_000_000_123)))
        );
        assert_eq!(row.get("fence"), Some(&Bson::Int64(0)));
        assert_eq!(row.get("size"), Some(&Bson::Int64(5_000_000_000)));
        assert_eq!(read::<Job>("backup_jobs", row).unwrap(), job());
    }

    #[test]
    fn numbers_as_a_shell_writes_them_are_read() {
        let mut row = of(&job()).unwrap();
        row.insert("fence", 3.0);
        row.insert("durationMs", 7_i32);
        let read: Job = read("backup_jobs", row).unwrap();
        assert_eq!((read.fence, read.duration_ms), (3, Some(7)));
    }

    #[test]
    fn unknown_fields_of_any_type_are_ignored() {
        let mut row = of(&job()).unwrap();
        row.insert("note", bson::oid::ObjectId::new());
        row.insert("flags", vec![Bson::MinKey, Bson::Undefined]);
        assert_eq!(read::<Job>("backup_jobs", row).unwrap(), job());
    }

    #[test]
    fn a_field_of_the_wrong_type_is_corrupt_and_names_the_row() {
        for (field, wrong) in [
            ("status", Bson::from("resting")),
            ("status", Bson::ObjectId(bson::oid::ObjectId::new())),
            ("createdAt", Bson::from("yesterday")),
            ("createdAt", Bson::DateTime(DateTime::MAX)),
            ("fence", Bson::Int64(-1)),
            ("fence", Bson::Double(0.5)),
            (
                "size",
                Bson::Decimal128(bson::Decimal128::from_bytes([0; 16])),
            ),
            ("engine", Bson::MaxKey),
            ("checksum", Bson::from("beef")),
        ] {
            let mut row = of(&job()).unwrap();
            row.insert("_id", "the-row");
            row.insert(field, wrong);
            let error = read::<Job>("backup_jobs", row).unwrap_err();
            assert!(
                matches!(&error, CatalogError::Corrupt { id, .. } if id == "the-row"),
                "{field}: {error}"
            );
        }
    }

    #[test]
    fn a_number_that_no_row_can_hold_is_refused() {
        let mut job = job();
        job.size = Some(u64::MAX);
        assert!(matches!(of(&job), Err(CatalogError::Invalid { .. })));
    }
}
