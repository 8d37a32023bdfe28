//! Options, indexes and views. The server adds defaults to the given options. Each given option
//! must be present and equal. Every other option must be a default.

use bson::{Bson, Document};

use crate::restore::{adjust::number, existing::same_value};

/// Options with an effect on a collection's behaviour. One missing in the archive is a difference.
const SIGNIFICANT: [&str; 9] = [
    "capped",
    "clusteredIndex",
    "timeseries",
    "viewOn",
    "pipeline",
    "collation",
    "validator",
    "changeStreamPreAndPostImages",
    "encryptedFields",
];

/// Properties of an index's storage or build.
const NOT_COMPARED: [&str; 7] = [
    "v",
    "ns",
    "name",
    "background",
    "dropDups",
    "2dsphereIndexVersion",
    "textIndexVersion",
];

/// Servers round the size of a capped collection up.
const CAPPED_ROUNDING_BYTES: f64 = 4096.0;

/// The differences between a collection's or view's options and the created ones.
pub(in crate::restore) fn option_differences(wanted: &Document, found: &Document) -> Vec<String> {
    let asked = wanted
        .iter()
        .filter(|(name, value)| !is_kept(name, value, found.get(*name)));
    let mut differences: Vec<String> = asked
        .map(|(name, value)| difference(name, Some(value), found.get(name)))
        .collect();
    let unasked = SIGNIFICANT
        .iter()
        .filter(|name| !wanted.contains_key(**name));
    let present = unasked.filter_map(|name| found.get(*name).map(|value| (name, value)));
    let added = present.filter(|(name, value)| !is_absent(name, Some(value)));
    differences.extend(added.map(|(name, value)| difference(name, None, Some(value))));
    differences
}

/// The differences between a collection's indexes and the given ones. `comes_with_the_collection`
/// is true for the indexes created by the server itself.
pub(in crate::restore) fn index_differences(
    wanted: &[Document],
    found: &[Document],
    comes_with_the_collection: impl Fn(&Document) -> bool,
) -> Vec<String> {
    let name_of = |index: &Document| index.get_str("name").unwrap_or("without a name").to_owned();
    let mut differences = Vec::new();
    for index in wanted {
        match found.iter().find(|other| name_of(other) == name_of(index)) {
            None => differences.push(format!("the index {} is missing", name_of(index))),
            Some(other) => differences.extend(
                differences_of_index(index, other)
                    .iter()
                    .map(|what| format!("the index {}: {what}", name_of(index))),
            ),
        }
    }
    let is_wanted = |index: &&Document| wanted.iter().any(|other| name_of(other) == name_of(index));
    let extra = found
        .iter()
        .filter(|index| !is_wanted(index) && !comes_with_the_collection(index));
    differences
        .extend(extra.map(|index| format!("the index {} is not in the archive", name_of(index))));
    differences
}

fn differences_of_index(wanted: &Document, found: &Document) -> Vec<String> {
    let asked = wanted
        .iter()
        .filter(|(name, _)| !NOT_COMPARED.contains(&name.as_str()));
    let changed = asked.filter(|(name, value)| {
        let kept = found.get(*name);
        if *name == "key" {
            !is_same_key(value, kept)
        } else {
            !is_kept(name, value, kept)
        }
    });
    let mut differences: Vec<String> = changed
        .map(|(name, value)| difference(name, Some(value), found.get(name)))
        .collect();
    for name in [
        "unique",
        "sparse",
        "hidden",
        "partialFilterExpression",
        "expireAfterSeconds",
        "collation",
    ] {
        let added = found
            .get(name)
            .filter(|value| !is_absent(name, Some(value)));
        if let (None, Some(value)) = (wanted.get(name), added) {
            differences.push(difference(name, None, Some(value)));
        }
    }
    differences
}

/// The order of an index's fields counts.
fn is_same_key(wanted: &Bson, found: Option<&Bson>) -> bool {
    match (wanted, found) {
        (Bson::Document(wanted), Some(Bson::Document(found))) => {
            wanted.len() == found.len()
                && wanted
                    .iter()
                    .zip(found)
                    .all(|(one, other)| one.0 == other.0 && same_value(one.1, other.1))
        }
        _ => false,
    }
}

/// Whether the server kept the given value. Documents may have additional fields.
fn is_kept(name: &str, wanted: &Bson, found: Option<&Bson>) -> bool {
    if name == "autoIndexId" || (is_absent(name, Some(wanted)) && is_absent(name, found)) {
        return true;
    }
    let Some(found) = found else { return false };
    match (wanted, found) {
        _ if is_not_a_number(wanted) => true,
        (_, Bson::Boolean(found)) => *found != is_absent(name, Some(wanted)),
        (Bson::Document(wanted), Bson::Document(found)) if completes_documents(name) => wanted
            .iter()
            .all(|(inner, value)| is_kept(inner, value, found.get(inner))),
        _ if name == "size" => number(wanted)
            .zip(number(found))
            .is_some_and(|(wanted, found)| {
                found >= wanted && found - wanted < CAPPED_ROUNDING_BYTES
            }),
        _ => same_value(wanted, found),
    }
}

