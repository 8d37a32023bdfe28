//! Backups that are triggered, counted and cancelled by a call, on the real parts.

use holdfast_catalog::{FoundItem, JobChange, Settled};
use holdfast_domain::{
    BackupId, ContentItem, ItemFailure, ItemFailureCode, JobStatus, StorageType, Timestamp,
};
use serde_json::json;

use super::{call, event, get, served::Stage};

#[tokio::test]
async fn a_trigger_is_a_pending_job_and_a_second_one_is_refused() {
    let stage = Stage::new(&[]).await;
    let first = call(&stage.function, &event("api-post-database")).await;
    assert_eq!(first.status, 202, "{}", first.body);
    assert_eq!(first.body["data"]["status"], "pending");
    let id = first.body["data"]["backupId"].clone();

    let second = call(&stage.function, &event("api-post-database")).await;
    assert_eq!((second.status, second.code()), (409, "ALREADY_RUNNING"));
    assert_eq!(second.body["data"]["backupId"], id);

    let job = call(
        &stage.function,
        &get(&format!("/api/backups/jobs/{}", id.as_str().unwrap())),
    )
    .await;
    assert_eq!(
        job.body["data"]["trigger"],
        json!({ "kind": "manual", "by": "ada@example.com" })
    );

    let page = call(&stage.function, &event("api-get-jobs")).await.body["data"].clone();
    assert_eq!(page["jobs"][0]["backupId"], id);
    assert_eq!(
        page["pagination"],
        json!({ "page": 1, "limit": 20, "total": 1, "pages": 1 })
    );
    let none = call(
        &stage.function,
        &get("/api/backups/jobs?status=failed&page=7"),
    )
    .await
    .body["data"]
        .clone();
    assert_eq!(
        none["pagination"],
        json!({ "page": 7, "limit": 20, "total": 0, "pages": 0 })
    );

    let status = call(&stage.function, &event("api-get-status")).await.body["data"].clone();
    assert_eq!(status["status"]["scheduler"]["activeBackups"], json!([id]));
    assert_eq!(status["status"]["database"]["totalBackups"], 1);
    stage.remove().await;
}

#[tokio::test]
async fn a_content_backup_is_requested_during_a_database_backup() {
    let stage = Stage::new(&[]).await;
    let database = call(&stage.function, &event("api-post-database")).await;
    let content = call(&stage.function, &event("api-post-content")).await;
    assert_eq!(
        (database.status, content.status),
        (202, 202),
        "{}",
        content.body
    );
    assert_eq!(content.body["data"]["status"], "pending");
    let id = content.body["data"]["backupId"].clone();
    assert!(id.as_str().unwrap().starts_with("content_"), "{id}");

    let second = call(&stage.function, &event("api-post-content")).await;
    assert_eq!((second.status, second.code()), (409, "ALREADY_RUNNING"));
    assert_eq!(second.body["data"]["backupId"], id);
    let full = call(&stage.function, &event("api-post-full")).await;
    assert_eq!(
        (full.status, full.code()),
        (409, "ALREADY_RUNNING"),
        "{}",
        full.body
    );
    let page = call(&stage.function, &get("/api/backups/jobs?type=content"))
        .await
        .body["data"]
        .clone();
    assert_eq!(
        (&page["jobs"][0]["backupId"], &page["pagination"]["total"]),
        (&id, &json!(1))
    );
    stage.remove().await;
}

#[tokio::test]
async fn a_full_backup_is_a_running_parent_of_two_pending_jobs() {
    let stage = Stage::new(&[]).await;
    let asked = call(&stage.function, &event("api-post-full")).await;
    assert_eq!(
        (asked.status, &asked.body["data"]["skipped"]),
        (202, &json!([])),
        "{}",
        asked.body
    );
    let id = asked.body["data"]["backupId"].as_str().unwrap();
    for part in asked.body["data"]["parts"].as_array().unwrap() {
        let shown = call(
            &stage.function,
            &get(&format!(
                "/api/backups/jobs/{}",
                part["backupId"].as_str().unwrap()
            )),
        )
        .await;
        assert_eq!(
            (
                &shown.body["data"]["status"],
                &shown.body["data"]["parentId"]
            ),
            (&json!("pending"), &json!(id))
        );
    }
    let parent = call(&stage.function, &get(&format!("/api/backups/jobs/{id}")))
        .await
        .body["data"]
        .clone();
    assert_eq!(
        (&parent["status"], &parent["type"]),
        (&json!("running"), &json!("full")),
        "{parent}"
    );
    assert_eq!(
        parent["trigger"],
        json!({ "kind": "manual", "by": "ada@example.com" })
    );
    for name in ["api-post-database", "api-post-content", "api-post-full"] {
        let again = call(&stage.function, &event(name)).await;
        assert_eq!(
            (again.status, again.code()),
            (409, "ALREADY_RUNNING"),
            "{name}"
        );
    }
    stage.remove().await;
}

#[tokio::test]
async fn an_undispatched_full_backup_is_settled_with_all_its_parts() {
    let stage = Stage::new(&[(
        "BACKUP_EVENT_BUS",
        "arn:aws:events:us-east-1:000000000000:rule/there-is-none",
    )])
    .await;
    for _ in 0..2 {
        let answered = call(&stage.function, &event("api-post-full")).await;
        assert_eq!(
            (answered.status, answered.code()),
            (503, "HANDOVER_FAILED"),
            "{}",
            answered.body
        );
    }
    let jobs = call(&stage.function, &event("api-get-jobs")).await.body["data"]["jobs"].clone();
    let failed = jobs
        .as_array()
        .unwrap()
        .iter()
        .filter(|job| job["status"] == "failed")
        .count();
    assert_eq!(
        (jobs.as_array().unwrap().len(), failed),
        (2, 2),
        "of the database alone: {jobs}"
    );
    let parents = call(&stage.function, &get("/api/backups/jobs?type=full"))
        .await
        .body["data"]["jobs"]
        .clone();
    for parent in parents.as_array().unwrap() {
        assert_eq!(parent["error"]["code"], "part-failed", "{parent}");
    }
    stage.remove().await;
}

