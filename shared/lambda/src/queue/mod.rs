//! The download queue on SQS: ten messages in a call. Messages that a call did not accept are sent
//! again. A refused message affects only its own item.
//!
//! Also the worker's side: a message to retry becomes visible later, not at once.

mod body;

use std::{collections::VecDeque, time::Duration};

use async_trait::async_trait;
use aws_sdk_sqs::{
    Client,
    error::ProvideErrorMetadata,
    types::{BatchResultErrorEntry, SendMessageBatchRequestEntry},
};
use holdfast_domain::DownloadMessage;
use holdfast_operations::{DownloadQueue, QueueError, RefusedMessage};

use self::body::{Outgoing, batches};

/// Number of attempts for unaccepted messages, and the wait before the second one.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest invisibility of a message in SQS.
const MAX_WAIT: Duration = Duration::from_hours(12);

/// A queue of files to fetch.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

/// The result of a batch.
enum Batch {
    /// The queue accepted all messages except these.
    Taken(Vec<RefusedMessage>),
    /// The queue refused the complete call because of one message, without naming it.
    Refused(String),
}

impl SqsQueue {
    /// The queue at this URL.
    #[must_use]
    pub const fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Makes a message visible again after this time from now.
    ///
    /// # Errors
    /// [`QueueError`] if the call failed. The message becomes visible when its visibility timeout
    /// ends.
    pub async fn show_again(&self, receipt: &str, after: Duration) -> Result<(), QueueError> {
        let seconds = i32::try_from(after.min(MAX_WAIT).as_secs()).unwrap_or(i32::MAX);
        let call = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt);
        call.visibility_timeout(seconds)
            .send()
            .await
            .map_err(|error| failure(&error))?;
        Ok(())
    }

    /// Sends one call. Unaccepted messages are sent again, except permanently refused ones.
    async fn send_batch(&self, batch: &[Outgoing]) -> Result<Batch, QueueError> {
        let mut entries = batch
            .iter()
            .enumerate()
            .map(entry)
            .collect::<Result<Vec<_>, _>>()?;
        let (mut refused, mut wait) = (Vec::new(), FIRST_WAIT);
        for attempt in 1.. {
            let call = self
                .client
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.clone()));
            let answer = match call.send().await {
                Ok(answer) => answer,
                Err(error) if error.code().is_some_and(blames_message) => {
                    return Ok(Batch::Refused(reason(&error)));
                }
                Err(error) => return Err(failure(&error)),
            };
            let (of_messages, others): (Vec<_>, Vec<_>) = answer
                .failed()
                .iter()
                .partition(|failed| blames_message(failed.code()));
            refused.extend(
                of_messages
                    .into_iter()
                    .filter_map(|failed| refused_entry(batch, failed)),
            );
            let Some(first) = others.first() else {
                return Ok(Batch::Taken(refused));
            };
            if attempt >= ATTEMPTS || others.iter().any(|failed| failed.sender_fault()) {
                let reason = first.message().unwrap_or(first.code());
                let message = format!(
                    "the queue did not accept {} of {} messages: {reason}",
                    others.len(),
                    entries.len()
                );
                return Err(QueueError {
                    message,
                    is_transient: !first.sender_fault(),
                });
            }
            entries.retain(|entry| others.iter().any(|failed| failed.id() == entry.id()));
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Ok(Batch::Taken(refused))
    }
}

#[async_trait]
impl DownloadQueue for SqsQueue {
    async fn send(&self, messages: &[DownloadMessage]) -> Result<Vec<RefusedMessage>, QueueError> {
        let mut refused = Vec::new();
        let mut waiting: VecDeque<Vec<Outgoing>> = batches(messages, &mut refused)?.into();
        while let Some(batch) = waiting.pop_front() {
            match (self.send_batch(&batch).await?, batch.as_slice()) {
                (Batch::Taken(further), _) => refused.extend(further),
                (Batch::Refused(reason), [message]) => refused.push(message.refused(reason)),
                // One message at a time, so that only the faulty one is refused.
                (Batch::Refused(_), _) => {
                    waiting.extend(batch.into_iter().map(|message| vec![message]));
                }
            }
        }
        Ok(refused)
    }
}

/// An entry's id is its place in the call.
fn entry((place, message): (usize, &Outgoing)) -> Result<SendMessageBatchRequestEntry, QueueError> {
    let entry = SendMessageBatchRequestEntry::builder()
        .id(place.to_string())
        .message_body(message.body())
        .build();
    entry.map_err(|error| QueueError {
        message: error.to_string(),
        is_transient: false,
    })
}

fn refused_entry(batch: &[Outgoing], failed: &BatchResultErrorEntry) -> Option<RefusedMessage> {
    let message = batch.get(failed.id().parse::<usize>().ok()?)?;
    Some(message.refused(failed.message().unwrap_or(failed.code()).to_owned()))
}

/// Whether an error code concerns the characters or the size of a message, not the queue.
fn blames_message(code: &str) -> bool {
    const OF_MESSAGES: [&str; 4] = [
        "InvalidMessageContents",
        "BatchRequestTooLong",
        "MessageTooLong",
        "InvalidParameterValue",
    ];
    let name = code.rsplit(['.', '#']).next().unwrap_or_default();
    OF_MESSAGES.contains(&name.trim_end_matches("Exception"))
}

fn failure(error: &impl ProvideErrorMetadata) -> QueueError {
    const LASTING: [&str; 4] = [
        "AccessDenied",
        "AccessDeniedException",
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
    ];
    let is_lasting = error.code().is_some_and(|code| LASTING.contains(&code));
    QueueError {
        message: reason(error),
        is_transient: !is_lasting,
    }
}

fn reason(error: &impl ProvideErrorMetadata) -> String {
    let code = error.code().unwrap_or("SQS could not be reached");
    error
        .message()
        .map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fault_of_a_message_is_charged_to_it() {
        for code in [
            "InvalidMessageContents",
            "com.amazonaws.sqs#InvalidMessageContents",
            "AWS.SimpleQueueService.BatchRequestTooLong",
            "InvalidParameterValueException",
        ] {
            assert!(blames_message(code), "{code}");
        }
        for code in [
            "AccessDenied",
            "KmsAccessDenied",
            "InternalError",
            "RequestThrottled",
            "QueueDoesNotExist",
            "",
        ] {
            assert!(!blames_message(code), "{code}");
        }
    }
}
