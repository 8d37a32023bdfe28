//! Commands that only read need no key for writing. Offline keys replace those of the settings.

use std::{fs, path::Path};

use super::{directory::initialised_in, files::Files, place::Place};

const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";
/// Made by age-keygen, for tests alone.
const IDENTITY: &str = "AGE-SECRET-KEY-1HAV5UXUL2GP87X96EGRF9P0K38N9TN7FTNKQC5A66SHY2QTQU6MQN69NGD";
const RECIPIENT: &str = "age1a2e5rfhv6c430dtzye3gmcuu6cauzne0s5kfmuhp3p4qpf86j9pq2e573v";
/// Encryption as the stack's settings have it.
const ENCRYPTED: [&str; 2] = ["BACKUP_DATABASE_ENCRYPTION", "BACKUP_CONTENT_ENCRYPTION"];

/// The data of the backup, and its keys.
struct Stack {
    files: Files,
    database: String,
    content: String,
    artifact: String,
    exported: String,
    identity: String,
}

/// A full, encrypted backup in a directory, after the loss of its writing key. Encryption is still
/// enabled.
async fn without_the_key(folder: &Path) -> Stack {
    let mut place = initialised_in(folder).await;
    place
        .env
        .extend(ENCRYPTED.map(|switch| (switch, "true".to_owned())));
    place.env.insert("BACKUP_ENCRYPTION_KEY", KEY.to_owned());
    place
        .env
        .insert("BACKUP_BREAK_GLASS_RECIPIENT", RECIPIENT.to_owned());
    let mut files = Files::in_place(place).await;
    let (database, content) = (files.place.back_up(), files.back_up());
    let content = content["backupId"].as_str().unwrap().to_owned();
    let artifact =
        files.place.json(&["show", &database])[0]["manifest"]["artifacts"][0]["key"].clone();
    let written = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let exported = written(
        "export.txt",
        &files
            .place
            .holdfast(&["key", "export", "--yes"])
            .expect(0)
            .text(),
    );
    let identity = written("identity", IDENTITY);
    files.place.env.remove("BACKUP_ENCRYPTION_KEY");
    let artifact = artifact.as_str().unwrap().to_owned();
    Stack {
        files,
        database,
        content,
        artifact,
        exported,
        identity,
    }
}

impl Stack {
    fn place(&self) -> &Place {
        &self.files.place
    }

    /// Every command that only opens backups, up to the place of one more option.
    fn reading_commands(&self, folder: &Path) -> Vec<Vec<String>> {
        let copy = holdfast_testing::unique("copy");
        let (from, to) = (format!("{}.*", self.place().database), format!("{copy}.*"));
        let place = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (restored, car, plain) = (place("restored"), place("files.car"), place("plain"));
        let renamed = ["--ns-from", &from, "--ns-to", &to];
        let commands: [&[&str]; 9] = [
            &["verify", &self.database, "--level", "structure"],
            &["verify", &self.content, "--level", "checksum"],
            &[
                &["restore", "database", &self.database, "--dry-run"],
                &renamed[..],
            ]
            .concat(),
            &[
                &["restore", "database", &self.database, "--yes"],
                &renamed[..],
            ]
            .concat(),
            &["restore", "content", &self.content, "--to", &restored],
            &["restore", "content", &self.content, "--to-car", &car],
            &["decrypt", &self.artifact, "--output", &plain],
            &["catalog", "rebuild", "--dry-run"],
            &["show", &self.content, "--failed"],
        ];
        commands
            .iter()
            .map(|words| words.iter().map(ToString::to_string).collect())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opens_nothing_needs_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let stack = without_the_key(folder.path()).await;
    for words in [
        &["list"][..],
        &["show", &stack.database],
        &["show", &stack.content],
        &["key", "show"],
        &["status"],
        &["policy", "show"],
        &["export"],
        &[
            "dump",
            "--archive",
            folder.path().join("dump").to_str().unwrap(),
        ],
        &[
            "verify",
            &stack.database,
            "--level",
            "exists",
            "--exported",
            &stack.exported,
        ],
    ] {
        stack.place().holdfast(words).expect(0);
    }
    let shown = stack
        .place()
        .holdfast(&["show", &stack.database])
        .expect(0)
        .text();
    assert!(
        shown.contains("the manifest was not authenticated: BACKUP_ENCRYPTION_KEY is not set"),
        "{shown}"
    );
    stack.files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_reads_takes_the_keys_kept_offline() {
    for option in ["--exported", "--identity"] {
        let folder = tempfile::tempdir().unwrap();
        let mut stack = without_the_key(folder.path()).await;
        let file = if option == "--exported" {
            stack.exported.clone()
        } else {
            stack.identity.clone()
        };
        // The stack's own settings: a secret lost with its account, or a mistyped key.
        for lost in [None, Some("mistyped")] {
            if let Some(key) = lost {
                stack
                    .files
                    .place
                    .env
                    .insert("BACKUP_ENCRYPTION_KEY", key.to_owned());
            }
            let below = folder.path().join(lost.unwrap_or("unset"));
            fs::create_dir(&below).unwrap();
            for words in stack.reading_commands(&below) {
                let words: Vec<&str> = words
                    .iter()
                    .map(String::as_str)
                    .chain([option, &file])
                    .collect();
                let ended = stack.place().holdfast(&words).expect(0);
                assert_eq!(
                    ended.stderr.contains("ignored BACKUP_ENCRYPTION_KEY"),
                    lost.is_some(),
                    "{words:?}"
                );
                assert!(!ended.stderr.contains("mistyped"), "{}", ended.stderr);
            }
        }
        stack.files.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_key_the_reason_is_the_backups_own_and_writing_still_needs_one() {
    let folder = tempfile::tempdir().unwrap();
    let stack = without_the_key(folder.path()).await;
    for words in stack.reading_commands(folder.path()) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ended = stack.place().holdfast(&words).expect(3);
        let told = format!("{}{}", ended.text(), ended.stderr);
        assert!(
            told.contains("key epoch 1") && !told.contains("the settings are wrong"),
            "{words:?}: {told}"
        );
    }
    for words in [&["run", "database"][..], &["init"], &["doctor"]] {
        stack
            .place()
            .holdfast(words)
            .expect(3)
            .saying(&["BACKUP_ENCRYPTION_KEY: is not set"]);
    }
    stack.files.remove().await;
}
