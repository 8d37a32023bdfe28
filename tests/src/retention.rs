//! Deployed retention: planned and requested by the API, run by its schedule's event, under the
//! function's role.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{Deployment, event, fill_from_golden, until};

#[tokio::test(flavor = "multi_thread")]
async fn expired_backups_are_planned_then_deleted_and_the_rest_is_complete() {
    let key = hex::encode([7; 32]);
    let variant = Deployment::named("retention")
        .encrypted_under(&key)
        .with("DatabaseRetentionDays", "7")
        .deploy()
        .await;
    fill_from_golden(&variant.source).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(
            variant.api.back_up().await["backupId"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    let plan = async || {
        let answered = variant
            .api
            .post(
                "/api/backups/cleanup",
                "application/json",
                r#"{"dryRun":true}"#,
            )
            .await;
        answered.expect(200).data()["plan"]["database"].clone()
    };
    let by_settings = plan().await;
    assert_eq!(
        (&by_settings["policy"]["maxAgeDays"], &by_settings["delete"]),
        (&json!(7), &json!(0)),
        "{by_settings}"
    );

    let set = [
        "policy",
        "set",
        "database",
        "--max-count",
        "2",
        "--min-count",
        "1",
    ];
    variant.operator(&set).await.expect(0);
    let planned = plan().await;
    assert_eq!(
        (&planned["origin"], &planned["delete"]),
        (&json!("stored"), &json!(1)),
        "{planned}"
    );
    let asked = variant
        .api
        .post("/api/backups/cleanup", "application/json", "{}")
        .await
        .expect(202);
    assert_eq!(asked.data()["dryRun"], false, "{asked:?}");
    until("a deleted backup", Duration::from_mins(1), || async {
        let job = variant.api.job(&ids[0]).await;
        (job["status"] == "deleted").then_some(())
    })
    .await;

    variant
        .operator(&[
            "policy",
            "set",
            "database",
            "--max-count",
            "1",
            "--min-count",
            "1",
        ])
        .await
        .expect(0);
    let by_schedule = variant
        .invoke("retention", &event("schedule-retention"))
        .await;
    let report: &Value = &by_schedule.payload["database"];
    assert!(
        !by_schedule.failed && by_schedule.payload["problems"] == json!([]),
        "{by_schedule:?}"
    );
    assert_eq!(
        (&report["retained"], &report["problems"]),
        (&json!(1), &json!([])),
        "{by_schedule:?}"
    );
    let keys = variant.keys().await;
    for (id, stays) in [(&ids[0], false), (&ids[1], false), (&ids[2], true)] {
        assert_eq!(
            keys.iter().any(|key| key.contains(id.as_str())),
            stays,
            "{id}: {keys:?}"
        );
    }
    variant
        .operator(&["verify", &ids[2], "--level", "structure"])
        .await
        .expect(0);
    variant.finish(&ids[2]).await;
}
