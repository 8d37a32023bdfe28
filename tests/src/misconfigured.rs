//! Wrong settings are reported by name, stop everything else, and are corrected without a new
//! deployment.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Caller, Deployment, Variant, event};

const NO_KEY: &str = "tooshort-to-be-a-key";
const KEY: &str = "7d1f0b3a5c7e9d2b4f6a8c0e1d3b5f7a9c2e4d6b8f0a1c3e5d7b9f1a3c5e7d9b";

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_key_is_reported_by_its_setting_and_nothing_is_backed_up() {
    let mut variant = Deployment::named("misconfigured")
        .encrypted_under(NO_KEY)
        .talkative()
        .deploy()
        .await;
    let validation = validation(&variant).await;
    assert_eq!(validation["success"], false);
    let errors = validation["errors"].as_array().unwrap();
    assert_eq!(
        (errors.len(), &errors[0]["name"]),
        (1, &json!("BACKUP_ENCRYPTION_KEY")),
        "{validation}"
    );
    assert!(
        errors[0]["message"]
            .as_str()
            .unwrap()
            .contains("64 hex digits"),
        "{validation}"
    );
    for path in [
        "/status",
        "/jobs",
        "/jobs/db_1_a",
        "/list",
        "/openapi.json",
        "/nothing",
    ] {
        variant
            .api
            .get(&format!("/api/backups{path}"))
            .await
            .expect_refusal(503, "CONFIG_INVALID");
    }
    variant
        .api
        .trigger()
        .await
        .expect_refusal(503, "CONFIG_INVALID");
    for caller in [Caller::Stranger, Caller::Creator] {
        let refused = variant
            .api
            .call(caller, Method::POST, "/api/backups/database")
            .await;
        refused.expect_refusal(403, "FORBIDDEN");
    }
    let id = a_tick_leaves_a_failed_job(&variant, "BACKUP_ENCRYPTION_KEY").await;
    variant.also_secret("the mended key", KEY);
    mended_it_works(&variant, &id).await;
    variant.finish(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_no_mongodb_is_reported_and_its_tick_leaves_a_failed_job() {
    let uri = "postgres://ada:swordfish-swordfish@127.0.0.1/platform";
    let variant = Deployment::named("postgres")
        .source_uri(uri)
        .talkative()
        .deploy()
        .await;
    let validation = validation(&variant).await;
    let errors = validation["errors"].as_array().unwrap();
    assert_eq!(
        (errors.len(), &errors[0]["name"]),
        (1, &json!("MONGODB_URI")),
        "{validation}"
    );
    variant
        .api
        .trigger()
        .await
        .expect_refusal(503, "CONFIG_INVALID");
    let id = a_tick_leaves_a_failed_job(&variant, "MONGODB_URI").await;
    let row = variant
        .rows("backup_jobs")
        .find_one(mongodb::bson::doc! { "_id": &id })
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get_str("status").unwrap(), "failed", "{row}");
    variant.finish(&id).await;
}

async fn validation(variant: &Variant) -> Value {
    let configuration = variant
        .api
        .get("/api/backups/config")
        .await
        .expect(200)
        .data()
        .clone();
    for secret in ["MONGODB_URI", "BACKUP_CATALOG_URI"] {
        assert_eq!(configuration["config"][secret], "***", "{configuration}");
    }
    configuration["validation"].clone()
}

async fn a_tick_leaves_a_failed_job(variant: &Variant, setting: &str) -> String {
    let answer = variant
        .invoke("database-backup", &event("schedule-database"))
        .await;
    assert!(!answer.failed, "{answer:?}");
    let said = &answer.payload;
    assert_eq!(
        (&said["status"], &said["error"]["code"]),
        (&json!("failed"), &json!("config-invalid")),
        "{said}"
    );
    assert!(
        said["error"]["message"].as_str().unwrap().contains(setting),
        "{said}"
    );
    assert_eq!(variant.keys().await, [""; 0]);
    said["backupId"].as_str().unwrap().to_owned()
}

/// The next call reads the secret's new value, and the failed job is visible.
async fn mended_it_works(variant: &Variant, id: &str) {
    let secret = json!({ "SecretId": format!("{}/EncryptionKeySecretArn", variant.name), "SecretString": KEY });
    variant
        .aws
        .json("secretsmanager", "secretsmanager.PutSecretValue", &secret)
        .await;
    assert_eq!(
        validation(variant).await,
        json!({ "success": true, "errors": [], "warnings": [] })
    );
    let job = variant.api.job(id).await;
    assert_eq!(
        (&job["status"], &job["error"]["code"]),
        (&json!("failed"), &json!("config-invalid")),
        "{job}"
    );
    assert_eq!(variant.api.back_up().await["encrypted"], true);
}
