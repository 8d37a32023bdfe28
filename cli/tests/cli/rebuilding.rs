//! `holdfast catalog rebuild`: its output and its exit codes.

use std::fs;

use serde_json::json;

use super::{
    files::Files,
    place::{Place, UNREACHABLE},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_catalogue_is_rebuilt_and_unknown_facts_are_reported() {
    let files = Files::new().await;
    let place = &files.place;
    place.holdfast(&["run", "full"]).expect(0);
    place.lose_the_catalogue().await;

    let reported = place
        .holdfast(&["catalog", "rebuild", "--dry-run"])
        .expect(0)
        .text();
    assert!(
        reported.contains("3 backups would be added") && reported.contains("10 items"),
        "{reported}"
    );
    assert!(
        !reported.contains("retention")
            && place
                .catalog()
                .await
                .backups_with_items()
                .await
                .unwrap()
                .is_empty()
    );
    let reported = place.holdfast(&["catalog", "rebuild"]).expect(0);
    assert_eq!(reported.stderr, "", "quiet without a terminal");
    let reported = reported.text();
    for expected in [
        "3 backups added",
        "9 sources",
        "0 already existed",
        "  added full_",
        "stored retention policies",
        "Retention of database and content backups is SUSPENDED",
        "`holdfast policy set database`, `holdfast policy set content`",
        "`holdfast policy unset database`, `holdfast policy unset content`",
        "retention deletes none",
    ] {
        assert!(reported.contains(expected), "{expected}: {reported}");
    }

    let again = &place.json(&["catalog", "rebuild"])[0];
    assert_eq!(
        (&again["added"], &again["stood"], &again["unread"]),
        (&json!([]), &json!(2), &json!([])),
        "{again}"
    );
    assert_eq!(
        (&again["dryRun"], &again["retentionDeletes"]),
        (&json!(false), &json!(0)),
        "{again}"
    );
    let reported = place.holdfast(&["catalog", "rebuild"]).expect(0).text();
    assert!(
        reported.contains("0 backups added") && reported.contains("SUSPENDED"),
        "{reported}"
    );
    for kind in ["database", "content"] {
        place.holdfast(&["policy", "unset", kind]).expect(0);
    }
    let reported = place.holdfast(&["catalog", "rebuild"]).expect(0).text();
    assert!(
        reported.contains("0 backups added") && reported.lines().count() == 1,
        "{reported}"
    );
    let plan = place.holdfast(&["cleanup", "--dry-run"]).expect(0).text();
    assert!(!plan.contains("the catalogue has no job"), "{plan}");
    files.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_is_suspended_after_a_rebuild_until_the_settings_are_confirmed() {
    let place = Place::initialised().await;
    for _ in 0..2 {
        place.back_up();
    }
    place.lose_the_catalogue().await;
    place.holdfast(&["catalog", "rebuild"]).expect(0);
    let remedy = "holdfast policy unset database";
    for words in [["cleanup", "--dry-run"], ["cleanup", "--yes"]] {
        let reported = place.holdfast(&words).expect(9).text();
        assert!(
            reported.contains("suspended") && reported.contains(remedy),
            "{reported}"
        );
    }
    let reported = place.holdfast(&["policy", "show"]).expect(0).text();
    assert!(
        reported.contains(remedy) && !reported.contains("holdfast policy unset content"),
        "{reported}"
    );
    assert!(place.holdfast(&["doctor"]).text().contains(remedy));
    let shown = &place.json(&["policy", "unset", "database"])[0];
    assert_eq!(
        (&shown["stored"], &shown["unconfirmedSince"]),
        (&json!(false), &json!(null)),
        "{shown}"
    );
    place.holdfast(&["cleanup", "--yes"]).expect(0);
    assert!(!place.holdfast(&["doctor"]).text().contains("suspended"));
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_reports_deletions_before_it_makes_them() {
    let place = Place::initialised().await;
    for _ in 0..3 {
        place.back_up();
    }
    place.lose_the_catalogue().await;
    place
        .holdfast(&[
            "policy",
            "set",
            "database",
            "--max-count",
            "1",
            "--min-count",
            "1",
        ])
        .expect(0);
    let reported = place.holdfast(&["catalog", "rebuild"]).expect(0).text();
    assert!(
        reported.contains("DELETES 2 backups") && !reported.contains("SUSPENDED"),
        "{reported}"
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_backups_come_back_by_what_is_kept_offline_and_not_without() {
    let mut place = Place::new().await;
    place
        .env
        .insert("BACKUP_DATABASE_ENCRYPTION", "true".to_owned());
    place.env.insert("BACKUP_ENCRYPTION_KEY", "07".repeat(32));
    place.holdfast(&["init"]).expect(0);
    let id = place.back_up();
    let exported = place.holdfast(&["key", "export", "--yes"]).expect(0).stdout;
    place.lose_the_catalogue().await;

    place.env.insert("BACKUP_ENCRYPTION_KEY", "ab".repeat(32));
    let reported = place.holdfast(&["catalog", "rebuild"]).expect(3).text();
    for expected in [
        "0 backups added",
        &format!("NOT ADDED {id}"),
        "epoch 1",
        "BACKUP_ENCRYPTION_KEY",
        "--exported",
    ] {
        assert!(reported.contains(expected), "{expected}: {reported}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exported");
    fs::write(&file, exported).unwrap();
    let reported = place
        .holdfast(&["catalog", "rebuild", "--exported", file.to_str().unwrap()])
        .expect(0)
        .text();
    assert!(reported.contains(&format!("added {id}")), "{reported}");
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_reported_with_its_own_exit_code() {
    let place = Place::initialised().await;
    let (broken, dumpless) = (place.back_up(), place.back_up());
    place
        .put_object(&format!("database/{broken}/manifest.json"), b"{".to_vec())
        .await;
    let keys = place.keys().await;
    let dump = keys
        .iter()
        .find(|key| key.contains(&dumpless) && key.contains("dump."))
        .unwrap();
    place.put_object(dump, b"short".to_vec()).await;
    place.lose_the_catalogue().await;
    let reported = place.holdfast(&["catalog", "rebuild"]).expect(6).text();
    assert!(
        reported.contains(&format!("NOT ADDED {broken}")),
        "{reported}"
    );
    assert!(
        reported.contains(&format!("DAMAGED {dumpless}")) && reported.contains("holdfast verify"),
        "{reported}"
    );
    let shown = &place.json(&["show", &dumpless])[0];
    assert_eq!(shown["job"]["verification"]["status"], "failed", "{shown}");
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_for_a_rebuild_is_named() {
    let mut place = Place::new().await;
    place
        .holdfast(&["catalog", "rebuild"])
        .expect(4)
        .saying(&["holdfast init"]);
    place.holdfast(&["catalog"]).expect(2).saying(&["rebuild"]);
    place.holdfast(&["init"]).expect(0);
    let script = place.holdfast(&["completions", "bash"]).expect(0).text();
    assert!(script.contains("catalog") && script.contains("rebuild"));
    let catalogue = place
        .env
        .insert("BACKUP_CATALOG_URI", UNREACHABLE.to_owned())
        .unwrap();
    place
        .holdfast(&["catalog", "rebuild"])
        .expect(7)
        .saying(&["catalogue"]);
    place.env.insert("BACKUP_CATALOG_URI", catalogue);
    place.remove().await;
}
