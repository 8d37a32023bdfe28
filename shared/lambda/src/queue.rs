//! The queue of files to fetch, on SQS: ten messages a call, and what a call did not take is sent again.
//!
//! Also the worker's side of it: a message that is to be tried again is made visible later, not at once.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::{
    Client,
    error::ProvideErrorMetadata,
    types::{BatchResultErrorEntry, SendMessageBatchRequestEntry},
};
use holdfast_domain::DownloadMessage;
use holdfast_operations::{DownloadQueue, QueueError};

/// The most messages that one call takes.
const BATCH: usize = 10;
/// How often what a call did not take is sent, and how long is waited before the second time.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest that SQS hides a message.
const LONGEST_WAIT: Duration = Duration::from_hours(12);

/// A queue of files to fetch.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// The queue at this URL.
    #[must_use]
    pub const fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Shows a message again after this long, counted from now.
    ///
    /// # Errors
    /// [`QueueError`] where the queue could not be told: the message is seen again when its visibility timeout ends.
    pub async fn show_again(&self, receipt: &str, after: Duration) -> Result<(), QueueError> {
        let seconds = i32::try_from(after.min(LONGEST_WAIT).as_secs()).unwrap_or(i32::MAX);
        let call = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt);
        call.visibility_timeout(seconds).send().await.map_err(|error| refused(&error))?;
        Ok(())
    }

    /// Sends up to ten messages; what was not taken is sent again.
    async fn send_batch(&self, messages: &[DownloadMessage]) -> Result<(), QueueError> {
        let mut entries = messages.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>()?;
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let call = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries.clone()));
            let answer = call.send().await.map_err(|error| refused(&error))?;
            let failed = answer.failed();
            let Some(first) = failed.first() else { return Ok(()) };
            if attempt >= ATTEMPTS || failed.iter().any(BatchResultErrorEntry::sender_fault) {
                let reason = first.message().unwrap_or(first.code());
                let message =
                    format!("the queue did not take {} of {} messages: {reason}", failed.len(), entries.len());
                return Err(QueueError { message, is_transient: !first.sender_fault() });
            }
            entries.retain(|entry| failed.iter().any(|failed| failed.id() == entry.id()));
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Ok(())
    }
}

#[async_trait]
impl DownloadQueue for SqsQueue {
    async fn send(&self, messages: &[DownloadMessage]) -> Result<(), QueueError> {
        for batch in messages.chunks(BATCH) {
            self.send_batch(batch).await?;
        }
        Ok(())
    }
}

/// An entry's id is its place in the call.
fn entry((place, message): (usize, &DownloadMessage)) -> Result<SendMessageBatchRequestEntry, QueueError> {
    let fault = |message: String| QueueError { message, is_transient: false };
    let body = serde_json::to_string(message).map_err(|error| fault(error.to_string()))?;
    let entry = SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(body).build();
    entry.map_err(|error| fault(error.to_string()))
}

fn refused(error: &impl ProvideErrorMetadata) -> QueueError {
    const LASTING: [&str; 4] =
        ["AccessDenied", "AccessDeniedException", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"];
    let code = error.code().unwrap_or("SQS could not be reached");
    let message = error.message().map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"));
    QueueError { message, is_transient: !LASTING.contains(&code) }
}
