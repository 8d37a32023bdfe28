use std::time::Duration;

use holdfast_domain::{BackupId, BackupType, CopyStatus, JobStatus, ObjectKey};
use holdfast_lambda::CopyMessage;
use holdfast_operations::{BackupOutcome, BackupRequest, RunLimits, back_up_database, trigger};
use holdfast_setup::Clients;
use holdfast_testing::{TestStore, aws_config, aws_config_at, parts, unique};
use mongodb::bson::doc;

use super::*;

fn event(name: &str) -> Value {
    let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The message of `events/sqs-copy.json`, of this backup.
fn message(id: &BackupId) -> Value {
    let mut batch = event("sqs-copy");
    let body = batch["Records"][0]["body"]
        .as_str()
        .unwrap()
        .replace("db_1777604400000_0a1b2c3d", id.as_str());
    batch["Records"][0]["body"] = json!(body);
    batch
}

/// One test's own platform, catalogue, stores and queue.
struct Stage {
    store: TestStore,
    second: TestStore,
    databases: [String; 2],
    client: mongodb::Client,
    sqs: aws_sdk_sqs::Client,
    queue: String,
}

impl Stage {
    async fn new() -> Self {
        let sqs = aws_sdk_sqs::Client::new(&aws_config());
        let queue = sqs
            .create_queue()
            .queue_name(unique("copies"))
            .send()
            .await
            .unwrap()
            .queue_url
            .unwrap();
        let client = mongodb::Client::with_uri_str(&parts().mongodb_uri)
            .await
            .unwrap();
        let databases = [unique("platform"), unique("catalog")];
        client
            .database(&databases[0])
            .collection("users")
            .insert_one(doc! { "name": "ada" })
            .await
            .unwrap();
        Self {
            store: TestStore::new().await,
            second: TestStore::new().await,
            databases,
            client,
            sqs,
            queue,
        }
    }

    fn function(&self, more: &[(&str, &str)]) -> Function {
        let uri = |database: &str| parts().mongodb_uri.replace("/?", &format!("/{database}?"));
        let mut variables = vec![
            ("MONGODB_URI".to_owned(), uri(&self.databases[0])),
            ("BACKUP_CATALOG_URI".to_owned(), uri(&self.databases[1])),
            (
                "BACKUP_STORE".to_owned(),
                format!("s3://{}/{}", self.store.bucket, self.store.prefix),
            ),
            ("BACKUP_CLOUD_ENABLED".to_owned(), "true".to_owned()),
            (
                "BACKUP_CLOUD_BUCKET".to_owned(),
                format!("{}/{}", self.second.bucket, self.second.prefix),
            ),
            ("BACKUP_CLOUD_QUEUE".to_owned(), self.queue.clone()),
            ("MONGODUMP".to_owned(), "/nowhere/bin/mongodump".to_owned()),
        ];
        for (name, value) in more {
            variables.retain(|(set, _)| set != name);
            variables.push(((*name).to_owned(), (*value).to_owned()));
        }
        Function::new(variables, Clients::new(aws_config()))
    }

    async fn back_up(&self, function: &Function) -> BackupId {
        let h = function.holdfast().await.unwrap();
        let backup_id = trigger(h, BackupType::Database, None, Timestamp::now())
            .await
            .unwrap()
            .backup_id;
        let request = BackupRequest::Triggered {
            backup_id: backup_id.clone(),
        };
        let outcome = Box::pin(back_up_database(h, request, RunLimits::none()))
            .await
            .unwrap();
        assert!(
            matches!(outcome, BackupOutcome::Completed(_)),
            "{outcome:?}"
        );
        backup_id
    }

    /// The messages in the queue.
    async fn queued(&self) -> Vec<CopyMessage> {
        let received = self
            .sqs
            .receive_message()
            .queue_url(&self.queue)
            .max_number_of_messages(10)
            .send()
            .await;
        let messages = received.unwrap().messages.unwrap_or_default();
        let read = |message: &aws_sdk_sqs::types::Message| {
            serde_json::from_str(message.body().unwrap()).unwrap()
        };
        messages.iter().map(read).collect()
    }

    async fn is_in_the_second_store(&self, id: &BackupId) -> bool {
        self.second
            .store
            .head(&ObjectKey::manifest(id))
            .await
            .is_ok()
    }

    async fn remove(self) {
        for database in &self.databases {
            self.client.database(database).drop().await.unwrap();
        }
        self.sqs
            .delete_queue()
            .queue_url(&self.queue)
            .send()
            .await
            .unwrap();
        self.store.remove().await;
        self.second.remove().await;
    }
}

async fn run(function: &Function, event: &Value) -> Result<Value, InvocationError> {
    handle(function, event, Timestamp::now() + Duration::from_mins(10)).await
}

async fn copy_of(function: &Function, id: &BackupId) -> CopyStatus {
    let job = function
        .holdfast()
        .await
        .unwrap()
        .catalog
        .get(id)
        .await
        .unwrap();
    assert_eq!(job.status, JobStatus::Completed);
    job.copy.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_of_a_completed_backup_copies_it() {
    let stage = Stage::new().await;
    let function = stage.function(&[]);
    let id = stage.back_up(&function).await;
    assert_eq!(
        run(&function, &message(&id)).await.unwrap(),
        json!({ "batchItemFailures": [] })
    );
    assert_eq!(copy_of(&function, &id).await, CopyStatus::Completed);
    assert!(stage.is_in_the_second_store(&id).await);
    // The same message again, and one of a missing backup.
    run(&function, &message(&id)).await.unwrap();
    let gone = run(&function, &message(&"db_1_aa".parse().unwrap()))
        .await
        .unwrap();
    assert_eq!(gone, json!({ "batchItemFailures": [] }));
    assert_eq!(stage.queued().await, []);
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_failed_is_an_answer_and_the_hour_asks_for_it_again_in_its_time() {
    let stage = Stage::new().await;
    let nowhere = stage.function(&[("BACKUP_CLOUD_BUCKET", &unique("no-such"))]);
    let id = stage.back_up(&nowhere).await;
    assert_eq!(
        run(&nowhere, &message(&id)).await.unwrap(),
        json!({ "batchItemFailures": [] })
    );
    assert_eq!(copy_of(&nowhere, &id).await, CopyStatus::Failed);
    let soon = run(&nowhere, &event("schedule-copies")).await.unwrap();
    assert_eq!(
        (&soon["asked"], &soon["uncopied"]),
        (&json!([]), &json!(1)),
        "{soon}"
    );
    // In another store none was made yet.
    let function = stage.function(&[]);
    let asked = run(&function, &event("schedule-copies")).await.unwrap();
    assert_eq!(asked["asked"], json!([id]));
    assert_eq!(
        stage.queued().await,
        [CopyMessage {
            backup_id: id.clone(),
            rounds: 0
        }]
    );
    run(&function, &message(&id)).await.unwrap();
    let asked = run(&function, &event("schedule-copies")).await.unwrap();
    assert_eq!(
        (&asked["asked"], &asked["uncopied"], &asked["overdue"]),
        (&json!([]), &json!(0), &json!([]))
    );
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_time_hands_on_to_itself() {
    let stage = Stage::new().await;
    let function = stage.function(&[]);
    let id = stage.back_up(&function).await;
    let soon = Timestamp::now() + Duration::from_secs(20);
    handle(&function, &message(&id), soon).await.unwrap();
    assert_eq!(copy_of(&function, &id).await, CopyStatus::Pending);
    assert_eq!(
        stage.queued().await,
        [CopyMessage {
            backup_id: id.clone(),
            rounds: 1
        }]
    );
    // Not forever: the hourly run requests it again.
    let mut last = message(&id);
    last["Records"][0]["body"] = json!(json!({ "backupId": id, "rounds": 400 }).to_string());
    handle(&function, &last, soon).await.unwrap();
    assert_eq!(stage.queued().await, []);
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_comes_again_and_what_is_no_message_does_not() {
    let stage = Stage::new().await;
    let away = stage.function(&[(
        "BACKUP_CATALOG_URI",
        "mongodb://127.0.0.1:9/x?serverSelectionTimeoutMS=100",
    )]);
    let id: BackupId = "db_1_aa".parse().unwrap();
    assert!(
        run(&away, &message(&id)).await.is_err(),
        "the whole batch of one comes again"
    );
    let mut nonsense = message(&id);
    nonsense["Records"][0]["body"] = json!("{");
    assert_eq!(
        run(&stage.function(&[]), &nonsense).await.unwrap(),
        json!({ "batchItemFailures": [] })
    );
    stage.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_day_deletes_what_retention_deleted() {
    let stage = Stage::new().await;
    let function = stage.function(&[]);
    let id = stage.back_up(&function).await;
    run(&function, &message(&id)).await.unwrap();
    let kept = run(&function, &event("schedule-copies-retention"))
        .await
        .unwrap();
    assert_eq!(
        (&kept["deleted"], &kept["retained"], &kept["problems"]),
        (&json!([]), &json!(1), &json!([]))
    );
    let h = function.holdfast().await.unwrap();
    h.catalog
        .transition(
            &id,
            JobStatus::Deleted,
            holdfast_catalog::JobChange::default(),
            None,
        )
        .await
        .unwrap();
    stage
        .store
        .store
        .delete(&ObjectKey::manifest(&id))
        .await
        .unwrap();
    let report = run(&function, &event("schedule-copies-retention"))
        .await
        .unwrap();
    assert_eq!(report["deleted"][0]["backupId"], id.as_str(), "{report}");
    assert!(!stage.is_in_the_second_store(&id).await);
    // An unreachable second store is reported, and is no fault of the function.
    let nowhere = stage.function(&[("BACKUP_CLOUD_BUCKET", &unique("no-such"))]);
    let told = run(&nowhere, &event("schedule-copies-retention"))
        .await
        .unwrap();
    assert!(
        told["problems"][0]
            .as_str()
            .unwrap()
            .contains("second store"),
        "{told}"
    );
    stage.remove().await;
}

#[tokio::test]
async fn only_what_is_for_it_is_done_and_only_where_it_is_switched_on() {
    let function = Function::new(
        Vec::new(),
        Clients::new(aws_config_at("http://127.0.0.1:9")),
    );
    for refused in [
        event("manual-database"),
        event("handed-on-finalize"),
        event("manual-cleanup"),
        json!({}),
    ] {
        assert!(handle(&function, &refused, Timestamp::MAX).await.is_err());
    }
    let stage = Stage::new().await;
    let off = stage.function(&[("BACKUP_CLOUD_ENABLED", "false")]);
    for name in ["schedule-copies", "schedule-copies-retention", "sqs-copy"] {
        let error = handle(&off, &event(name), Timestamp::MAX)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("BACKUP_CLOUD_ENABLED"), "{name}: {error}");
    }
    stage.remove().await;
}
