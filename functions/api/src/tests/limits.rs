//! The size of a response, and the number of concurrent requests, on the real parts.

use holdfast_domain::{ObjectKey, Timestamp, VerificationLevel};
use holdfast_testing::{parts, unique};
use serde_json::json;

use super::{
    call, event, get,
    served::{Stage, manifest},
};

#[tokio::test(flavor = "multi_thread")]
async fn no_more_verifications_are_requested_at_a_time_than_backups_may_run() {
    let empty = parts()
        .mongodb_uri
        .replace("/?", &format!("/{}?", unique("platform")));
    let drills = ("BACKUP_DRILL_URI", parts().mongodb_uri.as_str());
    let stage = Stage::new(&[
        ("MONGODB_URI", &empty),
        drills,
        ("BACKUP_DUMP_ENGINE", "native"),
    ])
    .await;
    let ids = [
        stage.backed_up().await,
        stage.backed_up().await,
        stage.backed_up().await,
    ];
    let drill = async |id: &str| {
        let mut event = event("api-post-verify");
        event["rawPath"] = json!(format!("/api/backups/jobs/{id}/verify"));
        event["body"] = json!(r#"{"level":"drill"}"#);
        call(&stage.function, &event).await
    };
    assert_eq!(
        (drill(&ids[0]).await.status, drill(&ids[1]).await.status),
        (202, 202)
    );
    let refused = drill(&ids[2]).await;
    assert_eq!(
        (refused.status, refused.code()),
        (409, "CONCURRENCY_LIMIT"),
        "{}",
        refused.body
    );
    assert_eq!(refused.body["data"]["running"].as_array().unwrap().len(), 2);
    let (catalog, now) = (
        &stage.function.holdfast().await.unwrap().catalog,
        Timestamp::now(),
    );
    let first = ids[0].parse().unwrap();
    catalog
        .begin_verification(&first, VerificationLevel::Drill, "a", now, now)
        .await
        .unwrap();
    catalog.end_verification(&first, "a").await.unwrap();
    assert_eq!(drill(&ids[2]).await.status, 202, "one has ended");
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_for_the_same_backup_is_refused_at_every_level() {
    let empty = parts()
        .mongodb_uri
        .replace("/?", &format!("/{}?", unique("platform")));
    let drills = ("BACKUP_DRILL_URI", parts().mongodb_uri.as_str());
    let stage = Stage::new(&[
        ("MONGODB_URI", &empty),
        drills,
        ("BACKUP_DUMP_ENGINE", "native"),
    ])
    .await;
    let id = stage.backed_up().await;
    let request = async |level: &str| {
        let mut event = event("api-post-verify");
        event["rawPath"] = json!(format!("/api/backups/jobs/{id}/verify"));
        event["body"] = json!(json!({ "level": level }).to_string());
        call(&stage.function, &event).await
    };
    assert_eq!(request("drill").await.status, 202);
    for level in ["structure", "drill"] {
        let refused = request(level).await;
        assert_eq!(
            (refused.status, refused.code()),
            (409, "ALREADY_RUNNING"),
            "{level}: {}",
            refused.body
        );
    }
    stage.remove().await;
}

#[tokio::test]
async fn an_undispatched_verification_does_not_count() {
    let empty = parts()
        .mongodb_uri
        .replace("/?", &format!("/{}?", unique("platform")));
    let nowhere = "arn:aws:events:us-east-1:000000000000:rule/there-is-none";
    let stage = Stage::new(&[
        ("MONGODB_URI", &empty),
        ("BACKUP_EVENT_BUS", nowhere),
        ("BACKUP_DUMP_ENGINE", "native"),
    ])
    .await;
    let id = stage.backed_up().await;
    let mut asked = event("api-post-verify");
    asked["rawPath"] = json!(format!("/api/backups/jobs/{id}/verify"));
    for _ in 0..2 {
        let failed = call(&stage.function, &asked).await;
        assert_eq!(
            (failed.status, failed.code()),
            (503, "HANDOVER_FAILED"),
            "{}",
            failed.body
        );
    }
    let catalog = &stage.function.holdfast().await.unwrap().catalog;
    let busy = catalog.busy_verifications(Timestamp::UNIX_EPOCH).await;
    assert_eq!(busy.unwrap(), []);
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_stay_within_lambdas_limit_whatever_a_backup_holds() {
    let stage = Stage::new(&[]).await;
    let holdfast = stage.function.holdfast().await.unwrap();
    let jobs = mongodb::Client::with_uri_str(&parts().mongodb_uri)
        .await
        .unwrap();
    let jobs = jobs
        .database(&stage.database)
        .collection::<bson::Document>("backup_jobs");
    let at = bson::DateTime::from_millis(1_700_000_000_000);
    // Rows of an earlier version.
    let row = |number: u32, namespaces: usize| {
        let name = |index: usize| bson::doc! { "namespace": format!("platform.{index:0120}"), "documents": 1_i64 };
        bson::doc! {
            "_id": format!("db_17000000000{number:02}_a"), "type": "database", "status": "completed",
            "trigger": { "kind": "schedule" }, "fence": 1_i64, "createdAt": at, "completedAt": at,
            "compressed": true, "encrypted": false, "namespaces": (0..namespaces).map(name).collect::<Vec<_>>(),
        }
    };
    for number in 0..20 {
        jobs.insert_one(row(number, if number == 7 { 60_000 } else { 10 }))
            .await
            .unwrap();
    }
    let page = call(&stage.function, &get("/api/backups/jobs?limit=100")).await;
    assert_eq!(
        (
            page.status,
            page.body["data"]["jobs"].as_array().unwrap().len()
        ),
        (200, 20)
    );
    assert!(page.body["data"]["jobs"][0].get("namespaces").is_none());
    assert_eq!(
        call(&stage.function, &event("api-get-status")).await.status,
        200
    );
    let id = "db_1700000000007_a";
    let job = call(&stage.function, &get(&format!("/api/backups/jobs/{id}")))
        .await
        .body["data"]
        .clone();
    assert_eq!(
        (
            &job["namespaceCount"],
            job["namespaces"].as_array().unwrap().len()
        ),
        (&json!(60_000), 1000)
    );

    let namespace = |index: usize| {
        json!({
            "db": "platform", "collection": format!("{index:0150}"), "kind": "collection", "documents": 1, "bytes": 5,
            "contentHash": "07".repeat(32), "indexes": ["_id_"],
        })
    };
    let mut manifest: serde_json::Value = serde_json::from_str(&manifest()).unwrap();
    manifest["manifest"]["backupId"] = json!(id);
    manifest["manifest"]["namespaces"] = (0..100_000).map(namespace).collect();
    let key = ObjectKey::manifest(&id.parse().unwrap());
    let body = manifest.to_string().into_bytes().into();
    holdfast
        .repository
        .store()
        .put(&key, body, holdfast_storage::PutMode::IfAbsent)
        .await
        .unwrap();
    let page = |query: &str| get(&format!("/api/backups/jobs/{id}/namespaces{query}"));
    let first = call(&stage.function, &page("")).await.body["data"].clone();
    assert_eq!(
        first["pagination"],
        json!({ "page": 1, "limit": 100, "total": 100_000, "pages": 1000 })
    );
    let last = call(&stage.function, &page("?limit=1000&page=100"))
        .await
        .body["data"]["namespaces"]
        .clone();
    assert_eq!(
        (last.as_array().unwrap().len(), &last[999]["documents"]),
        (1000, &json!(1))
    );
    assert_eq!(
        last[999]["namespace"],
        json!(format!("platform.{:0150}", 99_999))
    );
    let listed =
        call(&stage.function, &event("api-get-list")).await.body["data"]["database"].clone();
    assert_eq!(
        (&listed[0]["namespaces"], &listed[0]["documents"]),
        (&json!(100_000), &json!(100_000))
    );
    assert_eq!(
        call(&stage.function, &get("/api/backups/jobs/db_1_a/namespaces"))
            .await
            .status,
        404
    );
    stage.remove().await;
}