/// Options with documents completed by the server with defaults. A filter or a validator is stored
/// unchanged.
fn completes_documents(name: &str) -> bool {
    matches!(
        name,
        "collation"
            | "timeseries"
            | "clusteredIndex"
            | "storageEngine"
            | "wiredTiger"
            | "changeStreamPreAndPostImages"
            | "weights"
            | "encryptedFields"
    )
}

/// Whether an option has the same meaning as a missing one.
fn is_absent(name: &str, value: Option<&Bson>) -> bool {
    match value {
        None | Some(Bson::Null | Bson::Boolean(false)) => true,
        Some(Bson::Document(document)) if name == "collation" => {
            document.get_str("locale").ok() == Some("simple")
        }
        Some(Bson::Document(document)) if name == "changeStreamPreAndPostImages" => {
            !document.get_bool("enabled").unwrap_or(false)
        }
        Some(Bson::Document(document)) => document.is_empty(),
        Some(Bson::Array(array)) => name == "pipeline" && array.is_empty(),
        Some(value) => name != "expireAfterSeconds" && number(value) == Some(0.0),
    }
}

fn is_not_a_number(value: &Bson) -> bool {
    matches!(value, Bson::Double(number) if number.is_nan())
}

fn difference(name: &str, wanted: Option<&Bson>, found: Option<&Bson>) -> String {
    let shown = |value: Option<&Bson>| value.map_or_else(|| "nothing".to_owned(), short);
    format!(
        "`{name}` is {} in the archive and {} in the target",
        shown(wanted),
        shown(found)
    )
}

/// Validators and filters can be long, and can contain values.
fn short(value: &Bson) -> String {
    match value {
        Bson::Document(document) => format!("a document of {} fields", document.len()),
        Bson::Array(array) => format!("a list of {}", array.len()),
        other => crate::error::shortened(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn what_the_server_adds_by_itself_is_no_difference() {
        let wanted = doc! {
            "capped": true, "size": 1000, "max": 5_i64, "collation": { "locale": "de" }, "autoIndexId": true,
            "validator": { "a": { "$gt": 1 } }, "temp": false,
        };
        let found = doc! {
            "capped": true, "size": 1024_i64, "max": 5, "collation": { "locale": "de", "strength": 3, "version": "57.1" },
            "validator": { "a": { "$gt": 1 } }, "validationLevel": "strict", "validationAction": "error",
        };
        assert_eq!(option_differences(&wanted, &found), Vec::<String>::new());
    }

    #[test]
    fn each_option_that_is_lost_changed_or_added_is_named() {
        for (wanted, found, name) in [
            (doc! { "capped": true, "size": 4096 }, doc! {}, "capped"),
            (doc! { "max": 5 }, doc! { "max": 6 }, "max"),
            (doc! {}, doc! { "capped": true, "size": 4096 }, "capped"),
            (
                doc! {},
                doc! { "collation": { "locale": "de" } },
                "collation",
            ),
            (
                doc! { "validator": { "a": 1 } },
                doc! { "validator": { "a": 1, "b": 1 } },
                "validator",
            ),
            (
                doc! { "viewOn": "a", "pipeline": [{ "$match": {} }] },
                doc! { "viewOn": "a", "pipeline": [] },
                "pipeline",
            ),
            (doc! { "size": 10_000 }, doc! { "size": 4096 }, "size"),
        ] {
            let differences = option_differences(&wanted, &found);
            assert!(
                differences
                    .iter()
                    .any(|text| text.contains(&format!("`{name}`"))),
                "{wanted} {found}: {differences:?}"
            );
        }
    }

    #[test]
    fn each_difference_of_an_index_is_named() {
        let id = |index: &Document| index.get_str("name").ok() == Some("_id_");
        let indexes =
            |index: Document| vec![doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" }, index];
        let differences =
            |wanted: Document, found: Document| index_differences(&[wanted], &indexes(found), id);
        let wanted = doc! { "v": 1, "key": { "a": 1, "b": -1.0 }, "name": "i", "unique": true, "sparse": false };
        assert!(
            differences(
                wanted.clone(),
                doc! { "v": 2, "key": { "a": 1, "b": -1 }, "name": "i", "unique": true }
            )
            .is_empty()
        );
        for (found, reason) in [
            (
                doc! { "key": { "b": -1, "a": 1 }, "name": "i", "unique": true },
                "`key`",
            ),
            (doc! { "key": { "a": 1, "b": -1 }, "name": "i" }, "`unique`"),
            (
                doc! { "key": { "a": 1, "b": -1 }, "name": "i", "unique": true, "sparse": true },
                "`sparse`",
            ),
            (
                doc! { "key": { "a": 1, "b": -1 }, "name": "i", "unique": true, "expireAfterSeconds": 0 },
                "`expireAfterSeconds`",
            ),
            (doc! { "key": { "a": 1 }, "name": "other" }, "missing"),
        ] {
            let differences = differences(wanted.clone(), found.clone());
            assert!(
                differences.iter().any(|text| text.contains(reason)),
                "{found}: {differences:?}"
            );
        }
        let extra = index_differences(&[], &indexes(doc! { "key": { "c": 1 }, "name": "c_1" }), id);
        assert_eq!(extra, ["the index c_1 is not in the archive"]);
    }
}
