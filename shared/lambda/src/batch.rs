//! Parts of all readers of queues: the batch in an event, the message in a record, and the response
//! for a record to retry. Also dispatches a backup after its last item.

use aws_lambda_events::sqs::{BatchItemFailure, SqsEvent, SqsMessage};
use holdfast_domain::{BackupId, Timestamp};
use holdfast_operations::{Holdfast, OperationError, Step, finalize_if_settled};
use serde::{Deserialize as _, de::DeserializeOwned};
use serde_json::Value;

use crate::{EventFault, Function};

/// The batch of messages in a payload.
///
/// # Errors
/// [`EventFault::MalformedBatch`].
pub fn batch_in(payload: &Value) -> Result<SqsEvent, EventFault> {
    SqsEvent::deserialize(payload).map_err(|error| EventFault::MalformedBatch {
        problem: error.to_string(),
    })
}

/// The message in a record. An invalid one would be redelivered forever, so it is dropped.
#[must_use]
pub fn message_in<T: DeserializeOwned>(record: &SqsMessage) -> Option<T> {
    let message = serde_json::from_str(record.body.as_deref().unwrap_or_default());
    message
        .inspect_err(|error| tracing::error!(%error, "a message with an unknown form was dropped"))
        .ok()
}

/// Marks a record for redelivery.
#[must_use]
pub fn redeliver(record: SqsMessage) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = record.message_id.unwrap_or_default();
    failure
}

/// Dispatches the last step of the backup if this batch settled its last item. A failure here is
/// left to the sweep: the items are settled, and no message is redelivered.
pub async fn dispatch_if_settled(function: &Function, holdfast: &Holdfast, backup_id: &BackupId) {
    let dispatched = async {
        if finalize_if_settled(holdfast, backup_id, Timestamp::now()).await? {
            function.continue_with(backup_id, Step::Finalize).await?;
        }
        Ok::<_, OperationError>(())
    };
    if let Err(error) = dispatched.await {
        tracing::warn!(backupId = %backup_id, %error, "the next step of a backup was not dispatched: the sweep dispatches it");
    }
}