#[tokio::test]
async fn a_running_content_backup_counts_its_items() {
    let stage = Stage::new(&[]).await;
    let asked =
        call(&stage.function, &event("api-post-content")).await.body["data"]["backupId"].clone();
    let id: BackupId = asked.as_str().unwrap().parse().unwrap();
    let shown = async || {
        let job = call(&stage.function, &get(&format!("/api/backups/jobs/{id}"))).await;
        job.body["data"].clone()
    };
    assert_eq!(shown().await["items"], json!(null), "nobody has looked yet");
    let catalog = &stage.function.holdfast().await.unwrap().catalog;
    let began = JobChange {
        started_at: Some(Timestamp::now()),
        ..JobChange::default()
    };
    catalog
        .transition(&id, JobStatus::Running, began, None)
        .await
        .unwrap();
    let found = |number: u32| FoundItem {
        item: ContentItem {
            content_id: number.to_string(),
            title: "x".to_owned(),
            url: "https://hub.example/x".to_owned(),
            storage_type: StorageType::Gaia,
            creator: None,
            cut: std::collections::BTreeMap::new(),
        },
        doc_id: number.to_string(),
    };
    catalog
        .add_items(&id, &(0..5).map(found).collect::<Vec<_>>())
        .await
        .unwrap();
    let failure = ItemFailure {
        code: ItemFailureCode::Gone,
        message: "it is gone".to_owned(),
    };
    catalog
        .settle_item(&id, "3", Settled::Failed(&failure), Timestamp::now())
        .await
        .unwrap();
    let items = shown().await["items"].clone();
    assert_eq!(
        (&items["expected"], &items["failed"], &items["done"]),
        (&json!(5), &json!(1), &json!(0)),
        "{items}"
    );
    stage.remove().await;
}

#[tokio::test]
async fn a_backup_is_cancelled_once_and_frees_its_place() {
    let stage = Stage::new(&[]).await;
    let unknown = call(&stage.function, &event("api-post-cancel")).await;
    assert_eq!(
        (unknown.status, unknown.code()),
        (404, "NOT_FOUND"),
        "{}",
        unknown.body
    );
    for (kind, event_name) in [("database", "api-post-database"), ("full", "api-post-full")] {
        let asked = call(&stage.function, &event(event_name)).await;
        assert_eq!(asked.status, 202, "{kind}: {}", asked.body);
        let id = asked.body["data"]["backupId"].clone();
        let mut cancel = event("api-post-cancel");
        cancel["rawPath"] = json!(format!("/api/backups/jobs/{}/cancel", id.as_str().unwrap()));
        let cancelled = call(&stage.function, &cancel).await;
        assert_eq!(cancelled.status, 202, "{kind}: {}", cancelled.body);
        assert_eq!(
            cancelled.body["data"],
            json!({ "backupId": id, "status": "cancelled" })
        );
        let again = call(&stage.function, &cancel).await;
        assert_eq!(
            (again.status, again.code()),
            (409, "NOT_CANCELLABLE"),
            "{kind}: {}",
            again.body
        );
    }
    let running =
        call(&stage.function, &event("api-get-status")).await.body["data"]["status"].clone();
    assert_eq!(
        running["scheduler"]["activeBackups"],
        json!([]),
        "the parts of a full backup too"
    );
    stage.remove().await;
}

#[tokio::test]
async fn an_undispatched_trigger_is_settled_at_once() {
    let stage = Stage::new(&[(
        "BACKUP_EVENT_BUS",
        "arn:aws:events:us-east-1:000000000000:rule/there-is-none",
    )])
    .await;
    for _ in 0..2 {
        let answered = call(&stage.function, &event("api-post-database")).await;
        assert_eq!(
            (answered.status, answered.code()),
            (503, "HANDOVER_FAILED"),
            "{}",
            answered.body
        );
    }
    let jobs = call(&stage.function, &event("api-get-jobs")).await.body["data"]["jobs"].clone();
    assert_eq!(jobs.as_array().unwrap().len(), 2);
    assert!(
        jobs.as_array()
            .unwrap()
            .iter()
            .all(|job| job["error"]["code"] == "not-started"),
        "{jobs}"
    );
    stage.remove().await;
}

#[tokio::test]
async fn what_is_switched_off_is_503_and_writes_nothing() {
    let off = [
        ("BACKUP_DATABASE_ENABLED", "false"),
        ("BACKUP_CONTENT_ENABLED", "false"),
    ];
    let stage = Stage::new(&off).await;
    for name in ["api-post-database", "api-post-content", "api-post-full"] {
        let answered = call(&stage.function, &event(name)).await;
        assert_eq!(
            (answered.status, answered.code()),
            (503, "DISABLED"),
            "{name}: {}",
            answered.body
        );
    }
    let total =
        call(&stage.function, &event("api-get-jobs")).await.body["data"]["pagination"]["total"]
            .clone();
    assert_eq!(total, 0);
    stage.remove().await;
}
