//! From messages to copies, and from their results to metrics and the messages to retry.
//!
//! A failed copy is a response: its job has the reason, and the hourly run requests it again, after
//! growing waits. Only an unrecorded result is redelivered.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use holdfast_catalog::CatalogError;
use holdfast_domain::{BackupId, BackupType, Timestamp};
use holdfast_lambda::{CopyMessage, Function, Metric, message_in, redeliver};
use holdfast_operations::{
    CopyMode, CopyStep, DueCopies, Holdfast, OperationError, RunLimits, copies_due, copy_backup,
    expect_copies, is_copied,
};
use holdfast_repository::Repository;
use serde_json::{Value, json};

/// Delay of a message while another run works on its backup.
const WHILE_BUSY: Duration = Duration::from_mins(2);
/// Maximum number of runs of one copy: a hundred hours of work. After that the hourly run requests
/// it again.
const MAX_ROUNDS: u32 = 400;

/// Makes the copies of a batch. The response names the messages to retry.
pub(crate) async fn make(
    function: &Function,
    batch: SqsEvent,
    deadline: Timestamp,
) -> Result<SqsBatchResponse, OperationError> {
    let holdfast = function.holdfast().await?;
    let second = function.second_repository().await?;
    let mut response = SqsBatchResponse::default();
    for record in batch.records {
        let Some(message) = message_in::<CopyMessage>(&record) else {
            continue;
        };
        if let Err(error) = one(function, holdfast, &second, &message, deadline).await {
            let CopyMessage { backup_id, .. } = message;
            tracing::error!(backupId = %backup_id, %error, code = %error.code(), "a copy could not be settled, and is tried again");
            response.batch_item_failures.push(redeliver(record));
        }
    }
    Ok(response)
}

async fn one(
    function: &Function,
    holdfast: &Holdfast,
    second: &Repository,
    message: &CopyMessage,
    deadline: Timestamp,
) -> Result<(), OperationError> {
    let id = &message.backup_id;
    if id.backup_type() == BackupType::Full || was_copied(holdfast, second, id).await? {
        return Ok(());
    }
    let limits = RunLimits {
        deadline: Some(deadline),
    };
    // Boxed: the future of the use case is too deep a type for the compiler's layout.
    let copy = Box::pin(copy_backup(
        holdfast,
        second,
        id,
        CopyMode::Missing,
        limits,
        &|_, _| (),
    ));
    match copy.await {
        Ok(CopyStep::Done(report)) => {
            function.metrics().emit(
                id.backup_type(),
                &[(Metric::CopyBytes, bytes(report.bytes))],
            );
            Ok(())
        }
        Ok(CopyStep::Continue) => send_again(function, message, Duration::ZERO).await,
        Ok(CopyStep::Busy(why)) => {
            tracing::info!(backupId = %id, why, "the copy waits");
            send_again(function, message, WHILE_BUSY).await
        }
        Ok(CopyStep::Gone) => Ok(()),
        Err(error @ OperationError::Catalog(_)) => Err(error),
        // Its job has the reason, and the time of the next attempt.
        Err(_) => {
            function
                .metrics()
                .emit(id.backup_type(), &[(Metric::CopyFailed, 1.0)]);
            Ok(())
        }
    }
}

/// Whether the copy exists: a message may be delivered twice, or sent again because it was late.
async fn was_copied(
    holdfast: &Holdfast,
    second: &Repository,
    id: &BackupId,
) -> Result<bool, OperationError> {
    match holdfast.catalog.get(id).await {
        Ok(job) => Ok(is_copied(&job, second)),
        Err(CatalogError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn send_again(
    function: &Function,
    message: &CopyMessage,
    delay: Duration,
) -> Result<(), OperationError> {
    let CopyMessage { backup_id, rounds } = message;
    if *rounds >= MAX_ROUNDS {
        tracing::warn!(backupId = %backup_id, rounds, "the copy is not queued again: the hourly run requests it again");
        return Ok(());
    }
    let next = CopyMessage {
        backup_id: backup_id.clone(),
        rounds: rounds + 1,
    };
    Ok(function.copy_queue().await?.send(&next, delay).await?)
}

/// Sends messages for due copies that were not sent or failed, and reports overdue ones.
pub(crate) async fn request_due_copies(function: &Function) -> Result<Value, OperationError> {
    let (holdfast, second) = (
        function.holdfast().await?,
        function.second_repository().await?,
    );
    let queue = function.copy_queue().await?;
    let now = Timestamp::now();
    let due = if holdfast.settings.enabled {
        copies_due(holdfast, &second, now).await?
    } else {
        DueCopies::default()
    };
    for backup_id in &due.due {
        queue
            .send(
                &CopyMessage {
                    backup_id: backup_id.clone(),
                    rounds: 0,
                },
                Duration::ZERO,
            )
            .await?;
    }
    expect_copies(holdfast, &second, &due.due, now).await?;
    for kind in [BackupType::Database, BackupType::Content] {
        let overdue = due
            .overdue
            .iter()
            .filter(|id| id.backup_type() == kind)
            .count();
        function
            .metrics()
            .emit(kind, &[(Metric::CopiesOverdue, bytes(overdue as u64))]);
    }
    tracing::info!(
        asked = due.due.len(),
        uncopied = due.uncopied,
        overdue = due.overdue.len(),
        "copies are requested"
    );
    Ok(json!({ "asked": due.due, "uncopied": due.uncopied, "overdue": due.overdue }))
}

#[expect(clippy::cast_precision_loss, reason = "CloudWatch keeps doubles")]
const fn bytes(count: u64) -> f64 {
    count as f64
}
