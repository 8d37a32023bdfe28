//! Cleanups that are planned and dispatched by a call, on the real parts.

use holdfast_domain::ObjectKey;
use serde_json::json;

use super::{call, event, served::Stage};

#[tokio::test]
async fn a_field_that_is_given_twice_starts_no_cleanup() {
    let stage = Stage::new(&[]).await;
    for body in [
        r#"{"dryRun":true,"dryRun":false}"#,
        r#"{"dryRun":true,"dryRun":true}"#,
    ] {
        let mut asked = event("api-post-cleanup");
        asked["body"] = json!(body);
        let refused = call(&stage.function, &asked).await;
        assert_eq!(
            (refused.status, refused.code()),
            (400, "INVALID_REQUEST"),
            "{}",
            refused.body
        );
        assert_eq!(refused.body["data"]["field"], "dryRun", "{}", refused.body);
    }
    stage.remove().await;
}

#[tokio::test]
async fn a_cleanup_is_planned_and_dispatched() {
    let stage = Stage::new(&[]).await;
    let id = "db_1500000000000_0a";
    let broken = ObjectKey::manifest(&id.parse().unwrap());
    let key = format!("{}/{broken}", stage.store.prefix);
    let body = b"{}".to_vec().into();
    stage
        .store
        .client
        .put_object()
        .bucket(&stage.store.bucket)
        .key(key)
        .body(body)
        .send()
        .await
        .unwrap();
    let planned = call(&stage.function, &event("api-post-cleanup")).await;
    assert_eq!(
        (planned.status, &planned.body["data"]["dryRun"]),
        (200, &json!(true)),
        "{}",
        planned.body
    );
    let database = &planned.body["data"]["plan"]["database"];
    assert_eq!(
        (&database["origin"], &database["policy"]["maxAgeDays"]),
        (&json!("settings"), &json!(30))
    );
    assert_eq!(
        (&database["keep"], &database["backups"][0]["backupId"]),
        (&json!(1), &json!(id)),
        "{database}"
    );
    let mut asked = event("api-post-cleanup");
    asked["body"] = json!("{}");
    let asked = call(&stage.function, &asked).await;
    assert_eq!(
        (asked.status, &asked.body["data"]["dryRun"]),
        (202, &json!(false)),
        "{}",
        asked.body
    );
    for (body, field) in [
        (r#"{"dryRun":"yes"}"#, "dryRun"),
        (r#"{"dryrun":true}"#, "dryrun"),
        ("[]", "body"),
    ] {
        let mut wrong = event("api-post-cleanup");
        wrong["body"] = json!(body);
        let refused = call(&stage.function, &wrong).await;
        assert_eq!(
            (refused.status, &refused.body["data"]["field"]),
            (400, &json!(field)),
            "{}",
            refused.body
        );
    }
    stage.remove().await;
}

#[tokio::test]
async fn an_undispatched_or_disabled_cleanup_is_refused() {
    let nowhere = (
        "BACKUP_EVENT_BUS",
        "arn:aws:events:us-east-1:000000000000:rule/there-is-none",
    );
    for (setting, code) in [
        (nowhere, "HANDOVER_FAILED"),
        (("BACKUP_SYSTEM_ENABLED", "false"), "DISABLED"),
    ] {
        let stage = Stage::new(&[setting]).await;
        let mut asked = event("api-post-cleanup");
        asked["body"] = json!("{}");
        let refused = call(&stage.function, &asked).await;
        assert_eq!(
            (refused.status, refused.code()),
            (503, code),
            "{}",
            refused.body
        );
        assert_eq!(
            call(&stage.function, &event("api-post-cleanup"))
                .await
                .status,
            200,
            "a plan changes nothing"
        );
        stage.remove().await;
    }
}
