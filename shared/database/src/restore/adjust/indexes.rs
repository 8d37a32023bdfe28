//! Index specifications of any version.

use bson::{Bson, Document};

use super::{AdjustedPart, Change, Report, is_true, keep_known_engines, keys, number};

/// Options passed to `createIndexes` unchanged.
const KNOWN: [&str; 17] = [
    "key",
    "name",
    "partialFilterExpression",
    "collation",
    "weights",
    "default_language",
    "language_override",
    "textIndexVersion",
    "2dsphereIndexVersion",
    "bits",
    "min",
    "max",
    "bucketSize",
    "coarsestIndexedLevel",
    "finestIndexedLevel",
    "wildcardProjection",
    "columnstoreProjection",
];

/// Boolean options.
const FLAGS: [&str; 5] = ["unique", "sparse", "hidden", "clustered", "prepareUnique"];

/// Options never restored, each with the reason.
const LEFT_OUT: [(&str, &str); 5] = [
    ("ns", "the namespace is that of the target"),
    ("background", "servers since 4.2 ignore it"),
    ("dropDups", "servers since 3.0 do not delete duplicates"),
    ("safe", "it is an option of a client"),
    (
        "originalSpec",
        "it describes how the source stored the index",
    ),
];

/// The version of new indexes in every server since 3.4.
const CURRENT_VERSION: f64 = 2.0;

/// More than a server's maximum for `expireAfterSeconds`. Servers treat an invalid value like this
/// one: documents never expire.
const NEVER_SECONDS: i32 = i32::MAX;

/// The indexes in the form of `createIndexes`, with the one on `_id`.
pub(super) fn adjusted(indexes: Vec<Document>, report: &mut Report) -> Vec<Document> {
    let mut kept: Vec<Document> = Vec::new();
    for mut index in indexes {
        let Ok(key) = index.get_document_mut("key") else {
            // The server will report the fault.
            kept.push(index);
            continue;
        };
        let converted = keys::convert(key);
        match place_of(&index) {
            Place::WithCollection => kept.push(index),
            Place::BesideIdIndex => {
                let reason = "the server keeps its own index on _id, for both directions";
                report.index(
                    AdjustedPart::Index,
                    &name_of(&index),
                    &name_of(&index),
                    Change::LeftOut,
                    reason,
                );
            }
            Place::OfItsOwn => {
                let index = specification(index, &converted, report);
                if !converted.is_empty()
                    && let Some(twin) = kept.iter().find(|other| is_twin(other, &index))
                {
                    let reason = format!("converted, it is the same as {}", name_of(twin));
                    report.index(
                        AdjustedPart::Index,
                        &name_of(&index),
                        &name_of(&index),
                        Change::LeftOut,
                        reason,
                    );
                } else {
                    kept.push(index);
                }
            }
        }
    }
    kept
}

/// Origin of an index.
enum Place {
    /// The server creates it together with the collection.
    WithCollection,
    /// It is on `_id` alone, in the other direction.
    BesideIdIndex,
    /// By `createIndexes`.
    OfItsOwn,
}

/// Servers treat `{_id: 1}` and `{_id: -1}` as their own index, and create any other one.
fn place_of(index: &Document) -> Place {
    let direction = index
        .get_document("key")
        .ok()
        .filter(|key| key.len() == 1)
        .and_then(|key| number(key.get("_id")?));
    match direction {
        _ if index.get("clustered").is_some_and(is_true) => Place::WithCollection,
        Some(1.0) => Place::WithCollection,
        Some(-1.0) => Place::BesideIdIndex,
        _ => Place::OfItsOwn,
    }
}

/// Whether the server creates it together with the collection: the index on `_id`, or that of a
/// clustered collection.
pub(in crate::restore) fn comes_with_the_collection(index: &Document) -> bool {
    matches!(place_of(index), Place::WithCollection)
}

fn name_of(index: &Document) -> String {
    index
        .get_str("name")
        .map_or_else(|_| default_name(index), str::to_owned)
}

