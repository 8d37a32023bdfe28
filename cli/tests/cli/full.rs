//! Both at once: one command, two backups, one word on them.

use serde_json::{Value, json};

use super::{files::Files, place::Ended};

fn lines(ended: &Ended) -> Vec<Value> {
    ended
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_is_one_of_each_and_reports_both() {
    let files = Files::new().await;
    let place = &files.place;
    let reported = lines(&place.holdfast(&["run", "full", "--json"]).expect(0));
    let kinds: Vec<_> = reported
        .iter()
        .map(|job| {
            (
                job["type"].as_str().unwrap(),
                job["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("database", "completed"),
            ("content", "completed"),
            ("full", "completed")
        ]
    );
    let whole = &reported[2];
    assert_eq!(
        whole["parts"],
        json!([reported[0]["backupId"], reported[1]["backupId"]])
    );
    assert_eq!(
        (&reported[0]["parentId"], &reported[1]["parentId"]),
        (&whole["backupId"], &whole["backupId"])
    );
    assert_eq!(place.json(&["list"]).len(), 2);

    let id = whole["backupId"].as_str().unwrap();
    let shown = &place.json(&["show", id])[0];
    assert_eq!(
        (&shown["job"]["status"], &shown["parts"][0]["stored"]),
        (&json!("completed"), &json!(true)),
        "{shown}"
    );
    assert_eq!(shown["parts"].as_array().unwrap().len(), 2);
    let text = place.holdfast(&["show", id]).expect(0).text();
    assert!(
        text.contains("completed") && text.contains(reported[0]["backupId"].as_str().unwrap()),
        "{text}"
    );
    for words in [
        &["verify", id][..],
        &["restore", "content", id, "--to", "x"],
        &["restore", "database", id, "--yes"],
    ] {
        place
            .holdfast(words)
            .expect(2)
            .saying(&[reported[1]["backupId"].as_str().unwrap()]);
    }
    place
        .holdfast(&["cancel", id])
        .expect(5)
        .saying(&["completed"]);
    place
        .holdfast(&["show", "full_1700000000000_0a0b0c0d"])
        .expect(4);

    let text = place.holdfast(&["run", "full"]).expect(0).text();
    assert!(
        text.contains("documents in") && text.contains("10 items") && text.contains("parts"),
        "{text}"
    );
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_part_is_left_out_and_reported() {
    let mut files = Files::new().await;
    files
        .place
        .env
        .insert("BACKUP_CONTENT_ENABLED", "false".to_owned());
    let reported = files.place.holdfast(&["run", "full"]).expect(0).text();
    assert!(
        reported.contains("BACKUP_CONTENT_ENABLED=false"),
        "{reported}"
    );
    assert_eq!(files.place.json(&["list"]).len(), 1);
    files
        .place
        .holdfast(&["run", "content"])
        .expect(5)
        .saying(&["BACKUP_CONTENT_ENABLED"]);
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_fails_fails_the_whole_and_the_other_part_is_kept() {
    let files = Files::new().await;
    let place = &files.place;
    for n in 0..5 {
        files.add_missing(&format!("lost{n}")).await;
    }
    let ended = place
        .holdfast(&["run", "full", "--json"])
        .expect(1)
        .saying(&["too-many-failures", "--failed"]);
    let reported = lines(&ended);
    let kinds: Vec<_> = reported
        .iter()
        .map(|job| {
            (
                job["type"].as_str().unwrap(),
                job["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("database", "completed"),
            ("content", "failed"),
            ("full", "failed")
        ]
    );
    assert_eq!(place.json(&["list"]).len(), 1);
    let shown = place
        .holdfast(&["show", reported[2]["backupId"].as_str().unwrap()])
        .expect(0)
        .text();
    assert!(
        shown.contains("part-failed") && shown.contains("yes"),
        "{shown}"
    );
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_have_to_be_allowed() {
    let mut files = Files::new().await;
    files
        .place
        .env
        .insert("BACKUP_MAX_CONCURRENT", "1".to_owned());
    files
        .place
        .holdfast(&["run", "full"])
        .expect(3)
        .saying(&["BACKUP_MAX_CONCURRENT"]);
    assert!(files.place.json(&["list"]).is_empty());
    files.remove().await;
}
