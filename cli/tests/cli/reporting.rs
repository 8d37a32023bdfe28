//! Holdfast's reports on the terminal: status and export.

use serde_json::json;

use crate::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn status_reports_an_empty_and_a_filled_place() {
    let place = Place::initialised().await;
    let empty = place.holdfast(&["status"]).expect(0).text();
    for expected in ["last good", "none", "there was none yet"] {
        assert!(empty.contains(expected), "{expected}: {empty}");
    }
    assert!(!empty.contains("NaN"), "{empty}");
    let id = place.back_up();
    let text = place.holdfast(&["status"]).expect(0).text();
    for expected in [id.as_str(), "100% of 1 in 7 days", "1 backup, "] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let document = place.json(&["status"]);
    assert_eq!(
        document[0]["statistics"]["database"]["lastGoodBackup"]["backupId"],
        json!(id)
    );
    assert_eq!(document[0]["status"]["database"]["hoursOverdue"], 0.0);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_in_the_store_and_behind_its_link() {
    let place = Place::initialised().await;
    let id = place.back_up();
    let told = place.json(&["export"]).remove(0);
    assert_eq!(
        (&told["jobs"], &told["unreadable"]),
        (&json!(1), &json!(0)),
        "{told}"
    );
    let key = told["key"].as_str().unwrap();
    assert!(key.starts_with("exports/backup_metadata_"), "{told}");
    let object = holdfast_testing::s3_client()
        .get_object()
        .bucket(&place.bucket)
        .key(format!("repository/{key}"));
    let bytes = object
        .send()
        .await
        .unwrap()
        .body
        .collect()
        .await
        .unwrap()
        .into_bytes();
    assert_eq!(told["size"], bytes.len());
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(document["jobs"][0]["backupId"], json!(id));
    let text = place.holdfast(&["export"]).expect(0).text();
    assert!(
        text.contains("X-Amz-Expires=900") && text.contains("at the latest"),
        "{text}"
    );
    place.remove().await;
}
