//! Runs the due verifications: every new backup by checksum, daily one backup of each type by
//! structure, and the newest database backup in a drill. They run one after another. If the
//! function's time is too short for one, the next tick runs it.

use holdfast_domain::settings::Settings;
use std::time::Duration;

use holdfast_catalog::{Catalog, VerificationRecord, Verifying};
use holdfast_domain::heartbeat::VERIFICATION_DEAD_AFTER;
use holdfast_domain::{BackupId, BackupType, Job, Timestamp, VerificationLevel};
use holdfast_recovery::verification::{Verification, remove_dead_scratch};
use jiff::SignedDuration;

use super::on_request::{VerifyOutcome, time_left, verify_at};
use crate::{Holdfast, OperationError, RunLimits};

/// Maximum number of backups of each type per run.
const MAX_PER_TYPE: u32 = 100;
/// A run begins no step with less time than this.
const TIME_FOR_ONE: Duration = Duration::from_mins(1);
/// A drill begins only with most of the function's time left.
const TIME_FOR_DRILL: Duration = Duration::from_mins(8);
/// Interval of the deep verification of one backup of each type.
const SAMPLE_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// Wait after a verification exceeded the time of a run.
const TRY_AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// Decrypting, unzipping and walking take at most this many times as long as reading.
const STRUCTURE_COSTS: u32 = 5;
/// A due drill runs at the next tick or the one after it.
const DRILL_SLACK_HOURS: f64 = 3.0;

const KINDS: [BackupType; 2] = [BackupType::Database, BackupType::Content];

/// Result of a run.
#[derive(Debug, Clone, Default)]
pub struct DueReport {
    /// Verifications with a result.
    pub verified: Vec<Verification>,
    /// Backups too large for one function's time. The caller requests each again at level
    /// checksum.
    pub to_continue: Vec<BackupId>,
    /// Backups without a verdict although nothing was unavailable, with the reason.
    pub unjudged: Vec<(BackupId, String)>,
    /// Dropped scratch databases of earlier drills.
    pub scratch_removed: Vec<String>,
    /// Hours since the last drill, if drills are configured.
    pub hours_since_drill: Option<f64>,
    /// Hours since the next drill was due, or 0.
    pub drill_hours_overdue: Option<f64>,
    /// Failed steps.
    pub problems: Vec<String>,
}

/// Runs the due verifications.
///
/// # Errors
/// Only if no step was possible. The report lists failed steps.
pub async fn verify_due(
    holdfast: &Holdfast,
    limits: RunLimits,
    now: Timestamp,
) -> Result<DueReport, OperationError> {
    let (mut report, now) = (
        DueReport::default(),
        holdfast.catalog.by_server_clock(now).await?,
    );
    if holdfast.settings.enabled {
        let begun = holdfast.catalog.verifying().await?;
        drill_if_due(holdfast, limits, now, &begun, &mut report).await;
        read_new_ones(holdfast, limits, now, &begun, &mut report).await;
        for kind in KINDS {
            sample(holdfast, kind, limits, now, &begun, &mut report).await;
        }
    }
    report_drill(&holdfast.catalog, &holdfast.settings, now, &mut report).await?;
    Ok(report)
}

async fn drill_if_due(
    holdfast: &Holdfast,
    limits: RunLimits,
    now: Timestamp,
    begun: &[Verifying],
    report: &mut DueReport,
) {
    let Some(server) = &holdfast.settings.drill.uri else {
        return;
    };
    match remove_dead_scratch(server).await {
        Ok(removed) => report.scratch_removed = removed,
        Err(error) => {
            report.problems.push(format!("scratch databases: {error}"));
            return;
        }
    }
    match backup_to_drill(&holdfast.catalog, &holdfast.settings, now, begun).await {
        Ok(Some(id)) if has_time(limits, TIME_FOR_DRILL) => {
            verify_one(holdfast, &id, VerificationLevel::Drill, limits, report).await;
        }
        Ok(_) => {}
        Err(error) => report.problems.push(format!("the drill: {error}")),
    }
}

async fn backup_to_drill(
    catalog: &Catalog,
    settings: &Settings,
    now: Timestamp,
    begun: &[Verifying],
) -> Result<Option<BackupId>, OperationError> {
    let level = VerificationLevel::Drill;
    let last = catalog
        .newest_verification(BackupType::Database, level)
        .await?;
    let interval = SignedDuration::from_hours(settings.drill.interval_hours.into());
    if last.is_some_and(|last| now.duration_since(last.at) < interval) {
        return Ok(None);
    }
    let newest = catalog
        .newest_completed(BackupType::Database)
        .await?
        .map(|job| job.backup_id);
    Ok(newest.filter(|id| !was_tried(begun, id, level, now)))
}

/// Verifies new backups, and resumes unfinished verifications.
async fn read_new_ones(
    holdfast: &Holdfast,
    limits: RunLimits,
    now: Timestamp,
    begun: &[Verifying],
    report: &mut DueReport,
) {
    let is_left = |one: &&Verifying| {
        one.level == VerificationLevel::Checksum
            && now.duration_since(one.touched_at) > VERIFICATION_DEAD_AFTER
    };
    let mut ids: Vec<BackupId> = begun
        .iter()
        .filter(is_left)
        .map(|one| one.backup_id.clone())
        .collect();
    for kind in KINDS {
        match holdfast.catalog.never_verified(kind, MAX_PER_TYPE).await {
            Ok(jobs) => ids.extend(jobs.into_iter().map(|job| job.backup_id)),
            Err(error) => report.problems.push(format!("new {kind} backups: {error}")),
        }
    }
    let is_drilled = |id: &BackupId, report: &DueReport| {
        report.verified.iter().any(|done| done.backup_id == *id)
    };
    for (at, id) in ids.iter().enumerate() {
        if ids[..at].contains(id) || is_drilled(id, report) {
            continue;
        }
        if !has_time(limits, TIME_FOR_ONE) {
            return;
        }
        verify_one(holdfast, id, VerificationLevel::Checksum, limits, report).await;
    }
}

