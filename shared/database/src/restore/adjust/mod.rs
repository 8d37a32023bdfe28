//! Converts a collection's definition for current servers. Archives come from servers and tools of
//! any version: storage options are left out, renamed ones are translated, old index specifications
//! are converted. Each difference is reported.

mod indexes;
mod keys;
mod options;

use std::fmt;

use bson::Bson;
use holdfast_archive::Metadata;
use serde::Serialize;

pub(super) use self::indexes::comes_with_the_collection;
use super::UnknownOptions;

/// One difference between the archive's definition and the restored one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Adjustment {
    /// The kind of part.
    pub part: AdjustedPart,
    /// Its name: of an option, or of a field in an index's key.
    pub name: String,
    /// The affected indexes. Empty for an option of the collection.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<String>,
    /// The change.
    pub change: Change,
    /// Why.
    pub reason: String,
}

/// A part of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AdjustedPart {
    /// An option of the collection.
    Option,
    /// A complete index.
    Index,
    /// An option of an index.
    IndexOption,
    /// The value of a field in an index's key.
    IndexKey,
}

/// The change of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It is not restored.
    LeftOut,
    /// It is restored in another form.
    Converted,
    /// It is passed to the server. The server may refuse it.
    PassedOn,
}

/// The metadata for creating a collection, and the differences from the archive's.
pub(super) fn adjusted(
    mut metadata: Metadata,
    unknown: UnknownOptions,
) -> (Metadata, Vec<Adjustment>) {
    let mut report = Report::default();
    metadata.options = options::adjusted(metadata.options, unknown, &mut report);
    metadata.indexes = indexes::adjusted(metadata.indexes, &mut report);
    (metadata, report.adjustments)
}

/// Collects adjustments. The same change in several indexes counts once.
#[derive(Debug, Default)]
struct Report {
    adjustments: Vec<Adjustment>,
}

impl Report {
    fn option(&mut self, name: &str, change: Change, reason: impl Into<String>) {
        let (name, reason) = (name.to_owned(), reason.into());
        self.adjustments.push(Adjustment {
            part: AdjustedPart::Option,
            name,
            indexes: Vec::new(),
            change,
            reason,
        });
    }

    fn index(
        &mut self,
        part: AdjustedPart,
        index: &str,
        name: &str,
        change: Change,
        reason: impl Into<String>,
    ) {
        let reason = reason.into();
        let is_same = |known: &&mut Adjustment| {
            known.part == part
                && known.name == name
                && known.change == change
                && known.reason == reason
        };
        match self.adjustments.iter_mut().find(is_same) {
            Some(known) => known.indexes.push(index.to_owned()),
            None => self.adjustments.push(Adjustment {
                part,
                name: name.to_owned(),
                indexes: vec![index.to_owned()],
                change,
                reason,
            }),
        }
    }
}

impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            AdjustedPart::Option => write!(f, "option {}", self.name)?,
            AdjustedPart::Index => write!(f, "index {}", self.name)?,
            AdjustedPart::IndexOption => {
                write!(f, "option {} of {}", self.name, listed(&self.indexes))?;
            }
            AdjustedPart::IndexKey => write!(f, "key {} of {}", self.name, listed(&self.indexes))?,
        }
        let change = match self.change {
            Change::LeftOut => "left out",
            Change::Converted => "converted",
            Change::PassedOn => "passed on",
        };
        write!(f, " {change}: {}", self.reason)
    }
}

fn listed(indexes: &[String]) -> String {
    let noun = if indexes.len() == 1 {
        "index"
    } else {
        "indexes"
    };
    format!("{noun} {}", indexes.join(", "))
}

/// True values of a server: any number except zero, and any value of another type except null.
fn is_true(value: &Bson) -> bool {
    match value {
        Bson::Boolean(boolean) => *boolean,
        Bson::Null | Bson::Undefined => false,
        other => number(other) != Some(0.0),
    }
}

/// The value of a number of any type.
#[expect(
    clippy::cast_precision_loss,
    reason = "options and directions are small numbers"
)]
pub(super) fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Int64(number) => Some(*number as f64),
        Bson::Double(number) => Some(*number),
        Bson::Decimal128(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// The storage engines of present servers.
const STORAGE_ENGINES: [&str; 2] = ["wiredTiger", "inMemory"];

/// Removes other engines' options from a `storageEngine` option. Returns whether any of it remains.
fn keep_known_engines(value: &mut Bson) -> (bool, Vec<String>) {
    let Bson::Document(engines) = value else {
        return (true, Vec::new());
    };
    let foreign: Vec<String> = engines
        .keys()
        .filter(|engine| !STORAGE_ENGINES.contains(&engine.as_str()))
        .cloned()
        .collect();
    for engine in &foreign {
        engines.remove(engine);
    }
    (foreign.is_empty() || !engines.is_empty(), foreign)
}

#[cfg(test)]
mod tests {
    use bson::{Decimal128, doc};

    use super::*;

    #[test]
    fn true_is_what_servers_take_as_true() {
        let zero: Decimal128 = "0.0".parse().unwrap();
        for value in [
            Bson::Boolean(true),
            Bson::Int32(1),
            Bson::Double(-0.5),
            Bson::Double(f64::NAN),
            "".into(),
        ] {
            assert!(is_true(&value), "{value}");
        }
        for value in [
            Bson::Boolean(false),
            Bson::Int64(0),
            Bson::Double(0.0),
            Bson::Null,
            Bson::Decimal128(zero),
        ] {
            assert!(!is_true(&value), "{value}");
        }
    }

    #[test]
    fn the_same_change_in_several_indexes_is_reported_once() {
        let mut report = Report::default();
        for index in ["a_1", "b_1"] {
            report.index(
                AdjustedPart::IndexOption,
                index,
                "safe",
                Change::LeftOut,
                "it is unknown",
            );
        }
        report.option("temp", Change::LeftOut, "it is temporary");
        let texts: Vec<String> = report.adjustments.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "option safe of indexes a_1, b_1 left out: it is unknown",
                "option temp left out: it is temporary"
            ]
        );
        let json = serde_json::to_value(&report.adjustments[0]).unwrap();
        assert_eq!(
            json,
            serde_json::json!({ "part": "indexOption", "name": "safe", "indexes": ["a_1", "b_1"], "change": "leftOut", "reason": "it is unknown" })
        );
    }

    #[test]
    fn a_definition_of_today_is_not_adjusted() {
        let metadata = Metadata {
            options: doc! { "capped": true, "size": 4096, "validator": { "a": { "$gt": 1 } }, "collation": { "locale": "de" } },
            indexes: vec![
                doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" },
                doc! { "key": { "a": 1, "b": -1.0 }, "name": "a_1_b_-1", "unique": true, "sparse": false },
                doc! { "key": { "t": "text" }, "name": "t_text", "weights": { "t": 1 }, "textIndexVersion": 3 },
            ],
            ..Metadata::default()
        };
        assert_eq!(
            adjusted(metadata.clone(), UnknownOptions::Pass),
            (metadata, Vec::new())
        );
    }
}
