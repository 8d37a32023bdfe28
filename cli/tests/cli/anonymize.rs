//! `restore --anonymize`: the restored data without personal data, and the refusals.

use std::path::{Path, PathBuf};

use mongodb::bson::{Document, doc};

use super::place::Place;

const SECRET: &str = "correct horse battery staple";

fn rules(folder: &Path, fields: &str) -> PathBuf {
    let file = folder.join("rules.yaml");
    let text =
        format!("version: 1\nrules:\n  - action: fake\n    as: user-name\n    fields: {fields}\n");
    std::fs::write(&file, text).unwrap();
    file
}

async fn knowing_the_secret() -> Place {
    let mut place = Place::initialised().await;
    place
        .env
        .insert("HOLDFAST_ANONYMIZE_SECRET", SECRET.to_owned());
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymised_restore_holds_no_original_and_reports_its_rules() {
    let place = knowing_the_secret().await;
    let folder = tempfile::tempdir().unwrap();
    let rules = rules(folder.path(), "{ users: [name] }");
    let id = place.back_up();
    let copy = holdfast_testing::unique("copy");
    let (from, to) = (format!("{}.*", place.database), format!("{copy}.*"));
    let restore = [
        "restore",
        "database",
        &id,
        "--ns-from",
        &from,
        "--ns-to",
        &to,
        "--anonymize",
        rules.to_str().unwrap(),
    ];

    let dry: Vec<&str> = restore.into_iter().chain(["--dry-run"]).collect();
    let reported = place.holdfast(&dry).expect(0).text();
    for expected in [
        "fake user-name",
        "500",
        "string → ",
        "stay unchanged",
        "nothing was changed",
    ] {
        assert!(reported.contains(expected), "{expected}: {reported}");
    }
    assert!(
        !reported.contains("user 1"),
        "no original is shown: {reported}"
    );
    assert!(
        place.content(&copy).await.is_empty(),
        "a dry run changes nothing"
    );

    let yes: Vec<&str> = restore.into_iter().chain(["--yes"]).collect();
    let report = &place.json(&yes)[0];
    assert_eq!(
        (
            &report["faithful"],
            &report["anonymized"]["rules"][0]["values"]
        ),
        (&true.into(), &500.into())
    );
    let users = place.client.database(&copy).collection::<Document>("users");
    assert_eq!(users.count_documents(doc! {}).await.unwrap(), 500);
    assert_eq!(
        users
            .count_documents(doc! { "name": { "$regex": "^user " } })
            .await
            .unwrap(),
        0
    );
    let (original, restored) = (
        place.content(&place.database).await,
        place.content(&copy).await,
    );
    assert_eq!(
        original["contents"], restored["contents"],
        "what no rule names stays as it is"
    );
    place.client.database(&copy).drop().await.unwrap();
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_do_not_fit_are_refused_before_anything_is_written() {
    let place = knowing_the_secret().await;
    let folder = tempfile::tempdir().unwrap();
    let id = place.back_up();
    let copy = holdfast_testing::unique("copy");
    let (from, to) = (format!("{}.*", place.database), format!("{copy}.*"));
    for (fields, expected) in [
        (
            "{ users: [nmae] }",
            "line 5 (fake user-name: nmae of users) matches nothing",
        ),
        ("{ user: [name] }", "matches no collection of the archive"),
        ("{ names: [name] }", "names the view"),
        ("{ users: [_id] }", "500 values of type int"),
    ] {
        let rules = rules(folder.path(), fields);
        let restore = [
            "restore",
            "database",
            &id,
            "--ns-from",
            &from,
            "--ns-to",
            &to,
            "--anonymize",
            rules.to_str().unwrap(),
        ];
        for how in ["--yes", "--dry-run"] {
            let words: Vec<&str> = restore.into_iter().chain([how]).collect();
            place.holdfast(&words).expect(5).saying(&[expected]);
            assert!(place.content(&copy).await.is_empty(), "{fields}");
        }
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymised_restore_never_goes_over_the_originals() {
    let place = knowing_the_secret().await;
    let folder = tempfile::tempdir().unwrap();
    let rules = rules(folder.path(), "{ users: [name] }");
    let id = place.back_up();
    let restore = [
        "restore",
        "database",
        &id,
        "--anonymize",
        rules.to_str().unwrap(),
        "--yes",
    ];
    for how in [&["--drop"][..], &[], &["--merge"]] {
        let words: Vec<&str> = restore.into_iter().chain(how.iter().copied()).collect();
        place.holdfast(&words).expect(2);
    }
    let users = place
        .client
        .database(&place.database)
        .collection::<Document>("users");
    assert_eq!(
        users
            .count_documents(doc! { "name": { "$regex": "^user " } })
            .await
            .unwrap(),
        500
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_anonymised_too_where_it_can_be_read_twice() {
    let place = knowing_the_secret().await;
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("platform.archive");
    std::fs::write(&archive, holdfast_testing::golden("platform")).unwrap();
    let rules = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/anonymize-platform.yaml"
    );
    let copy = holdfast_testing::unique("copy");
    let to = format!("{copy}.*");
    let options = [
        "--ns-from",
        "web3platform.*",
        "--ns-to",
        &to,
        "--anonymize",
        rules,
        "--yes",
    ];
    let piped: Vec<&str> = ["restore", "archive", "-"]
        .into_iter()
        .chain(options)
        .collect();
    let ended = place
        .holdfast_reading(&piped, &holdfast_testing::golden("platform"))
        .expect(5);
    assert!(
        ended
            .stderr
            .contains("--anonymize needs an archive that can be read twice"),
        "{}",
        ended.stderr
    );
    let words: Vec<&str> = ["restore", "archive", archive.to_str().unwrap()]
        .into_iter()
        .chain(options)
        .collect();
    let reported = place.holdfast(&words).expect(0).text();
    assert!(
        reported.contains("fake wallet-address") && reported.contains("anonymised"),
        "{reported}"
    );
    let users = place.client.database(&copy).collection::<Document>("users");
    let of_nobody = doc! { "email": { "$regex": "@example\\.invalid$" } };
    assert_eq!(
        users.count_documents(of_nobody).await.unwrap(),
        users
            .count_documents(doc! { "email": { "$exists": true } })
            .await
            .unwrap()
    );
    place.client.database(&copy).drop().await.unwrap();
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_refused_and_no_secret_is_shown() {
    let mut place = Place::initialised().await;
    let folder = tempfile::tempdir().unwrap();
    let rules = rules(folder.path(), "{ users: [name] }");
    let id = place.back_up();
    let words = [
        "restore",
        "database",
        &id,
        "--ns-from",
        "a.*",
        "--ns-to",
        "b.*",
        "--anonymize",
        rules.to_str().unwrap(),
    ];
    place
        .holdfast(&words)
        .expect(3)
        .saying(&["HOLDFAST_ANONYMIZE_SECRET", "openssl rand"]);
    place
        .env
        .insert("HOLDFAST_ANONYMIZE_SECRET", "hunter2".to_owned());
    let ended = place.holdfast(&words).expect(3).saying(&["7 characters"]);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    place.remove().await;
}