/// Verifies one backup of this type in depth: the newest if it is unverified, or else the one with
/// the oldest verification.
async fn sample(
    holdfast: &Holdfast,
    kind: BackupType,
    limits: RunLimits,
    now: Timestamp,
    begun: &[Verifying],
    report: &mut DueReport,
) {
    match backup_to_sample(&holdfast.catalog, kind, limits, now, begun).await {
        Ok(Some(id)) => {
            verify_one(holdfast, &id, VerificationLevel::Structure, limits, report).await;
        }
        Ok(None) => {}
        Err(error) => report
            .problems
            .push(format!("the sample of {kind} backups: {error}")),
    }
}

async fn backup_to_sample(
    catalog: &Catalog,
    kind: BackupType,
    limits: RunLimits,
    now: Timestamp,
    begun: &[Verifying],
) -> Result<Option<BackupId>, OperationError> {
    let level = VerificationLevel::Structure;
    let last = catalog.newest_verification(kind, level).await?;
    if last.is_some_and(|last| now.duration_since(last.at) < SAMPLE_EVERY) {
        return Ok(None);
    }
    let mut candidates: Vec<Job> = catalog.newest_completed(kind).await?.into_iter().collect();
    if let Some(newest) = candidates.first()
        && catalog
            .verifications(&newest.backup_id)
            .await?
            .iter()
            .any(|record| record.level >= level)
    {
        candidates.clear();
    }
    candidates.extend(catalog.longest_unverified(kind, MAX_PER_TYPE).await?);
    for Job { backup_id, .. } in candidates {
        let records = catalog.verifications(&backup_id).await?;
        if !was_tried(begun, &backup_id, level, now) && fits(&records, limits) {
            return Ok(Some(backup_id));
        }
    }
    Ok(None)
}

/// Whether the remaining time is enough, judged by the duration of the reading.
fn fits(records: &[VerificationRecord], limits: RunLimits) -> bool {
    let reading = records
        .iter()
        .find(|record| record.level == VerificationLevel::Checksum);
    let takes = reading.map_or(Duration::ZERO, |record| {
        Duration::from_millis(record.duration_ms)
    });
    has_time(
        limits,
        takes.saturating_mul(STRUCTURE_COSTS).max(TIME_FOR_ONE),
    )
}

/// Whether a run ended recently without a result, or is still active.
fn was_tried(begun: &[Verifying], id: &BackupId, level: VerificationLevel, now: Timestamp) -> bool {
    let is_it = |one: &Verifying| one.backup_id == *id && one.level == level;
    begun
        .iter()
        .any(|one| is_it(one) && now.duration_since(one.touched_at) < TRY_AGAIN_AFTER)
}

fn has_time(limits: RunLimits, needed: Duration) -> bool {
    time_left(limits).is_none_or(|left| left >= needed)
}

async fn verify_one_now(
    holdfast: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    limits: RunLimits,
) -> Result<VerifyOutcome, OperationError> {
    verify_at(holdfast, id, level, limits, holdfast.catalog.now().await?).await
}

async fn verify_one(
    holdfast: &Holdfast,
    id: &BackupId,
    level: VerificationLevel,
    limits: RunLimits,
    report: &mut DueReport,
) {
    match verify_one_now(holdfast, id, level, limits).await {
        Ok(VerifyOutcome::Done(verification)) => report.verified.push(*verification),
        Ok(VerifyOutcome::Continue) => report.to_continue.push(id.clone()),
        Ok(VerifyOutcome::Elsewhere | VerifyOutcome::Gone) => {}
        // A fault of the backup itself.
        Err(
            error @ (OperationError::Key(_)
            | OperationError::Repository(_)
            | OperationError::Internal { .. }),
        ) => {
            report.unjudged.push((id.clone(), error.to_string()));
        }
        Err(error) => report
            .problems
            .push(format!("backup {id} at level {}: {error}", level.as_str())),
    }
}

/// Hours since the last drill, or without one since the first backup suitable for a drill.
async fn report_drill(
    catalog: &Catalog,
    settings: &Settings,
    now: Timestamp,
    report: &mut DueReport,
) -> Result<(), OperationError> {
    if settings.drill.uri.is_none() {
        return Ok(());
    }
    let last = catalog
        .newest_verification(BackupType::Database, VerificationLevel::Drill)
        .await?;
    let since = match last {
        Some(last) => Some(last.at),
        None => catalog
            .oldest(BackupType::Database)
            .await?
            .map(|job| job.created_at),
    };
    let hours = since.map_or(0.0, |since| {
        now.duration_since(since).as_secs_f64().max(0.0) / 3600.0
    });
    let due = f64::from(settings.drill.interval_hours) + DRILL_SLACK_HOURS;
    report.hours_since_drill = Some(hours);
    report.drill_hours_overdue = Some(if settings.enabled {
        (hours - due).max(0.0)
    } else {
        0.0
    });
    Ok(())
}
