//! One machine without AWS: the repository is a directory. No AWS variable is set, and no AWS
//! request is sent.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use bson::{Binary, doc, spec::BinarySubtype};
use holdfast_testing::{MongoServer, Origin, parts};
use serde_json::json;

use super::{
    files::{Files, bytes},
    place::{Ended, Place, end_of},
};

/// A folder name that always needs quotes.
pub(crate) const NAME: &str = "Büro 備份/it's 100% here";

/// A place with its repository, not yet created, in this folder.
pub(crate) async fn place_in(folder: &Path) -> Place {
    let root = folder.join(NAME);
    fs::create_dir_all(root.parent().unwrap()).unwrap();
    Place::without_aws(
        &parts().mongodb_uri,
        &format!("file://{}", root.to_str().unwrap().replace('%', "%25")),
    )
    .await
}

pub(crate) async fn initialised_in(folder: &Path) -> Place {
    let place = place_in(folder).await;
    place.holdfast(&["init"]).expect(0);
    place
}

/// Lines for a shell, in a folder, with the binary and the settings.
pub(crate) fn shell(place: &Place, folder: &Path, script: &str) -> Command {
    let binaries = Path::new(env!("CARGO_BIN_EXE_holdfast")).parent().unwrap();
    let mut shell = Command::new("bash");
    shell
        .args(["-e", "-u", "-c", script])
        .current_dir(folder)
        .env_clear()
        .envs(&place.env)
        .env("PATH", format!("{}:/usr/bin:/bin", binaries.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    shell
}

pub(crate) fn run_in_shell(place: &Place, folder: &Path, script: &str) -> Ended {
    end_of(shell(place, folder, script).spawn().unwrap())
}

/// Every file, in order.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(crate) fn unfinished(root: &Path) -> Vec<PathBuf> {
    let directory = root.join(".holdfast/unfinished");
    if directory.exists() {
        files_below(&directory)
    } else {
        Vec::new()
    }
}

/// More than one part of an upload, and no compression makes it less.
pub(crate) async fn add_noise(place: &Place, mebibytes: usize) {
    let noise = (0..mebibytes).map(|n| {
        let bytes = bytes(1024 * 1024, n);
        doc! { "_id": i64::try_from(n).unwrap(), "noise": Binary { subtype: BinarySubtype::Generic, bytes } }
    });
    let collection = place.client.database(&place.database).collection("noise");
    for document in noise {
        collection.insert_one(document).await.unwrap();
    }
}

/// Backs up, verifies, restores and cleans up. Returns the ids of the two backups.
pub(crate) async fn there_and_back(files: &Files, folder: &Path) -> [String; 2] {
    let place = &files.place;
    place.holdfast(&["run", "full"]).expect(0);
    let listed = place.json(&["list"]);
    assert_eq!(listed.len(), 2, "{listed:?}");
    let id = |kind| {
        listed.iter().find(|backup| backup["type"] == kind).unwrap()["backupId"]
            .as_str()
            .unwrap()
    };
    let (database, content) = (id("database").to_owned(), id("content").to_owned());
    for id in [&database, &content] {
        let found = &place.json(&["verify", id, "--level", "structure"])[0];
        assert_eq!(
            (&found["status"], &found["recorded"]),
            (&json!("passed"), &json!(true)),
            "{found}"
        );
        assert_eq!(place.json(&["show", id])[0]["job"]["status"], "completed");
    }
    let copy = holdfast_testing::unique("copy");
    let (from, to) = (format!("{}.*", place.database), format!("{copy}.*"));
    place
        .holdfast(&[
            "restore",
            "database",
            &database,
            "--ns-from",
            &from,
            "--ns-to",
            &to,
            "--yes",
        ])
        .expect(0);
    place.assert_same_in(&copy).await;
    let restored = folder.join("restored");
    place
        .holdfast(&[
            "restore",
            "content",
            &content,
            "--to",
            restored.to_str().unwrap(),
        ])
        .expect(0);
    files.assert_restored_in(&restored);
    fs::remove_dir_all(restored).unwrap();
    [database, content]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_and_its_files_are_backed_up_and_restored_without_aws() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::in_place(place_in(folder.path()).await).await;
    let place = &files.place;
    let ids = there_and_back(&files, folder.path()).await;
    let again = files.back_up();
    assert_eq!(
        (&again["items"]["unchanged"], &again["items"]["failed"]),
        (&json!(10), &json!(0)),
        "{again}"
    );
    for kind in ["database", "content"] {
        place
            .holdfast(&[
                "policy",
                "set",
                kind,
                "--max-count",
                "1",
                "--min-count",
                "1",
            ])
            .expect(0);
    }
    place.back_up();
    let cleaned = place.holdfast(&["cleanup", "--yes"]).expect(0).text();
    assert!(
        ids.iter()
            .all(|id| cleaned.contains(&format!("deleted {id}"))),
        "{cleaned}"
    );
    let root = folder.path().join(NAME);
    assert!(
        ids.iter().all(|id| !root.join("database").join(id).exists()
            && !root.join("content").join(id).exists())
    );
    assert_eq!(place.json(&["list"]).len(), 2);
    place.holdfast(&["cancel", &ids[0]]).expect(5);
    assert_eq!(unfinished(&root), [""; 0].map(PathBuf::from));
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_parts_may_be_on_other_disks_and_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let mut place = place_in(folder.path()).await;
    let (database, content) = (
        folder.path().join("one disk"),
        folder.path().join("ein zweiter"),
    );
    place.env.extend([
        ("BACKUP_DATABASE_DIR", database.to_str().unwrap().to_owned()),
        ("BACKUP_CONTENT_DIR", content.to_str().unwrap().to_owned()),
        ("BACKUP_DATABASE_ENCRYPTION", "true".to_owned()),
        ("BACKUP_CONTENT_ENCRYPTION", "true".to_owned()),
        ("BACKUP_ENCRYPTION_KEY", "07".repeat(32)),
    ]);
    let mut files = Files::in_place(place).await;
    let [database_id, content_id] = there_and_back(&files, folder.path()).await;
    assert!(database.join(&database_id).join("manifest.json").exists());
    assert!(content.join(&content_id).join("manifest.json").exists());
    let root = folder.path().join(NAME);
    assert!(!root.join("database").exists() && !root.join("content").exists());
    for verb in [&["key", "show"][..], &["key", "export", "--yes"]] {
        files.place.holdfast(verb).expect(0);
    }
    // Without the directories an error names them, instead of an empty repository.
    let forgotten = files.place.env.remove("BACKUP_DATABASE_DIR").unwrap();
    files
        .place
        .holdfast(&["run", "database"])
        .expect(7)
        .saying(&["BACKUP_DATABASE_DIR", &forgotten]);
    files.remove().await;
}

/// The shell commands of a guide.
fn commands(guide: &Path) -> String {
    let guide = fs::read_to_string(guide).unwrap();
    let blocks: Vec<&str> = guide
        .split("```bash\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .collect();
    assert!(!blocks.is_empty(), "{guide}");
    blocks.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_guide_says_works_from_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let mut place = place_in(folder.path()).await;
    place.env.insert(
        "BACKUP_CONTENT_DIR",
        folder
            .path()
            .join("it's elsewhere")
            .to_str()
            .unwrap()
            .to_owned(),
    );
    let files = Files::in_place(place).await;
    let place = &files.place;
    let (database, content) = (place.back_up(), files.back_up());
    let content = content["backupId"].as_str().unwrap();
    for (guide, fetched) in [
        (
            folder.path().join(NAME).join("database").join(&database),
            "dump.1.archive.gz",
        ),
        (
            folder.path().join("it's elsewhere").join(content),
            &format!("{content}.1.tar.gz"),
        ),
    ] {
        let here = tempfile::tempdir().unwrap();
        let script = commands(&guide.join("RESTORE.md"));
        assert!(
            script.contains("cp '") && !script.contains("aws"),
            "{script}"
        );
        let ended = run_in_shell(place, here.path(), &script).expect(0);
        assert!(
            ended.text().contains(&format!("{fetched}: OK")),
            "{}",
            ended.text()
        );
        assert!(
            here.path().join(fetched).exists(),
            "{:?}",
            files_below(here.path())
        );
    }
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_of_aws() {
    let folder = tempfile::tempdir().unwrap();
    let mut place = place_in(folder.path()).await;
    // The endpoint from which the SDK reads the machine's region and role.
    let metadata = Origin::start().await;
    place.env.insert(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        metadata.address().to_owned(),
    );
    for verb in [
        &["init"][..],
        &["run", "database"],
        &["list"],
        &["cleanup", "--yes"],
        &["dump"],
    ] {
        place.holdfast(verb).expect(0);
    }
    assert_eq!(metadata.requests().len(), 0, "{:?}", metadata.requests());
    place.holdfast(&["list", "--store", "s3://holdfast-no-such-bucket"]);
    assert_ne!(
        metadata.requests().len(),
        0,
        "who keeps backups in S3 may be on a machine of AWS"
    );
    place.remove().await;
}

const README: &str = include_str!("../../../README.md");

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_five_lines_back_up_and_restore_a_database_and_its_content() {
    let (_, section) = README
        .split_once("\n### On one machine, without AWS\n")
        .unwrap();
    let (_, block) = section.split_once("\n```sh\n").unwrap();
    let (lines, _) = block.split_once("\n```").unwrap();
    assert_eq!(lines.lines().count(), 5, "{lines}");
    for written in ["localhost:27017", "/var/backups/holdfast"] {
        assert_eq!(lines.matches(written).count(), 1, "{lines}");
    }
    let (server, folder) = (MongoServer::start(&[]).await, tempfile::tempdir().unwrap());
    let address = server.uri("", "");
    let address = address
        .trim_start_matches("mongodb://")
        .split('/')
        .next()
        .unwrap();
    let backups = folder.path().join("backups");
    let lines = lines
        .replace("localhost:27017", address)
        .replace("/var/backups/holdfast", backups.to_str().unwrap());

    let mut place = Place::without_aws(&server.uri("", ""), "file:///unused").await;
    place.client.database(&place.database).drop().await.unwrap();
    place.database = "web3platform".to_owned();
    for setting in [
        "BACKUP_STORE",
        "BACKUP_CATALOG_URI",
        "MONGODB_URI",
        "BACKUP_TIMEZONE",
    ] {
        place.env.remove(setting);
    }
    place.fill().await;
    let mut files = Files::none_in(place);
    files.add_ipfs().await;
    let ended = run_in_shell(&files.place, folder.path(), &lines);
    println!("{lines}\n{}{}", ended.text(), ended.stderr);
    ended.expect(0);
    files.place.assert_same_in("restored").await;
    files.assert_restored_in(&folder.path().join("restored"));
}
