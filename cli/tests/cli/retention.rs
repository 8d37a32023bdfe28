//! Policies and cleaning up, from the terminal.

use serde_json::json;

use crate::place::{Place, uri_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_shown_stored_and_removed() {
    let place = Place::initialised().await;
    let shown = place.json(&["policy", "show"]);
    let default = json!({ "maxAgeDays": 30, "maxCount": 30, "minCount": 3 });
    assert_eq!(
        (&shown[0]["type"], &shown[0]["stored"], &shown[0]["policy"]),
        (&json!("database"), &json!(false), &default)
    );
    assert_eq!(
        (&shown[1]["type"], &shown[1]["policy"]),
        (&json!("content"), &default)
    );

    let set = [
        "policy",
        "set",
        "database",
        "--max-age-days",
        "7",
        "--min-count",
        "2",
        "--keep-weekly",
        "4",
    ];
    let set = place.json(&set);
    let expected = json!({ "maxAgeDays": 7, "maxCount": 30, "minCount": 2, "keepWeekly": 4 });
    assert_eq!(
        (&set[0]["policy"], &set[0]["updatedBy"]),
        (&expected, &json!("ada"))
    );
    let text = place.holdfast(&["policy", "show"]).expect(0).text();
    assert!(
        text.contains("stored by ada") && text.contains("7 days") && text.contains("4 weeks"),
        "{text}"
    );
    let all = place.json(&["policy", "set", "content", "--keep-all"]);
    assert_eq!(all[0]["policy"], json!({ "minCount": 3 }));

    place
        .holdfast(&["policy", "set", "database", "--min-count", "0"])
        .expect(2);
    place
        .holdfast(&[
            "policy",
            "set",
            "database",
            "--keep-all",
            "--max-count",
            "9",
        ])
        .expect(2);
    place.holdfast(&["policy", "set", "full"]).expect(2);
    let unset = place.json(&["policy", "unset", "database"]);
    assert_eq!(
        (&unset[0]["stored"], &unset[0]["policy"]),
        (&json!(false), &default)
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_are_listed_first_and_made_when_confirmed() {
    let place = Place::initialised().await;
    let (goes, stays) = (place.back_up(), place.back_up());
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
    let dry = place.json(&["cleanup", "--dry-run"]);
    let database = &dry[0]["plan"]["database"];
    assert_eq!(
        (
            &database["keep"],
            &database["delete"],
            &dry[0]["unreferenced"]
        ),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!(
        (
            &database["backups"][1]["backupId"],
            &database["backups"][0]["backupId"]
        ),
        (&json!(goes), &json!(stays))
    );
    assert_eq!(
        database["backups"][1]["reasons"],
        json!(["there is a newer good one, and the maximum is one"])
    );
    let text = place.holdfast(&["cleanup", "--dry-run"]).expect(0).text();
    assert!(
        text.contains("keeps 1 backup and deletes 1 backup") && text.contains(&goes),
        "{text}"
    );

    place
        .holdfast(&["cleanup"])
        .expect(5)
        .saying(&["--dry-run"]);
    assert_eq!(place.json(&["list"]).len(), 2);
    let done = place.holdfast(&["cleanup", "--yes"]).expect(0).text();
    assert!(
        done.contains(&format!("deleted {goes}")) && done.contains("1 left, 1 of them good"),
        "{done}"
    );
    assert_eq!(place.json(&["list"]).len(), 1);
    let again = place.json(&["cleanup", "--yes"]);
    assert_eq!(
        (
            &again[0]["database"]["deleted"],
            &again[0]["database"]["retained"]
        ),
        (&json!([]), &json!(1))
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_of_nothing_never_push_out_the_last_that_holds_something() {
    let mut place = Place::initialised().await;
    let empty = uri_of(&holdfast_testing::unique("misspelt"));
    let right = place.env.insert("MONGODB_URI", empty.clone()).unwrap();
    let before = place.back_up();
    place.env.insert("MONGODB_URI", right);
    place.holdfast(&["run", "database"]).expect(9);
    let real = place.json(&["list"])[0]["backupId"]
        .as_str()
        .unwrap()
        .to_owned();
    place.env.insert("MONGODB_URI", empty);
    place.holdfast(&["run", "database"]).expect(9);
    let after = place.json(&["list"])[0]["backupId"]
        .as_str()
        .unwrap()
        .to_owned();
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
    let plan = place.json(&["cleanup", "--dry-run"]).remove(0);
    let reported: Vec<_> = plan["plan"]["database"]["backups"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    let ids: Vec<_> = reported
        .iter()
        .map(|backup| backup["backupId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [&after, &real, &before]);
    let (good, verdicts): (Vec<_>, Vec<_>) = reported
        .iter()
        .map(|backup| (backup["isGood"].clone(), backup["verdict"].clone()))
        .unzip();
    assert_eq!(json!(good), json!([false, true, true]));
    assert_eq!(json!(verdicts), json!(["keep", "keep", "delete"]));
    assert!(
        reported[0]["reasons"]
            .to_string()
            .contains("it is empty, but"),
        "{}",
        reported[0]
    );
    place.holdfast(&["cleanup", "--yes"]).expect(0);
    place
        .holdfast(&["verify", &real, "--level", "structure"])
        .expect(0);
    assert_eq!(
        place.json(&["status"])[0]["statistics"]["database"]["lastGoodBackup"]["backupId"],
        json!(real)
    );
    place.remove().await;
}
