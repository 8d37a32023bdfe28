//! The report of a backup's run: a log line, metrics, and the invocation's response.

use holdfast_domain::{BackupType, FailureCode, Job, JobStatus};
use holdfast_operations::{BackupOutcome, OperationError, SkipReason, StopReason};
use serde_json::{Value, json};

use crate::{Function, Metric};

/// Logs the end of a run of a backup of this type, and emits its metrics.
pub fn report_outcome(
    function: &Function,
    kind: BackupType,
    outcome: Result<&BackupOutcome, &OperationError>,
) {
    // The end of the invocation logs its failure.
    if let Ok(outcome) = outcome {
        log(outcome);
    }
    if is_denied(outcome) {
        function.suspect_secrets();
    }
    let mut values = values(outcome);
    if function.fell_back() && !values.is_empty() {
        values.push((Metric::DumpEngineFallback, 1.0));
    }
    if !values.is_empty() {
        function.metrics().emit(kind, &values);
    }
}

/// Whether the server of the source refused the login, or a privilege.
fn is_denied(outcome: Result<&BackupOutcome, &OperationError>) -> bool {
    let Ok(BackupOutcome::Failed(job)) = outcome else {
        return false;
    };
    job.error
        .as_ref()
        .is_some_and(|error| error.code == FailureCode::SourceDenied)
}

fn log(outcome: &BackupOutcome) {
    match outcome {
        BackupOutcome::Completed(job) => tracing::info!(
            backupId = %job.backup_id,
            bytes = job.size,
            sha256 = job.checksum.map(tracing::field::display),
            durationMs = job.duration_ms,
            "the backup is completed"
        ),
        BackupOutcome::Failed(job) => {
            let error = job.error.as_ref();
            tracing::error!(
                backupId = %job.backup_id,
                status = %job.status,
                code = error.map(|error| tracing::field::display(error.code)),
                error = error.map(|error| error.message.as_str()),
                "the backup failed"
            );
        }
        BackupOutcome::Skipped { backup_id, reason } => {
            tracing::info!(backupId = %backup_id, reason = why(*reason), "the run ended without its own result");
        }
    }
}

fn values(outcome: Result<&BackupOutcome, &OperationError>) -> Vec<(Metric, f64)> {
    match outcome {
        Ok(BackupOutcome::Completed(job)) => completed(job),
        Ok(BackupOutcome::Failed(job)) if job.status == JobStatus::Failed => {
            vec![(Metric::BackupFailure, 1.0)]
        }
        // Either the event's source retries, and its dead-letter queue has an alarm, or there is no
        // result to report.
        Err(
            OperationError::AlreadyRunning { .. }
            | OperationError::Collecting
            | OperationError::ConcurrencyLimit { .. }
            | OperationError::Stopped(StopReason::CatalogSilent),
        )
        | Ok(_) => Vec::new(),
        // After a rotation of the secret, the repeated invocation succeeds. A lasting refusal
        // becomes a dead letter, and raises the alarm of the function's errors.
        Err(error) if error.is_login_refused() => Vec::new(),
        Err(_) => vec![(Metric::BackupFailure, 1.0)],
    }
}

#[expect(clippy::cast_precision_loss, reason = "CloudWatch keeps doubles")]
fn completed(job: &Job) -> Vec<(Metric, f64)> {
    let kept = job.items.map(|items| items.done + items.unchanged);
    let failed = job
        .items
        .map(|items| items.failed)
        .filter(|failed| *failed > 0);
    let known = [
        (Metric::BackupBytes, job.size),
        (Metric::BackupOriginalBytes, job.original_size),
        (Metric::BackupDurationMs, job.duration_ms),
        (Metric::BackupItems, job.document_count.or(kept)),
        (Metric::SourceLagSeconds, job.lag_seconds),
        (Metric::BackupPartial, failed.map(|_| 1)),
        (Metric::ItemsFailed, failed),
        (
            Metric::BackupWarnings,
            Some(job.warnings.len() as u64).filter(|warnings| *warnings > 0),
        ),
    ];
    let known = known
        .into_iter()
        .filter_map(|(metric, value)| Some((metric, value? as f64)));
    std::iter::once((Metric::BackupSuccess, 1.0))
        .chain(known)
        .collect()
}

