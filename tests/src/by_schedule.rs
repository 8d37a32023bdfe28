//! Scheduled work.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{Deployment, Invocation, Variant, event, fill_from_golden, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_backs_up_by_itself_and_each_tick_is_one_backup() {
    let variant = Deployment::named("scheduled")
        .with("DatabaseSchedule", "rate(1 minute)")
        .deploy()
        .await;
    fill_from_golden(&variant.source).await;
    let delivered_twice = one_backup_of_a_tick_delivered_twice(&variant).await;
    let by_itself = until("a scheduled backup", Duration::from_secs(150), || async {
        let jobs = variant
            .api
            .get("/api/backups/jobs?status=completed")
            .await
            .expect(200)
            .data()["jobs"]
            .clone();
        jobs.as_array()
            .unwrap()
            .iter()
            .find(|job| job["backupId"] != delivered_twice.as_str())
            .cloned()
    })
    .await;
    assert_eq!(by_itself["trigger"]["kind"], "schedule", "{by_itself}");
    assert!(
        by_itself["trigger"]["by"]
            .as_str()
            .unwrap()
            .contains("DatabaseBackupSched"),
        "{by_itself}"
    );
    variant
        .operator(&[
            "verify",
            by_itself["backupId"].as_str().unwrap(),
            "--level",
            "structure",
        ])
        .await
        .expect(0);
    variant.finish(&delivered_twice).await;
}

/// The same event at the same time, and once more afterwards.
async fn one_backup_of_a_tick_delivered_twice(variant: &Variant) -> String {
    let tick = event("schedule-database");
    let (first, second) = tokio::join!(
        variant.invoke("database-backup", &tick),
        variant.invoke("database-backup", &tick)
    );
    let third = variant.invoke("database-backup", &tick).await;
    let status = |invocation: &Invocation| invocation.payload["status"].clone();
    let mut statuses = [status(&first), status(&second)]
        .map(|status| status.as_str().unwrap_or("error").to_owned());
    statuses.sort();
    assert_eq!(statuses, ["completed", "skipped"], "{first:?} {second:?}");
    assert_eq!(status(&third), "skipped", "{third:?}");
    let id = third.payload["backupId"].as_str().unwrap().to_owned();
    let of_it = |keys: Vec<String>| {
        keys.into_iter()
            .filter(|key| key.contains(&id))
            .collect::<Vec<_>>()
    };
    let stored = of_it(variant.keys().await);
    assert_eq!(
        stored.len(),
        3,
        "a dump, its guide, its manifest: {stored:?}"
    );
    let job: Value = variant.api.job(&id).await;
    assert_eq!(
        (&job["status"], &job["fence"]),
        (&json!("completed"), &json!(1)),
        "{job}"
    );
    id
}
