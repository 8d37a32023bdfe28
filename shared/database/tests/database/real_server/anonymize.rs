//! Restores without personal data: the platform's own archive, with the rules of the documentation.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bson::{Bson, Document, RawDocumentBuf, doc};
use futures_util::TryStreamExt;
use holdfast_database::{
    AnonymizeRules, Anonymizer, Comparison, Existing, Expected, ExpectedNamespace, RestoreFault,
    RestoreOptions, restore,
};
use holdfast_domain::Secret;
use holdfast_testing::golden;

use super::support::{Scratch, documents_of, dumped, restored, summary_of};

const SECRET: &str = "correct horse battery staple";

/// The rules of the documentation.
const PLATFORM: &str = include_str!("../../../../../docs/anonymize-platform.yaml");

/// Fields of the archive with an address.
const ADDRESSES: [(&str, &str); 9] = [
    ("users", "address"),
    ("contents", "creator"),
    ("purchases", "user"),
    ("subscriptions", "user"),
    ("refunds", "user"),
    ("royaltydistributions", "user"),
    ("moderationqueues", "user"),
    ("moderationflags", "user"),
    ("moderationauditlogs", "user"),
];

fn anonymizer(rules: &str, secret: &str) -> Anonymizer {
    Anonymizer::new(AnonymizeRules::parse(rules).unwrap(), &Secret::new(secret)).unwrap()
}

fn options(target: &Scratch, from: &str, anonymizer: Anonymizer) -> RestoreOptions {
    RestoreOptions {
        map: target.map_from(from),
        anonymizer: Some(anonymizer),
        ..RestoreOptions::default()
    }
}

/// Every document of the target, collection by collection.
async fn documents(target: &Scratch) -> BTreeMap<String, Vec<RawDocumentBuf>> {
    let mut found = BTreeMap::new();
    for name in target.handle().list_collection_names().await.unwrap() {
        let collection = target.handle().collection::<RawDocumentBuf>(&name);
        let cursor = collection
            .find(doc! {})
            .sort(doc! { "_id": 1 })
            .await
            .unwrap();
        found.insert(name, cursor.try_collect().await.unwrap());
    }
    found
}

fn texts<'d>(documents: impl IntoIterator<Item = &'d Document>, field: &str) -> Vec<String> {
    documents
        .into_iter()
        .filter_map(|document| document.get_str(field).ok())
        .map(str::to_owned)
        .collect()
}

fn decoded(documents: &[RawDocumentBuf]) -> Vec<Document> {
    documents
        .iter()
        .map(|document| Document::try_from(document.as_ref()).unwrap())
        .collect()
}

/// Texts to search for, by their beginning.
#[derive(Default)]
struct Originals(HashMap<[u8; 6], HashSet<String>>);

impl Originals {
    fn add(&mut self, text: String) {
        self.0
            .entry(*text.as_bytes().first_chunk().expect("long enough"))
            .or_default()
            .insert(text);
    }

    /// The first of them in the bytes.
    fn first_in(&self, bytes: &[u8]) -> Option<&String> {
        bytes.windows(6).enumerate().find_map(|(at, beginning)| {
            let begun = self.0.get(beginning)?;
            begun
                .iter()
                .find(|text| bytes[at..].starts_with(text.as_bytes()))
        })
    }
}