/// The name from shells and drivers: an index's fields and their values.
fn default_name(index: &Document) -> String {
    let key = index.get_document("key").into_iter().flatten();
    key.map(|(field, value)| {
        format!(
            "{field}_{}",
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        )
    })
    .collect::<Vec<_>>()
    .join("_")
}

fn specification(index: Document, converted: &[(String, Bson)], report: &mut Report) -> Document {
    let of = name_of(&index);
    for (field, old) in converted {
        let reason =
            format!("servers since 3.4 refuse {old}, and earlier ones took it as a direction");
        report.index(
            AdjustedPart::IndexKey,
            &of,
            field,
            Change::Converted,
            reason,
        );
    }
    let mut kept = Document::new();
    for (name, value) in index {
        option(&mut kept, &of, name, value, report);
    }
    if kept.get_str("name").is_err() {
        kept.insert("name", of);
    }
    kept
}

fn option(kept: &mut Document, of: &str, name: String, mut value: Bson, report: &mut Report) {
    let mut changed =
        |change, reason: String| report.index(AdjustedPart::IndexOption, of, &name, change, reason);
    match name.as_str() {
        known if KNOWN.contains(&known) => _ = kept.insert(name, value),
        flag if FLAGS.contains(&flag) => match (&value, is_true(&value)) {
            (Bson::Boolean(_), _) => _ = kept.insert(name, value),
            (_, true) => {
                changed(Change::Converted, format!("{value} means true"));
                kept.insert(name, true);
            }
            (_, false) => changed(Change::LeftOut, format!("{value} means false")),
        },
        "v" if number(&value) == Some(CURRENT_VERSION) => _ = kept.insert(name, value),
        "v" => changed(
            Change::LeftOut,
            format!("the server builds its own version of indexes instead of {value}"),
        ),
        "expireAfterSeconds" => {
            if !is_expiry(&value) {
                changed(
                    Change::Converted,
                    format!("{value} is not a valid time: documents never expire"),
                );
                value = NEVER_SECONDS.into();
            }
            kept.insert(name, value);
        }
        "storageEngine" => {
            let (any_is_left, foreign) = keep_known_engines(&mut value);
            for engine in foreign {
                changed(
                    Change::LeftOut,
                    format!("current servers do not have the storage engine {engine}"),
                );
            }
            if any_is_left {
                kept.insert(name, value);
            }
        }
        other => {
            let listed = LEFT_OUT
                .iter()
                .find(|(known, _)| *known == other)
                .map(|(_, reason)| *reason);
            changed(
                Change::LeftOut,
                listed.unwrap_or("Holdfast does not support it").to_owned(),
            );
        }
    }
}

/// Whether a server accepts it: seconds up to some 68 years.
fn is_expiry(value: &Bson) -> bool {
    number(value).is_some_and(|seconds| (0.0..=f64::from(NEVER_SECONDS)).contains(&seconds))
}

