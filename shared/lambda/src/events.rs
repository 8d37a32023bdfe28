//! EventBridge: transports triggers, and every change of a job's state.
//!
//! A successful call may contain a failed entry, so the result of each entry is checked.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_eventbridge::{
    Client,
    error::ProvideErrorMetadata,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};
use holdfast_domain::{BackupId, Job, Timestamp, VerificationLevel};
use holdfast_operations::{Observer, Step};
use serde_json::{Value, json};

/// `Source` of every event of Holdfast.
pub(crate) const SOURCE: &str = "holdfast";
/// A job waits for a worker: `{"backupId", "type", "by"?}`.
pub(crate) const BACKUP_REQUESTED: &str = "Backup Requested";
/// A running backup continues with its next step: `{"backupId", "type", "step"}`.
pub(crate) const BACKUP_NEXT_STEP: &str = "Backup Handed On";
/// A run of retention was requested: `{"by"?}`.
pub(crate) const CLEANUP_REQUESTED: &str = "Cleanup Requested";
/// A backup is to be verified: `{"backupId", "type", "level", "by"?}`.
pub(crate) const VERIFICATION_REQUESTED: &str = "Verification Requested";
/// A job changed its state: `{"backupId", "type", "status", "at", "error"?}`.
const STATE_CHANGED: &str = "Backup State Changed";

/// Number of attempts for an entry before it counts as refused, and the wait before the second one.
const ATTEMPTS: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Time limit of all attempts together. Neither an API's caller nor a run waits longer for the bus.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// An event that did not reach the bus.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} could not be put on event bus {bus}: {reason}")]
pub struct EventError {
    event: &'static str,
    bus: String,
    reason: String,
}

/// The event bus of the settings.
#[derive(Debug, Clone)]
pub struct Events {
    client: Client,
    bus: String,
}

impl Events {
    /// The bus of this name or ARN.
    #[must_use]
    pub const fn new(client: Client, bus: String) -> Self {
        Self { client, bus }
    }

    /// Dispatches a pending job to its worker.
    ///
    /// # Errors
    /// [`EventError`] if the bus did not accept it. The job then has no run.
    pub async fn request_backup(&self, job: &Job) -> Result<(), EventError> {
        let mut detail = json!({ "backupId": job.backup_id, "type": job.backup_type });
        if let Some(by) = &job.trigger.by {
            detail["by"] = json!(by);
        }
        self.put(BACKUP_REQUESTED, &detail).await
    }

    /// Requests a verification.
    ///
    /// # Errors
    /// [`EventError`] if the bus did not accept it. The verification is then not done.
    pub async fn request_verification(
        &self,
        backup_id: &BackupId,
        level: VerificationLevel,
        by: Option<&str>,
    ) -> Result<(), EventError> {
        let mut detail =
            json!({ "backupId": backup_id, "type": backup_id.backup_type(), "level": level });
        if let Some(by) = by {
            detail["by"] = json!(by);
        }
        self.put(VERIFICATION_REQUESTED, &detail).await
    }

    /// Requests a run of retention.
    ///
    /// # Errors
    /// [`EventError`] if the bus did not accept it. Retention then runs only by its schedule.
    pub async fn request_cleanup(&self, by: Option<&str>) -> Result<(), EventError> {
        let detail = by.map_or_else(|| json!({}), |by| json!({ "by": by }));
        self.put(CLEANUP_REQUESTED, &detail).await
    }

    /// Dispatches the next step of a running backup.
    ///
    /// # Errors
    /// [`EventError`] if the bus did not accept it. The sweep dispatches the step again.
    pub async fn continue_with(&self, backup_id: &BackupId, step: Step) -> Result<(), EventError> {
        let detail =
            json!({ "backupId": backup_id, "type": backup_id.backup_type(), "step": step });
        self.put(BACKUP_NEXT_STEP, &detail).await
    }

