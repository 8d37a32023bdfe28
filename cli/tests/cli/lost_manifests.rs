//! Lost manifests, from the terminal: nothing else disappears, every run reports them, and they can
//! be resolved.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::{
    directory::{NAME, files_below, initialised_in, place_in},
    files::Files,
    place::Place,
};

const WEEK: Duration = Duration::from_hours(8 * 24);

/// Every file of the backups, with its contents.
fn stored(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let parts = ["database", "content"].map(|part| root.join(part));
    let files = parts
        .iter()
        .filter(|part| part.exists())
        .flat_map(|part| files_below(part));
    files
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect()
}

fn make_old(root: &Path) {
    for path in files_below(root) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - WEEK).unwrap();
    }
}

fn manifest(root: &Path, id: &str) -> PathBuf {
    let part = if id.starts_with("db_") {
        "database"
    } else {
        "content"
    };
    root.join(part).join(id).join("manifest.json")
}

/// Removes these manifests, and makes every other file a week old.
fn lose(root: &Path, ids: &[&String]) -> Vec<(PathBuf, Vec<u8>)> {
    let lost: Vec<_> = ids
        .iter()
        .map(|id| manifest(root, id))
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    for (path, _) in &lost {
        fs::remove_file(path).unwrap();
    }
    make_old(root);
    lost
}

fn clean_up(place: &Place, words: &[&str]) -> Value {
    let ended = place
        .holdfast(&[&["cleanup", "--json"], words].concat())
        .expect(9);
    serde_json::from_str(ended.text().lines().next().unwrap()).unwrap()
}

fn ids_of<'a>(backups: &'a [Value], kind: &str) -> Vec<&'a str> {
    backups
        .iter()
        .filter(|it| it["type"] == kind)
        .map(|it| it["backupId"].as_str().unwrap())
        .collect()
}

