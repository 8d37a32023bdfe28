//! Keys of encrypted backups: shown, changed and missing.

use std::{fs, path::Path};

use super::place::{Ended, Place};

const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";
const NEW: &str = "0909090909090909090909090909090909090909090909090909090909090909";
/// Made by age-keygen, for tests alone.
const IDENTITY: &str = "AGE-SECRET-KEY-1HAV5UXUL2GP87X96EGRF9P0K38N9TN7FTNKQC5A66SHY2QTQU6MQN69NGD";
const RECIPIENT: &str = "age1a2e5rfhv6c430dtzye3gmcuu6cauzne0s5kfmuhp3p4qpf86j9pq2e573v";

async fn encrypting(more: &[(&'static str, &str)]) -> Place {
    let mut place = Place::new().await;
    place
        .env
        .insert("BACKUP_DATABASE_ENCRYPTION", "true".to_owned());
    place.env.insert("BACKUP_ENCRYPTION_KEY", KEY.to_owned());
    place.env.extend(
        more.iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    place.holdfast(&["init"]).expect(0);
    place
}

/// Takes every key out of the settings.
fn lose_keys(place: &mut Place) {
    for name in [
        "BACKUP_DATABASE_ENCRYPTION",
        "BACKUP_ENCRYPTION_KEY",
        "BACKUP_BREAK_GLASS_RECIPIENT",
    ] {
        place.env.remove(name);
    }
}

/// Writes this text to a file, and returns the path.
fn written(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Restores into another database and compares.
async fn restores(place: &Place, id: &str, with: &[&str]) {
    let copy = holdfast_testing::unique("copy");
    let (from, to) = (format!("{}.*", place.database), format!("{copy}.*"));
    let words = [
        &[
            "restore",
            "database",
            id,
            "--ns-from",
            &from,
            "--ns-to",
            &to,
            "--yes",
        ],
        with,
    ]
    .concat();
    place.holdfast(&words).expect(0);
    place.assert_same_in(&copy).await;
}

fn methods(shown: &serde_json::Value) -> Vec<&str> {
    let keys = shown["epochs"][0]["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["method"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_by_the_old_key_file_after_confirmation() {
    let mut place = encrypting(&[]).await;
    let id = place.back_up();
    let folder = tempfile::tempdir().unwrap();
    let old = &written(folder.path(), "old", &format!("{KEY}\n"));
    place.env.insert("BACKUP_ENCRYPTION_KEY", NEW.to_owned());

    place
        .holdfast(&["key", "rotate", "--old-key-file", old])
        .expect(5)
        .saying(&["--yes"]);
    let refused = place
        .holdfast(&["key", "rotate", "--yes"])
        .expect(3)
        .saying(&["epoch 1", "--old-key-file"]);
    assert!(
        !refused.stderr.contains(NEW) && !refused.stderr.contains(KEY),
        "{}",
        refused.stderr
    );
    assert_eq!(place.json(&["key", "show"])[0]["revision"], 0);

    let rotated = place
        .holdfast(&["key", "rotate", "--old-key-file", old, "--yes"])
        .expect(0)
        .saying(&["versions"]);
    assert!(
        rotated
            .text()
            .contains("epoch 1 is opened by BACKUP_ENCRYPTION_KEY"),
        "{}",
        rotated.text()
    );
    let shown = place.json(&["key", "show"]).remove(0);
    assert_eq!(
        (&shown["revision"], &shown["copy"]),
        (&1.into(), &"same".into())
    );
    restores(&place, &id, &[]).await;
    place.env.insert("BACKUP_ENCRYPTION_KEY", KEY.to_owned());
    place.holdfast(&["verify", &id]).expect(3);

    // Back again, by the variable.
    place
        .env
        .insert("BACKUP_ENCRYPTION_KEY_PREVIOUS", NEW.to_owned());
    place.holdfast(&["key", "rotate", "--yes"]).expect(0);
    place.env.remove("BACKUP_ENCRYPTION_KEY_PREVIOUS");
    restores(&place, &id, &[]).await;
    place.back_up();
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_identity_kept_offline_opens_what_no_key_opens_any_more() {
    let mut place = encrypting(&[("BACKUP_BREAK_GLASS_RECIPIENT", RECIPIENT)]).await;
    let id = place.back_up();
    let key = place
        .keys()
        .await
        .into_iter()
        .find(|key| key.ends_with(".archive.gz.enc"))
        .unwrap();
    let by_key = place.holdfast(&["decrypt", &key]).expect(0).stdout;
    assert_eq!(methods(&place.json(&["key", "show"])[0]), ["key", "age"]);
    lose_keys(&mut place);
    place
        .holdfast(&["verify", &id])
        .expect(3)
        .saying(&["--identity", RECIPIENT]);

    let folder = tempfile::tempdir().unwrap();
    let identity = written(
        folder.path(),
        "identity",
        &format!("# offline\n{IDENTITY}\n"),
    );
    let with = ["--identity", identity.as_str()];
    assert!(
        place
            .holdfast(&[&["decrypt", &key], &with[..]].concat())
            .expect(0)
            .stdout
            == by_key
    );
    place
        .holdfast(&[&["verify", &id, "--level", "structure"], &with[..]].concat())
        .expect(0);
    restores(&place, &id, &with).await;
    place.env.insert("BACKUP_ENCRYPTION_KEY", NEW.to_owned());
    place
        .holdfast(&[&["key", "rotate", "--yes"], &with[..]].concat())
        .expect(0);
    restores(&place, &id, &[]).await;
    assert_eq!(methods(&place.json(&["key", "show"])[0]), ["key", "age"]);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_identity_is_a_settings_error_that_shows_nothing_of_it() {
    let mut place = encrypting(&[]).await;
    let id = place.back_up();
    lose_keys(&mut place);
    let folder = tempfile::tempdir().unwrap();
    let secret = IDENTITY.replace("HAV5", "HUNT");
    for text in [
        RECIPIENT,
        &secret,
        "hunter2",
        "-----BEGIN AGE ENCRYPTED FILE-----\nhunter2",
        "",
    ] {
        let file = written(folder.path(), "file", text);
        let ended = place
            .holdfast(&["verify", &id, "--identity", &file])
            .expect(3)
            .saying(&["age identity"]);
        assert!(
            !ended.stderr.contains("HUNT") && !ended.stderr.contains("hunter2"),
            "{}",
            ended.stderr
        );
    }
    place
        .holdfast(&["verify", &id, "--identity", "/nowhere/identity"])
        .expect(4);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_come_and_go_and_an_identity_in_their_place_is_not_repeated() {
    let place = encrypting(&[]).await;
    place
        .holdfast(&["key", "add-recipient", RECIPIENT])
        .expect(5)
        .saying(&["--yes"]);
    let mistaken: Ended = place
        .holdfast(&["key", "add-recipient", IDENTITY, "--yes"])
        .expect(2)
        .saying(&["secret"]);
    assert!(!mistaken.stderr.contains("HAV5"), "{}", mistaken.stderr);
    let added = place
        .holdfast(&["key", "add-recipient", RECIPIENT, "--yes"])
        .expect(0);
    assert!(added.text().contains(RECIPIENT), "{}", added.text());
    let shown = place.holdfast(&["key", "show"]).expect(0);
    assert!(
        shown
            .text()
            .contains(&format!("the age identity of {RECIPIENT}")),
        "{}",
        shown.text()
    );
    let removed = place
        .json(&["key", "remove-recipient", RECIPIENT, "--yes"])
        .remove(0);
    assert_eq!(
        removed["epochs"][0]["after"],
        serde_json::json!([{ "method": "key" }])
    );
    place
        .holdfast(&["key", "remove-recipient", RECIPIENT, "--yes"])
        .expect(5);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_exported_opens_backups_and_makes_lost_files_again() {
    let mut place = encrypting(&[]).await;
    let id = place.back_up();
    let folder = tempfile::tempdir().unwrap();
    let printed = place.holdfast(&["key", "export", "--yes"]).expect(0).text();
    let text = &written(folder.path(), "export.txt", &printed);
    let json = place
        .holdfast(&["key", "export", "--yes", "--json"])
        .expect(0)
        .text();
    let json = &written(folder.path(), "export.json", &json);
    lose_keys(&mut place);
    for exported in [text, json] {
        restores(&place, &id, &["--exported", exported]).await;
    }
    place.env.insert("BACKUP_ENCRYPTION_KEY", NEW.to_owned());
    place
        .holdfast(&["key", "import", text])
        .expect(5)
        .saying(&["key rotate"]);
    let s3 = holdfast_testing::s3_client();
    for name in ["repository.json", "repository.copy.json"] {
        s3.delete_object()
            .bucket(&place.bucket)
            .key(format!("repository/{name}"))
            .send()
            .await
            .unwrap();
    }
    restores(&place, &id, &["--exported", json]).await;
    place.holdfast(&["key", "import", text]).expect(0);
    restores(&place, &id, &[]).await;
    place.remove().await;
}