    async fn put(&self, event: &'static str, detail: &Value) -> Result<(), EventError> {
        let fail = |reason: String| EventError {
            event,
            bus: self.bus.clone(),
            reason,
        };
        match tokio::time::timeout(TIME_LIMIT, self.try_put(event, detail)).await {
            Ok(outcome) => outcome.map_err(fail),
            Err(_) => Err(fail(format!(
                "no answer within {} seconds",
                TIME_LIMIT.as_secs()
            ))),
        }
    }

    async fn try_put(&self, event: &'static str, detail: &Value) -> Result<(), String> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source(SOURCE)
            .detail_type(event)
            .detail(detail.to_string())
            .build();
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let answer = self
                .client
                .put_events()
                .entries(entry.clone())
                .send()
                .await
                .map_err(|error| {
                    let code = error.code().unwrap_or("EventBridge could not be reached");
                    error
                        .message()
                        .map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"))
                })?;
            match refusal(answer.entries()) {
                None => return Ok(()),
                Some(refusal) if attempt >= ATTEMPTS || !refusal.is_transient => {
                    return Err(refusal.reason);
                }
                Some(_) => tokio::time::sleep(wait).await,
            }
            wait *= 2;
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    is_transient: bool,
    reason: String,
}

/// Why the entry was refused, if it was.
fn refusal(entries: &[PutEventsResultEntry]) -> Option<Refusal> {
    let Some(entry) = entries.first() else {
        return Some(Refusal {
            is_transient: true,
            reason: "the response does not mention the event".to_owned(),
        });
    };
    let code = entry.error_code()?;
    Some(Refusal {
        is_transient: matches!(
            code,
            "ThrottlingException" | "InternalFailure" | "InternalException"
        ),
        reason: entry
            .error_message()
            .map_or_else(|| code.to_owned(), |message| format!("{code}: {message}")),
    })
}

fn state_changed(job: &Job, at: Timestamp) -> Value {
    let mut detail = json!({ "backupId": job.backup_id, "type": job.backup_type, "status": job.status, "at": at });
    if let Some(error) = &job.error {
        detail["error"] = json!(error);
    }
    detail
}

#[async_trait]
impl Observer for Events {
    async fn job_changed(&self, job: &Job) {
        if let Err(error) = self
            .put(STATE_CHANGED, &state_changed(job, Timestamp::now()))
            .await
        {
            tracing::warn!(backupId = %job.backup_id, status = %job.status, %error, "the event of a state change was not sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{BackupType, FailureCode, JobFailure, JobStatus, Trigger, TriggerKind};

    use super::*;

    fn entry() -> aws_sdk_eventbridge::types::builders::PutEventsResultEntryBuilder {
        PutEventsResultEntry::builder()
    }

    #[test]
    fn an_answer_with_a_refused_entry_is_a_failure() {
        assert_eq!(refusal(&[entry().event_id("1").build()]), None);
        let throttled = refusal(&[entry().error_code("ThrottlingException").build()]).unwrap();
        assert!(throttled.is_transient);
        let denied = refusal(&[entry()
            .error_code("AccessDeniedException")
            .error_message("no")
            .build()])
        .unwrap();
        assert_eq!(
            denied,
            Refusal {
                is_transient: false,
                reason: "AccessDeniedException: no".to_owned()
            }
        );
        assert!(refusal(&[]).is_some());
    }

    #[test]
    fn a_change_of_state_states_its_time_and_its_reason() {
        let at = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let id = BackupId::new(BackupType::Database, at, [0; 4]);
        let mut job = Job::pending(
            id,
            Trigger {
                kind: TriggerKind::Schedule,
                by: None,
            },
            at,
        );
        job.status = JobStatus::Failed;
        job.error = Some(JobFailure {
            code: FailureCode::Deadline,
            message: "late".to_owned(),
            hint: None,
        });
        assert_eq!(
            state_changed(&job, at).to_string(),
            r#"{"backupId":"db_1700000000000_00000000","type":"database","status":"failed","at":"2023-11-14T22:13:20Z","error":{"code":"deadline","message":"late"}}"#
        );
    }
}
