//! Deployed verification: hourly, by the API, in a drill, under the function's own role. Damage
//! raises its alarm.

use std::time::Duration;

use holdfast_testing::s3_client;
use mongodb::bson::{Document, doc};
use serde_json::json;

use crate::{
    alarms,
    stage::{Deployment, Variant, event, fill_from_golden, until},
};

const KEY: &str = "7d1f0b3a5c7e9d2b4f6a8c0e1d3b5f7a9c2e4d6b8f0a1c3e5d7b9f1a3c5e7d9c";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_backup_is_drilled_hourly_verified_on_request_and_its_damage_is_reported() {
    let variant = Deployment::named("verification")
        .encrypted_under(KEY)
        .drilled()
        .talkative()
        .deploy()
        .await;
    fill_from_golden(&variant.source).await;
    let id = variant.api.back_up().await["backupId"]
        .as_str()
        .unwrap()
        .to_owned();

    let hour = variant
        .invoke("verification", &event("schedule-verification"))
        .await;
    assert!(
        !hour.failed && hour.payload["problems"] == json!([]),
        "{hour:?}"
    );
    let drill = &hour.payload["verified"][0];
    assert_eq!(
        (&drill["backupId"], &drill["level"]),
        (&json!(id), &json!("drill")),
        "{hour:?}"
    );
    assert_eq!(
        (&drill["status"], &drill["problems"]),
        (&json!("passed"), &json!([])),
        "{hour:?}"
    );
    assert_eq!(scratch(&variant, &id).await, [""; 0]);
    assert_eq!(variant.api.job(&id).await["verification"]["level"], "drill");

    let path = format!("/api/backups/jobs/{id}/verify");
    let at_once = variant
        .api
        .post(&path, "application/json", r#"{"level":"structure"}"#)
        .await
        .expect(200);
    assert_eq!(
        (&at_once.data()["status"], &at_once.data()["problems"]),
        (&json!("passed"), &json!([]))
    );
    variant
        .api
        .post(&path, "application/json", r#"{"level":"drill"}"#)
        .await
        .expect(202);
    until(
        "the drill that was asked for",
        Duration::from_mins(1),
        || async { (variant.api.job(&id).await["verification"]["level"] == "drill").then_some(()) },
    )
    .await;

    let key = variant.api.job(&id).await["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut bytes = variant.object(&key).await;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    s3_client()
        .put_object()
        .bucket(&variant.bucket)
        .key(&key)
        .body(bytes.into())
        .send()
        .await
        .unwrap();
    let mut asked = event("manual-verification");
    asked["detail"] = json!({ "backupId": id, "type": "database", "level": "checksum" });
    let found = variant.invoke("verification", &asked).await;
    assert_eq!(
        (found.failed, &found.payload["status"]),
        (false, &json!("failed")),
        "{found:?}"
    );
    assert!(
        found.payload["problems"][0]
            .as_str()
            .unwrap()
            .contains(&key),
        "{found:?}"
    );
    alarms::raised_by_what_was_emitted(&variant, &["-VerificationFailedAlarm"]).await;
    variant.finish(&id).await;
}

/// The remaining scratch databases of drills of this backup. Other tests may run drills too.
async fn scratch(variant: &Variant, id: &str) -> Vec<String> {
    let names = variant.server.client.list_database_names().await.unwrap();
    let mut left = Vec::new();
    for name in names
        .into_iter()
        .filter(|name| name.starts_with("holdfast_drill_") && name.ends_with("_beat"))
    {
        let beats = variant
            .server
            .client
            .database(&name)
            .collection::<Document>("beat");
        left.extend(
            beats
                .find_one(doc! { "of": id })
                .await
                .unwrap()
                .map(|_| name),
        );
    }
    left
}
