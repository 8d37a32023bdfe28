//! From the hourly event, or a user's request, to verifications. Their results become metrics and a
//! response.

use holdfast_domain::{BackupId, BackupType, Timestamp, VerificationLevel, VerificationStatus};
use holdfast_lambda::{Event, Function, InvocationError, Metric};
use holdfast_operations::{
    DueReport, Holdfast, OperationError, RunLimits, VerifyOutcome, expect_verifiable, verify_due,
    verify_on_request, withdraw_request,
};
use holdfast_recovery::Verification;
use serde_json::{Value, json};

/// Does the due or the requested verifications.
pub(crate) async fn handle(
    function: &Function,
    payload: &Value,
    deadline: Timestamp,
) -> Result<Value, InvocationError> {
    let limits = RunLimits {
        deadline: Some(deadline),
    };
    match Event::parse(payload)? {
        Event::Tick { .. } => Ok(do_what_is_due(function, limits).await?),
        Event::VerificationRequested { backup_id, level } => {
            let asked = answer_request(function, &backup_id, level, limits).await;
            Ok(asked.inspect_err(|error| {
                if is_of_the_backup(error) {
                    function.metrics().emit(
                        backup_id.backup_type(),
                        &[(Metric::VerificationFailed, 1.0)],
                    );
                }
            })?)
        }
        other => Err(other
            .misdirected("a tick, or a requested verification")
            .into()),
    }
}

async fn do_what_is_due(function: &Function, limits: RunLimits) -> Result<Value, OperationError> {
    let holdfast = function.holdfast().await?;
    // Boxed: the future of the use case is too deep a type for the compiler's layout.
    let mut report = Box::pin(verify_due(holdfast, limits, Timestamp::now())).await?;
    for backup_id in &report.to_continue {
        if let Err(error) = request_next_run(function, backup_id, VerificationLevel::Checksum).await
        {
            report.problems.push(format!(
                "backup {backup_id}: {error}. The next run retries it"
            ));
        }
    }
    for kind in [BackupType::Database, BackupType::Content] {
        let values = values(&report, kind);
        if !values.is_empty() {
            function.metrics().emit(kind, &values);
        }
    }
    log(&report);
    Ok(json!({
        "verified": report.verified.iter().map(brief).collect::<Vec<_>>(),
        "handedOn": report.to_continue,
        "unjudged": report.unjudged.iter().map(|(id, _)| id).collect::<Vec<_>>(),
        "hoursSinceDrill": report.hours_since_drill,
        "problems": report.problems,
    }))
}

async fn answer_request(
    function: &Function,
    id: &BackupId,
    level: VerificationLevel,
    limits: RunLimits,
) -> Result<Value, OperationError> {
    let holdfast = function.holdfast().await?;
    let verified = verify_requested(holdfast, id, level, limits).await;
    if matches!(verified, Err(_) | Ok(VerifyOutcome::Elsewhere)) {
        // The record of a result removes the request. Without a record, it would limit others.
        withdraw_request(holdfast, id).await;
    }
    match verified? {
        VerifyOutcome::Done(verification) => {
            log_verification(&verification);
            function
                .metrics()
                .emit(id.backup_type(), &metrics_of(&verification));
            Ok(brief(&verification))
        }
        VerifyOutcome::Continue => {
            if let Err(error) = request_next_run(function, id, level).await {
                withdraw_request(holdfast, id).await;
                return Err(error);
            }
            Ok(json!({ "backupId": id, "level": level, "status": "handed-on" }))
        }
        VerifyOutcome::Elsewhere => {
            tracing::info!(backupId = %id, "another run is verifying it");
            Ok(json!({ "backupId": id, "level": level, "status": "skipped" }))
        }
        VerifyOutcome::Gone => {
            tracing::info!(backupId = %id, "it was deleted during the verification");
            Ok(json!({ "backupId": id, "level": level, "status": "gone" }))
        }
    }
}

async fn verify_requested(
    holdfast: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    limits: RunLimits,
) -> Result<VerifyOutcome, OperationError> {
    expect_verifiable(holdfast, id, level).await?;
    // Boxed: the future of the use case is too deep a type for the compiler's layout.
    Box::pin(verify_on_request(
        holdfast,
        id,
        level,
        limits,
        Timestamp::now(),
    ))
    .await
}

