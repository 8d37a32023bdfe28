//! The copy queue on SQS: one message for each backup. The sender does not matter: the event of a
//! completed backup, the hourly search for lost messages, or a run at the end of its time.

use std::time::Duration;

use aws_sdk_sqs::{Client, error::ProvideErrorMetadata};
use holdfast_domain::BackupId;
use holdfast_operations::QueueError;
use serde::{Deserialize, Serialize};

/// The longest delay of a message in SQS.
const MAX_DELAY: Duration = Duration::from_mins(15);

/// A backup to copy. The detail of an event has the same form: its other fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyMessage {
    /// The backup.
    pub backup_id: BackupId,
    /// Number of times the message was sent again.
    #[serde(default)]
    pub rounds: u32,
}

/// A queue of copies to make.
#[derive(Debug, Clone)]
pub struct CopyQueue {
    client: Client,
    url: String,
}

impl CopyQueue {
    /// The queue at this URL.
    #[must_use]
    pub const fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Sends a message that becomes visible after `delay`.
    ///
    /// # Errors
    /// [`QueueError`] if the queue did not accept it.
    pub async fn send(&self, message: &CopyMessage, delay: Duration) -> Result<(), QueueError> {
        let body = serde_json::to_string(message).map_err(|error| QueueError {
            message: error.to_string(),
            is_transient: false,
        })?;
        let seconds = i32::try_from(delay.min(MAX_DELAY).as_secs()).unwrap_or_default();
        let call = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .delay_seconds(seconds);
        call.send().await.map_err(|error| refused(&error))?;
        Ok(())
    }
}

fn refused(error: &impl ProvideErrorMetadata) -> QueueError {
    let code = error.code().unwrap_or("SQS could not be reached");
    let message = error
        .message()
        .map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"));
    QueueError {
        message: format!("the copy queue did not accept a message: {message}"),
        is_transient: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detail_of_an_event_is_a_message_and_so_is_what_was_handed_on() {
        let backup_id: BackupId = "db_1_a".parse().unwrap();
        let event = r#"{"backupId":"db_1_a","type":"database","status":"completed","at":"2026-05-01T03:00:00Z"}"#;
        let first = CopyMessage {
            backup_id: backup_id.clone(),
            rounds: 0,
        };
        assert_eq!(serde_json::from_str::<CopyMessage>(event).unwrap(), first);
        let next = CopyMessage {
            backup_id,
            rounds: 3,
        };
        let body = serde_json::to_string(&next).unwrap();
        assert_eq!(body, r#"{"backupId":"db_1_a","rounds":3}"#);
        assert_eq!(serde_json::from_str::<CopyMessage>(&body).unwrap(), next);
    }
}
