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
    let config = the_api_reports_no_fault(&variant).await;
    for (name, shown) in [
        ("BACKUP_ENCRYPTION_KEY", "***"),
        ("BACKUP_DATABASE_ENCRYPTION", "true"),
    ] {
        assert_eq!(config[name], shown, "{config}");
    }
    a_request_fails(&variant, "BACKUP_ENCRYPTION_KEY").await;
    let id = a_tick_leaves_a_failed_job(&variant, "BACKUP_ENCRYPTION_KEY").await;
    variant.also_secret("the mended key", KEY);
    put_secret(&variant, "EncryptionKeySecretArn", KEY).await;
    failed_as_misconfigured(&variant.api.job(&id).await);
    assert_eq!(variant.api.back_up().await["encrypted"], true);
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
    the_api_reports_no_fault(&variant).await;
    a_request_fails(&variant, "MONGODB_URI").await;
    let id = a_tick_leaves_a_failed_job(&variant, "MONGODB_URI").await;
    failed_as_misconfigured(&variant.api.job(&id).await);
    variant.finish(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_catalogue_is_reported_and_stops_every_other_call() {
    let variant = Deployment::named("catalogue")
        .catalog_uri("postgres://ada:swordfish-swordfish@127.0.0.1/holdfast")
        .talkative()
        .deploy()
        .await;
    let configuration = configuration(&variant).await;
    let errors = configuration["validation"]["errors"].as_array().unwrap();
    assert_eq!(
        (errors.len(), &errors[0]["name"]),
        (1, &json!("BACKUP_CATALOG_URI")),
        "{configuration}"
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
    let catalog = variant.environment["BACKUP_CATALOG_URI"].clone();
    put_secret(&variant, "CatalogUriSecretArn", &catalog).await;
    let id = variant.api.back_up().await["backupId"].clone();
    variant.finish(id.as_str().unwrap()).await;
}

async fn configuration(variant: &Variant) -> Value {
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
    configuration
}

/// The API has neither the source nor the key, so it shows them and cannot validate them.
async fn the_api_reports_no_fault(variant: &Variant) -> Value {
    let configuration = configuration(variant).await;
    assert_eq!(
        configuration["validation"],
        json!({ "success": true, "errors": [], "warnings": [] })
    );
    configuration["config"].clone()
}

async fn a_request_fails(variant: &Variant, setting: &str) {
    let id = variant.api.triggered().await;
    let job = variant.api.settled(&id).await;
    failed_as_misconfigured(&job);
    let message = job["error"]["message"].as_str().unwrap();
    assert!(message.contains(setting), "{job}");
}

fn failed_as_misconfigured(job: &Value) {
    assert_eq!(
        (&job["status"], &job["error"]["code"]),
        (&json!("failed"), &json!("config-invalid")),
        "{job}"
    );
}

/// The next call reads the secret's new value.
async fn put_secret(variant: &Variant, parameter: &str, value: &str) {
    let secret =
        json!({ "SecretId": format!("{}/{parameter}", variant.name), "SecretString": value });
    variant
        .aws
        .json("secretsmanager", "secretsmanager.PutSecretValue", &secret)
        .await;
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
