//! Laws of rewriting documents of every shape, and of assigning rules to an archive.

use bson::{Binary, Bson, DateTime, Decimal128, Document, doc, oid::ObjectId, spec::BinarySubtype};
use holdfast_archive::{Metadata, NamespaceKind, Prelude, PreludeNamespace};
use proptest::prelude::*;

use super::{
    AnonymizeReport, Anonymizer, Applied, MisfitPolicy,
    action::Action,
    key::Key,
    report::Tally,
    rewrite::{BadDocument, rewrite},
    tree::Node,
    value::Value,
};

const ACTIONS: &str = "\
version: 1
rules:
  - { action: hash, fields: { c: [a, e.a, \"_id\"] } }
  - { action: mask, keepLast: 2, fields: { c: [b] } }
  - { action: fake, as: email, fields: { c: [c.*.b] } }
  - { action: null, fields: { c: [d.a, e.b] } }
  - { action: drop, fields: { c: [d.b, c.c] } }
";

/// Values of every common type.
fn leaf() -> impl Strategy<Value = Bson> {
    prop_oneof![
        "[a-zäöü@. ]{0,12}".prop_map(Bson::from),
        any::<[u8; 12]>().prop_map(|bytes| ObjectId::from_bytes(bytes).into()),
        any::<i32>().prop_map(Bson::from),
        any::<i64>().prop_map(Bson::from),
        any::<f64>()
            .prop_filter("NaN is not equal to itself", |value| !value.is_nan())
            .prop_map(Bson::from),
        (-1_000_i32..1_000).prop_map(|value| f64::from(value).into()),
        any::<bool>().prop_map(Bson::from),
        Just(Bson::Null),
        any::<i64>().prop_map(|millis| DateTime::from_millis(millis).into()),
        any::<[u8; 16]>().prop_map(|bytes| Bson::Decimal128(Decimal128::from_bytes(bytes))),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Bson::Binary(Binary {
            subtype: BinarySubtype::Generic,
            bytes
        })),
    ]
}

fn value() -> impl Strategy<Value = Bson> {
    leaf().prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            document_of(inner.clone()).prop_map(Bson::from),
            prop::collection::vec(inner, 0..4).prop_map(Bson::from),
        ]
    })
}

fn document_of(values: impl Strategy<Value = Bson>) -> impl Strategy<Value = Document> {
    prop::collection::vec(
        (
            prop::sample::select(vec!["_id", "a", "b", "c", "d", "e", "f"]),
            values,
        ),
        0..7,
    )
    .prop_map(|fields| {
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    })
}

fn document() -> impl Strategy<Value = Document> {
    document_of(value())
}

/// Rules assigned to the collection `c`.
struct Laid {
    actions: Vec<Action>,
    tree: Node,
}

fn laid(rules: &str) -> Laid {
    let rules = super::AnonymizeRules::parse(rules).unwrap();
    let mut tree = Node::default();
    for (number, field) in rules.fields.iter().enumerate() {
        tree.insert(&field.path, number).unwrap();
    }
    Laid {
        actions: rules.fields.iter().map(|field| field.action).collect(),
        tree,
    }
}

impl Laid {
    fn rewritten(&self, bytes: &[u8], key: u8) -> Result<Vec<u8>, BadDocument> {
        let mut tallies = vec![Tally::default(); self.actions.len()];
        rewrite(
            bytes,
            &self.tree,
            &self.actions,
            &Key::for_test(key),
            &mut tallies,
        )
    }
}

/// The result of [`ACTIONS`] for a document, by a different method: on decoded values, path by
/// path.
fn model(document: &Document, path: &[&str], key: &Key) -> Document {
    let mut outcome = Document::new();
    for (name, value) in document {
        let path: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
        if let Some(value) = model_value(value, &path, key) {
            outcome.insert(name, value);
        }
    }
    outcome
}

