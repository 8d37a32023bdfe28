//! `dump` and `restore archive`: mongodump's format in and out.

use mongodb::bson::{Document, doc};

use super::place::{Place, UNREACHABLE, end_of};

fn renamed(place: &Place) -> (String, [String; 2]) {
    let copy = holdfast_testing::unique("copy");
    let names = [format!("{}.*", place.database), format!("{copy}.*")];
    (copy, names)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_piped_into_a_restore_is_a_copy() {
    let place = Place::new().await;
    for gzip in [&[][..], &["--gzip"]] {
        let words: Vec<&str> = ["dump", "--archive"]
            .into_iter()
            .chain(gzip.iter().copied())
            .collect();
        let archive = place
            .holdfast(&words)
            .expect(0)
            .saying(&["800 documents"])
            .stdout;
        let (copy, [from, to]) = renamed(&place);
        let restore = [
            "restore",
            "archive",
            "-",
            "--ns-from",
            &from,
            "--ns-to",
            &to,
        ];
        place
            .holdfast_reading(&restore, &archive)
            .expect(5)
            .saying(&["--yes"]);
        let yes: Vec<&str> = restore.into_iter().chain(["--yes"]).collect();
        place.holdfast_reading(&yes, &archive).expect(0);
        place.assert_same_in(&copy).await;
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_to_a_file_contains_the_requested_collections() {
    let place = Place::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.archive");
    let name = file.to_str().unwrap();
    let dumped = &place.json(&[
        "dump",
        "--archive",
        name,
        "--exclude-collection",
        "contents",
    ])[0];
    let namespaces = dumped["namespaces"].as_array().unwrap();
    assert_eq!(namespaces.len(), 3, "{dumped}");
    let replaced = format!("{name} existed, and was replaced");
    place
        .holdfast(&["dump", "--archive", name, "--collection", "users"])
        .expect(0)
        .saying(&[&replaced]);
    let (copy, [from, to]) = renamed(&place);
    place
        .holdfast(&[
            "restore",
            "archive",
            name,
            "--ns-from",
            &from,
            "--ns-to",
            &to,
            "--yes",
        ])
        .expect(0);
    assert_eq!(
        place.content(&copy).await.keys().collect::<Vec<_>>(),
        ["users"]
    );
    place.client.database(&copy).drop().await.unwrap();
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing half-written is left"
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_fails_leaves_no_file() {
    let place = Place::new().await;
    let folder = tempfile::tempdir().unwrap();
    let uri = folder.path().join("uri");
    std::fs::write(&uri, UNREACHABLE).unwrap();
    let out = folder.path().join("out");
    let words = [
        "dump",
        "--uri-file",
        uri.to_str().unwrap(),
        "--archive",
        out.to_str().unwrap(),
    ];
    let ended = place.holdfast(&words).expect(7);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_into_a_closed_pipe_fails() {
    let place = Place::new().await;
    for words in [&["dump", "--archive"][..], &["dump", "--archive", "--gzip"]] {
        let mut child = place.command(words).spawn().unwrap();
        drop(child.stdout.take());
        end_of(child)
            .expect(1)
            .saying(&["could not be written", "discard it"]);
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_mongodump_wrote_is_restored_and_what_it_cut_is_refused() {
    let place = Place::new().await;
    let (copy, _) = renamed(&place);
    let to = format!("{copy}.*");
    let file = std::env::temp_dir().join(holdfast_testing::unique("archive"));
    let path = file.to_str().unwrap();
    let words = [
        "restore",
        "archive",
        path,
        "--ns-from",
        "web3platform.*",
        "--ns-to",
        &to,
        "--drop",
        "--yes",
    ];
    for (archive, code) in [
        ("platform", 0),
        ("platform-gzip", 0),
        ("cut-700k", 6),
        ("cut-1500k", 6),
        ("oplog-overflow", 6),
    ] {
        std::fs::write(&file, holdfast_testing::golden(archive)).unwrap();
        let ended = place.holdfast(&words);
        assert_eq!(ended.code, code, "{archive}: {}", ended.stderr);
        let users = place
            .client
            .database(&copy)
            .collection::<Document>("users")
            .count_documents(doc! {})
            .await;
        assert_eq!(
            users.unwrap(),
            400,
            "{archive}: what was there is there still"
        );
    }
    std::fs::remove_file(&file).unwrap();
    for (how, archive, code) in [
        ("--drop", "cut-1500k", 6),
        ("--drop", "platform", 0),
        ("--drop-first", "platform", 5),
    ] {
        let words = [
            "restore",
            "archive",
            "-",
            "--ns-from",
            "web3platform.*",
            "--ns-to",
            &to,
            how,
            "--yes",
        ];
        let ended = place.holdfast_reading(&words, &holdfast_testing::golden(archive));
        assert_eq!(ended.code, code, "{how} {archive}: {}", ended.stderr);
        let users = place
            .client
            .database(&copy)
            .collection::<Document>("users")
            .count_documents(doc! {})
            .await;
        assert_eq!(
            users.unwrap(),
            400,
            "{how} {archive}: what was there is there still"
        );
    }
    place.client.database(&copy).drop().await.unwrap();
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_differences_of_a_definition_are_reported_before_and_after() {
    let place = Place::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.archive");
    std::fs::write(
        &file,
        holdfast_testing::definition("option-recordPreImages"),
    )
    .unwrap();
    let copy = holdfast_testing::unique("copy");
    let to = format!("{copy}.*");
    let words = [
        "restore",
        "archive",
        file.to_str().unwrap(),
        "--ns-from",
        "t19.*",
        "--ns-to",
        &to,
    ];
    let with = |more: &'static str| words.iter().copied().chain([more]).collect::<Vec<_>>();
    for option in ["--dry-run", "--yes"] {
        let report = &place.json(&with(option))[0];
        let adjustment = &report["namespaces"][0]["adjustments"][0];
        assert_eq!(
            (adjustment["name"].as_str(), adjustment["change"].as_str()),
            (Some("recordPreImages"), Some("converted"))
        );
        assert_eq!(
            report["namespaces"][1]["adjustments"],
            serde_json::json!([])
        );
    }
    place.client.database(&copy).drop().await.unwrap();
    let text = place.holdfast(&with("--dry-run")).expect(0).text();
    assert!(
        text.contains("option recordPreImages converted: servers since 6.0"),
        "{text}"
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_archive_is_refused_with_what_to_do() {
    let place = Place::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    for (name, remedy) in [
        ("log-in-front.archive", "tail -c +65"),
        ("crlf.archive", "perl -pe"),
        ("dump.tar.gz", "mongorestore --dir"),
        ("salted.archive", "openssl enc -d"),
    ] {
        std::fs::write(&file, holdfast_testing::no_archive(name)).unwrap();
        let ended = place.holdfast(&["restore", "archive", file.to_str().unwrap(), "--yes"]);
        ended.expect(6).saying(&[remedy, "Nothing was written"]);
    }
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_into_targets_that_hold_something_shows_its_plan_and_the_refusal() {
    let place = Place::initialised().await;
    let id = place.back_up();
    let ended = place
        .holdfast(&["restore", "database", &id, "--dry-run"])
        .expect(5)
        .saying(&["not empty", "--merge"]);
    let reported = ended.text();
    assert!(
        reported.contains("would be restored into") && reported.contains("in the way"),
        "{reported}"
    );
    let cell = |text: &str, name: &str, from_the_end: usize| {
        let line = text
            .lines()
            .find(|line| line.contains(&format!("{}.{name} ", place.database)))
            .unwrap()
            .to_owned();
        let cells: Vec<&str> = line
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .collect();
        cells[cells.len() - 1 - from_the_end].to_owned()
    };
    let shown = place.holdfast(&["show", &id]).expect(0).text();
    assert_eq!(
        cell(&shown, "users", 0),
        cell(&reported, "users", 1),
        "as many indexes: {shown}{reported}"
    );
    let plan = place
        .holdfast(&["restore", "database", &id, "--dry-run", "--json"])
        .expect(5)
        .text();
    let plan: serde_json::Value = serde_json::from_str(plan.lines().next().unwrap()).unwrap();
    assert!(
        !plan["inTheWay"].as_array().unwrap().is_empty() && plan["faithful"] == false,
        "{plan}"
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_an_argument_is_warned_of() {
    let place = Place::new().await;
    let uri = "mongodb://ada:hunter2@127.0.0.1:9/x?serverSelectionTimeoutMS=100";
    let warned = place
        .holdfast(&["dump", "--uri", uri, "--archive"])
        .saying(&["every user", "--uri-file"]);
    assert!(!warned.stderr.contains("hunter2"), "{}", warned.stderr);
    let without = uri.replace("ada:hunter2@", "");
    let quiet = place.holdfast(&["dump", "--uri", &without, "--archive"]);
    assert!(!quiet.stderr.contains("every user"), "{}", quiet.stderr);
    place.remove().await;
}
