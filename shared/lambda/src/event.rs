//! The events of a worker from EventBridge: a tick of a schedule, a request from the API, or the
//! next step of a backup from another function or an earlier run. Any other event is refused.

use std::fmt;

use holdfast_domain::{BackupId, BackupType, Timestamp, VerificationLevel};
use holdfast_operations::{BackupRequest, Step};
use serde::Deserialize;
use serde_json::Value;

use crate::events::{
    BACKUP_NEXT_STEP, BACKUP_REQUESTED, CLEANUP_REQUESTED, SOURCE, VERIFICATION_REQUESTED,
};

/// A valid event of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A tick of a schedule. Its retry has the same tick.
    Tick {
        /// The scheduled time.
        at: Timestamp,
        /// The schedule's or the rule's name.
        schedule: Option<String>,
    },
    /// A backup was requested, and its job is pending.
    BackupRequested {
        /// The job's id.
        backup_id: BackupId,
    },
    /// A run of retention was requested.
    CleanupRequested {
        /// The requesting user.
        by: Option<String>,
    },
    /// A verification was requested, by a user or by a run without remaining time.
    VerificationRequested {
        /// The backup.
        backup_id: BackupId,
        /// The level.
        level: VerificationLevel,
    },
    /// A running backup continues with this step.
    NextStep {
        /// The job's id.
        backup_id: BackupId,
        /// The next step.
        step: Step,
    },
}

/// An event that no worker accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    /// Not an event of EventBridge.
    #[error(
        "the event is not from EventBridge: {problem}. A schedule must have no Input of its own"
    )]
    Malformed {
        /// The missing or invalid part.
        problem: String,
    },
    /// Not a batch of SQS.
    #[error("the event is not a batch of SQS messages: {problem}")]
    MalformedBatch {
        /// The missing or invalid part.
        problem: String,
    },
    /// A valid event for another function.
    #[error("the event is not for this function: got {found}, expected {expected}")]
    Misdirected {
        /// The event.
        found: String,
        /// The events of this function.
        expected: &'static str,
    },
    /// An event of EventBridge of an unknown kind.
    #[error(
        "unknown event {detail_type:?} of {source_name:?}: expected \"Scheduled Event\" of aws.scheduler or \
         aws.events, or \"Backup Requested\", \"Backup Handed On\", \"Verification Requested\" or \"Cleanup \
         Requested\" of holdfast"
    )]
    Unknown {
        /// Its `source`.
        source_name: String,
        /// Its `detail-type`.
        detail_type: String,
    },
}

/// <https://docs.aws.amazon.com/eventbridge/latest/ref/events-structure.html>
#[derive(Deserialize)]
struct Envelope {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    time: Timestamp,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    detail: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Requested {
    backup_id: BackupId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    backup_id: BackupId,
    level: VerificationLevel,
}

#[derive(Deserialize)]
struct Cleanup {
    #[serde(default)]
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NextStep {
    backup_id: BackupId,
    step: Step,
}

impl Event {
    /// Parses a payload.
    ///
    /// # Errors
    /// [`EventFault`], with the expected form.
    pub fn parse(payload: &Value) -> Result<Self, EventFault> {
        let malformed = |error: serde_json::Error| EventFault::Malformed {
            problem: error.to_string(),
        };
        let event = Envelope::deserialize(payload).map_err(malformed)?;
        match (event.source.as_str(), event.detail_type.as_str()) {
            ("aws.scheduler" | "aws.events", "Scheduled Event") => Ok(Self::Tick {
                at: event.time,
                schedule: event.resources.first().map(|arn| name(arn)),
            }),
            (SOURCE, BACKUP_REQUESTED) => {
                let requested = Requested::deserialize(&event.detail).map_err(malformed)?;
                Ok(Self::BackupRequested {
                    backup_id: requested.backup_id,
                })
            }
            (SOURCE, CLEANUP_REQUESTED) => {
                let Cleanup { by } = Cleanup::deserialize(&event.detail).map_err(malformed)?;
                Ok(Self::CleanupRequested { by })
            }
            (SOURCE, VERIFICATION_REQUESTED) => {
                let Verification { backup_id, level } =
                    Verification::deserialize(&event.detail).map_err(malformed)?;
                Ok(Self::VerificationRequested { backup_id, level })
            }
            (SOURCE, BACKUP_NEXT_STEP) => {
                let NextStep { backup_id, step } =
                    NextStep::deserialize(&event.detail).map_err(malformed)?;
                Ok(Self::NextStep { backup_id, step })
            }
            _ => Err(EventFault::Unknown {
                source_name: event.source,
                detail_type: event.detail_type,
            }),
        }
    }