/// The response of an invocation with this outcome.
#[must_use]
pub fn answer(outcome: &BackupOutcome) -> Value {
    match outcome {
        BackupOutcome::Completed(job) => json!({
            "backupId": job.backup_id, "status": job.status, "size": job.size, "checksum": job.checksum, "key": job.key,
        }),
        BackupOutcome::Failed(job) => {
            json!({ "backupId": job.backup_id, "status": job.status, "error": job.error })
        }
        BackupOutcome::Skipped { backup_id, reason } => {
            json!({ "backupId": backup_id, "status": "skipped", "reason": why(*reason) })
        }
    }
}

fn why(reason: SkipReason) -> String {
    match reason {
        SkipReason::Disabled => "backups are switched off".to_owned(),
        SkipReason::AlreadyFinished(status) => format!("it is {status} already"),
        SkipReason::RunningElsewhere => "another run works on it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use holdfast_catalog::CatalogError;
    use holdfast_domain::{BackupId, ItemCounts, Timestamp, Trigger, TriggerKind};

    use super::*;

    fn job(status: JobStatus) -> Box<Job> {
        let at = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let mut job = Job::pending(
            BackupId::new(BackupType::Database, at, [0; 4]),
            Trigger {
                kind: TriggerKind::Schedule,
                by: None,
            },
            at,
        );
        job.status = status;
        Box::new(job)
    }

    #[test]
    fn a_completed_backup_reports_its_bytes_and_documents() {
        let mut job = job(JobStatus::Completed);
        job.size = Some(10);
        job.original_size = Some(40);
        job.document_count = Some(7);
        job.lag_seconds = Some(12);
        assert_eq!(
            values(Ok(&BackupOutcome::Completed(job))),
            [
                (Metric::BackupSuccess, 1.0),
                (Metric::BackupBytes, 10.0),
                (Metric::BackupOriginalBytes, 40.0),
                (Metric::BackupItems, 7.0),
                (Metric::SourceLagSeconds, 12.0)
            ]
        );
    }

    #[test]
    fn a_completed_backup_without_some_items_is_partial() {
        let mut job = job(JobStatus::Completed);
        let items = |failed| {
            Some(ItemCounts {
                expected: 9,
                done: 2,
                unchanged: 4,
                failed,
                ..ItemCounts::default()
            })
        };
        job.items = items(3);
        let emitted = values(Ok(&BackupOutcome::Completed(job.clone())));
        for value in [
            (Metric::BackupItems, 6.0),
            (Metric::BackupPartial, 1.0),
            (Metric::ItemsFailed, 3.0),
        ] {
            assert!(emitted.contains(&value), "{emitted:?}");
        }
        job.items = items(0);
        let emitted = values(Ok(&BackupOutcome::Completed(job)));
        assert!(
            emitted
                .iter()
                .all(|(metric, _)| *metric != Metric::BackupPartial),
            "{emitted:?}"
        );
    }

    #[test]
    fn only_what_failed_raises_the_failure_metric() {
        let failure = [(Metric::BackupFailure, 1.0)];
        assert_eq!(
            values(Ok(&BackupOutcome::Failed(job(JobStatus::Failed)))),
            failure
        );
        assert_eq!(
            values(Err(&OperationError::Disabled("BACKUP_SYSTEM_ENABLED"))),
            failure
        );
        assert_eq!(
            values(Ok(&BackupOutcome::Failed(job(JobStatus::Cancelled)))),
            []
        );
        let backup_id = job(JobStatus::Running).backup_id;
        assert_eq!(
            values(Err(&OperationError::AlreadyRunning {
                backup_id: backup_id.clone()
            })),
            []
        );
        let reason = SkipReason::RunningElsewhere;
        assert_eq!(
            values(Ok(&BackupOutcome::Skipped { backup_id, reason })),
            []
        );
        let is_tried_again = OperationError::Stopped(StopReason::CatalogSilent);
        assert_eq!(values(Err(&is_tried_again)), []);
        let lost = OperationError::Stopped(StopReason::LeaseLost);
        assert_eq!(values(Err(&lost)), failure);
    }

    #[test]
    fn a_refused_login_raises_no_failure_metric_because_the_invocation_is_repeated() {
        let refused = OperationError::Catalog(CatalogError::Denied {
            doing: "read a job",
            reason: "Authentication failed.".to_owned(),
        });
        assert_eq!(values(Err(&refused)), []);
        let unreadable = OperationError::Catalog(CatalogError::Corrupt {
            collection: "backup_jobs",
            id: "db_1_a".to_owned(),
            problem: "no status".to_owned(),
        });
        assert_eq!(values(Err(&unreadable)), [(Metric::BackupFailure, 1.0)]);
    }
}
