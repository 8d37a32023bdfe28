//! What both readers of the queue of files have in common: the message in a record, the answer for one that has to come
//! again, and handing a backup on once its last item is settled.

use aws_lambda_events::sqs::{BatchItemFailure, SqsMessage};
use holdfast_domain::{BackupId, DownloadMessage, Timestamp};
use holdfast_operations::{Holdfast, OperationError, Step, finalize_if_settled};

use crate::Function;

/// The message in a record. One that is none would come again for ever: it is dropped.
#[must_use]
pub fn message_in(record: &SqsMessage) -> Option<DownloadMessage> {
    let message = serde_json::from_str(record.body.as_deref().unwrap_or_default());
    message.inspect_err(|error| tracing::error!(%error, "a message that is not one of Holdfast was dropped")).ok()
}

/// Says of a record that it has to come again.
#[must_use]
pub fn comes_again(record: SqsMessage) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = record.message_id.unwrap_or_default();
    failure
}

/// Where a batch settled the last item of a backup, it is handed on. What goes wrong here is found by the sweep: the
/// items are settled, and no message is to come again for it.
pub async fn hand_on_if_settled(function: &Function, holdfast: &Holdfast, backup_id: &BackupId) {
    let handed_on = async {
        if finalize_if_settled(holdfast, backup_id, Timestamp::now()).await? {
            function.hand_on(backup_id, Step::Finalize).await?;
        }
        Ok::<_, OperationError>(())
    };
    if let Err(error) = handed_on.await {
        tracing::warn!(backupId = %backup_id, %error, "a backup was not handed on; the sweep will do it");
    }
}