/// One database manifest and all content manifests are lost, of so many database and content
/// backups.
async fn nothing_else_disappears(databases: usize, contents: usize) {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::in_place(place_in(folder.path()).await).await;
    let (place, root) = (&files.place, folder.path().join(NAME));
    let databases: Vec<String> = (0..databases).map(|_| place.back_up()).collect();
    let contents: Vec<String> = (0..contents)
        .map(|_| files.back_up()["backupId"].as_str().unwrap().to_owned())
        .collect();
    let all: Vec<&String> = databases.iter().chain(&contents).collect();
    let ids: Vec<&String> = databases.iter().take(1).chain(&contents).collect();
    let lost = lose(&root, &ids);
    let before = stored(&root);
    for _ in 0..3 {
        let dry = clean_up(place, &["--dry-run"]);
        assert!(
            dry["collectionSuspended"]
                .as_str()
                .unwrap()
                .contains("manifests are missing"),
            "{dry}"
        );
        let report = clean_up(place, &["--yes"]);
        assert_eq!(
            (&report["collection"]["deleted"], &report["problems"]),
            (&json!(0), &json!([])),
            "{report}"
        );
        let told: Vec<_> = ["database", "content"]
            .iter()
            .flat_map(|kind| report[kind]["lost"].as_array().unwrap())
            .collect();
        assert_eq!(told.len(), ids.len(), "{report}");
        assert!(
            stored(&root) == before,
            "a file disappeared, or was changed: {report}"
        );
    }
    let listed: Value =
        serde_json::from_str(&place.holdfast(&["lost", "list", "--json"]).expect(9).text())
            .unwrap();
    assert_eq!(
        listed["backups"].as_array().unwrap().len(),
        ids.len(),
        "{listed}"
    );

    for (path, bytes) in &lost {
        fs::write(path, bytes).unwrap();
    }
    place.holdfast(&["cleanup", "--yes"]).expect(0);
    assert_eq!(place.json(&["lost", "list"])[0]["backups"], json!([]));
    for id in &all {
        assert_eq!(
            place.json(&["verify", id, "--level", "structure"])[0]["status"],
            "passed"
        );
        assert_eq!(place.json(&["show", id])[0]["job"]["status"], "completed");
    }
    let copy = holdfast_testing::unique("copy");
    let (from, to) = (format!("{}.*", place.database), format!("{copy}.*"));
    place
        .holdfast(&[
            "restore",
            "database",
            &databases[0],
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
            &contents[0],
            "--to",
            restored.to_str().unwrap(),
        ])
        .expect(0);
    files.assert_restored_in(&restored);
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_manifest_and_all_content_manifests_cost_no_other_file() {
    // The store holds two of four manifests: the database backups are judged apart from the content
    // backups.
    nothing_else_disappears(3, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_one_of_four_manifests_is_not_changed() {
    nothing_else_disappears(2, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_loss_is_deleted_by_the_next_cleanup() {
    let folder = tempfile::tempdir().unwrap();
    let place = initialised_in(folder.path()).await;
    let root = folder.path().join(NAME);
    let ids = [place.back_up(), place.back_up()];
    place
        .holdfast(&["lost", "list"])
        .expect(0)
        .text()
        .find("no backup is lost")
        .unwrap();
    lose(&root, &[&ids[0]]);
    let text = place.holdfast(&["cleanup", "--yes"]).expect(9).text();
    assert!(
        text.contains(&format!("holdfast lost accept {}", ids[0])),
        "{text}"
    );
    assert_eq!(
        place.json(&["status"])[0]["status"]["database"]["lostBackups"],
        json!(1)
    );
    let examined = place.holdfast(&["doctor"]).text();
    assert!(
        examined.contains(&ids[0]) && examined.contains("holdfast lost list"),
        "{examined}"
    );
    let listed = place.holdfast(&["lost", "list"]).expect(9).text();
    let shown = place.holdfast(&["show", &ids[0]]).expect(0).text();
    assert!(
        shown.contains("is lost: its manifest is missing") && shown.contains("found lost"),
        "{shown}"
    );
    assert!(
        shown.contains("holdfast lost accept") && !shown.contains("never completed"),
        "{shown}"
    );
    assert!(
        listed.contains(&ids[0]) && listed.contains("missing") && !listed.contains(&ids[1]),
        "{listed}"
    );

    place
        .holdfast(&["lost", "accept", &ids[0]])
        .expect(5)
        .saying(&["--yes", "lost list"]);
    place
        .holdfast(&["lost", "accept", &ids[1], "--yes"])
        .expect(5)
        .saying(&["is not lost", &ids[1]]);
    place
        .holdfast(&["lost", "accept", "db_1_a", "--yes"])
        .expect(4)
        .saying(&["db_1_a"]);
    place.holdfast(&["lost", "accept", "--yes"]).expect(2);
    place.holdfast(&["cleanup", "--dry-run"]).expect(9);
    let accepted = place.json(&["lost", "accept", &ids[0], "--yes"]).remove(0);
    assert_eq!(accepted["deletion"]["cause"], "accepted-loss", "{accepted}");
    assert_eq!(accepted["deletion"]["by"], "ada", "{accepted}");
    assert!(root.join("database").join(&ids[0]).exists());
    place.holdfast(&["cleanup", "--yes"]).expect(0);
    assert!(!root.join("database").join(&ids[0]).exists());
    let shown = place.holdfast(&["show", &ids[0]]).expect(0).text();
    assert!(
        shown.contains("was deleted: its loss was accepted by ada, "),
        "{shown}"
    );
    let listed = place.json(&["list"]);
    assert_eq!(ids_of(&listed, "database"), [&ids[1]]);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_losses_are_accepted_together_and_only_those() {
    let folder = tempfile::tempdir().unwrap();
    let place = initialised_in(folder.path()).await;
    let root = folder.path().join(NAME);
    let mut ids = vec![place.back_up(), place.back_up(), place.back_up()];
    lose(&root, &[&ids[0], &ids[2]]);
    let report = clean_up(&place, &["--yes"]);
    let why = report["database"]["suspended"].as_str().unwrap();
    assert!(
        why.contains("1 of the 3") && why.contains("BACKUP_STORE") && why.contains("lost list"),
        "{why}"
    );
    let before = stored(&root);
    for words in [
        &["lost", "accept", "--all", "--yes"][..],
        &["lost", "accept", &ids[0], "--yes"],
    ] {
        place.holdfast(words).expect(5).saying(&[
            "no loss was accepted",
            "1 of the 3",
            "BACKUP_STORE",
        ]);
    }
    assert!(
        stored(&root) == before
            && place.json(&["show", &ids[0]])[0]["job"]["status"] == "completed"
    );
    ids.push(place.back_up());
    let accepted = place.json(&["lost", "accept", "--all", "--yes"]);
    assert_eq!(accepted.len(), 2, "{accepted:?}");
    place.holdfast(&["cleanup", "--yes"]).expect(0);
    assert!(
        manifest(&root, &ids[1]).exists() && !manifest(&root, &ids[0]).parent().unwrap().exists()
    );
    assert!(place.json(&["lost", "accept", "--all", "--yes"]).is_empty());
    place.remove().await;
}
