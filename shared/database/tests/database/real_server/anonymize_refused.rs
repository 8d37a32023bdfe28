//! Rules without effect or with a wrong effect end an anonymized restore.

use bson::doc;
use holdfast_database::{
    Comparison, Existing, Expected, ExpectedNamespace, RestoreFault, RestoreOptions, restore,
};
use holdfast_testing::golden;

use super::{
    anonymize::{PLATFORM, SECRET, anonymizer, decoded, documents_in, options, source},
    support::{Scratch, restored, summary_of},
};

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
    let reported = error.to_string();
    assert!(
        reported.contains("emial") && reported.contains(&format!("{}.users", target.database)),
        "{reported}"
    );
    target.drop().await;
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
