//! The calls on the real parts: MongoDB, S3, EventBridge.

use std::sync::Arc;

use holdfast_database::Connection;
use holdfast_domain::{Secret, Timestamp, settings::ReadPreference};
use holdfast_lambda::{Clients, Function};
use holdfast_testing::{TestStore, aws_config, parts, unique};
use serde_json::json;

use super::{call, event, function, get};

/// One test's own catalogue and store.
struct Stage {
    function: Arc<Function>,
    store: TestStore,
    database: String,
}

impl Stage {
    async fn new(more: &[(&str, &str)]) -> Self {
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
        Self { function: function(&variables, Clients::new(aws_config())), store, database }
    }

    async fn remove(self) {
        let uri = Secret::new(&parts().mongodb_uri);
        let server = Connection::open(&uri, ReadPreference::Primary, "tests").await.unwrap();
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

    let job = call(&stage.function, &get(&format!("/api/backups/jobs/{}", id.as_str().unwrap()))).await;
    assert_eq!(job.body["data"]["trigger"], json!({ "kind": "manual", "by": "ada@example.com" }));

    let page = call(&stage.function, &event("api-get-jobs")).await.body["data"].clone();
    assert_eq!(page["jobs"][0]["backupId"], id);
    assert_eq!(page["pagination"], json!({ "page": 1, "limit": 20, "total": 1, "pages": 1 }));
    let none = call(&stage.function, &get("/api/backups/jobs?status=failed&page=7")).await.body["data"].clone();
    assert_eq!(none["pagination"], json!({ "page": 7, "limit": 20, "total": 0, "pages": 0 }));

    let status = call(&stage.function, &event("api-get-status")).await.body["data"].clone();
    assert_eq!(status["status"]["scheduler"]["activeBackups"], json!([id]));
    assert_eq!(status["status"]["database"]["totalBackups"], 1);
    stage.remove().await;
}

#[tokio::test]
async fn a_trigger_that_nobody_takes_is_given_up_at_once() {
    let stage = Stage::new(&[("BACKUP_EVENT_BUS", "arn:aws:events:us-east-1:000000000000:rule/there-is-none")]).await;
    for _ in 0..2 {
        let answered = call(&stage.function, &event("api-post-database")).await;
        assert_eq!((answered.status, answered.code()), (503, "HANDOVER_FAILED"), "{}", answered.body);
    }
    let jobs = call(&stage.function, &event("api-get-jobs")).await.body["data"]["jobs"].clone();
    assert_eq!(jobs.as_array().unwrap().len(), 2);
    assert!(jobs.as_array().unwrap().iter().all(|job| job["error"]["code"] == "not-started"), "{jobs}");
    stage.remove().await;
}

#[tokio::test]
async fn what_is_switched_off_is_503_and_writes_nothing() {
    let stage = Stage::new(&[("BACKUP_DATABASE_ENABLED", "false")]).await;
    let answered = call(&stage.function, &event("api-post-database")).await;
    assert_eq!((answered.status, answered.code()), (503, "DISABLED"));
    let total = call(&stage.function, &event("api-get-jobs")).await.body["data"]["pagination"]["total"].clone();
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
        put.key(format!("{}/{key}", stage.store.prefix)).body(body.as_bytes().to_vec().into()).send().await.unwrap();
    };
    assert_eq!(
        call(&stage.function, &event("api-get-list")).await.body["data"],
        json!({ "database": [], "content": [] })
    );
    put("database/db_1_a/manifest.json", "{").await;
    put("database/db_2_b/manifest.json", &manifest()).await;
    put("database/db_3_c/dump.1.archive", "uncommitted").await;

    let database = call(&stage.function, &event("api-get-list")).await.body["data"]["database"].clone();
    assert_eq!(database.as_array().unwrap().len(), 2, "{database}");
    assert_eq!(database[0]["filename"], "dump.1.archive.gz");
    assert_eq!(database[0]["size"], 10);
    assert_eq!(database[0]["created"], "2023-11-14T22:13:20Z");
    assert_eq!(database[0]["checksum"], "07".repeat(32));
    assert_eq!((&database[0]["compressed"], &database[0]["encrypted"]), (&json!(true), &json!(false)));
    assert_eq!(database[1]["backupId"], "db_1_a");
    assert!(database[1]["error"].is_string(), "{database}");
    stage.remove().await;
}

fn manifest() -> String {
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
