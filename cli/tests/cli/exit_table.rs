//! The table of exit codes in docs/operations.md: a test for each row. Commands with the same cause
//! exit with the same code.

use std::{fs, process::Stdio, time::Duration};

use holdfast_catalog::Source;
use holdfast_domain::{BackupId, BackupType, Job, Timestamp, Trigger, TriggerKind};
use holdfast_testing::proxy::{FaultProxy, WireFault};

use super::{
    directory::{NAME, place_in},
    files::Files,
    place::{Place, UNREACHABLE, end_of, uri_of},
};

const UNKNOWN: &str = "db_1700000000000_0a0b0c0d";
const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "POST", "DELETE"];

/// A repository behind a proxy, with one backup.
async fn behind_proxy() -> (Place, FaultProxy, String) {
    let mut place = Place::initialised().await;
    let id = place.back_up();
    let proxy = FaultProxy::start().await;
    place
        .env
        .insert("AWS_ENDPOINT_URL", proxy.endpoint().to_owned());
    (place, proxy, id)
}

fn every_request(proxy: &FaultProxy, fault: &WireFault) {
    for method in METHODS {
        proxy.fail(method, "", u32::MAX, fault.clone());
    }
}

async fn leave(mut place: Place) {
    place.env.insert(
        "AWS_ENDPOINT_URL",
        holdfast_testing::parts().aws_endpoint.clone(),
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_0_done() {
    let place = Place::new().await;
    for words in [
        &["init"][..],
        &["list"],
        &["run", "database"],
        &["--help"],
        &["--version"],
        &["completions", "zsh"],
    ] {
        place.holdfast(words).expect(0);
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_1_failed() {
    let place = Place::initialised().await;
    for words in [
        &["list"][..],
        &["list", "--json"],
        &["dump"],
        &["dump", "--gzip"],
        &["completions", "bash"],
    ] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let child = place
            .command(words)
            .stdout(Stdio::from(full))
            .spawn()
            .unwrap();
        let ended = end_of(child);
        assert_eq!(
            ended.code,
            i32::from(!words.contains(&"--json")),
            "{words:?}: {}",
            ended.stderr
        );
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_2_the_command_line_is_wrong() {
    let place = Place::new().await;
    for words in [
        &[][..],
        &["nothing"],
        &["policy"],
        &["show"],
        &["verify", "db_1_a", "--level", "all"],
        &["restore", "content", "content_1_a"],
        &["restore", "database", "db_1_a", "--drop", "--merge"],
        &["restore", "database", "db_1_a", "--ns-from", "a.*", "--yes"],
        &["list", "--store", "ftp://x"],
        &["dump", "--uri", "postgres://x"],
    ] {
        place.holdfast(words).expect(2);
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_3_wrong_settings_and_denied_access() {
    let place = Place::initialised().await;
    let id = place.back_up();
    let wrong = |name: &str, value: Option<&str>, commands: &[&[&str]], said: &str| {
        for words in commands {
            let mut command = place.command(words);
            command.env("AWS_EC2_METADATA_DISABLED", "true");
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
            let ended = end_of(command.spawn().unwrap()).expect(3).saying(&[said]);
            assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        }
    };
    let run: &[&str] = &["run", "database"];
    wrong(
        "BACKUP_FROBNICATE",
        Some("1"),
        &[&["list"], run],
        "BACKUP_FROBNICATE",
    );
    wrong("BACKUP_STORE", None, &[&["list"], run], "BACKUP_STORE");
    wrong("MONGODB_URI", None, &[run, &["dump"]], "MONGODB_URI");
    wrong(
        "BACKUP_DATABASE_ENCRYPTION",
        Some("true"),
        &[run],
        "BACKUP_ENCRYPTION_KEY",
    );
    wrong(
        "AWS_REGION",
        None,
        &[&["list"], run, &["verify", &id], &["cleanup", "--dry-run"]],
        "AWS_REGION",
    );
    let denied = place.env["MONGODB_URI"].replace("mongodb://", "mongodb://ada:hunter2@");
    wrong("MONGODB_URI", Some(&denied), &[run, &["dump"]], "password");
    wrong(
        "BACKUP_CATALOG_URI",
        Some(&denied),
        &[run, &["status"], &["cancel", &id]],
        "password",
    );
    let target = denied.replace(&format!("/{}", place.database), "/");
    wrong(
        "TARGET",
        Some(&target),
        &[&[
            "restore",
            "database",
            &id,
            "--to-uri-env",
            "TARGET",
            "--yes",
        ]],
        "password",
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_3_a_store_that_denies_access() {
    let (place, proxy, id) = behind_proxy().await;
    every_request(&proxy, &WireFault::error(403, "AccessDenied"));
    for words in [
        &["list"][..],
        &["run", "database"],
        &["verify", &id],
        &["init"],
        &["show", &id],
    ] {
        place.holdfast(words).expect(3).saying(&["AccessDenied"]);
    }
    leave(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_3_a_store_without_checksums_is_named_and_left_empty() {
    for without in [
        WireFault::WithoutHeaders("x-amz-checksum"),
        WireFault::error(501, "NotImplemented"),
    ] {
        let mut place = Place::new().await;
        let proxy = FaultProxy::start().await;
        place
            .env
            .insert("AWS_ENDPOINT_URL", proxy.endpoint().to_owned());
        for method in ["PUT", "HEAD"] {
            proxy.fail(method, "", u32::MAX, without.clone());
        }
        let ended = place
            .holdfast(&["init"])
            .expect(3)
            .saying(&["lacks a required feature", "BACKUP_STORE=gs://"]);
        assert!(
            !ended.stderr.contains("differs from the sent"),
            "it is no damage: {}",
            ended.stderr
        );
        assert!(place.keys().await.is_empty(), "{:?}", place.keys().await);
        leave(place).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_4_not_found() {
    let place = Place::new().await;
    for words in [
        &["list"][..],
        &["verify", UNKNOWN],
        &["key", "show"],
        &["key", "export", "--yes"],
    ] {
        place.holdfast(words).expect(4);
    }
    let files = Files::in_place(place).await;
    let place = &files.place;
    place.holdfast(&["init"]).expect(0);
    let (database, content) = (place.back_up(), files.back_up());
    let content = content["backupId"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (to, car) = (folder.path().join("to"), folder.path().join("car"));
    let (to, car) = (to.to_str().unwrap(), car.to_str().unwrap());
    for words in [
        &["show", UNKNOWN][..],
        &["verify", UNKNOWN],
        &["cancel", UNKNOWN],
        &["restore", "database", UNKNOWN, "--yes"],
        &[
            "restore",
            "database",
            &database,
            "--only",
            "shop.none",
            "--yes",
        ],
        &[
            "restore",
            "database",
            &database,
            "--only",
            "shop.none",
            "--dry-run",
        ],
        &[
            "restore",
            "content",
            content,
            "--content-id",
            "none",
            "--to",
            to,
        ],
        &[
            "restore",
            "content",
            content,
            "--content-id",
            "none",
            "--to-car",
            car,
        ],
        &["restore", "archive", "/no/such/file", "--yes"],
        &["verify", &database, "--exported", "/no/such/file"],
        &[
            "decrypt",
            "database/db_1700000000000_0a0b0c0d/dump.1.archive.gz.enc",
            "--output",
            car,
        ],
    ] {
        place.holdfast(words).expect(4);
    }
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_5_refused() {
    let place = Place::initialised().await;
    let id = place.back_up();
    place
        .holdfast(&["restore", "database", &id])
        .expect(5)
        .saying(&["stdin is not a terminal", "--yes or --dry-run"]);
    place
        .holdfast(&["restore", "database", &id, "--yes"])
        .expect(5)
        .saying(&["not empty"]);
    place
        .holdfast(&["cleanup"])
        .expect(5)
        .saying(&["stdin is not a terminal"]);
    place
        .holdfast(&["cancel", &id])
        .expect(5)
        .saying(&["completed"]);
    let (catalog, now) = (place.catalog().await, Timestamp::now());
    let running = BackupId::new(BackupType::Database, now, [1, 2, 3, 4]);
    catalog
        .acquire(Source::Database, &running, 2, now)
        .await
        .unwrap();
    let trigger = Trigger {
        kind: TriggerKind::Manual,
        by: None,
    };
    catalog
        .insert_pending(&Job::pending(running.clone(), trigger, now))
        .await
        .unwrap();
    let cancel = format!("holdfast cancel {running}");
    place
        .holdfast(&["run", "database"])
        .expect(5)
        .saying(&[&cancel]);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_6_corrupt() {
    let place = Place::initialised().await;
    let id = place.back_up();
    let key = place
        .keys()
        .await
        .into_iter()
        .find(|key| key.contains("/dump."))
        .unwrap();
    let mut bytes = place.object(&key).await;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    place.put_object(&key, bytes).await;
    place.holdfast(&["verify", &id]).expect(6);
    let status = place.holdfast(&["status"]).expect(0).text();
    assert!(
        status.contains(&format!("checksum: 1 FAILED (newest: {id})")),
        "{status}"
    );
    place
        .holdfast(&["restore", "database", &id, "--drop", "--yes"])
        .expect(6);
    place
        .put_object(&format!("database/{id}/manifest.json"), b"{".to_vec())
        .await;
    for words in [
        &["show", &id][..],
        &["verify", &id],
        &["restore", "database", &id, "--yes"],
    ] {
        place.holdfast(words).expect(6);
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_7_a_store_that_is_missing() {
    let mut place = Place::new().await;
    place
        .env
        .insert("BACKUP_STORE", "s3://holdfast-no-such-bucket/x".to_owned());
    for words in [
        &["list"][..],
        &["init"],
        &["run", "database"],
        &["show", UNKNOWN],
        &["verify", UNKNOWN],
    ] {
        place.holdfast(words).expect(7).saying(&["NoSuchBucket"]);
    }
    place.remove().await;
    let folder = tempfile::tempdir().unwrap();
    let place = place_in(folder.path()).await;
    for words in [
        &["list"][..],
        &["run", "database"],
        &["show", UNKNOWN],
        &["verify", UNKNOWN],
        &["key", "show"],
    ] {
        let ended = place.holdfast(words).expect(7);
        ended.saying(&[
            "repository directory",
            NAME,
            "does not exist",
            "Is its disk mounted?",
        ]);
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_7_what_does_not_answer() {
    let mut place = Place::initialised().await;
    let id = place.back_up();
    place
        .env
        .insert("TARGET", UNREACHABLE.replace("/db?", "/?"));
    place
        .holdfast(&[
            "restore",
            "database",
            &id,
            "--to-uri-env",
            "TARGET",
            "--yes",
        ])
        .expect(7);
    let server = place
        .env
        .insert("MONGODB_URI", UNREACHABLE.to_owned())
        .unwrap();
    for words in [&["run", "database"][..], &["dump"]] {
        place.holdfast(words).expect(7);
    }
    place.env.insert("MONGODB_URI", server);
    place
        .env
        .insert("BACKUP_CATALOG_URI", UNREACHABLE.to_owned());
    for words in [&["run", "database"][..], &["status"], &["cancel", &id]] {
        place.holdfast(words).expect(7);
    }
    place
        .env
        .insert("AWS_ENDPOINT_URL", "http://127.0.0.1:9".to_owned());
    place.holdfast(&["list"]).expect(7);
    place.env.insert("BACKUP_CATALOG_URI", uri_of("unused"));
    leave(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_7_a_clock_that_stays_wrong_is_named() {
    let (place, proxy, id) = behind_proxy().await;
    every_request(&proxy, &WireFault::error(403, "RequestTimeTooSkewed"));
    for words in [&["list"][..], &["verify", &id]] {
        let ended =
            place
                .holdfast(words)
                .expect(7)
                .saying(&["because of its time", "clock", "NTP"]);
        assert!(!ended.stderr.contains("credentials"), "{}", ended.stderr);
    }
    leave(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_corrected_by_the_stores_time() {
    for seconds in [20 * 60, -20 * 60] {
        let (place, proxy, id) = behind_proxy().await;
        every_request(&proxy, &WireFault::ClockAhead(seconds));
        for words in [&["list"][..], &["run", "database"], &["verify", &id]] {
            place.holdfast(words).expect(0);
        }
        leave(place).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_8_incomplete() {
    let files = Files::in_place(Place::initialised().await).await;
    let content = files.back_up();
    let id = content["backupId"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    files
        .place
        .holdfast(&["restore", "content", id, "--to", to])
        .expect(0);
    let one = fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&one, "mine").unwrap();
    let ended = files
        .place
        .holdfast(&["restore", "content", id, "--to", to])
        .expect(8);
    ended.saying(&["restore incomplete: 1 file not restored"]);
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_9_a_person_must_act() {
    let mut place = Place::initialised().await;
    place.back_up();
    place
        .env
        .insert("MONGODB_URI", uri_of(&holdfast_testing::unique("misspelt")));
    place
        .holdfast(&["run", "database"])
        .expect(9)
        .saying(&["warning: "]);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_130_interrupted() {
    let (place, proxy, id) = behind_proxy().await;
    every_request(&proxy, &WireFault::Hang);
    for (words, said) in [
        (&["list"][..], "interrupted"),
        (&["verify", &id], "interrupted"),
    ] {
        let child = place.command(words).spawn().unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let pid = child.id().to_string();
        assert!(
            std::process::Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        tokio::task::spawn_blocking(move || end_of(child))
            .await
            .unwrap()
            .expect(130)
            .saying(&[said]);
    }
    leave(place).await;
}