#[tokio::test]
async fn no_person_of_the_platform_is_found_in_an_anonymised_restore_and_addresses_still_join() {
    let target = Scratch::new().await;
    let archive = golden("platform");
    let options = options(&target, "web3platform", anonymizer(PLATFORM, SECRET));
    let report = restored(&target.connection, archive.clone(), &options)
        .await
        .unwrap();
    assert!(report.is_faithful(), "{report:#?}");
    assert!(
        report
            .namespaces
            .iter()
            .all(|namespace| namespace.comparison == Comparison::Anonymized),
        "{report:#?}"
    );
    let found = documents(&target).await;

    let users = documents_of(&archive, "users");
    let addresses =
        ADDRESSES.map(|(collection, field)| texts(&documents_of(&archive, collection), field));
    let transactions = texts(&documents_of(&archive, "purchases"), "txId");
    let urls = texts(&documents_of(&archive, "contents"), "url");
    let personal = ["username", "email"].map(|field| texts(&users, field));
    let mut originals = Originals::default();
    personal
        .into_iter()
        .chain(addresses)
        .chain([transactions, urls])
        .flatten()
        .for_each(|text| originals.add(text));
    assert!(originals.0.values().map(HashSet::len).sum::<usize>() > 2_000);
    for (collection, documents) in &found {
        for document in documents {
            assert_eq!(
                originals.first_in(document.as_bytes()),
                None,
                "in {collection}"
            );
        }
    }

    let mut outcome_of = BTreeMap::new();
    for (collection, field) in ADDRESSES {
        let by_id: HashMap<_, _> = decoded(&found[collection])
            .into_iter()
            .map(|found| (found.get_object_id("_id").unwrap(), found))
            .collect();
        for original in documents_of(&archive, collection) {
            let restored = &by_id[&original.get_object_id("_id").unwrap()];
            let (was, is) = (
                original.get_str(field).unwrap().to_owned(),
                restored.get_str(field).unwrap().to_owned(),
            );
            assert_eq!(
                outcome_of.entry(was).or_insert_with(|| is.clone()),
                &is,
                "{collection}.{field}"
            );
        }
    }
    let outcomes: HashSet<&String> = outcome_of.values().collect();
    assert_eq!(
        outcomes.len(),
        outcome_of.len(),
        "no two addresses became one"
    );
    target.drop().await;
}

/// A platform of twenty people, with valid references.
async fn community() -> Scratch {
    let source = Scratch::new().await;
    let address = |number: i32| format!("SP{number:0>39}");
    let transaction = |number: i32| format!("0x{number:0>64}");
    let users = (0..20).map(|number| doc! { "address": address(number), "email": format!("reader{number}@example.org"), "displayName": format!("Reader {number}") });
    let contents = (0..40).map(|number| {
        let creator = address(number % 20);
        let url = format!("https://gaia.example.org/hub/{creator}/{number}.bin");
        doc! { "contentId": number, "creator": creator, "url": url }
    });
    let purchases =
        (0..60).map(|number| doc! { "buyer": address(number % 20), "txId": transaction(number) });
    let refunds = (0..10).map(|number| doc! { "purchaseTx": transaction(number * 3) });
    let royalties = (0..15).map(|number| doc! { "shares": [{ "to": address(number), "percent": 30 }, { "to": address(19 - number), "percent": 70 }] });
    let queue = (0..5).map(
        |number| doc! { "assignee": if number == 0 { Bson::Null } else { address(number).into() } },
    );
    source.collection("users").insert_many(users).await.unwrap();
    source
        .collection("contents")
        .insert_many(contents)
        .await
        .unwrap();
    source
        .collection("purchases")
        .insert_many(purchases)
        .await
        .unwrap();
    source
        .collection("refunds")
        .insert_many(refunds)
        .await
        .unwrap();
    source
        .collection("royaltydistributions")
        .insert_many(royalties)
        .await
        .unwrap();
    source
        .collection("moderationqueues")
        .insert_many(queue)
        .await
        .unwrap();
    source
}

/// Values at a path, also in arrays. Null does not count.
fn at_path(value: &Bson, path: &[&str], found: &mut Vec<String>) {
    match (value, path) {
        (Bson::Array(values), _) => values.iter().for_each(|value| at_path(value, path, found)),
        (Bson::Document(document), [name, rest @ ..]) => {
            document
                .get(name)
                .into_iter()
                .for_each(|value| at_path(value, rest, found));
        }
        (Bson::String(text), []) => found.push(text.clone()),
        _ => {}
    }
}

async fn values(place: &Scratch, (collection, path): (&str, &str)) -> Vec<String> {
    let mut found = Vec::new();
    for document in decoded(&documents_in(place, collection).await) {
        at_path(
            &document.into(),
            &path.split('.').collect::<Vec<_>>(),
            &mut found,
        );
    }
    found
}