fn model_value(value: &Bson, path: &[&str], key: &Key) -> Option<Bson> {
    let action = match path {
        ["_id" | "a"] | ["e", "a"] => Action::Hash,
        ["b"] => Action::Mask(super::mask::Mask {
            keep_last: 2,
            ..super::mask::Mask::default()
        }),
        ["c", "c"] | ["d", "b"] => return None,
        ["c", _, "b"] => Action::Fake(super::fake::Fake::Email),
        ["d", "a"] | ["e", "b"] => return Some(Bson::Null),
        _ => {
            return Some(match value {
                Bson::Document(below) => model(below, path, key).into(),
                Bson::Array(values) => {
                    let below = |value: &Bson| match value {
                        Bson::Document(below) => model(below, path, key).into(),
                        Bson::Array(_) => model_value(value, path, key).unwrap_or(Bson::Null),
                        other => other.clone(),
                    };
                    values.iter().map(below).collect::<Vec<Bson>>().into()
                }
                other => other.clone(),
            });
        }
    };
    Some(replaced(value, action, key))
}

fn replaced(value: &Bson, action: Action, key: &Key) -> Bson {
    if let Bson::Array(values) = value {
        return values
            .iter()
            .map(|value| replaced(value, action, key))
            .collect::<Vec<_>>()
            .into();
    }
    let bytes = doc! { "v": value.clone() }.to_vec().unwrap();
    let held = Value {
        kind: bytes[4],
        bytes: &bytes[7..bytes.len() - 1],
    };
    let Ok(outcome) = action.apply(key, held) else {
        return Bson::Null;
    };
    let mut again = bytes[..7].to_vec();
    again.extend(outcome);
    again.push(0);
    let length = i32::try_from(again.len()).unwrap();
    again[..4].copy_from_slice(&length.to_le_bytes());
    Document::from_reader(&again[..])
        .unwrap()
        .remove("v")
        .unwrap()
}

proptest! {
    #[test]
    fn exactly_what_rules_reach_is_changed(document in document()) {
        let rewritten = laid(ACTIONS).rewritten(&document.to_vec().unwrap(), 1).unwrap();
        let expected = model(&document, &[], &Key::for_test(1));
        prop_assert_eq!(Document::from_reader(&rewritten[..]).unwrap().to_vec().unwrap(), &rewritten[..]);
        prop_assert_eq!(rewritten, expected.to_vec().unwrap());
    }

    #[test]
    fn what_no_rule_reaches_stays_byte_for_byte(document in document()) {
        let rules = "{ version: 1, rules: [{ action: drop, fields: { c: [x, a.x, \"b.*.x\", f.f.f.f.f.f] } }] }";
        let bytes = document.to_vec().unwrap();
        prop_assert_eq!(laid(rules).rewritten(&bytes, 1).unwrap(), bytes);
    }

    #[test]
    fn the_same_secret_gives_the_same_and_another_secret_another(text in "[a-z]{1,12}@[a-z]{1,8}", id: [u8; 12]) {
        let document = doc! { "a": text, "e": { "a": ObjectId::from_bytes(id) } };
        let bytes = document.to_vec().unwrap();
        let (laid, read) = (laid(ACTIONS), |bytes: Vec<u8>| Document::from_reader(&bytes[..]).unwrap());
        let first = laid.rewritten(&bytes, 1).unwrap();
        prop_assert_eq!(&first, &laid.rewritten(&bytes, 1).unwrap());
        let (first, second) = (read(first), read(laid.rewritten(&bytes, 2).unwrap()));
        let inner = |document: &Document| document.get_document("e").unwrap().get_object_id("a").unwrap();
        prop_assert_ne!(first.get_str("a").unwrap(), second.get_str("a").unwrap());
        prop_assert_ne!(inner(&first), inner(&second));
        prop_assert!(first.get_str("a").unwrap() != document.get_str("a").unwrap() && inner(&first) != inner(&document));
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..60), document in document(), at: prop::sample::Index, by in 1_u8..) {
        let laid = laid(ACTIONS);
        let _ = laid.rewritten(&bytes, 1);
        bytes = document.to_vec().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        let _ = laid.rewritten(&bytes, 1);
    }
}

#[test]
fn arrays_inside_arrays_cannot_exhaust_the_stack() {
    let mut value = Bson::Array(vec![]);
    for _ in 0..300 {
        value = Bson::Array(vec![value]);
    }
    for field in ["a", "d"] {
        let bytes = doc! { field: value.clone() }.to_vec().unwrap();
        assert_eq!(
            laid(ACTIONS).rewritten(&bytes, 1),
            Err(BadDocument::TooDeep),
            "{field}"
        );
    }
}

