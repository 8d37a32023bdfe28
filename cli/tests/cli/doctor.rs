//! `holdfast doctor`: it leaves nothing in a sound installation. It names each problem with its
//! remedy.

use serde_json::Value;

use crate::place::{Place, UNREACHABLE, uri_of};

const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";
const OTHER_KEY: &str = "0808080808080808080808080808080808080808080808080808080808080808";

async fn with_gateway() -> Place {
    let mut place = Place::new().await;
    let gateway = holdfast_testing::parts().ipfs_node().address().to_owned();
    place.env.insert("BACKUP_IPFS_GATEWAYS", gateway);
    place
}

/// The doctor's findings. It must exit with this code.
#[track_caller]
fn examined(place: &Place, exit: i32) -> Vec<Value> {
    let ended = place.holdfast(&["doctor", "--json"]).expect(exit);
    let document: Value = serde_json::from_slice(&ended.stdout).unwrap();
    document["findings"].as_array().unwrap().clone()
}

/// Each finding that is not good, prefixed by its part.
fn complaints(findings: &[Value]) -> Vec<String> {
    let complaints = findings
        .iter()
        .filter(|finding| finding["health"] != "good");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    complaints
        .map(|finding| {
            let [part, health] = ["part", "health"].map(|name| text(&finding[name]));
            let [found, advice] = ["found", "advice"].map(|name| text(&finding[name]));
            format!("{health} {part}: {found} -> {advice}")
        })
        .collect()
}

#[track_caller]
fn assert_reported(complaints: &[String], part: &str, words: &[&str]) {
    let is_told = |reported: &&String| {
        reported.starts_with(part) && words.iter().all(|word| reported.contains(word))
    };
    assert!(
        complaints.iter().any(|reported| is_told(&reported)),
        "{part} {words:?} is not in {complaints:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_installation_is_reported_part_by_part_and_nothing_is_left() {
    let mut place = with_gateway().await;
    place.env.insert(
        "BACKUP_CONTENT_ALLOWED_ORIGINS",
        place.env["BACKUP_IPFS_GATEWAYS"].clone(),
    );
    place
        .env
        .insert("BACKUP_DRILL_URI", place.env["MONGODB_URI"].clone());
    place
        .env
        .insert("BACKUP_CLOUD_BUCKET", format!("{}/second", place.bucket));
    place.holdfast(&["init"]).expect(0);
    let keys = place.keys().await;
    let findings = examined(&place, 0);
    // The second store has no repository before the first copy.
    assert_eq!(complaints(&findings), Vec::<String>::new());
    for part in [
        "database",
        "dump engine",
        "clock",
        "catalogue",
        "store",
        "keys",
        "second store",
        "drill server",
    ] {
        assert!(
            findings.iter().any(|finding| finding["part"] == part),
            "{part}: {findings:#?}"
        );
    }
    assert_eq!(place.keys().await, keys);
    let catalog = place
        .client
        .database(&place.catalog().await.location().database);
    let rows = catalog.collection::<bson::Document>("backup_verifications");
    assert_eq!(rows.count_documents(bson::doc! {}).await.unwrap(), 0);

    let second = place.env["BACKUP_CLOUD_BUCKET"].clone();
    place
        .holdfast(&["init", "--store", &format!("s3://{second}")])
        .expect(0);
    assert_reported(
        &complaints(&examined(&place, 1)),
        "bad second store: ",
        &[&second, "BACKUP_CLOUD_BUCKET"],
    );
    for file in ["repository.json", "repository.copy.json"] {
        let deleting = holdfast_testing::s3_client()
            .delete_object()
            .bucket(&place.bucket);
        deleting.key(format!("second/{file}")).send().await.unwrap();
    }

    place.env.remove("BACKUP_CLOUD_BUCKET");
    let reported = place.holdfast(&["doctor"]).expect(0).text();
    assert!(
        reported.contains("ok    store") && reported.contains("No problems."),
        "{reported}"
    );
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_away_is_named_each_with_what_to_do() {
    let mut place = with_gateway().await;
    place.env.insert("MONGODB_URI", UNREACHABLE.to_owned());
    place
        .env
        .insert("BACKUP_CATALOG_URI", UNREACHABLE.to_owned());
    place.env.insert("BACKUP_DRILL_URI", UNREACHABLE.to_owned());
    place
        .env
        .insert("BACKUP_STORE", "s3://holdfast-no-such-bucket".to_owned());
    place.env.insert(
        "BACKUP_IPFS_GATEWAYS",
        holdfast_testing::parts().aws_endpoint.clone(),
    );
    place.env.insert(
        "BACKUP_CONTENT_ALLOWED_ORIGINS",
        "http://127.0.0.1:9".to_owned(),
    );
    let reported = complaints(&examined(&place, 1));
    assert_reported(&reported, "bad database: ", &["127.0.0.1:9", "MONGODB_URI"]);
    assert_reported(&reported, "bad catalogue: ", &["retry"]);
    assert_reported(&reported, "bad drill server: ", &["BACKUP_DRILL_URI"]);
    assert_reported(&reported, "bad store: ", &["holdfast-no-such-bucket"]);
    assert_reported(
        &reported,
        "warning IPFS gateway: ",
        &["BACKUP_IPFS_GATEWAYS"],
    );
    assert_reported(
        &reported,
        "bad IPFS gateway: no gateway",
        &["no file on IPFS can be backed up"],
    );
    assert_reported(
        &reported,
        "warning origin: ",
        &["127.0.0.1:9", "BACKUP_CONTENT_ALLOWED_ORIGINS"],
    );
    assert!(!reported.concat().contains("hunter2"), "{reported:#?}");
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_repository_an_empty_database_and_wrong_settings_are_reported() {
    let mut place = with_gateway().await;
    place
        .env
        .insert("MONGODB_URI", uri_of(&holdfast_testing::unique("misspelt")));
    let reported = complaints(&examined(&place, 1));
    assert_reported(&reported, "bad store: ", &["holdfast init"]);
    assert_reported(
        &reported,
        "warning database: ",
        &["holds nothing", "misspelt"],
    );
    place.env.insert("BACKUP_MAX_CONCURRENT", "0".to_owned());
    place.env.insert("BACKUP_DUMP_ENGINE", "pg_dump".to_owned());
    place
        .holdfast(&["doctor"])
        .expect(3)
        .saying(&["BACKUP_MAX_CONCURRENT", "BACKUP_DUMP_ENGINE"]);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_useless_key_and_a_key_without_a_copy_are_reported() {
    let mut place = with_gateway().await;
    place
        .env
        .insert("BACKUP_DATABASE_ENCRYPTION", "true".to_owned());
    place.env.insert("BACKUP_ENCRYPTION_KEY", KEY.to_owned());
    place.holdfast(&["init"]).expect(0);
    let reported = complaints(&examined(&place, 0));
    assert!(reported.len() == 1, "{reported:#?}");
    assert_reported(
        &reported,
        "warning keys: ",
        &["no offline recipient", "holdfast key export"],
    );
    place
        .env
        .insert("BACKUP_ENCRYPTION_KEY", OTHER_KEY.to_owned());
    let reported = complaints(&examined(&place, 1));
    assert_reported(&reported, "bad keys: ", &["epoch 1", "does not open"]);
    place.remove().await;
}