async fn request_next_run(
    function: &Function,
    id: &BackupId,
    level: VerificationLevel,
) -> Result<(), OperationError> {
    let asked = function
        .events()
        .await?
        .request_verification(id, level, None)
        .await;
    asked.map_err(|error| OperationError::Dispatch(error.into()))
}

/// Whether the backup itself is at fault: everything is reachable, but the backup cannot be read,
/// so it cannot be restored.
fn is_of_the_backup(error: &OperationError) -> bool {
    matches!(
        error,
        OperationError::Key(_) | OperationError::Repository(_)
    )
}

fn metrics_of(verification: &Verification) -> Vec<(Metric, f64)> {
    let result = if is_well(verification) {
        Metric::VerificationPassed
    } else {
        Metric::VerificationFailed
    };
    let has_faults = !verification.repository_problems.is_empty();
    std::iter::once(result)
        .chain(has_faults.then_some(Metric::RepositoryFaults))
        .map(|metric| (metric, 1.0))
        .collect()
}

/// Whether neither the backup nor the repository's files need a person's attention.
fn is_well(verification: &Verification) -> bool {
    verification.status == VerificationStatus::Passed && verification.repository_problems.is_empty()
}

/// Every run emits the hours of drills, even 0, because a missing value means that no drill runs.
fn values(report: &DueReport, kind: BackupType) -> Vec<(Metric, f64)> {
    let of_kind = report
        .verified
        .iter()
        .filter(|done| done.backup_id.backup_type() == kind);
    let (passed, failed): (Vec<_>, Vec<_>) = of_kind.partition(|done| is_well(done));
    let faults = failed
        .iter()
        .filter(|done| !done.repository_problems.is_empty())
        .count();
    let unjudged = report
        .unjudged
        .iter()
        .filter(|(id, _)| id.backup_type() == kind)
        .count();
    let counted = [
        (Metric::VerificationPassed, passed.len()),
        (Metric::VerificationFailed, failed.len() + unjudged),
        (Metric::RepositoryFaults, faults),
    ];
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let counted = counted
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(metric, count)| (metric, number(count)));
    let drills = [
        (Metric::HoursSinceDrill, report.hours_since_drill),
        (Metric::DrillHoursOverdue, report.drill_hours_overdue),
    ];
    let drills = drills
        .into_iter()
        .filter_map(|(metric, value)| Some((metric, value?)));
    counted
        .chain(drills.filter(|_| kind == BackupType::Database))
        .collect()
}

/// The response of one verification. All its findings are in its row.
fn brief(verification: &Verification) -> Value {
    json!({
        "backupId": verification.backup_id,
        "level": verification.level,
        "status": verification.status,
        "problems": verification.problems,
        "repositoryProblems": verification.repository_problems,
        "bytesRead": verification.bytes_read,
        "durationMs": verification.duration_ms,
    })
}

fn log_verification(verification: &Verification) {
    let Verification {
        backup_id,
        level,
        bytes_read,
        duration_ms,
        ..
    } = verification;
    let level = level.as_str();
    match verification.status {
        VerificationStatus::Passed => tracing::info!(
            backupId = %backup_id, level, bytes = bytes_read, durationMs = duration_ms, "the backup passed verification"
        ),
        VerificationStatus::Failed => {
            for problem in &verification.problems {
                tracing::error!(backupId = %backup_id, level, problem, "the backup FAILED verification");
            }
        }
    }
    for problem in &verification.repository_problems {
        tracing::error!(backupId = %backup_id, level, problem, "the repository's files FAILED verification");
    }
    for note in &verification.notes {
        tracing::info!(backupId = %backup_id, level, note, "a note of the verification");
    }
}

fn log(report: &DueReport) {
    report.verified.iter().for_each(log_verification);
    for (id, error) in &report.unjudged {
        tracing::error!(backupId = %id, error, "the backup cannot be verified: no available key opens it");
    }
    for name in &report.scratch_removed {
        tracing::warn!(
            database = name,
            "a scratch database of a dead drill was dropped"
        );
    }
    for problem in &report.problems {
        tracing::error!(
            error = problem,
            "a step of verification failed, and the others continued"
        );
    }
    tracing::info!(
        verified = report.verified.len(),
        handedOn = report.to_continue.len(),
        hoursSinceDrill = report.hours_since_drill,
        "the due verifications are done"
    );
}

#[cfg(test)]
mod tests;
