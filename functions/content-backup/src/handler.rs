//! From the event to discovery, and from its outcome to the next step, metrics and a response.
//!
//! A failed backup is a response, because its job has the reason and is settled. A run without a
//! beginning or a record is an error. The event's source then retries. A tick during a backup of
//! the same type is skipped.

use holdfast_domain::{BackupType, Timestamp};
use holdfast_lambda::{
    Function, InvocationError, answer, record_misconfigured_run, report_outcome, request,
    skipped_tick,
};
use holdfast_operations::{
    BackupOutcome, BackupRequest, DiscoveryOutcome, OperationError, RunLimits, Step,
    discover_content,
};
use serde_json::{Value, json};

/// Discovers the items of the requested backup, or continues the discovery.
pub(crate) async fn handle(
    function: &Function,
    payload: &Value,
    deadline: Timestamp,
) -> Result<Value, InvocationError> {
    let request = request(payload, BackupType::Content)?;
    let outcome = run(function, &request, deadline).await;
    if let Err(error) = &outcome {
        if let Some(answer) = skipped_tick(function, &request, error).await {
            return Ok(answer);
        }
        report_outcome(function, BackupType::Content, Err(error));
    }
    match outcome? {
        DiscoveryOutcome::Continue { backup_id } => {
            function.continue_with(&backup_id, Step::Discover).await?;
            Ok(json!({ "backupId": backup_id, "status": "running", "handedOn": Step::Discover }))
        }
        DiscoveryOutcome::Queued { backup_id, counts } => {
            tracing::info!(backupId = %backup_id, items = counts.expected, unchanged = counts.unchanged, "every item is found");
            Ok(json!({ "backupId": backup_id, "status": "running", "items": counts }))
        }
        DiscoveryOutcome::Finalize { backup_id } => {
            function.continue_with(&backup_id, Step::Finalize).await?;
            Ok(json!({ "backupId": backup_id, "status": "finalizing", "handedOn": Step::Finalize }))
        }
        DiscoveryOutcome::Failed(job) => {
            Ok(report_and_answer(function, &BackupOutcome::Failed(job)))
        }
        DiscoveryOutcome::Skipped { backup_id, reason } => Ok(report_and_answer(
            function,
            &BackupOutcome::Skipped { backup_id, reason },
        )),
    }
}

fn report_and_answer(function: &Function, outcome: &BackupOutcome) -> Value {
    report_outcome(function, BackupType::Content, Ok(outcome));
    answer(outcome)
}

