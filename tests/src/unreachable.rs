//! An unreadable source fails the job in seconds, with a precise reason.

use std::time::{Duration, Instant};

use holdfast_testing::{parts, unique};
use serde_json::{Value, json};

use crate::{
    alarms,
    stage::{Deployment, Variant},
};

const PASSWORD: &str = "swordfish-swordfish";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_fails_the_job_in_seconds_and_raises_the_alarms() {
    let uri = format!("mongodb://ada:{PASSWORD}@127.0.0.1:9/platform?directConnection=true");
    let variant = Deployment::named("unreachable")
        .source_uri(&uri)
        .talkative()
        .deploy()
        .await;
    let job = fails(&variant, "source-unreachable").await;
    assert!(
        job["error"]["message"]
            .as_str()
            .unwrap()
            .contains("127.0.0.1:9"),
        "{job}"
    );
    let swept = variant.sweep().await;
    assert!(swept["databaseHoursOverdue"].is_number(), "{swept}");
    alarms::raised_by_what_was_emitted(&variant, &["BackupFailedAlarm", "BackupOverdueAlarm"])
        .await;
    variant.finish(job["backupId"].as_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_reported_as_such() {
    let (_, rest) = parts().mongodb_uri.split_once("://").unwrap();
    let hosts = rest.split('/').next().unwrap().rsplit('@').next().unwrap();
    let uri = format!(
        "mongodb://ada:{PASSWORD}@{hosts}/{}?directConnection=true",
        unique("platform")
    );
    let variant = Deployment::named("denied")
        .source_uri(&uri)
        .talkative()
        .deploy()
        .await;
    let job = fails(&variant, "source-denied").await;
    variant.finish(job["backupId"].as_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_connection_string_is_reported_as_such() {
    let uri = format!("mongodb://ada:{PASSWORD}@127.0.0.1:port/platform");
    let variant = Deployment::named("malformed")
        .source_uri(&uri)
        .talkative()
        .deploy()
        .await;
    let job = fails(&variant, "config-invalid").await;
    variant.finish(job["backupId"].as_str().unwrap()).await;
}

/// Backs up, and returns the job. It failed with this code and left nothing.
pub(crate) async fn fails(variant: &Variant, code: &str) -> Value {
    let began = Instant::now();
    let job = variant.api.settled(&variant.api.triggered().await).await;
    assert!(
        began.elapsed() < Duration::from_mins(1),
        "it took {:?}",
        began.elapsed()
    );
    assert_eq!(
        (&job["status"], &job["error"]["code"]),
        (&json!("failed"), &json!(code)),
        "{job}"
    );
    assert!(job["error"]["hint"].is_string(), "{job}");
    let stored = variant.keys().await;
    assert!(
        stored.iter().all(|key| !key.starts_with("database/")),
        "{stored:?}"
    );
    assert_eq!(variant.unfinished_uploads().await, [0_usize; 0]);
    assert_eq!(variant.leases().await, 0);
    job
}
