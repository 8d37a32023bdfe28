//! From the event to the use case, and from its outcome to metrics and a response.
//!
//! A failed backup is a response, because its job has the reason and is settled. A run without a
//! beginning or a record is an error. The event's source then retries. A tick that meets a running
//! backup of its type is skipped.

use holdfast_domain::{BackupType, Timestamp};
use holdfast_lambda::{
    Function, InvocationError, answer, record_misconfigured_run, report_outcome, request,
    skipped_tick,
};
use holdfast_operations::{
    BackupOutcome, BackupRequest, OperationError, RunLimits, back_up_database,
};
use serde_json::Value;

/// Makes the requested backup.
pub(crate) async fn handle(
    function: &Function,
    payload: &Value,
    deadline: Timestamp,
) -> Result<Value, InvocationError> {
    let request = request(payload, BackupType::Database)?;
    let outcome = run(function, request.clone(), deadline).await;
    if let Err(error) = &outcome
        && let Some(answer) = skipped_tick(function, &request, error).await
    {
        return Ok(answer);
    }
    report_outcome(function, BackupType::Database, outcome.as_ref());
    Ok(answer(&outcome?))
}

async fn run(
    function: &Function,
    request: BackupRequest,
    deadline: Timestamp,
) -> Result<BackupOutcome, OperationError> {
    match function.holdfast().await {
        // Boxed: the future of the use case is too deep a type for the compiler's layout.
        Ok(holdfast) => {
            Box::pin(back_up_database(
                holdfast,
                request,
                RunLimits {
                    deadline: Some(deadline),
                },
            ))
            .await
        }
        Err(OperationError::Config(faults)) => {
            record_misconfigured_run(function, &request, faults).await
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use holdfast_database::Connection;
    use holdfast_domain::{BackupId, Job, Secret, Trigger, TriggerKind, settings::ReadPreference};
    use holdfast_operations::trigger;
    use holdfast_setup::Clients;
    use holdfast_testing::{StandIn, TestStore, aws_config, parts, unique};
    use serde_json::json;

    use super::*;

    fn event(name: &str) -> Value {
        let path = format!("{}/../../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// One test's own catalogue and store, and an empty database to back up.
    struct Stage {
        store: TestStore,
        catalog: String,
    }

    impl Stage {
        async fn new() -> Self {
            Self {
                store: TestStore::new().await,
                catalog: unique("catalog"),
            }
        }

        fn function(&self, more: &[(&str, &str)]) -> Function {
            let uri = |database: &str| parts().mongodb_uri.replace("/?", &format!("/{database}?"));
            let mut variables = vec![
                ("MONGODB_URI".to_owned(), uri("holdfast-tests-nothing")),
                ("BACKUP_CATALOG_URI".to_owned(), uri(&self.catalog)),
                (
                    "BACKUP_STORE".to_owned(),
                    format!("s3://{}/{}", self.store.bucket, self.store.prefix),
                ),
            ];
            variables.extend(
                more.iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            );
            Function::new(variables, Clients::new(aws_config()))
        }

        async fn remove(self) {
            let uri = Secret::new(&parts().mongodb_uri);
            let server = Connection::open(&uri, ReadPreference::Primary, "tests")
                .await
                .unwrap();
            server.drop_database(&self.catalog).await.unwrap();
            self.store.remove().await;
        }
    }

    async fn run(function: &Function, event: &Value) -> Result<Value, InvocationError> {
        handle(function, event, Timestamp::now() + Duration::from_mins(10)).await
    }

    #[test]
    fn ticks_and_requests_are_taken_and_nothing_else() {
        let tick = "2026-05-01T03:00:00Z".parse().unwrap();
        for name in ["schedule-database", "rule-database"] {
            let request = request(&event(name), BackupType::Database).unwrap();
            assert!(
                matches!(request, BackupRequest::Scheduled { tick: at, by: Some(_), .. } if at == tick),
                "{name}"
            );
        }
        let asked: BackupId = "db_1777604400000_0a1b2c3d".parse().unwrap();
        let request_of =
            |event: &Value| request(event, BackupType::Database).map_err(|error| error.to_string());
        assert!(matches!(
            request_of(&event("manual-database")),
            Ok(BackupRequest::Triggered { backup_id }) if backup_id == asked
        ));
        let mut of_content = event("manual-database");
        of_content["detail"]["backupId"] = json!("content_1_a");
        assert!(request_of(&of_content).is_err());
        assert!(request_of(&event("api-post-database")).is_err());
    }

    #[tokio::test]
    async fn the_same_tick_twice_is_one_backup() {
        let stage = Stage::new().await;
        let function = stage.function(&[]);
        let first = run(&function, &event("schedule-database")).await.unwrap();
        assert_eq!(first["status"], "completed", "{first}");
        let second = run(&function, &event("schedule-database")).await.unwrap();
        assert_eq!(
            (&second["status"], &second["backupId"]),
            (&json!("skipped"), &first["backupId"]),
            "{second}"
        );
        let late = run(
            &stage.function(&[("BACKUP_FROBNICATE", "1")]),
            &event("schedule-database"),
        )
        .await
        .unwrap();
        assert_eq!(late["status"], "skipped", "{late}");
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
    async fn a_tick_during_a_backup_of_the_same_type_is_answered_with_the_running_backup() {
        let stage = Stage::new().await;
        let function = stage.function(&[]);
        let holdfast = function.holdfast().await.unwrap();
        let running = trigger(holdfast, BackupType::Database, None, Timestamp::now())
            .await
            .unwrap()
            .backup_id;
        let answer = run(&function, &event("schedule-database")).await.unwrap();
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
        let again = trigger(holdfast, BackupType::Database, None, Timestamp::now()).await;
        assert!(
            matches!(again, Err(OperationError::AlreadyRunning { .. })),
            "a user's request is refused"
        );
        stage.remove().await;
    }

    #[tokio::test]
    async fn a_tick_with_a_job_of_its_own_is_retried_and_so_is_one_at_the_limit_of_backups() {
        let stage = Stage::new().await;
        let function = stage.function(&[("BACKUP_MAX_CONCURRENT", "1")]);
        let holdfast = function.holdfast().await.unwrap();
        let at = Timestamp::now();
        let content = trigger(holdfast, BackupType::Content, None, at)
            .await
            .unwrap();
        let error = run(&function, &event("schedule-database"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("BACKUP_MAX_CONCURRENT"), "{error}");

        holdfast_operations::cancel(holdfast, &content.backup_id, at)
            .await
            .unwrap();
        trigger(holdfast, BackupType::Database, None, at)
            .await
            .unwrap();
        let own = request(&event("schedule-database"), BackupType::Database)
            .unwrap()
            .backup_id();
        let trigger = Trigger {
            kind: TriggerKind::Schedule,
            by: None,
        };
        let job = Job::pending(own, trigger, at);
        holdfast.catalog.insert_pending(&job).await.unwrap();
        let error = run(&function, &event("schedule-database"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("is running"), "{error}");
        stage.remove().await;
    }

    #[tokio::test]
    async fn a_mongodump_that_does_not_run_is_known_to_the_metrics_once_a_backup_went_without_it() {
        let stage = Stage::new().await;
        let broken = StandIn::being(b"#!/bin/sh\nexit 127\n", 0o755);
        let function = stage.function(&[("MONGODUMP", &broken.path().display().to_string())]);
        assert!(!function.fell_back());
        let answer = run(&function, &event("schedule-database")).await.unwrap();
        assert_eq!(answer["status"], "completed", "{answer}");
        assert!(function.fell_back());
        stage.remove().await;
    }

    #[tokio::test]
    async fn with_wrong_settings_the_job_is_failed_and_names_every_fault() {
        let stage = Stage::new().await;
        let function = stage.function(&[
            ("BACKUP_FROBNICATE", "1"),
            ("BACKUP_DATABASE_ENCRYPTION", "true"),
        ]);
        let answer = run(&function, &event("schedule-database")).await.unwrap();
        assert_eq!(
            (&answer["status"], &answer["error"]["code"]),
            (&json!("failed"), &json!("config-invalid"))
        );
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("BACKUP_FROBNICATE") && message.contains("BACKUP_ENCRYPTION_KEY"),
            "{message}"
        );
        let id: BackupId = answer["backupId"].as_str().unwrap().parse().unwrap();
        let job = function
            .catalog_despite_config_errors()
            .await
            .unwrap()
            .get(&id)
            .await
            .unwrap();
        assert_eq!(job.error.unwrap().message, message);
        stage.store.assert_empty().await;
        stage.remove().await;
    }

    #[tokio::test]
    async fn a_request_without_its_job_is_an_error_and_writes_nothing() {
        let stage = Stage::new().await;
        let error = run(&stage.function(&[]), &event("manual-database"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("db_1777604400000_0a1b2c3d"), "{error}");
        stage.store.assert_empty().await;
        stage.remove().await;
    }

    #[tokio::test]
    async fn wrong_settings_without_a_catalogue_are_an_error_for_the_events_source() {
        let stage = Stage::new().await;
        let function = stage.function(&[("BACKUP_CATALOG_URI", "nonsense")]);
        let error = run(&function, &event("schedule-database"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("BACKUP_CATALOG_URI"), "{error}");
        stage.remove().await;
    }
}
