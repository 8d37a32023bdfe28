//! Repeats a dump within the same run if its source changed or failed. Each attempt is planned
//! again and stores the present namespaces. It uses no data of an earlier attempt.

use std::{
    collections::{BTreeSet, HashSet},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use holdfast_archive::NamespaceSummary;
use holdfast_database::DatabaseError;
use holdfast_domain::Timestamp;
use holdfast_repository::{artifact_writer::Meters, writing_key::WritingKey};

use super::dump::{StoredDump, dump_to_store};
use crate::{
    Holdfast, OperationError,
    job::{
        run::{Run, RunLimits},
        watch::{MARGIN, Watch},
    },
};

/// Attempts of one run, including the first.
const ATTEMPTS: u32 = 3;

/// Wait before another attempt.
const PAUSE: Duration = Duration::from_secs(2);

/// Names in the job's message.
const NAMES_LISTED: usize = 10;

/// Dumps the database, up to three times if the source fails and there is time.
///
/// # Errors
/// Those of [`dump_to_store`], of the last attempt.
pub(super) async fn dump_with_retries(
    h: &Holdfast,
    run: &Run,
    key: &WritingKey,
    meters: &Meters,
    watch: &Watch,
    limits: RunLimits,
) -> Result<StoredDump, OperationError> {
    let (mut attempt, mut planned, mut earlier) = (1, BTreeSet::new(), None);
    loop {
        let began = Instant::now();
        let error = match dump_to_store(h, run, key, meters, watch, &mut planned).await {
            Ok(dump) => return Ok(annotated(dump, attempt, planned)),
            Err(error) => error,
        };
        let bytes_read = meters.read.load(Ordering::Relaxed);
        if attempt == ATTEMPTS
            || !is_source_failure(&error, bytes_read)
            || !has_time(limits, began.elapsed())
        {
            // If the server is not reached again, its loss is the result, and the earlier failure
            // is the cause.
            return Err(match error {
                OperationError::Source(_) if bytes_read == 0 => earlier.unwrap_or(error),
                error => error,
            });
        }
        tracing::warn!(backupId = %run.job.backup_id, attempt, %error, "the dump failed and begins again");
        for meter in [&meters.read, &meters.stored, &meters.expected] {
            meter.store(0, Ordering::Relaxed);
        }
        (attempt, earlier) = (attempt + 1, Some(error));
        let pause = async {
            tokio::time::sleep(PAUSE).await;
            Ok(())
        };
        watch.guard(pause).await?;
    }
}

/// Whether another attempt may succeed. A server without any successful connection is not retried.
fn is_source_failure(error: &OperationError, bytes_read: u64) -> bool {
    match error {
        OperationError::Source(DatabaseError::Changed(_)) => true,
        OperationError::Source(error) => bytes_read > 0 && error.is_transient(),
        _ => false,
    }
}

/// Whether another attempt of the same duration ends before the deadline.
fn has_time(limits: RunLimits, took: Duration) -> bool {
    let Some(deadline) = limits.deadline else {
        return true;
    };
    Timestamp::now() + MARGIN + PAUSE + took < deadline
}

/// The dump, with a note of the attempts and of the namespaces found only by an earlier attempt.
fn annotated(mut dump: StoredDump, attempt: u32, planned: BTreeSet<String>) -> StoredDump {
    if attempt > 1 {
        let dumped: HashSet<String> = dump
            .proof
            .summary
            .namespaces
            .iter()
            .map(full_name)
            .collect();
        let gone: Vec<String> = planned
            .into_iter()
            .filter(|name| !dumped.contains(name))
            .collect();
        dump.note = Some(
            dump.note
                .into_iter()
                .chain([note(attempt, &gone)])
                .collect::<Vec<_>>()
                .join("; "),
        );
    }
    dump
}

fn full_name(namespace: &NamespaceSummary) -> String {
    format!("{}.{}", namespace.db, namespace.collection)
}

fn note(attempt: u32, gone: &[String]) -> String {
    let completed =
        format!("the source changed or failed during the dump, and attempt {attempt} completed it");
    if gone.is_empty() {
        return completed;
    }
    let listed = gone
        .iter()
        .take(NAMES_LISTED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let more = match gone.len().saturating_sub(NAMES_LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "{completed}. Not in the dump, because the last attempt did not find them: {listed}{more}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_transient_failure_of_the_source_is_tried_again() {
        let source = |error: DatabaseError| OperationError::Source(error);
        let text = || "x".to_owned();
        assert!(is_source_failure(
            &source(DatabaseError::Changed(text())),
            0
        ));
        assert!(is_source_failure(&source(DatabaseError::Lost(text())), 1));
        assert!(is_source_failure(
            &source(DatabaseError::Unreachable(text())),
            1
        ));
        assert!(!is_source_failure(
            &source(DatabaseError::Unreachable(text())),
            0
        ));
        assert!(!is_source_failure(
            &source(DatabaseError::Refused(text())),
            1
        ));
        assert!(!is_source_failure(&OperationError::DumpNotWhole(text()), 1));
    }

    #[test]
    fn what_only_an_earlier_attempt_found_is_named() {
        assert!(!note(2, &[]).contains("Not in the dump"));
        let text = note(3, &["shop.report".to_owned(), "shop.sums".to_owned()]);
        assert!(
            text.contains("attempt 3") && text.ends_with("shop.report, shop.sums"),
            "{text}"
        );
        assert!(note(2, &vec!["shop.report".to_owned(); 12]).ends_with("shop.report and 2 more"));
    }

    #[test]
    fn another_attempt_must_fit_before_the_deadline() {
        assert!(has_time(RunLimits::none(), Duration::from_hours(9)));
        let limits = RunLimits {
            deadline: Some(Timestamp::now() + Duration::from_mins(5)),
        };
        assert!(has_time(limits, Duration::from_mins(2)));
        assert!(!has_time(limits, Duration::from_mins(5)));
    }
}