    /// The fault of this event in a function with other expected events.
    #[must_use]
    pub fn misdirected(&self, expected: &'static str) -> EventFault {
        EventFault::Misdirected {
            found: self.to_string(),
            expected,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tick { .. } => f.write_str("a tick of a schedule"),
            Self::BackupRequested { backup_id } => write!(f, "a request of backup {backup_id}"),
            Self::CleanupRequested { .. } => f.write_str("a request of retention"),
            Self::VerificationRequested { backup_id, .. } => {
                write!(f, "a request to verify {backup_id}")
            }
            Self::NextStep { backup_id, step } => write!(f, "step {step:?} of {backup_id}"),
        }
    }
}

/// The requested backup of this type.
///
/// # Errors
/// [`EventFault`] for another request.
pub fn request(payload: &Value, kind: BackupType) -> Result<BackupRequest, EventFault> {
    match Event::parse(payload)? {
        Event::Tick { at, schedule } => Ok(BackupRequest::Scheduled {
            kind,
            tick: at,
            by: schedule,
        }),
        Event::BackupRequested { backup_id }
        | Event::NextStep {
            backup_id,
            step: Step::Discover,
        } if backup_id.backup_type() == kind => Ok(BackupRequest::Triggered { backup_id }),
        other => Err(other.misdirected(match kind {
            BackupType::Database => "a tick, or a requested database backup",
            BackupType::Content => "a tick, or a requested or continued content backup",
            BackupType::Full => "the parts of a full backup",
        })),
    }
}

/// `arn:…:schedule/<group>/<name>` or `arn:…:rule/<name>`: the name.
fn name(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schedules_own_event_is_its_tick() {
        let mut event = json!({
            "version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.scheduler",
            "account": "123456789012", "time": "2026-05-01T03:00:00Z", "region": "eu-west-1",
            "resources": ["arn:aws:scheduler:eu-west-1:123456789012:schedule/default/nightly"], "detail": "{}"
        });
        let tick = Event::Tick {
            at: "2026-05-01T03:00:00Z".parse().unwrap(),
            schedule: Some("nightly".to_owned()),
        };
        assert_eq!(Event::parse(&event), Ok(tick.clone()));
        event["source"] = json!("aws.events");
        event["resources"] = json!(["arn:aws:events:eu-west-1:123456789012:rule/nightly"]);
        event["detail"] = json!({});
        assert_eq!(Event::parse(&event), Ok(tick));
    }

    #[test]
    fn a_step_is_handed_on_to_whom_it_concerns() {
        let event = |id: &str, step: &str| {
            json!({
                "source": "holdfast", "detail-type": "Backup Handed On", "time": "2026-05-01T03:00:00Z",
                "detail": { "backupId": id, "type": "content", "step": step },
            })
        };
        let backup_id: BackupId = "content_1_a".parse().unwrap();
        let finalize = Event::NextStep {
            backup_id: backup_id.clone(),
            step: Step::Finalize,
        };
        assert_eq!(
            Event::parse(&event("content_1_a", "finalize")),
            Ok(finalize)
        );
        let found = request(&event("content_1_a", "discover"), BackupType::Content);
        assert!(
            matches!(found, Ok(BackupRequest::Triggered { backup_id: found }) if found == backup_id)
        );
        assert!(request(&event("content_1_a", "finalize"), BackupType::Content).is_err());
        assert!(request(&event("db_1_a", "discover"), BackupType::Content).is_err());
    }

    #[test]
    fn a_verification_is_requested_at_a_level() {
        let event = |level: &str| {
            json!({
                "source": "holdfast", "detail-type": "Verification Requested", "time": "2026-05-01T03:00:00Z",
                "detail": { "backupId": "db_1_a", "type": "database", "level": level, "by": "ada" },
            })
        };
        let (backup_id, level) = ("db_1_a".parse().unwrap(), VerificationLevel::Drill);
        assert_eq!(
            Event::parse(&event("drill")),
            Ok(Event::VerificationRequested { backup_id, level })
        );
        assert!(Event::parse(&event("deep")).is_err());
        assert!(request(&event("drill"), BackupType::Database).is_err());
    }

    #[test]
    fn a_cleanup_request_has_its_user() {
        let event = json!({
            "source": "holdfast", "detail-type": "Cleanup Requested", "time": "2026-05-01T03:00:00Z",
            "detail": { "by": "ada" },
        });
        assert_eq!(
            Event::parse(&event),
            Ok(Event::CleanupRequested {
                by: Some("ada".to_owned())
            })
        );
        let refused = request(&event, BackupType::Database).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the event is not for this function: got a request of retention, expected a tick, or a requested database \
             backup"
        );
    }

    #[test]
    fn what_is_no_known_event_is_refused_with_what_was_expected() {
        let time = "2026-05-01T03:00:00Z";
        for payload in [
            json!({}),
            json!("<aws.scheduler.scheduled-time>"),
            json!({ "source": "aws.scheduler", "detail-type": "Scheduled Event" }),
            json!({ "source": "aws.s3", "detail-type": "Object Created", "time": time }),
            json!({ "source": "evil", "detail-type": "Backup Requested", "time": time, "detail": {"backupId": "db_1_a"} }),
            json!({ "source": "holdfast", "detail-type": "Backup Requested", "time": time, "detail": {} }),
            json!({ "source": "holdfast", "detail-type": "Backup Handed On", "time": time, "detail": {"backupId": "content_1_a", "step": "dance"} }),
            json!({ "source": "holdfast", "detail-type": "Backup Requested", "time": time, "detail": {"backupId": "../x"} }),
        ] {
            assert!(Event::parse(&payload).is_err(), "{payload}");
        }
        let error = Event::parse(&json!({ "source": "a", "detail-type": "b", "time": time }))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("Scheduled Event") && error.contains("Backup Requested"),
            "{error}"
        );
    }
}
