//! Triggers of a content backup, alone or with the database backup, and their permissions.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{
    Answer, Caller, Deployment, Invocation, Piece, Variant, event, fill_with_noise, small_file,
    until,
};

const CONTENT: &str = "/api/backups/content";
const FULL: &str = "/api/backups/full";

#[tokio::test(flavor = "multi_thread")]
async fn the_same_tick_twice_is_one_content_backup() {
    let (variant, pieces) = with_pieces("content-tick").await;
    let tick = event("schedule-content");
    let (first, second) = tokio::join!(
        variant.invoke("content-backup", &tick),
        variant.invoke("content-backup", &tick)
    );
    let begun: Vec<&Invocation> = [&first, &second]
        .into_iter()
        .filter(|one| has_begun(one))
        .collect();
    let id = begun[0].payload["backupId"].as_str().unwrap().to_owned();
    let job = variant.api.settled(&id).await;
    let third = variant.invoke("content-backup", &tick).await;
    assert_eq!(
        (&third.payload["status"], &third.payload["backupId"]),
        (&json!("skipped"), &json!(id)),
        "{third:?}"
    );
    // An invocation that arrives after the other's discovery joins the same backup and reports it
    // as running too.
    assert!(
        begun
            .iter()
            .all(|one| one.payload["backupId"] == id.as_str()),
        "{first:?} {second:?}"
    );
    let skipped = |one: &&Invocation| one.payload["status"] == "skipped";
    assert_eq!(
        begun.len() + [&first, &second].into_iter().filter(skipped).count(),
        2,
        "{first:?} {second:?}"
    );
    let jobs = variant
        .api
        .get("/api/backups/jobs")
        .await
        .expect(200)
        .data()
        .clone();
    assert_eq!(jobs["pagination"]["total"], 1, "{jobs}");
    assert_eq!(
        (&job["status"], &job["trigger"]["kind"]),
        (&json!("completed"), &json!("schedule")),
        "{job}"
    );
    assert!(
        job["trigger"]["by"]
            .as_str()
            .unwrap()
            .contains("ContentBackupSchedule"),
        "{job}"
    );
    let manifests = variant
        .keys()
        .await
        .into_iter()
        .filter(|key| key.ends_with("/manifest.json"))
        .count();
    assert_eq!(manifests, 1);
    variant.content_comes_back(&id, &pieces).await;
    variant.finish(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_content_is_backed_up_every_other_call_for_it_is_refused() {
    let (variant, _) = with_pieces("content-one").await;
    let id = variant.queued().await;
    for kind in ["content", "full"] {
        let refused = variant.api.trigger_of(kind).await;
        refused.expect_refusal(409, "ALREADY_RUNNING");
        assert_eq!(
            refused.data()["backupId"],
            id.as_str(),
            "{kind}: {refused:?}"
        );
    }
    a_tick_is_skipped(&variant, &id).await;
    let status = variant
        .api
        .get("/api/backups/status")
        .await
        .expect(200)
        .data()["status"]
        .clone();
    assert_eq!(
        status["scheduler"]["activeBackups"],
        json!([id]),
        "{status}"
    );
    variant.api.back_up().await;
    let running = variant.api.job(&id).await;
    assert_eq!(
        (&running["status"], &running["items"]["expected"]),
        (&json!("running"), &json!(20)),
        "{running}"
    );

    variant.release_downloads().await;
    assert_eq!(variant.api.settled(&id).await["status"], "completed");
    let jobs = variant
        .api
        .get("/api/backups/jobs")
        .await
        .expect(200)
        .data()
        .clone();
    assert_eq!(
        jobs["pagination"]["total"], 2,
        "a refused call leaves no job: {jobs}"
    );
    assert_eq!(variant.leases().await, 0);
    variant.finish(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_is_both_and_is_complete_when_both_are() {
    let (variant, pieces) = with_pieces("full").await;
    fill_with_noise(&variant.server, &variant.source, 8).await;
    let asked = variant
        .api
        .trigger_of("full")
        .await
        .expect(202)
        .data()
        .clone();
    let id = asked["backupId"].as_str().unwrap();
    let parts = asked["parts"].as_array().unwrap();
    assert_eq!(
        (id.starts_with("full_"), parts.len(), &asked["skipped"]),
        (true, 2, &json!([])),
        "{asked}"
    );
    variant
        .api
        .trigger_of("full")
        .await
        .expect_refusal(409, "ALREADY_RUNNING");

    let job = variant.api.settled(id).await;
    assert_eq!(
        (&job["status"], &job["type"]),
        (&json!("completed"), &json!("full")),
        "{job}"
    );
    let mut sizes = 0;
    for part in parts {
        let part = variant.api.job(part["backupId"].as_str().unwrap()).await;
        assert_eq!(
            (&part["status"], &part["parentId"]),
            (&json!("completed"), &json!(id)),
            "{part}"
        );
        sizes += part["size"].as_u64().unwrap();
    }
    assert_eq!(job["size"], sizes, "{job}");
    let content = parts.iter().find_map(|part| {
        part["backupId"]
            .as_str()
            .filter(|id| id.starts_with("content_"))
    });
    variant.content_comes_back(content.unwrap(), &pieces).await;
    assert_eq!(
        variant.content_manifest(content.unwrap()).await["parentId"],
        id
    );
    assert_eq!(variant.leases().await, 0);
    both_are_listed(&variant, parts).await;
    variant.finish(content.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_leaves_out_what_is_switched_off_and_who_may_only_look_begins_nothing() {
    let deployment = Deployment::named("full-half")
        .with("ContentEnabled", "false")
        .with("CreatorAccess", "read");
    let variant = deployment.deploy().await;
    for path in [CONTENT, FULL] {
        for caller in [Caller::Stranger, Caller::Creator] {
            variant
                .api
                .call(caller, Method::POST, path)
                .await
                .expect_refusal(403, "FORBIDDEN");
        }
        let unknown: Answer = variant.api.call(Caller::Nobody, Method::POST, path).await;
        assert_eq!(unknown.status, 401, "{unknown:?}");
        variant
            .api
            .call(Caller::Admin, Method::GET, path)
            .await
            .expect_refusal(405, "METHOD_NOT_ALLOWED");
        variant
            .api
            .post(path, "text/plain", "{}")
            .await
            .expect_refusal(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    variant
        .api
        .trigger_of("content")
        .await
        .expect_refusal(503, "DISABLED");
    let jobs = variant
        .api
        .get("/api/backups/jobs")
        .await
        .expect(200)
        .data()
        .clone();
    assert_eq!(jobs["pagination"]["total"], 0, "{jobs}");

    let asked = variant
        .api
        .trigger_of("full")
        .await
        .expect(202)
        .data()
        .clone();
    assert_eq!(
        asked["skipped"],
        json!(["BACKUP_CONTENT_ENABLED"]),
        "{asked}"
    );
    let job = variant
        .api
        .settled(asked["backupId"].as_str().unwrap())
        .await;
    assert_eq!(job["status"], "completed", "{job}");
    assert!(
        job["message"]
            .as_str()
            .unwrap()
            .contains("BACKUP_CONTENT_ENABLED"),
        "{job}"
    );
    variant
        .finish(asked["parts"][0]["backupId"].as_str().unwrap())
        .await;
}

/// A tick that meets the running backup is answered, so it is neither retried nor a dead letter.
async fn a_tick_is_skipped(variant: &Variant, running: &str) {
    let tick = variant
        .invoke("content-backup", &event("schedule-content"))
        .await;
    assert!(!tick.failed, "{tick:?}");
    assert_eq!(
        (&tick.payload["status"], &tick.payload["runningBackupId"]),
        (&json!("skipped"), &json!(running)),
        "{tick:?}"
    );
    until(
        "the metric of the tick",
        Duration::from_secs(10),
        || async {
            let log = variant.log("content-backup").await;
            log.iter()
                .any(|line| line.contains("\"BackupSkipped\":1.0"))
                .then_some(())
        },
    )
    .await;
}

fn has_begun(invocation: &Invocation) -> bool {
    ["running", "finalizing"]
        .iter()
        .any(|status| invocation.payload["status"] == *status)
}

/// A deployment with 20 small pieces on its stack's shared node.
async fn with_pieces(name: &str) -> (Variant, Vec<Piece>) {
    let variant = Deployment::named(name).deploy().await;
    let node = holdfast_testing::parts().ipfs_node();
    let mut pieces = Vec::new();
    for id in 0..20 {
        let url = node
            .put_gaia(&format!("{name}/{id}.txt"), small_file(id))
            .await;
        pieces.push(Piece::on_gaia(id, url, small_file(id)));
    }
    variant.publish(&pieces).await;
    (variant, pieces)
}

async fn both_are_listed(variant: &Variant, parts: &[Value]) {
    let list = variant
        .api
        .get("/api/backups/list")
        .await
        .expect(200)
        .data()
        .clone();
    for (kind, prefix) in [("database", "db_"), ("content", "content_")] {
        let id = parts
            .iter()
            .find_map(|part| {
                part["backupId"]
                    .as_str()
                    .filter(|id| id.starts_with(prefix))
            })
            .unwrap();
        let listed = list[kind].as_array().unwrap();
        assert!(
            !listed.is_empty() && listed.iter().all(|entry| entry["backupId"] == id),
            "{kind}: {list}"
        );
    }
}