/// Whether a server would refuse the second as a renamed first one.
fn is_twin(one: &Document, other: &Document) -> bool {
    ["key", "collation", "partialFilterExpression"]
        .into_iter()
        .all(|part| one.get(part) == other.get(part))
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn adjusted_to(index: Document) -> (Vec<Document>, Vec<String>) {
        let mut report = Report::default();
        let kept = adjusted(vec![index], &mut report);
        (
            kept,
            report.adjustments.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn options_of_old_clients_and_servers_are_left_out_and_reported() {
        let (kept, changes) = adjusted_to(doc! {
            "v": 1, "unique": true, "key": { "b": 1 }, "name": "b_1", "ns": "t01.users", "dropDups": true,
            "safe": null, "background": true, "madeUp": 1,
        });
        assert_eq!(
            kept,
            [doc! { "unique": true, "key": { "b": 1 }, "name": "b_1" }]
        );
        let names: Vec<_> = changes
            .iter()
            .map(|change| change.split(' ').nth(1).unwrap())
            .collect();
        assert_eq!(
            names,
            ["v", "ns", "dropDups", "safe", "background", "madeUp"]
        );
    }

    #[test]
    fn flags_become_what_servers_take_them_for() {
        let (kept, changes) = adjusted_to(
            doc! { "key": { "a": 1 }, "name": "a", "unique": 1, "sparse": null, "hidden": false },
        );
        assert_eq!(
            kept,
            [doc! { "key": { "a": 1 }, "name": "a", "unique": true, "hidden": false }]
        );
        assert_eq!(
            changes,
            [
                "option unique of index a converted: 1 means true",
                "option sparse of index a left out: null means false"
            ]
        );
    }

    #[test]
    fn an_invalid_expiry_never_expires_anything() {
        for invalid in [
            Bson::Double(f64::NAN),
            Bson::Int32(-1),
            Bson::Int64(1 << 40),
            Bson::Null,
            "1".into(),
        ] {
            let (kept, changes) =
                adjusted_to(doc! { "key": { "a": 1 }, "name": "a", "expireAfterSeconds": invalid });
            assert_eq!(
                kept[0].get_i32("expireAfterSeconds").unwrap(),
                i32::MAX,
                "{changes:?}"
            );
            assert_eq!(changes.len(), 1);
        }
        let valid = doc! { "key": { "a": 1 }, "name": "a", "expireAfterSeconds": 0.0 };
        assert_eq!(adjusted_to(valid.clone()), (vec![valid], vec![]));
    }

    #[test]
    fn the_index_on_id_is_recognised_whatever_its_value() {
        for value in [
            Bson::Boolean(true),
            Bson::Int64(1),
            Bson::Double(1.0),
            "".into(),
        ] {
            let (kept, changes) =
                adjusted_to(doc! { "v": 1, "key": { "_id": value }, "name": "_id_", "ns": "a.b" });
            assert!(
                number(kept[0].get_document("key").unwrap().get("_id").unwrap()).unwrap() > 0.0
            );
            assert_eq!(changes, Vec::<String>::new());
        }
        let (kept, changes) = adjusted_to(doc! { "key": { "_id": -1 }, "name": "back" });
        assert_eq!((kept.len(), changes.len()), (0, 1));
        assert_eq!(
            adjusted_to(doc! { "key": { "_id": "hashed" }, "name": "h" })
                .0
                .len(),
            1
        );
        let second = doc! { "key": { "_id": 2 }, "name": "second", "unique": true };
        assert_eq!(adjusted_to(second.clone()), (vec![second], vec![]));
    }

    #[test]
    fn the_index_on_id_comes_with_the_collection() {
        assert!(comes_with_the_collection(
            &doc! { "key": { "_id": 1_i64 }, "name": "_id_" }
        ));
        assert!(comes_with_the_collection(
            &doc! { "key": { "_id": 1 }, "name": "cl", "clustered": true }
        ));
        for key in [
            doc! { "_id": 1.5 },
            doc! { "_id": 2 },
            doc! { "_id": "hashed" },
            doc! { "_id": 1, "a": 1 },
        ] {
            assert!(
                !comes_with_the_collection(&doc! { "key": key.clone(), "name": "other" }),
                "{key}"
            );
        }
    }

    #[test]
    fn an_index_that_becomes_another_one_is_left_out() {
        let mut report = Report::default();
        let ascending = doc! { "key": { "a": 1 }, "name": "a_1" };
        let kept = adjusted(
            vec![
                ascending.clone(),
                doc! { "key": { "a": true }, "name": "a_true" },
            ],
            &mut report,
        );
        assert_eq!(kept, [ascending]);
        assert_eq!(
            report.adjustments[1].to_string(),
            "index a_true left out: converted, it is the same as a_1"
        );
    }

    #[test]
    fn an_index_without_a_name_is_given_the_usual_one() {
        let (kept, _) = adjusted_to(doc! { "key": { "a": 1, "p": "2dsphere" } });
        assert_eq!(kept[0].get_str("name").unwrap(), "a_1_p_2dsphere");
    }
}
