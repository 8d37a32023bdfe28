//! The calls on the real parts: MongoDB, S3, EventBridge.

use std::{sync::Arc, time::Duration};

use holdfast_catalog::{FoundItem, JobChange, Settled, VerificationRecord};
use holdfast_database::Connection;
use holdfast_domain::{
    BackupId, BackupType, ContentItem, ItemFailure, ItemFailureCode, JobStatus, ObjectKey, Secret,
    StorageType, Timestamp, VerificationLevel, VerificationStatus, settings::ReadPreference,
};
use holdfast_lambda::Function;
use holdfast_operations::{
    BackupOutcome, BackupRequest, RunLimits, VerifyOutcome, back_up_database, trigger,
    verify_on_request,
};
use holdfast_setup::Clients;
use holdfast_testing::{TestStore, aws_config, parts, unique};
use serde_json::json;

use super::{call, event, function, get};

/// One test's own catalogue and store.
pub(super) struct Stage {
    pub(super) function: Arc<Function>,
    store: TestStore,
    pub(super) database: String,
}

impl Stage {
    pub(super) async fn new(more: &[(&str, &str)]) -> Self {
        let store = TestStore::new().await;
        let location = format!("s3://{}/{}", store.bucket, store.prefix);
        let database = unique("api");
        let catalog = parts().mongodb_uri.replace("/?", &format!("/{database}?"));
        let mut variables = vec![
            ("MONGODB_URI", parts().mongodb_uri.as_str()),
            ("BACKUP_CATALOG_URI", catalog.as_str()),
            ("BACKUP_STORE", location.as_str()),
        ];
        variables.extend(more);
        Self {
            function: function(&variables, Clients::new(aws_config())),
            store,
            database,
        }
    }