#[test]
fn both_of_two_fields_of_the_same_name_are_changed() {
    let one = doc! { "b": "secret" }.to_vec().unwrap();
    let mut twice = [&one[..one.len() - 1], &one[4..]].concat();
    let length = i32::try_from(twice.len()).unwrap();
    twice[..4].copy_from_slice(&length.to_le_bytes());
    let rewritten = laid(ACTIONS).rewritten(&twice, 1).unwrap();
    assert_eq!(
        rewritten
            .windows(7)
            .filter(|window| window == b"****et\0")
            .count(),
        2
    );
}

fn namespace(collection: &str, kind: NamespaceKind) -> PreludeNamespace {
    let options = match kind {
        NamespaceKind::View => doc! { "viewOn": "users" },
        _ => doc! {},
    };
    let metadata = Metadata {
        options,
        collection_name: collection.to_owned(),
        kind,
        ..Metadata::default()
    };
    PreludeNamespace::new("shop", &metadata)
}

fn prelude() -> Prelude {
    use NamespaceKind::{Collection, Timeseries, View};
    let namespaces = [
        ("users", Collection),
        ("names", View),
        ("clicks", Timeseries),
        ("old.users", Collection),
    ];
    let namespaces = namespaces.map(|(name, kind)| namespace(name, kind)).into();
    Prelude {
        namespaces,
        ..Prelude::default()
    }
}

fn over_archive(fields: &str) -> Result<Applied, Vec<String>> {
    let rules = format!("{{ version: 1, rules: [{{ action: hash, fields: {fields} }}] }}");
    Applied::new(
        &Anonymizer::for_test(&rules, 1),
        &prelude(),
        &[true; 4],
        MisfitPolicy::Refuse,
    )
}

#[test]
fn a_rule_is_for_a_collection_a_namespace_or_a_pattern() {
    let applied_to = |fields: &str| {
        over_archive(fields).unwrap().report().rules[0]
            .applied_to
            .clone()
    };
    assert_eq!(applied_to("{ users: [a] }"), ["shop.users"]);
    assert_eq!(applied_to("{ shop.users: [a] }"), ["shop.users"]);
    assert_eq!(
        applied_to("{ \"*.users\": [a] }"),
        ["shop.users", "shop.old.users"]
    );
    assert_eq!(applied_to("{ \"s*p.*.us*s\": [a] }"), ["shop.old.users"]);
    assert_eq!(
        over_archive("{ users: [a] }").unwrap().report().unchanged,
        ["shop.clicks", "shop.old.users"]
    );
}

#[test]
fn a_rule_for_what_is_not_there_or_not_reached_is_refused() {
    for (fields, expected) in [
        ("{ user: [a] }", "matches no collection of the archive"),
        ("{ names: [a] }", "names the view shop.names"),
        ("{ clicks: [a] }", "names the time series shop.clicks"),
        (
            "{ \"*\": [a] }, optional: true",
            "names the time series shop.clicks",
        ),
        (
            "{ users: [a], shop.users: [a.b] }",
            "changes the same value of shop.users as the rule at line 1",
        ),
    ] {
        let problems = over_archive(fields).unwrap_err();
        assert!(
            problems.len() == 1 && problems[0].contains(expected),
            "{fields}: {problems:?}"
        );
        assert!(problems[0].contains("line 1 (hash: a"), "{problems:?}");
    }
    assert!(over_archive("{ user: [a], names: [a] }, optional: true").is_ok());
}

#[test]
fn a_value_that_an_action_does_not_take_ends_it_or_is_counted() {
    let anonymizer = Anonymizer::for_test(
        "{ version: 1, rules: [{ action: hash, fields: { users: [a] } }] }",
        1,
    );
    let document = doc! { "a": [true, "text"] }.to_vec().unwrap();
    let rewritten = |misfits| -> (Result<_, _>, AnonymizeReport) {
        let mut applied = Applied::new(&anonymizer, &prelude(), &[true; 4], misfits).unwrap();
        (
            applied
                .rewrite(0, &document)
                .map(|_| ())
                .map_err(|failure| failure.to_string()),
            applied.report(),
        )
    };
    let (refused, _) = rewritten(MisfitPolicy::Refuse);
    assert!(
        refused
            .unwrap_err()
            .contains("does not support 1 values of type bool")
    );
    let (counted, report) = rewritten(MisfitPolicy::Count);
    assert_eq!(counted, Ok(()));
    assert_eq!((report.rules[0].values, report.problems().len()), (1, 1));
}
