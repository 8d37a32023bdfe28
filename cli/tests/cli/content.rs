//! Files on IPFS and Gaia: backed up, stored once, and restored.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::files::Files;

pub(super) fn id_of(job: &Value) -> String {
    job["backupId"].as_str().unwrap().to_owned()
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_once_is_kept_and_comes_back_to_the_byte() {
    let files = Files::new().await;
    let place = &files.place;
    let reported = place.holdfast(&["run", "content"]).expect(0);
    assert!(reported.text().contains("10 items"), "{}", reported.text());
    assert_eq!(reported.stderr, "", "quiet without a terminal");

    files.node.reset_requests().await;
    let job = files.back_up();
    assert_eq!(
        (&job["items"]["unchanged"], &job["items"]["failed"]),
        (&json!(10), &json!(0)),
        "{job}"
    );
    let asked = files.node.requests().await;
    assert_eq!(
        (asked.gateway.car, asked.gateway.raw, asked.gateway.plain),
        (0, 0, 0),
        "nothing is fetched again"
    );
    assert_eq!(
        (asked.gaia.full, asked.gaia.not_modified),
        (0, 3),
        "what changes is asked for by its marks"
    );

    let id = id_of(&job);
    let listed = place.json(&["list"]);
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (&listed[0]["backupId"], &listed[0]["items"]["expected"]),
        (&json!(id), &json!(10)),
        "{listed:?}"
    );
    assert!(
        place
            .holdfast(&["list"])
            .expect(0)
            .text()
            .contains("10 items")
    );
    let shown = place.holdfast(&["show", &id]).expect(0).text();
    assert!(
        shown.contains("items.") && shown.contains("unchanged") && !shown.contains("NAMESPACE"),
        "{shown}"
    );
    for level in ["exists", "checksum", "structure"] {
        let found = &place.json(&["verify", &id, "--level", level])[0];
        assert_eq!(
            (&found["status"], &found["recorded"]),
            (&json!("passed"), &json!(true)),
            "{found}"
        );
    }

    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("made/on/the/way");
    let restore = ["restore", "content", &id, "--to", text(&to)];
    let report = &place.json(&restore)[0];
    assert_eq!(
        (&report["restored"], &report["kept"], &report["faithful"]),
        (&json!(10), &json!(0), &json!(true))
    );
    files.assert_restored_in(&to);
    let report = &place.json(&restore)[0];
    assert_eq!(
        (&report["restored"], &report["kept"]),
        (&json!(0), &json!(10)),
        "{report}"
    );
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_missing_items_are_reported_and_cause_no_failure() {
    let files = Files::new().await;
    let place = &files.place;
    files.add_missing("lost").await;
    let reported = place
        .holdfast(&["run", "content"])
        .expect(0)
        .saying(&["1 of 11 items", "--failed"]);
    assert!(
        reported.text().contains("10 of 11 items"),
        "{}",
        reported.text()
    );
    let id = id_of(&place.json(&["list"])[0]);
    let failed = place.json(&["show", &id, "--failed"]);
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(
        (&failed[0]["contentId"], &failed[0]["error"]["code"]),
        (&json!("lost"), &json!("not-found"))
    );
    let table = place.holdfast(&["show", &id, "--failed"]).expect(0).text();
    assert!(
        table.contains("not-found") && table.contains("1 item failed"),
        "{table}"
    );
    assert!(
        place
            .holdfast(&["show", &id])
            .expect(0)
            .text()
            .contains("--failed")
    );
    place
        .holdfast(&["verify", &id, "--level", "structure"])
        .expect(0);

    let folder = tempfile::tempdir().unwrap();
    let restored = place
        .holdfast(&["restore", "content", &id, "--to", text(folder.path())])
        .expect(0)
        .text();
    assert!(
        restored.contains("1 item was not in the backup") && restored.contains("not-found"),
        "{restored}"
    );
    files.assert_restored_in(folder.path());
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_with_too_many_failed_items_fails_with_the_reasons_of_its_items() {
    let files = Files::new().await;
    let place = &files.place;
    for n in 0..2 {
        files.add_missing(&format!("lost{n}")).await;
    }
    place
        .holdfast(&["run", "content"])
        .expect(1)
        .saying(&["too-many-failures", "--failed"]);
    assert!(place.json(&["list"]).is_empty());
    let jobs = place
        .catalog()
        .await
        .list(holdfast_catalog::JobFilter::default(), 1, 10)
        .await
        .unwrap()
        .0;
    let failed = place.json(&["show", jobs[0].backup_id.as_str(), "--failed"]);
    let ids: Vec<_> = failed
        .iter()
        .map(|item| item["contentId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["lost0", "lost1"]);
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_items_reports_it() {
    let files = Files::none().await;
    let reported = files.place.holdfast(&["run", "content"]).expect(0).text();
    assert!(
        reported.contains("0 items") && reported.contains("nothing to back up"),
        "{reported}"
    );
    let id = id_of(&files.place.json(&["list"])[0]);
    files
        .place
        .holdfast(&["verify", &id, "--level", "structure"])
        .expect(0);
    let folder = tempfile::tempdir().unwrap();
    files
        .place
        .holdfast(&["restore", "content", &id, "--to", text(folder.path())])
        .expect(0);
    let car = folder.path().join("car");
    files
        .place
        .holdfast(&["restore", "content", &id, "--to-car", text(&car)])
        .expect(4)
        .saying(&["IPFS blocks", "--to"]);
    assert!(!car.exists());
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_command_line_is_refused_with_its_usage() {
    let files = Files::new().await;
    let place = &files.place;
    let (content, database) = (id_of(&files.back_up()), place.back_up());
    for (words, said) in [
        (
            vec!["restore", "content", &content],
            vec!["--to", "--to-car"],
        ),
        (
            vec!["restore", "content", &content, "--to", "a", "--to-car", "b"],
            vec!["--to-car"],
        ),
        (
            vec!["restore", "content", "content_x", "--to", "a"],
            vec!["(db|content|full)_"],
        ),
        (
            vec!["restore", "content", &database, "--to", "a"],
            vec!["restore database"],
        ),
        (
            vec!["restore", "database", &content, "--yes"],
            vec!["restore content"],
        ),
        (vec!["show", &database, "--failed"], vec!["--failed"]),
        (vec!["run", "contents"], vec!["content"]),
    ] {
        place.holdfast(&words).expect(2).saying(&said);
    }
    let unknown = "content_1700000000000_0a0b0c0d";
    for words in [
        &["show", unknown][..],
        &["show", unknown, "--failed"],
        &["verify", unknown],
        &["restore", "content", unknown, "--to", "/no/such/place"],
        &["cancel", unknown],
    ] {
        place.holdfast(words).expect(4).saying(&[unknown]);
    }
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_of_a_file_is_found_and_never_restored() {
    let files = Files::new().await;
    let place = &files.place;
    let id = id_of(&files.back_up());
    let keys = place.keys().await;
    let key = keys
        .iter()
        .find(|key| key.starts_with("content/objects/"))
        .unwrap();
    let mut stored = place.object(key).await;
    let middle = stored.len() / 2;
    if stored.is_empty() {
        stored.push(1);
    } else {
        stored[middle] ^= 1;
    }
    place.put_object(key, stored).await;
    let found = place.holdfast(&["verify", &id, "--json"]).expect(6);
    assert!(found.text().contains(key.as_str()), "{}", found.text());
    let folder = tempfile::tempdir().unwrap();
    let reported = place
        .holdfast(&["restore", "content", &id, "--to", text(folder.path())])
        .expect(8);
    assert!(
        reported.text().contains("NOT restored"),
        "{}",
        reported.text()
    );
    for entry in fs::read_dir(folder.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some((id, _)) = name.split_once('_') {
            assert!(
                fs::read(folder.path().join(&name)).unwrap() == files.held[id],
                "{name}"
            );
        }
    }
    files.remove().await;
}
