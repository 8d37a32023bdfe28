//! Reports of a deployment, under its own roles: statistics, all metadata behind a link, and growth
//! with its alarm.

use holdfast_domain::Timestamp;
use mongodb::bson::{DateTime, Document, doc};
use serde_json::{Value, json};

use crate::{
    alarms,
    stage::{Deployment, Variant, fill_from_golden},
};

const MIB: i64 = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn all_metadata_are_behind_a_link_and_a_backup_that_grew_raises_its_alarm() {
    let variant = Deployment::named("grown")
        .encrypted_under(&hex::encode([9; 32]))
        .deploy()
        .await;
    fill_from_golden(&variant.source).await;
    let job = variant.api.back_up().await;
    let id = job["backupId"].as_str().unwrap();
    let export = variant
        .api
        .post("/api/backups/export", "application/json", "{}")
        .await
        .expect(200)
        .data()
        .clone();
    the_link_brings_the_export(&variant, &export, &job).await;
    let told = variant
        .operator(&["--json", "status"])
        .await
        .expect(0)
        .text();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        told["statistics"]["database"]["lastGoodBackup"]["backupId"],
        json!(id),
        "{told}"
    );

    assert_eq!(
        variant.sweep().await["databaseMeasured"]["growthPercent"],
        json!(null),
        "it is the first"
    );
    let now = DateTime::now().timestamp_millis();
    let week = (1..=7).map(|number| row(number, now - number * 20 * 3_600_000, 200 * MIB));
    let rows: Vec<Document> = week.chain([row(0, now + 60_000, 400 * MIB)]).collect();
    variant.rows("backup_jobs").insert_many(rows).await.unwrap();
    let swept = variant.sweep().await;
    let measured = &swept["databaseMeasured"];
    assert_eq!(
        (&measured["backups"], &swept["databaseHoursOverdue"]),
        (&json!(9), &json!(0.0)),
        "{swept}"
    );
    assert!(
        measured["growthPercent"].as_f64().unwrap() > 50.0,
        "{swept}"
    );
    alarms::raised_by_what_was_emitted(&variant, &["-StorageGrowthAlarm"]).await;
    variant.finish(id).await;
}

async fn the_link_brings_the_export(variant: &Variant, export: &Value, job: &Value) {
    let fetched = reqwest::get(export["link"]["url"].as_str().unwrap())
        .await
        .unwrap();
    assert_eq!(fetched.status(), 200, "{export}");
    let fetched = fetched.bytes().await.unwrap();
    assert_eq!(
        fetched,
        variant.object(export["key"].as_str().unwrap()).await
    );
    assert_eq!(export["size"], fetched.len());
    let document: Value = serde_json::from_slice(&fetched).unwrap();
    assert_eq!(
        (&document["jobs"], &document["counts"]["jobs"]),
        (&json!([job]), &json!(1)),
        "{document}"
    );
    let ends: Timestamp = export["link"]["expiresAt"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(ends > Timestamp::now(), "{export}");
}

/// A completed backup of this size, as a row.
fn row(number: i64, created_ms: i64, size: i64) -> Document {
    let at = DateTime::from_millis(created_ms);
    doc! {
        "_id": format!("db_{created_ms}_0000000{number}"), "type": "database", "status": "completed",
        "trigger": { "kind": "schedule" }, "fence": 1_i64, "createdAt": at, "startedAt": at, "completedAt": at,
        "durationMs": 1_i64, "originalSize": 2 * size, "size": size, "compressed": true, "encrypted": true,
    }
}
