//! `docs/day-two.md`: the commands of its move run unchanged, and both changes of the encryption
//! keep every backup.

use std::{collections::BTreeSet, path::Path};

use holdfast_testing::unique;
use serde_json::Value;

use super::{
    copies::{REGION, bucket_in_another_region},
    directory::run_in_shell,
    files::Files,
    place::Place,
};

const PAGE: &str = include_str!("../../../docs/day-two.md");
const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// The blocks of the chapter about the move: the copy, the new bucket, the new catalogue.
fn blocks_of_the_move() -> Vec<String> {
    let (_, chapter) = PAGE
        .split_once("\n## Move to another bucket, region or account\n")
        .unwrap();
    let (chapter, _) = chapter.split_once("\n## ").unwrap();
    let mut blocks = Vec::new();
    let mut lines = chapter.lines().map(str::trim);
    while lines.any(|line| line == "```sh") {
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(block.join("\n"));
    }
    blocks
}

/// The ids of both parts of a full backup: database, content.
fn full_backup(place: &Place) -> [String; 2] {
    let jobs = place.json(&["run", "full"]);
    let ids: Vec<&str> = jobs
        .iter()
        .map(|job| job["backupId"].as_str().unwrap())
        .collect();
    let id = |kind: &str| (*ids.iter().find(|id| id.starts_with(kind)).unwrap()).to_owned();
    [id("db_"), id("content_")]
}

fn ids(place: &Place) -> BTreeSet<String> {
    let listed = place.json(&["list"]);
    listed
        .iter()
        .map(|backup: &Value| backup["backupId"].as_str().unwrap().to_owned())
        .collect()
}

async fn a_repository_moves(settings: &[(&'static str, &str)]) {
    let mut place = Place::new().await;
    place.env.extend(
        settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    let mut files = Files::in_place(place).await;
    let backups = full_backup(&files.place);
    let (before, folder) = (ids(&files.place), tempfile::tempdir().unwrap());
    let (s3, bucket) = bucket_in_another_region().await;
    let place = &mut files.place;
    place.env.extend([
        ("NEW_BUCKET", bucket.clone()),
        ("NEW_REGION", REGION.to_owned()),
    ]);
    place.env.insert("DATABASE_BACKUP", backups[0].clone());
    let run = |place: &Place, block: &str, folder: &Path| {
        let ended = run_in_shell(place, folder, block);
        println!("{block}\n{}{}", ended.text(), ended.stderr);
        ended.expect(0).text()
    };
    let blocks = blocks_of_the_move();
    assert_eq!(blocks.len(), 3, "{blocks:?}");

    run(place, &blocks[0], folder.path());
    for key in place.keys().await {
        let key = format!("repository/{key}");
        holdfast_testing::s3_client()
            .delete_object()
            .bucket(&place.bucket)
            .key(key)
            .send()
            .await
            .unwrap();
    }
    let seen = run(place, &blocks[1], folder.path());
    assert!(
        seen.contains(&format!("{} passed at level structure", backups[0])),
        "{seen}"
    );

    place.env.extend([
        ("BACKUP_STORE", format!("s3://{bucket}")),
        ("AWS_REGION", REGION.to_owned()),
    ]);
    place.holdfast(&["cleanup", "--dry-run"]).expect(0);
    place.lose_the_catalogue().await;
    run(place, &blocks[2], folder.path());
    assert_eq!(ids(place), before);
    let copy = unique("moved");
    let (from, to) = (format!("{}.*", place.database), format!("{copy}.*"));
    place
        .holdfast(&[
            "restore",
            "database",
            &backups[0],
            "--ns-from",
            &from,
            "--ns-to",
            &to,
            "--yes",
        ])
        .expect(0);
    place.assert_same_in(&copy).await;
    let restored = folder.path().join("restored");
    place
        .holdfast(&[
            "restore",
            "content",
            &backups[1],
            "--to",
            restored.to_str().unwrap(),
        ])
        .expect(0);
    files.assert_restored_in(&restored);
    assert_eq!(
        files.back_up()["items"]["unchanged"],
        10,
        "the new bucket has every file already"
    );

    for object in s3
        .list_objects_v2()
        .bucket(&bucket)
        .send()
        .await
        .unwrap()
        .contents()
    {
        s3.delete_object()
            .bucket(&bucket)
            .key(object.key().unwrap())
            .send()
            .await
            .unwrap();
    }
    s3.delete_bucket().bucket(&bucket).send().await.unwrap();
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_move_of_the_page_brings_every_backup_into_a_bucket_of_another_region() {
    a_repository_moves(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_move_of_the_page_brings_encrypted_backups_too() {
    a_repository_moves(&[
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ("BACKUP_CONTENT_ENCRYPTION", "true"),
        ("BACKUP_ENCRYPTION_KEY", KEY),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_backup_verifies_after_encryption_was_turned_on_and_off() {
    let mut files = Files::new().await;
    let set = |files: &mut Files, value: &str| {
        for name in ["BACKUP_DATABASE_ENCRYPTION", "BACKUP_CONTENT_ENCRYPTION"] {
            files.place.env.insert(name, value.to_owned());
        }
    };
    let fetched = |files: &Files, id: &str| {
        let items = files.place.json(&["show", id])[0]["job"]["items"].clone();
        (
            items["done"].as_u64().unwrap(),
            items["unchanged"].as_u64().unwrap(),
        )
    };
    let plain = full_backup(&files.place);
    set(&mut files, "true");
    files
        .place
        .env
        .insert("BACKUP_ENCRYPTION_KEY", KEY.to_owned());
    files.place.holdfast(&["init"]).expect(0);
    files.place.holdfast(&["key", "export", "--yes"]).expect(0);
    let encrypted = full_backup(&files.place);
    assert_eq!(
        fetched(&files, &encrypted[1]),
        (10, 0),
        "every file is stored once more"
    );
    set(&mut files, "false");
    let after = full_backup(&files.place);
    assert_eq!(
        fetched(&files, &after[1]),
        (0, 10),
        "encrypted files are reused with the key"
    );
    for id in [plain, encrypted, after].iter().flatten() {
        files
            .place
            .holdfast(&["verify", id, "--level", "structure"])
            .expect(0);
    }
    files.remove().await;
}
