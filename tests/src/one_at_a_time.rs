//! A source has one backup at a time.

use serde_json::json;

use crate::stage::{Deployment, fill_with_noise};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_calls_at_once_one_is_taken_and_while_it_runs_every_other_is_refused() {
    let variant = Deployment::named("one").deploy().await;
    fill_with_noise(&variant.server, &variant.source, 64).await;
    let (first, second) = tokio::join!(variant.api.trigger(), variant.api.trigger());
    let (taken, refused) = if first.status == 202 {
        (first, second)
    } else {
        (second, first)
    };
    let id = taken.expect(202).data()["backupId"]
        .as_str()
        .unwrap()
        .to_owned();
    refused.expect_refusal(409, "ALREADY_RUNNING");
    assert_eq!(refused.data()["backupId"], id.as_str(), "{refused:?}");

    let again = variant.api.trigger().await;
    let running = variant.api.job(&id).await;
    assert!(
        ["pending", "running"]
            .iter()
            .any(|status| running["status"] == *status),
        "{running}"
    );
    again.expect_refusal(409, "ALREADY_RUNNING");

    assert_eq!(variant.api.settled(&id).await["status"], "completed");
    let jobs = variant.api.get("/api/backups/jobs").await.expect(200);
    assert_eq!(
        jobs.data()["pagination"]["total"],
        1,
        "a refused call leaves no job: {jobs:?}"
    );
    variant.api.back_up().await;
    assert_eq!(variant.leases().await, 0);
    let status = variant
        .api
        .get("/api/backups/status")
        .await
        .expect(200)
        .data()["status"]
        .clone();
    assert_eq!(status["scheduler"]["activeBackups"], json!([]), "{status}");
    variant.finish(&id).await;
}