/// Number of values of a field, and number of those found in a field of another collection.
async fn joined(place: &Scratch, from: (&str, &str), to: (&str, &str)) -> (usize, usize) {
    let keys: HashSet<String> = values(place, to).await.into_iter().collect();
    let values = values(place, from).await;
    (
        values.len(),
        values.iter().filter(|value| keys.contains(*value)).count(),
    )
}

#[tokio::test]
async fn every_reference_joins_after_an_anonymised_restore() {
    let (source, target) = (community().await, Scratch::new().await);
    let (archive, _) = dumped(&source.connection).await;
    let options = options(&target, &source.database, anonymizer(PLATFORM, SECRET));
    assert!(
        restored(&target.connection, archive, &options)
            .await
            .unwrap()
            .is_faithful()
    );
    for (from, to, references) in [
        (("contents", "creator"), ("users", "address"), 40),
        (("purchases", "buyer"), ("users", "address"), 60),
        (
            ("royaltydistributions", "shares.to"),
            ("users", "address"),
            30,
        ),
        (("moderationqueues", "assignee"), ("users", "address"), 4),
        (("refunds", "purchaseTx"), ("purchases", "txId"), 10),
    ] {
        assert_eq!(
            joined(&source, from, to).await,
            (references, references),
            "{from:?} before"
        );
        assert_eq!(
            joined(&target, from, to).await,
            (references, references),
            "{from:?} after"
        );
    }
    for original in [
        "SP000",
        "0x000",
        "@example.org",
        "Reader ",
        "gaia.example.org",
    ] {
        for (collection, documents) in documents(&target).await {
            let is_in = |document: &RawDocumentBuf| {
                document
                    .as_bytes()
                    .windows(original.len())
                    .any(|window| window == original.as_bytes())
            };
            assert!(!documents.iter().any(is_in), "{original} in {collection}");
        }
    }
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn counts_indexes_and_all_that_no_rule_names_stay() {
    let target = Scratch::new().await;
    let archive = golden("platform");
    let options = options(&target, "web3platform", anonymizer(PLATFORM, SECRET));
    restored(&target.connection, archive.clone(), &options)
        .await
        .unwrap();
    let found = documents(&target).await;
    for held in &summary_of(&archive).namespaces {
        assert_eq!(
            found[&held.collection].len() as u64,
            held.documents,
            "{}",
            held.collection
        );
    }
    let kept = |document: &Document| {
        (
            document.get("role").cloned(),
            document.get("preferences").cloned(),
        )
    };
    let by_id = |documents: Vec<Document>| -> BTreeMap<String, _> {
        documents
            .iter()
            .map(|document| {
                (
                    document.get_object_id("_id").unwrap().to_hex(),
                    kept(document),
                )
            })
            .collect()
    };
    assert_eq!(
        by_id(decoded(&found["users"])),
        by_id(documents_of(&archive, "users"))
    );
    let names = target.collection("users").list_index_names().await.unwrap();
    assert_eq!(
        BTreeSet::from_iter(names),
        ["_id_", "addr", "email_1"].map(str::to_owned).into()
    );
    target.drop().await;
}

#[tokio::test]
async fn the_same_secret_restores_the_same_and_another_another() {
    let archive = golden("platform");
    let mut restores = Vec::new();
    for secret in [SECRET, SECRET, "another secret, as long"] {
        let target = Scratch::new().await;
        let options = options(&target, "web3platform", anonymizer(PLATFORM, secret));
        restored(&target.connection, archive.clone(), &options)
            .await
            .unwrap();
        restores.push(documents(&target).await);
        target.drop().await;
    }
    assert_eq!(restores[0], restores[1]);
    assert_ne!(restores[0]["users"], restores[2]["users"]);
}

#[tokio::test]
async fn a_dry_run_reports_the_results_of_each_rule_and_writes_nothing() {
    let target = Scratch::new().await;
    let dry = RestoreOptions {
        dry_run: true,
        ..options(&target, "web3platform", anonymizer(PLATFORM, SECRET))
    };
    let report = restored(&target.connection, golden("platform"), &dry)
        .await
        .unwrap();
    assert!(
        target
            .handle()
            .list_collection_names()
            .await
            .unwrap()
            .is_empty()
    );
    let anonymized = report.anonymized.unwrap();
    assert_eq!(
        (anonymized.problems(), anonymized.unchanged.len()),
        (Vec::new(), 0)
    );
    let email = anonymized
        .rules
        .iter()
        .find(|rule| rule.path == "email")
        .unwrap();
    assert_eq!(
        (email.action.as_str(), email.samples.len()),
        ("fake email", 3)
    );
    let users = documents_of(&golden("platform"), "users");
    assert_eq!(email.values, texts(&users, "email").len() as u64);
    assert!(
        email
            .samples
            .iter()
            .all(|sample| sample.of == "string" && sample.outcome.ends_with("@example.invalid"))
    );
    let told = format!("{:?}", anonymized.rules);
    assert!(
        texts(&users, "email")
            .iter()
            .all(|email| !told.contains(email.as_str())),
        "no original is shown"
    );
    let users = report
        .namespaces
        .iter()
        .find(|held| held.from == "web3platform.users")
        .unwrap();
    assert_eq!(users.documents, 400);
    target.drop().await;
}

#[tokio::test]
async fn a_rule_for_a_collection_that_is_not_there_is_refused_before_anything_is_written() {
    let target = Scratch::new().await;
    let rules = "{ version: 1, rules: [{ action: hash, fields: { user: [email] } }] }";
    let options = options(&target, "web3platform", anonymizer(rules, SECRET));
    let error = restored(&target.connection, golden("platform"), &options)
        .await
        .unwrap_err();
    assert!(
        matches!(&error.cause, RestoreFault::Invalid(_)) && error.incomplete.is_empty(),
        "{error}"
    );
    assert!(
        error.to_string().contains("line 1 (hash: email of user)"),
        "{error}"
    );
    assert!(
        target
            .handle()
            .list_collection_names()
            .await
            .unwrap()
            .is_empty()
    );
    target.drop().await;
}

#[tokio::test]
async fn a_path_that_matches_nothing_fails_the_restore_and_names_what_it_left() {
    let target = Scratch::new().await;
    let rules = "{ version: 1, rules: [{ action: hash, fields: { users: [emial, email] } }] }";
    let dry = RestoreOptions {
        dry_run: true,
        ..options(&target, "web3platform", anonymizer(rules, SECRET))
    };
    let problems = restored(&target.connection, golden("platform"), &dry)
        .await
        .unwrap()
        .anonymized
        .unwrap()
        .problems();
    assert!(
        problems.len() == 1 && problems[0].contains("emial of users"),
        "{problems:?}"
    );
    let unrehearsed = RestoreOptions {
        dry_run: false,
        ..dry
    };
    let error = restored(&target.connection, golden("platform"), &unrehearsed)
        .await
        .unwrap_err();
    assert!(matches!(&error.cause, RestoreFault::Rules(_)), "{error}");
    let told = error.to_string();
    assert!(
        told.contains("emial") && told.contains(&format!("{}.users", target.database)),
        "{told}"
    );
    target.drop().await;
}

/// A new collection, dumped.
async fn source(documents: impl IntoIterator<Item = Document>) -> (Scratch, Vec<u8>) {
    let source = Scratch::new().await;
    source.collection("c").insert_many(documents).await.unwrap();
    let (archive, _) = dumped(&source.connection).await;
    (source, archive)
}

#[tokio::test]
async fn ids_may_be_hashed_and_references_to_them_follow() {
    let documents = (0..50).map(|number| doc! { "_id": number, "parent": f64::from(number / 2) });
    let (source, archive) = source(documents).await;
    let target = Scratch::new().await;
    let rules = "{ version: 1, rules: [{ action: hash, fields: { c: [_id, parent] } }] }";
    let options = options(&target, &source.database, anonymizer(rules, SECRET));
    let report = restored(&target.connection, archive, &options)
        .await
        .unwrap();
    assert!(
        report.is_faithful() && report.documents() == 50,
        "{report:#?}"
    );
    let found = decoded(&documents_in(&target, "c").await);
    let ids: HashSet<i32> = found
        .iter()
        .map(|document| document.get_i32("_id").unwrap())
        .collect();
    assert_eq!(ids.len(), 50);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number of an int's range"
    )]
    let joins = found
        .iter()
        .all(|document| ids.contains(&(document.get_f64("parent").unwrap() as i32)));
    assert!(joins);
    source.drop().await;
    target.drop().await;
}