    /// A completed backup.
    pub(super) async fn backed_up(&self) -> String {
        let holdfast = self.function.holdfast().await.unwrap();
        let job = Box::pin(trigger(
            holdfast,
            BackupType::Database,
            None,
            Timestamp::now(),
        ))
        .await
        .unwrap();
        let request = BackupRequest::Triggered {
            backup_id: job.backup_id,
        };
        match Box::pin(back_up_database(holdfast, request, RunLimits::none()))
            .await
            .unwrap()
        {
            BackupOutcome::Completed(job) => job.backup_id.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// Plays the worker: serves the next requested verification of this backup.
    async fn serves_verification(&self, id: &str, level: VerificationLevel) {
        let holdfast = self.function.holdfast().await.unwrap();
        let (id, since): (BackupId, _) = (id.parse().unwrap(), Timestamp::UNIX_EPOCH);
        while !holdfast
            .catalog
            .busy_verifications(since)
            .await
            .unwrap()
            .contains(&id)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let verifying =
            verify_on_request(holdfast, &id, level, RunLimits::none(), Timestamp::now());
        let outcome = Box::pin(verifying).await.unwrap();
        assert!(matches!(outcome, VerifyOutcome::Done(_)), "{outcome:?}");
    }

    pub(super) async fn remove(self) {
        let uri = Secret::new(&parts().mongodb_uri);
        let server = Connection::open(&uri, ReadPreference::Primary, "tests")
            .await
            .unwrap();
        server.drop_database(&self.database).await.unwrap();
        self.store.remove().await;
    }
}

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

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_waits_for_the_worker_of_a_small_backup_and_not_for_a_drill() {
    let empty = parts()
        .mongodb_uri
        .replace("/?", &format!("/{}?", unique("platform")));
    let drills = ("STACK_BACKUP_DRILL_URI", "***");
    let stage = Stage::new(&[
        ("MONGODB_URI", &empty),
        drills,
        ("BACKUP_DUMP_ENGINE", "native"),
    ])
    .await;
    let id = stage.backed_up().await;
    let verify = |id: &str, body: serde_json::Value| {
        let mut event = event("api-post-verify");
        event["rawPath"] = json!(format!("/api/backups/jobs/{id}/verify"));
        event["body"] = body;
        event
    };
    for (body, level) in [
        (json!(null), VerificationLevel::Checksum),
        (
            json!(r#"{"level":"structure"}"#),
            VerificationLevel::Structure,
        ),
    ] {
        let event = verify(&id, body);
        let (found, ()) = tokio::join!(
            call(&stage.function, &event),
            stage.serves_verification(&id, level)
        );
        assert_eq!(
            (found.status, &found.body["data"]["status"]),
            (200, &json!("passed")),
            "{}",
            found.body
        );
        assert_eq!(
            (
                &found.body["data"]["level"],
                &found.body["data"]["problems"]
            ),
            (&json!(level), &json!([]))
        );
    }
    let job = call(&stage.function, &get(&format!("/api/backups/jobs/{id}"))).await;
    assert_eq!(job.body["data"]["verification"]["level"], "structure");
    let drill = call(&stage.function, &verify(&id, json!(r#"{"level":"drill"}"#))).await;
    assert_eq!(
        (drill.status, &drill.body["data"]),
        (202, &json!({ "backupId": id, "level": "drill" }))
    );

    assert_eq!(
        call(&stage.function, &verify("db_1_a", json!(null)))
            .await
            .status,
        404
    );
    let pending = call(&stage.function, &event("api-post-database"))
        .await
        .body["data"]["backupId"]
        .clone();
    let early = call(
        &stage.function,
        &verify(pending.as_str().unwrap(), json!(null)),
    )
    .await;
    assert_eq!(
        (early.status, early.code()),
        (409, "NOT_COMPLETED"),
        "{}",
        early.body
    );
    let (catalog, level) = (
        &stage.function.holdfast().await.unwrap().catalog,
        VerificationLevel::Checksum,
    );
    let (now, backup_id) = (Timestamp::now(), id.parse().unwrap());
    catalog
        .begin_verification(&backup_id, level, "another", now, now)
        .await
        .unwrap();
    let busy = call(&stage.function, &verify(&id, json!(null))).await;
    assert_eq!(
        (busy.status, busy.code()),
        (409, "ALREADY_RUNNING"),
        "{}",
        busy.body
    );
    stage.remove().await;
}

#[tokio::test]
async fn a_drill_without_a_server_for_it_is_503_and_of_an_unknown_backup_404() {
    let empty = parts()
        .mongodb_uri
        .replace("/?", &format!("/{}?", unique("platform")));
    let stage = Stage::new(&[("MONGODB_URI", &empty), ("BACKUP_DUMP_ENGINE", "native")]).await;
    let mut asked = event("api-post-verify");
    asked["body"] = json!(r#"{"level":"drill"}"#);
    let unknown = call(&stage.function, &asked).await;
    assert_eq!(
        (unknown.status, unknown.code()),
        (404, "NOT_FOUND"),
        "{}",
        unknown.body
    );
    asked["rawPath"] = json!(format!(
        "/api/backups/jobs/{}/verify",
        stage.backed_up().await
    ));
    let refused = call(&stage.function, &asked).await;
    assert_eq!(
        (refused.status, refused.code()),
        (503, "DISABLED"),
        "{}",
        refused.body
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
async fn a_cleanup_is_planned_and_asked_for() {
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

#[tokio::test(flavor = "multi_thread")]
async fn an_export_answers_with_its_object_and_a_link_that_needs_no_token() {
    let empty = parts()
        .mongodb_uri
        .replace("/?", &format!("/{}?", unique("platform")));
    let stage = Stage::new(&[("MONGODB_URI", &empty), ("BACKUP_DUMP_ENGINE", "native")]).await;
    let id = stage.backed_up().await;
    let exported = call(&stage.function, &event("api-post-export")).await;
    assert_eq!(exported.status, 200, "{}", exported.body);
    let told = &exported.body["data"];
    assert_eq!(
        (&told["jobs"], &told["verifications"], &told["unreadable"]),
        (&json!(1), &json!(0), &json!(0))
    );
    let link = told["link"]["url"].as_str().unwrap();
    let document: serde_json::Value = reqwest::get(link).await.unwrap().json().await.unwrap();
    assert_eq!(document["jobs"][0]["backupId"], json!(id));
    let key = format!("{}/{}", stage.store.prefix, told["key"].as_str().unwrap());
    let head = stage
        .store
        .client
        .head_object()
        .bucket(&stage.store.bucket)
        .key(key)
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_length(), told["size"].as_i64());
    for (body, field) in [(r#"{"to":"x"}"#, "to"), ("[]", "body")] {
        let mut wrong = event("api-post-export");
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

#[tokio::test(flavor = "multi_thread")]
async fn statistics_follow_the_contract_without_backups_and_with_a_drilled_one() {
    let empty = parts()
        .mongodb_uri
        .replace("/?", &format!("/{}?", unique("platform")));
    let stage = Stage::new(&[("MONGODB_URI", &empty), ("BACKUP_DUMP_ENGINE", "native")]).await;
    let statistics = async || {
        call(&stage.function, &event("api-get-status")).await.body["data"]["statistics"].clone()
    };
    let before = statistics().await;
    assert_eq!(
        (&before["lastDrill"], &before["database"]["lastGoodBackup"]),
        (&json!(null), &json!(null)),
        "{before}"
    );
    let id = stage.backed_up().await;
    let record = VerificationRecord {
        backup_id: id.parse().unwrap(),
        level: VerificationLevel::Drill,
        status: VerificationStatus::Passed,
        problems: Vec::new(),
        at: Timestamp::now(),
        repository_problems: Vec::new(),
        notes: Vec::new(),
        bytes_read: 1,
        duration_ms: 1,
        collections: Vec::new(),
    };
    stage
        .function
        .holdfast()
        .await
        .unwrap()
        .catalog
        .insert_verification(&record)
        .await
        .unwrap();
    let after = statistics().await;
    assert_eq!(after["lastDrill"]["backupId"], json!(id), "{after}");
    let database = &after["database"];
    assert_eq!(
        (
            &database["lastGoodBackup"]["backupId"],
            &database["stored"]["backups"]
        ),
        (&json!(id), &json!(1))
    );
    assert_eq!(
        (
            &database["durations"]["count"],
            &after["successRatePercent"]
        ),
        (&json!(1), &json!(100.0)),
        "{after}"
    );
    assert!(
        database["nextDueAt"].is_string() && database["growthPercent"].is_null(),
        "{database}"
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

#[tokio::test]
async fn a_job_that_is_not_there_is_404() {
    let stage = Stage::new(&[]).await;
    let answered = call(&stage.function, &event("api-get-job")).await;
    assert_eq!((answered.status, answered.code()), (404, "NOT_FOUND"));
    stage.remove().await;
}

#[tokio::test]
async fn the_list_is_the_stores_and_hides_no_broken_manifest() {
    let stage = Stage::new(&[]).await;
    let put = async |key: &str, body: &str| {
        let put = stage.store.client.put_object().bucket(&stage.store.bucket);
        put.key(format!("{}/{key}", stage.store.prefix))
            .body(body.as_bytes().to_vec().into())
            .send()
            .await
            .unwrap();
    };
    assert_eq!(
        call(&stage.function, &event("api-get-list")).await.body["data"],
        json!({
            "database": [], "content": [],
            "pagination": { "page": 1, "limit": 500, "total": 0, "pages": 0 },
        })
    );
    put("database/db_1_a/manifest.json", "{").await;
    put("database/db_2_b/manifest.json", &manifest()).await;
    put("database/db_3_c/dump.1.archive", "uncommitted").await;

    let database =
        call(&stage.function, &event("api-get-list")).await.body["data"]["database"].clone();
    assert_eq!(database.as_array().unwrap().len(), 2, "{database}");
    assert_eq!(database[0]["filename"], "dump.1.archive.gz");
    assert_eq!(database[0]["size"], 10);
    assert_eq!(database[0]["created"], "2023-11-14T22:13:20Z");
    assert_eq!(database[0]["checksum"], "07".repeat(32));
    assert_eq!(
        (&database[0]["compressed"], &database[0]["encrypted"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(database[1]["backupId"], "db_1_a");
    assert!(database[1]["error"].is_string(), "{database}");
    stage.remove().await;
}

pub(super) fn manifest() -> String {
    let at = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
    json!({ "manifest": {
        "formatVersion": 1, "backupId": "db_2_b", "type": "database", "repository": "0".repeat(32),
        "trigger": { "kind": "schedule" }, "fence": 1, "createdAt": at, "startedAt": at, "completedAt": at,
        "holdfastVersion": "0.1.0", "engine": { "name": "native", "version": "0.1.0" },
        "consistency": "per-collection", "source": { "uri": "mongodb://h/", "serverVersion": "8.2.0" },
        "namespaces": [], "originalSize": 40, "compression": "gzip",
        "artifacts": [{
            "key": "database/db_2_b/dump.1.archive.gz", "size": 10, "sha256": "07".repeat(32),
            "segmentBytes": 8_388_608, "segments": ["07".repeat(32)],
        }],
    } })
    .to_string()
}
