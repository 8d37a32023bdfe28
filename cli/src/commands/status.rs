//! `holdfast status`: the running backups, and the history of each type, as in `GET
//! /api/backups/status`.

use std::{collections::BTreeMap, sync::Arc};

use holdfast_catalog::JobFilter;
use holdfast_domain::{
    BackupId, Timestamp, VerificationLevel, VerificationStatus, settings::Settings,
};
use holdfast_operations::{
    Durations, Holdfast, Silent, SourceStatus, Status, SuccessRate, TypeStatistics,
    VerificationStatistics,
};

use crate::{
    failure::{Exit, Failure},
    output::Output,
    session::Session,
    text,
};

const NONE: &str = "none";

pub(crate) async fn run(session: &Session, output: Output) -> Result<Exit, Failure> {
    let holdfast = session.holdfast(Arc::new(Silent)).await?;
    // Boxed: the future of the use case is too deep a type for the compiler's layout.
    let status = Box::pin(holdfast_operations::status(&holdfast, Timestamp::now())).await?;
    let damaged = damaged(&holdfast, &status).await?;
    output.result(&status, || render(&status, &damaged, &session.settings))?;
    Ok(Exit::Done)
}

/// The newest backup with a failed verification, for each level. A number alone does not lead to
/// the backup.
async fn damaged(
    h: &Holdfast,
    status: &Status,
) -> Result<BTreeMap<VerificationLevel, BackupId>, Failure> {
    /// Failed verifications are rare: behind so many jobs none is looked for.
    const MAX_JOBS_SEARCHED: u32 = 500;
    let is_failed = |count: &VerificationStatistics| {
        count.status == VerificationStatus::Failed && count.count > 0
    };
    if !status.statistics.verifications.iter().any(is_failed) {
        return Ok(BTreeMap::new());
    }
    let (jobs, _) = h
        .catalog
        .list(JobFilter::default(), 1, MAX_JOBS_SEARCHED)
        .await?;
    // Oldest first, so that the newest one is kept.
    let failed = jobs.into_iter().rev().filter_map(|job| {
        let found = job
            .verification
            .filter(|found| found.status == VerificationStatus::Failed)?;
        Some((found.level, job.backup_id))
    });
    Ok(failed.collect())
}

fn render(
    shown: &Status,
    damaged: &BTreeMap<VerificationLevel, BackupId>,
    settings: &Settings,
) -> String {
    let (now, then) = (&shown.status, &shown.statistics);
    let running: Vec<&str> = now
        .scheduler
        .active_backups
        .iter()
        .map(holdfast_domain::BackupId::as_str)
        .collect();
    let drill = then.last_drill.as_ref().map(|drill| {
        format!(
            "{} at {}, of {}",
            word(drill.status),
            text::time(drill.at, settings),
            drill.backup_id
        )
    });
    let retention = &then.retention;
    let all = text::fields(&[
        (
            "schedules",
            if now.scheduler.running { "on" } else { "off" }.to_owned(),
        ),
        ("running", or_none(running.join(", "))),
        (
            "verified",
            or_none(
                then.verifications
                    .iter()
                    .map(|count| verified(count, damaged))
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
        ),
        ("last drill", drill.unwrap_or_else(|| NONE.to_owned())),
        (
            "deleted",
            stored(retention.deleted_backups, retention.deleted_bytes),
        ),
    ]);
    let database = type_text(&now.database, &then.database, settings);
    let content = type_text(&now.content, &then.content, settings);
    format!("{all}\nDatabase\n{database}\nContent\n{content}")
}

fn type_text(source: &SourceStatus, then: &TypeStatistics, settings: &Settings) -> String {
    let good = then.last_good_backup.as_ref().map(|good| {
        let hours = good.age_seconds / 3600;
        format!("{}, {} old", good.backup_id, text::count(hours, "hour"))
    });
    let due = match then.next_due_at {
        Some(at) if source.hours_overdue > 0.0 => {
            format!(
                "{}: {:.1} hours overdue",
                text::time(at, settings),
                source.hours_overdue
            )
        }
        Some(at) => text::time(at, settings),
        None if source.enabled => "now: there was none yet".to_owned(),
        None => "never: it is switched off".to_owned(),
    };
    let lost = source.lost_backups;
    let rates = &then.success_rate;
    let kept = &then.stored;
    let mut shown = vec![
        ("  last good", good.unwrap_or_else(|| NONE.to_owned())),
        ("  next due", due),
        (
            "  success",
            format!(
                "{} in 7 days, {} in 30, {} in all",
                rate(rates.last_7_days),
                rate(rates.last_30_days),
                rate(rates.all)
            ),
        ),
        ("  duration", takes(&then.durations)),
        ("  stored", stored(kept.backups, kept.backup_bytes)),
    ];
    if lost > 0 {
        shown.push((
            "  lost",
            format!("{}: see `holdfast lost list`", text::count(lost, "backup")),
        ));
    }
    match (kept.objects, kept.object_bytes) {
        (Some(0), _) => {}
        (Some(objects), Some(bytes)) => {
            shown.push((
                "  files",
                format!("{}, {}", text::count(objects, "object"), text::size(bytes)),
            ));
        }
        _ => shown.push(("  files", "too many to count in time".to_owned())),
    }
    if let Some(percent) = then.growth_percent {
        shown.push((
            "  growth",
            format!("{percent:+.1}% compared with the week before"),
        ));
    }
    text::fields(&shown)
}

fn or_none(text: String) -> String {
    if text.is_empty() {
        NONE.to_owned()
    } else {
        text
    }
}

fn stored(backups: u64, bytes: u64) -> String {
    format!("{}, {}", text::count(backups, "backup"), text::size(bytes))
}

fn rate(rate: SuccessRate) -> String {
    let of = rate.completed + rate.failed;
    rate.percent
        .map_or_else(|| NONE.to_owned(), |percent| format!("{percent}% of {of}"))
}

fn takes(durations: &Durations) -> String {
    match (durations.last_ms, durations.median_ms, durations.p95_ms) {
        (Some(last), Some(median), Some(p95)) => format!(
            "last {}, median {}, p95 {} (of {} in 30 days)",
            text::duration(last),
            text::duration(median),
            text::duration(p95),
            durations.count
        ),
        _ => NONE.to_owned(),
    }
}

/// `checksum: 14 passed`, `structure: 1 FAILED (newest: db_…)`.
fn verified(
    count: &VerificationStatistics,
    damaged: &BTreeMap<VerificationLevel, BackupId>,
) -> String {
    let (level, number) = (count.level.as_str(), count.count);
    match count.status {
        VerificationStatus::Passed => format!("{level}: {number} passed"),
        VerificationStatus::Failed => {
            let newest = damaged
                .get(&count.level)
                .map(|id| format!(" (newest: {id})"));
            format!("{level}: {number} FAILED{}", newest.unwrap_or_default())
        }
    }
}

const fn word(status: holdfast_domain::VerificationStatus) -> &'static str {
    match status {
        holdfast_domain::VerificationStatus::Passed => "passed",
        holdfast_domain::VerificationStatus::Failed => "failed",
    }
}