async fn run(
    function: &Function,
    request: &BackupRequest,
    deadline: Timestamp,
) -> Result<DiscoveryOutcome, OperationError> {
    let limits = RunLimits {
        deadline: Some(deadline),
    };
    let begun = async { Ok((function.holdfast().await?, function.queue().await?)) };
    match begun.await {
        Ok((holdfast, queue)) => {
            Box::pin(discover_content(holdfast, &queue, request.clone(), limits)).await
        }
        Err(OperationError::Config(faults)) => {
            match record_misconfigured_run(function, request, faults).await? {
                BackupOutcome::Failed(job) | BackupOutcome::Completed(job) => {
                    Ok(DiscoveryOutcome::Failed(job))
                }
                BackupOutcome::Skipped { backup_id, reason } => {
                    Ok(DiscoveryOutcome::Skipped { backup_id, reason })
                }
            }
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use holdfast_domain::{BackupId, DownloadMessage};
    use holdfast_operations::trigger;
    use holdfast_setup::Clients;
    use holdfast_testing::{FileShape, IpfsNode, TestDeployment, aws_config, event, parts, unique};
    use mongodb::bson::{DateTime, Document, doc};

    use super::*;

    /// One test's own platform, catalogue, store and queue.
    struct Stage {
        deployment: TestDeployment,
        sqs: aws_sdk_sqs::Client,
        queue: String,
        node: IpfsNode,
    }

    impl Stage {
        async fn new() -> Self {
            let sqs = aws_sdk_sqs::Client::new(&aws_config());
            let queue = sqs
                .create_queue()
                .queue_name(unique("content-backup"))
                .send()
                .await
                .unwrap();
            Self {
                deployment: TestDeployment::new().await,
                sqs,
                queue: queue.queue_url.unwrap(),
                node: parts().ipfs_node(),
            }
        }

        fn function(&self, more: &[(&str, &str)]) -> Function {
            let own = [
                ("BACKUP_CONTENT_QUEUE", self.queue.as_str()),
                ("BACKUP_IPFS_GATEWAYS", self.node.address()),
            ];
            let variables = self.deployment.variables(&[&own, more].concat());
            Function::new(variables, Clients::new(aws_config()))
        }

        /// Makes the platform have this many items.
        async fn publish(&self, count: i64) {
            let cid = self.node.add("a file", &FileShape::v1()).await;
            let items = (1..=count).map(
                |id| doc! { "contentId": id, "title": "x", "url": &cid, "storageType": "ipfs", "isRemoved": false },
            );
            self.deployment.insert("contents", items).await;
        }

        /// The content ids in the queue's messages, in their order.
        async fn queued(&self, backup: &str) -> Vec<String> {
            let mut ids = Vec::new();
            loop {
                let received = self
                    .sqs
                    .receive_message()
                    .queue_url(&self.queue)
                    .max_number_of_messages(10);
                let received = received.send().await.unwrap().messages.unwrap_or_default();
                if received.is_empty() {
                    ids.sort_unstable();
                    return ids;
                }
                for message in received {
                    let message: DownloadMessage =
                        serde_json::from_str(&message.body.unwrap()).unwrap();
                    assert_eq!(message.backup_id.as_str(), backup);
                    ids.push(message.content_id);
                }
            }
        }

        async fn remove(self) {
            self.sqs
                .delete_queue()
                .queue_url(&self.queue)
                .send()
                .await
                .unwrap();
            self.deployment.remove().await;
        }
    }

    async fn run(function: &Function, event: &Value) -> Result<Value, InvocationError> {
        handle(function, event, Timestamp::now() + Duration::from_mins(10)).await
    }

    #[test]
    fn ticks_requests_and_what_is_handed_on_are_taken_and_nothing_else() {
        let asked: BackupId = "content_1777604400000_0a1b2c3d".parse().unwrap();
        let request_of = |name: &str| {
            request(&event(name), BackupType::Content).map_err(|error| error.to_string())
        };
        let tick = "2026-05-01T03:00:00Z".parse().unwrap();
        assert!(matches!(
            request_of("schedule-content"),
            Ok(BackupRequest::Scheduled { kind: BackupType::Content, tick: at, by: Some(_) }) if at == tick
        ));
        for name in ["manual-content", "handed-on-discover"] {
            let request = request_of(name);
            assert!(
                matches!(&request, Ok(BackupRequest::Triggered { backup_id }) if *backup_id == asked),
                "{name}: {request:?}"
            );
        }
        for name in [
            "manual-database",
            "handed-on-finalize",
            "api-post-content",
            "sqs-content-download",
        ] {
            assert!(request_of(name).is_err(), "{name}");
        }
    }

    #[tokio::test]
    async fn every_item_is_one_message_and_the_same_tick_twice_is_one_backup() {
        let stage = Stage::new().await;
        stage.publish(23).await;
        let function = stage.function(&[]);
        let first = run(&function, &event("schedule-content")).await.unwrap();
        assert_eq!(
            (&first["status"], &first["items"]["expected"]),
            (&json!("running"), &json!(23)),
            "{first}"
        );
        let second = run(&function, &event("schedule-content")).await.unwrap();
        assert_eq!(second["backupId"], first["backupId"], "{second}");
        let mut expected: Vec<String> = (1..=23).map(|id| id.to_string()).collect();
        expected.sort_unstable();
        assert_eq!(
            stage.queued(first["backupId"].as_str().unwrap()).await,
            expected
        );
        stage.remove().await;
    }

    #[tokio::test]
    async fn a_tick_during_a_backup_of_the_same_type_is_answered_with_the_running_backup() {
        let stage = Stage::new().await;
        let function = stage.function(&[]);
        let holdfast = function.holdfast().await.unwrap();
        let running = trigger(holdfast, BackupType::Content, None, Timestamp::now())
            .await
            .unwrap()
            .backup_id;
        let answer = run(&function, &event("schedule-content")).await.unwrap();
        assert_eq!(
            (&answer["status"], &answer["runningBackupId"]),
            (&json!("skipped"), &json!(running)),
            "{answer}"
        );
        let tick: BackupId = answer["backupId"].as_str().unwrap().parse().unwrap();
        assert!(
            holdfast.catalog.get(&tick).await.is_err(),
            "a skipped tick leaves no job"
        );
        let again = trigger(holdfast, BackupType::Content, None, Timestamp::now()).await;
        assert!(
            matches!(again, Err(OperationError::AlreadyRunning { .. })),
            "a user's request is refused"
        );
        stage.remove().await;
    }

    #[tokio::test]
    async fn a_tick_during_a_silent_backup_is_retried_and_not_skipped() {
        let stage = Stage::new().await;
        let function = stage.function(&[]);
        let holdfast = function.holdfast().await.unwrap();
        trigger(holdfast, BackupType::Content, None, Timestamp::now())
            .await
            .unwrap();
        let then = DateTime::from_millis(Timestamp::now().as_millisecond() - 65_000);
        stage
            .deployment
            .client
            .database(&stage.deployment.catalog)
            .collection::<Document>("backup_leases")
            .update_many(
                doc! { "_id": "content" },
                doc! { "$set": { "takenAt": then, "beatAt": then } },
            )
            .await
            .unwrap();
        let error = run(&function, &event("schedule-content"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("is running"), "{error}");
        stage.remove().await;
    }

    #[tokio::test]
    async fn a_platform_without_items_is_handed_on_at_once() {
        let stage = Stage::new().await;
        let answer = run(&stage.function(&[]), &event("schedule-content"))
            .await
            .unwrap();
        assert_eq!(
            (&answer["status"], &answer["handedOn"]),
            (&json!("finalizing"), &json!("finalize")),
            "{answer}"
        );
        stage.remove().await;
    }

    #[tokio::test]
    async fn with_little_time_left_discovery_is_continued_by_the_next_run() {
        let stage = Stage::new().await;
        stage.publish(1).await;
        let function = stage.function(&[]);
        let soon = Timestamp::now() + Duration::from_secs(30);
        let answer = handle(&function, &event("schedule-content"), soon)
            .await
            .unwrap();
        assert_eq!(
            (&answer["status"], &answer["handedOn"]),
            (&json!("running"), &json!("discover")),
            "{answer}"
        );
        let mut next = event("handed-on-discover");
        next["detail"]["backupId"] = answer["backupId"].clone();
        let answer = run(&function, &next).await.unwrap();
        assert_eq!(
            (&answer["status"], &answer["items"]["expected"]),
            (&json!("running"), &json!(1)),
            "{answer}"
        );
        assert_eq!(
            stage.queued(answer["backupId"].as_str().unwrap()).await,
            ["1"]
        );
        stage.remove().await;
    }

    #[tokio::test]
    async fn with_wrong_settings_the_job_is_failed_and_names_every_fault() {
        let stage = Stage::new().await;
        let function = stage.function(&[
            ("BACKUP_FROBNICATE", "1"),
            ("BACKUP_CONTENT_ENCRYPTION", "true"),
        ]);
        let answer = run(&function, &event("schedule-content")).await.unwrap();
        assert_eq!(
            (&answer["status"], &answer["error"]["code"]),
            (&json!("failed"), &json!("config-invalid"))
        );
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("BACKUP_FROBNICATE") && message.contains("BACKUP_ENCRYPTION_KEY"),
            "{message}"
        );
        stage.deployment.store.assert_empty().await;
        stage.remove().await;
    }

    #[tokio::test]
    async fn a_request_without_its_job_is_an_error_and_writes_nothing() {
        let stage = Stage::new().await;
        for name in ["manual-content", "handed-on-discover"] {
            let error = run(&stage.function(&[]), &event(name))
                .await
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("content_1777604400000_0a1b2c3d"),
                "{name}: {error}"
            );
        }
        stage.deployment.store.assert_empty().await;
        stage.remove().await;
    }
}
