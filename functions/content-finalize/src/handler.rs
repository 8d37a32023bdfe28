//! From the event to the use case: finishes a backup with settled items. Items of undelivered
//! messages are settled here, so that every backup ends.

use std::collections::BTreeSet;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use holdfast_domain::{BackupId, BackupType, Timestamp};
use holdfast_lambda::{
    Event, EventFault, Function, InvocationError, Metric, answer, dispatch_if_settled, message_in,
    redeliver, report_outcome,
};
use holdfast_operations::{
    BackupOutcome, FinalizeOutcome, OperationError, RunLimits, Step, finalize_content,
    settle_undelivered,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Finishes a backup, or settles dead letters.
pub(crate) async fn handle(
    function: &Function,
    payload: &Value,
    deadline: Timestamp,
) -> Result<Value, InvocationError> {
    if payload.get("Records").is_some() {
        let batch = SqsEvent::deserialize(payload)
            .map_err(|error| EventFault::Malformed(error.to_string()))?;
        return Ok(json!(settle(function, batch).await?));
    }
    match Event::parse(payload)? {
        Event::NextStep {
            backup_id,
            step: Step::Finalize,
        } => Ok(finish(function, &backup_id, deadline).await?),
        _ => Err(
            EventFault::Malformed("it does not hand on a backup to be finished".to_owned()).into(),
        ),
    }
}

async fn finish(
    function: &Function,
    id: &BackupId,
    deadline: Timestamp,
) -> Result<Value, OperationError> {
    let limits = RunLimits {
        deadline: Some(deadline),
    };
    let finalized =
        async { Box::pin(finalize_content(function.holdfast().await?, id, limits)).await };
    let outcome = match finalized
        .await
        .inspect_err(|error| report_outcome(function, BackupType::Content, Err(error)))?
    {
        FinalizeOutcome::Completed(job) => BackupOutcome::Completed(job),
        FinalizeOutcome::Failed(job) => BackupOutcome::Failed(job),
        FinalizeOutcome::Skipped { backup_id, reason } => {
            BackupOutcome::Skipped { backup_id, reason }
        }
        FinalizeOutcome::Continue { backup_id } => {
            function.continue_with(&backup_id, Step::Finalize).await?;
            return Ok(
                json!({ "backupId": backup_id, "status": "finalizing", "handedOn": Step::Finalize }),
            );
        }
    };
    report_outcome(function, BackupType::Content, Ok(&outcome));
    Ok(answer(&outcome))
}

async fn settle(function: &Function, batch: SqsEvent) -> Result<SqsBatchResponse, OperationError> {
    let holdfast = function.holdfast().await?;
    let mut response = SqsBatchResponse::default();
    let mut backups = BTreeSet::new();
    let mut given_up = 0_u32;
    for record in batch.records {
        let Some(message) = message_in(&record) else {
            continue;
        };
        match settle_undelivered(holdfast, &message, Timestamp::now()).await {
            Ok(settled) => given_up += u32::from(settled),
            Err(error) => {
                tracing::error!(backupId = %message.backup_id, %error, "a dead letter could not be settled");
                response.batch_item_failures.push(redeliver(record));
            }
        }
        backups.insert(message.backup_id);
    }
    if given_up > 0 {
        function.metrics().emit(
            BackupType::Content,
            &[(Metric::ItemsUndelivered, given_up.into())],
        );
    }
    for backup_id in backups {
        dispatch_if_settled(function, holdfast, &backup_id).await;
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use holdfast_database::Connection;
    use holdfast_domain::{ItemStatus, JobStatus, Secret, settings::ReadPreference};
    use holdfast_operations::{
        BackupRequest, DiscoveryOutcome, LocalQueue, discover_content, trigger,
    };
    use holdfast_setup::Clients;
    use holdfast_testing::{TestStore, aws_config, parts, unique};
    use mongodb::bson::doc;

    use super::*;

    /// An event of `events/`, of this backup.
    fn event(name: &str, backup: &BackupId) -> Value {
        let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        serde_json::from_str(&text.replace("content_1777604400000_0a1b2c3d", backup.as_str()))
            .unwrap()
    }

    /// One test's own platform, catalogue and store.
    struct Stage {
        function: Function,
        store: TestStore,
        databases: [String; 2],
    }

    impl Stage {
        async fn new() -> Self {
            let (store, databases) = (
                TestStore::new().await,
                [unique("platform"), unique("catalog")],
            );
            let uri = |database: &str| parts().mongodb_uri.replace("/?", &format!("/{database}?"));
            let variables = [
                ("MONGODB_URI", uri(&databases[0])),
                ("BACKUP_CATALOG_URI", uri(&databases[1])),
                (
                    "BACKUP_STORE",
                    format!("s3://{}/{}", store.bucket, store.prefix),
                ),
            ];
            let variables = variables
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec();
            Self {
                function: Function::new(variables, Clients::new(aws_config())),
                store,
                databases,
            }
        }

        /// Begins a backup of this number of items without downloads, with ids from 1. Discovery
        /// finds all of them.
        async fn begun(&self, items: i32) -> BackupId {
            if items > 0 {
                let client = mongodb::Client::with_uri_str(&parts().mongodb_uri)
                    .await
                    .unwrap();
                let item = |id: i32| {
                    let url = format!("https://hub.example/{id}");
                    doc! { "contentId": id, "title": "x", "url": url, "storageType": "gaia", "isRemoved": false }
                };
                let contents = client.database(&self.databases[0]).collection("contents");
                contents.insert_many((1..=items).map(item)).await.unwrap();
            }
            let holdfast = self.function.holdfast().await.unwrap();
            let backup_id = trigger(holdfast, BackupType::Content, None, Timestamp::now())
                .await
                .unwrap()
                .backup_id;
            let request = BackupRequest::Triggered {
                backup_id: backup_id.clone(),
            };
            let queue = LocalQueue::new(10);
            let discovered = discover_content(holdfast, &queue, request, RunLimits::none())
                .await
                .unwrap();
            assert_eq!(
                matches!(discovered, DiscoveryOutcome::Finalize { .. }),
                items == 0,
                "{discovered:?}"
            );
            backup_id
        }

        async fn handle(&self, event: &Value) -> Result<Value, InvocationError> {
            handle(
                &self.function,
                event,
                Timestamp::now() + Duration::from_mins(10),
            )
            .await
        }

        async fn remove(self) {
            let uri = Secret::new(&parts().mongodb_uri);
            let server = Connection::open(&uri, ReadPreference::Primary, "tests")
                .await
                .unwrap();
            for database in &self.databases {
                server.drop_database(database).await.unwrap();
            }
            self.store.remove().await;
        }
    }

    #[tokio::test]
    async fn what_is_handed_on_is_finished_once() {
        let stage = Stage::new().await;
        let id = stage.begun(0).await;
        let first = stage
            .handle(&event("handed-on-finalize", &id))
            .await
            .unwrap();
        assert_eq!(
            (&first["status"], &first["backupId"]),
            (&json!("completed"), &json!(id)),
            "{first}"
        );
        let second = stage
            .handle(&event("handed-on-finalize", &id))
            .await
            .unwrap();
        assert_eq!(second["status"], "skipped", "{second}");
        let manifests = stage
            .store
            .all_keys()
            .await
            .into_iter()
            .filter(|key| key.ends_with("/manifest.json"))
            .count();
        assert_eq!(manifests, 1);
        stage.remove().await;
    }

    #[tokio::test]
    async fn what_is_not_settled_yet_is_not_finished() {
        let stage = Stage::new().await;
        let id = stage.begun(2).await;
        let answer = stage
            .handle(&event("handed-on-finalize", &id))
            .await
            .unwrap();
        assert_eq!(answer["status"], "skipped", "{answer}");
        let catalog = &stage.function.holdfast().await.unwrap().catalog;
        assert_eq!(catalog.get(&id).await.unwrap().status, JobStatus::Running);
        stage.remove().await;
    }

    #[tokio::test]
    async fn a_dead_letter_settles_its_item_and_the_last_one_hands_the_backup_on() {
        let stage = Stage::new().await;
        let id = stage.begun(3).await;
        let holdfast = stage.function.holdfast().await.unwrap();
        let letters = event("sqs-dead-letters", &id);
        let answer = stage.handle(&letters).await.unwrap();
        assert_eq!(answer["batchItemFailures"], json!([]), "{answer}");
        let item = holdfast.catalog.get_item(&id, "3").await.unwrap().unwrap();
        assert_eq!(item.status, ItemStatus::Failed);
        assert_eq!(
            item.error.unwrap().code,
            holdfast_domain::ItemFailureCode::NotDelivered
        );
        assert_eq!(
            holdfast.catalog.get(&id).await.unwrap().status,
            JobStatus::Running
        );

        let mut others = letters.clone();
        let record = |content: &str| {
            let mut record = letters["Records"][0].clone();
            record["body"] = json!(json!({ "backupId": id, "contentId": content }).to_string());
            record
        };
        others["Records"] = json!([record("1"), record("2"), record("nobodys")]);
        assert_eq!(
            stage.handle(&others).await.unwrap()["batchItemFailures"],
            json!([])
        );
        assert_eq!(
            holdfast.catalog.get(&id).await.unwrap().status,
            JobStatus::Finalizing
        );
        stage.remove().await;
    }

    #[tokio::test]
    async fn what_is_for_another_function_is_refused() {
        let stage = Stage::new().await;
        let id: BackupId = "content_1_a".parse().unwrap();
        for name in [
            "handed-on-discover",
            "manual-content",
            "schedule-content",
            "api-post-content",
        ] {
            assert!(stage.handle(&event(name, &id)).await.is_err(), "{name}");
        }
        let mut letters = event("sqs-dead-letters", &id);
        letters["Records"][0]["body"] = json!("{");
        assert_eq!(
            stage.handle(&letters).await.unwrap()["batchItemFailures"],
            json!([]),
            "nobody can settle it"
        );
        let missing = stage
            .handle(&event("handed-on-finalize", &id))
            .await
            .unwrap_err()
            .to_string();
        assert!(missing.contains("content_1_a"), "{missing}");
        stage.remove().await;
    }
}
