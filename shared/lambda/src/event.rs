//! What EventBridge sends a worker: a schedule's tick, or a request that the API handed over. Anything else is refused.

use holdfast_domain::{BackupId, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::events::{BACKUP_REQUESTED, SOURCE};

/// An event that a worker acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A schedule came due. A retry of it has the same tick.
    Tick {
        /// When it was due.
        at: Timestamp,
        /// The schedule's or the rule's name.
        schedule: Option<String>,
    },
    /// Somebody asked for a backup, and its pending job waits.
    BackupRequested {
        /// The job's id.
        backup_id: BackupId,
    },
}

/// An event that no worker acts on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    /// Not an event of EventBridge.
    #[error("the event is not one of EventBridge: {0}; a schedule must have no Input of its own")]
    Malformed(String),
    /// Of EventBridge, but not for this.
    #[error(
        "an event {detail_type:?} of {source_name:?} is not known here: expected \"Scheduled Event\" of aws.scheduler \
         or aws.events, or \"Backup Requested\" of holdfast"
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

impl Event {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`EventFault`], which says what was expected.
    pub fn parse(payload: &Value) -> Result<Self, EventFault> {
        let malformed = |error: serde_json::Error| EventFault::Malformed(error.to_string());
        let event = Envelope::deserialize(payload).map_err(malformed)?;
        match (event.source.as_str(), event.detail_type.as_str()) {
            ("aws.scheduler" | "aws.events", "Scheduled Event") => {
                Ok(Self::Tick { at: event.time, schedule: event.resources.first().map(|arn| name(arn)) })
            }
            (SOURCE, BACKUP_REQUESTED) => {
                let requested = Requested::deserialize(&event.detail).map_err(malformed)?;
                Ok(Self::BackupRequested { backup_id: requested.backup_id })
            }
            _ => Err(EventFault::Unknown { source_name: event.source, detail_type: event.detail_type }),
        }
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
        let tick = Event::Tick { at: "2026-05-01T03:00:00Z".parse().unwrap(), schedule: Some("nightly".to_owned()) };
        assert_eq!(Event::parse(&event), Ok(tick.clone()));
        event["source"] = json!("aws.events");
        event["resources"] = json!(["arn:aws:events:eu-west-1:123456789012:rule/nightly"]);
        event["detail"] = json!({});
        assert_eq!(Event::parse(&event), Ok(tick));
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
            json!({ "source": "holdfast", "detail-type": "Backup Requested", "time": time, "detail": {"backupId": "../x"} }),
        ] {
            assert!(Event::parse(&payload).is_err(), "{payload}");
        }
        let error = Event::parse(&json!({ "source": "a", "detail-type": "b", "time": time })).unwrap_err().to_string();
        assert!(error.contains("Scheduled Event") && error.contains("Backup Requested"), "{error}");
    }
}