async fn documents_in(target: &Scratch, collection: &str) -> Vec<RawDocumentBuf> {
    documents(target).await.remove(collection).unwrap()
}

#[tokio::test]
async fn colliding_ids_are_reported() {
    // There are 762 possible results.
    let documents =
        (0..800).map(|number| doc! { "_id": format!("10.0.{}.{}", number / 256, number % 256) });
    let (source, archive) = source(documents).await;
    let target = Scratch::new().await;
    let rules = "{ version: 1, rules: [{ action: fake, as: ip-address, fields: { c: [_id] } }] }";
    let options = options(&target, &source.database, anonymizer(rules, SECRET));
    let report = restored(&target.connection, archive, &options)
        .await
        .unwrap();
    let restored = &report.namespaces[0];
    assert!(
        !report.is_faithful() && restored.failures[0].contains("refused"),
        "{report:#?}"
    );
    assert!(
        matches!(&restored.comparison, Comparison::Differs(text) if text.contains("800 documents")),
        "{report:#?}"
    );
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn a_value_that_cannot_be_replaced_is_never_left_as_it_was() {
    let (source, archive) = source([doc! { "_id": 1, "born": true }]).await;
    let target = Scratch::new().await;
    let rules = "{ version: 1, rules: [{ action: hash, fields: { c: [born] } }] }";
    let options = options(&target, &source.database, anonymizer(rules, SECRET));
    let error = restored(&target.connection, archive, &options)
        .await
        .unwrap_err();
    assert!(
        matches!(&error.cause, RestoreFault::Rules(text) if text.contains("1 values of type bool")),
        "{error}"
    );
    assert!(documents_in(&target, "c").await.is_empty());
    source.drop().await;
    target.drop().await;
}

#[tokio::test]
async fn the_archive_is_still_compared_with_its_manifest() {
    let (source, archive) = source([doc! { "_id": 1, "email": "ada@example.org" }]).await;
    let summary = summary_of(&archive);
    let digest = |hash: holdfast_archive::ContentHash| hash.digest();
    let rules = "{ version: 1, rules: [{ action: drop, fields: { c: [email] } }] }";
    for (documents, expected) in [(1, Comparison::Anonymized), (2, Comparison::NotDone)] {
        let namespaces: Vec<_> = summary
            .namespaces
            .iter()
            .map(|held| ExpectedNamespace {
                db: held.db.clone(),
                collection: held.collection.clone(),
                documents,
                content_hash: held.content_hash.digest(),
            })
            .collect();
        let target = Scratch::new().await;
        let options = options(&target, &source.database, anonymizer(rules, SECRET));
        let expectation = Expected {
            namespaces: &namespaces,
            digest: &digest,
        };
        let archive = std::io::Cursor::new(archive.clone());
        let report = restore(
            &target.connection,
            archive,
            &options,
            Some(expectation),
            &|_| (),
        )
        .await
        .unwrap();
        let found = &report.namespaces[0].comparison;
        assert!(
            *found == expected || (documents == 2 && matches!(found, Comparison::Differs(_))),
            "{found:?}"
        );
        assert_eq!(
            decoded(&documents_in(&target, "c").await),
            [doc! { "_id": 1 }]
        );
        target.drop().await;
    }
    source.drop().await;
}

#[tokio::test]
async fn an_anonymised_restore_does_not_merge() {
    let target = Scratch::new().await;
    let merge = RestoreOptions {
        existing: Existing::Merge,
        ..options(&target, "web3platform", anonymizer(PLATFORM, SECRET))
    };
    let error = restored(&target.connection, golden("platform"), &merge)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("does not merge") && error.incomplete.is_empty(),
        "{error}"
    );
    target.drop().await;
}
