//! Each kind of end has its exit code, its words, and no secret in them.

use holdfast_catalog::Source;
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp, Trigger, TriggerKind};
use holdfast_testing::{EXPOSED_SECRETS, EXPOSING_SETTINGS};
use serde_json::Value;

use super::place::{Place, UNREACHABLE, end_of};

const UNKNOWN: &str = "db_1700000000000_0a0b0c0d";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found() {
    let place = Place::new().await;
    for words in [&["list"][..], &["key", "export", "--yes"]] {
        place.holdfast(words).expect(4).saying(&["holdfast init"]);
    }
    place.holdfast(&["init"]).expect(0);
    assert!(
        place
            .holdfast(&["list"])
            .expect(0)
            .text()
            .contains("no backup yet")
    );
    for words in [
        &["show", UNKNOWN][..],
        &["verify", UNKNOWN],
        &["restore", "database", UNKNOWN, "--yes"],
        &["cancel", UNKNOWN],
    ] {
        place.holdfast(words).expect(4).saying(&[UNKNOWN]);
    }
    place
        .holdfast(&["restore", "archive", "/no/such/file", "--yes"])
        .expect(4);
    place.holdfast(&["key", "export", "--yes"]).expect(4);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_all_named_at_once() {
    let mut place = Place::new().await;
    place
        .env
        .insert("BACKUP_DATABSE_ENABLED", "true".to_owned());
    place.env.insert("BACKUP_MAX_CONCURRENT", "many".to_owned());
    place.holdfast(&["list"]).expect(3).saying(&[
        "BACKUP_DATABSE_ENABLED",
        "BACKUP_MAX_CONCURRENT",
        "many",
    ]);
    let error: Value =
        serde_json::from_str(place.holdfast(&["list", "--json"]).expect(3).stderr.trim()).unwrap();
    assert_eq!(
        (&error["error"]["code"], &error["error"]["exitCode"]),
        (&"settings".into(), &3.into())
    );
    place.holdfast(&["--help"]).expect(0);
    place.env.remove("BACKUP_DATABSE_ENABLED");
    place.env.remove("BACKUP_MAX_CONCURRENT");
    place.env.remove("BACKUP_STORE");
    place
        .holdfast(&["list"])
        .expect(3)
        .saying(&["BACKUP_STORE"]);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_setting_that_is_shown_is_refused_and_not_printed() {
    let place = Place::new().await;
    for (name, value) in EXPOSING_SETTINGS {
        for words in [
            &["doctor"][..],
            &["doctor", "--json"],
            &["list"],
            &["run", "database"],
        ] {
            let ended = end_of(place.command(words).env(name, value).spawn().unwrap())
                .expect(3)
                .saying(&[name]);
            let printed = format!("{}{}", String::from_utf8_lossy(&ended.stdout), ended.stderr);
            assert!(
                EXPOSED_SECRETS
                    .iter()
                    .all(|secret| !printed.contains(secret)),
                "{words:?} {name}: {printed}"
            );
        }
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backup_is_refused_or_waits_for_the_first() {
    let place = Place::initialised().await;
    let catalog = place.catalog().await;
    let now = Timestamp::now();
    let other = BackupId::new(BackupType::Database, now, [1, 2, 3, 4]);
    let trigger = Trigger {
        kind: TriggerKind::Manual,
        by: None,
    };
    catalog
        .acquire(Source::Database, &other, 2, now)
        .await
        .unwrap();
    catalog
        .insert_pending(&Job::pending(other.clone(), trigger, now))
        .await
        .unwrap();
    place
        .holdfast(&["run", "database"])
        .expect(5)
        .saying(&[other.as_str(), "--wait"]);
    let waiting = place
        .command(&["run", "database", "--wait"])
        .spawn()
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    place.holdfast(&["cancel", other.as_str()]).expect(0);
    assert_eq!(
        catalog.get(&other).await.unwrap().status,
        JobStatus::Cancelled
    );
    place
        .holdfast(&["cancel", other.as_str()])
        .expect(5)
        .saying(&["cancelled"]);
    end_of(waiting).expect(0);
    assert_eq!(place.json(&["list"]).len(), 1);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_no_archive() {
    let place = Place::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("garbage");
    for garbage in [
        &b"PK\x03\x04 this is no archive"[..],
        b"\x1f\x8b garbage behind gzip's magic",
        b"",
    ] {
        std::fs::write(&file, garbage).unwrap();
        let before = place.content(&place.database).await;
        place
            .holdfast(&[
                "restore",
                "archive",
                file.to_str().unwrap(),
                "--drop",
                "--yes",
            ])
            .expect(6);
        assert_eq!(place.content(&place.database).await, before);
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_reported_without_its_password() {
    let mut place = Place::initialised().await;
    let id = place.back_up();
    let silent = |words: &[&str], code| {
        let ended = place.holdfast(words).expect(code);
        assert!(
            !ended.stderr.contains("hunter2") && !ended.text().contains("hunter2"),
            "{words:?}: {}",
            ended.stderr
        );
    };
    // A target is a server: a database in its connection string would be ignored, so it is refused.
    silent(
        &["restore", "database", &id, "--to-uri", UNREACHABLE, "--yes"],
        2,
    );
    let server = UNREACHABLE.replace("/db?", "/?");
    silent(
        &["restore", "database", &id, "--to-uri", &server, "--yes"],
        7,
    );
    silent(&["dump", "--uri", UNREACHABLE, "--archive"], 7);
    silent(&["restore", "database", &id, UNREACHABLE], 2);
    silent(&["dump", "--uri", "hunter2:postgres"], 2);
    place.env.insert("MONGODB_URI", UNREACHABLE.to_owned());
    let failed = place.holdfast(&["run", "database", "--json"]).expect(7);
    assert!(
        failed.text().contains("source-unreachable"),
        "the job says why: {}",
        failed.text()
    );
    assert!(
        !failed.text().contains("hunter2") && !failed.stderr.contains("hunter2"),
        "{}",
        failed.stderr
    );
    place
        .env
        .insert("BACKUP_CATALOG_URI", UNREACHABLE.to_owned());
    for words in [&["run", "database"][..], &["init"], &["cancel", &id]] {
        let ended = place.holdfast(words).expect(7);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    place
        .env
        .insert("AWS_ENDPOINT_URL", "http://127.0.0.1:9".to_owned());
    place.env.insert("AWS_MAX_ATTEMPTS", "1".to_owned());
    place.holdfast(&["list"]).expect(7);
    place.env.insert(
        "AWS_ENDPOINT_URL",
        holdfast_testing::parts().aws_endpoint.clone(),
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_fails_the_backup_with_that_reason() {
    let mut place = Place::initialised().await;
    let refused = place.env["MONGODB_URI"].replace("mongodb://", "mongodb://ada:hunter2@");
    place.env.insert("MONGODB_URI", refused);
    let failed = place
        .holdfast(&["run", "database"])
        .expect(3)
        .saying(&["source-denied", "authSource"]);
    assert!(!failed.stderr.contains("hunter2"), "{}", failed.stderr);
    assert!(
        place
            .keys()
            .await
            .iter()
            .all(|key| !key.starts_with("database/")),
        "no object is left"
    );
    place.remove().await;
}

#[test]
fn completions_are_printed_without_any_settings() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command
        .args(["completions", "bash"])
        .env_clear()
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let script = end_of(command.spawn().unwrap()).expect(0).text();
    assert!(script.contains("--ns-from"), "{script}");
}
