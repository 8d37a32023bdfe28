//! Computes statistics from the catalogue's rows. The server sums most of them, and a limit bounds
//! the rest.

use std::time::Duration;

use holdfast_catalog::{
    JobCount, JobCounts, JobFilter, Outcomes, VerificationCount, VerificationRecord,
};
use holdfast_domain::{BackupId, BackupType, Job, JobStatus, Timestamp, VerificationLevel};
use jiff::SignedDuration;

use super::shapes::{
    DrillStatistics, Durations, GoodBackup, JobStatistics, RetentionStatistics, Statistics,
    SuccessRate, SuccessRates, TypeStatistics, VerificationStatistics,
};
use crate::{Holdfast, OperationError, RETAINED_TYPES, job::trigger, measure, schedule};

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Maximum wait of a caller for the server's count of objects.
const PATIENCE: Duration = Duration::from_secs(3);
/// A backup every five minutes, for a month.
const MAX_DURATIONS: u32 = 10_000;

pub(super) async fn statistics(
    h: &Holdfast,
    counts: &JobCounts,
    lost: &[Job],
    now: Timestamp,
) -> Result<Statistics, OperationError> {
    let (week, month, all) = tokio::try_join!(
        h.catalog.outcomes(now - WEEK),
        h.catalog.outcomes(now - MONTH),
        h.catalog.outcomes(Timestamp::UNIX_EPOCH),
    )?;
    let spans = [&week, &month, &all].map(Vec::as_slice);
    let verifications = h.catalog.verification_counts().await?;
    let drill = h
        .catalog
        .newest_verification(BackupType::Database, VerificationLevel::Drill)
        .await?;
    // A full backup counts by its parts, because they store its data.
    let [completed, deleted] = [JobStatus::Completed, JobStatus::Deleted]
        .map(|status| Sums::of(counts, &RETAINED_TYPES, status));
    // Lost backups are `deleted` too, but retention did not delete them.
    let deleted_backups = deleted.jobs.saturating_sub(lost.len() as u64);
    let deleted_bytes = deleted
        .size
        .saturating_sub(lost.iter().filter_map(|job| job.size).sum());
    Ok(Statistics {
        jobs: counts.0.iter().map(job_statistics).collect(),
        success_rate_percent: rate(&all, &RETAINED_TYPES).percent,
        stored_bytes: completed.size,
        original_bytes: completed.original_size,
        mean_duration_ms: completed.duration_ms.checked_div(completed.jobs),
        deleted_backups,
        verifications: verifications.iter().map(verification_statistics).collect(),
        last_drill: drill.map(
            |VerificationRecord {
                 backup_id,
                 status,
                 at,
                 ..
             }| DrillStatistics {
                backup_id,
                status,
                at,
            },
        ),
        retention: RetentionStatistics {
            deleted_backups,
            deleted_bytes,
            kept_backups: completed.jobs,
            kept_bytes: completed.size,
        },
        database: of_type(h, counts, spans, BackupType::Database, now).await?,
        content: of_type(h, counts, spans, BackupType::Content, now).await?,
    })
}

async fn of_type(
    h: &Holdfast,
    counts: &JobCounts,
    [week, month, all]: [&[Outcomes]; 3],
    kind: BackupType,
    now: Timestamp,
) -> Result<TypeStatistics, OperationError> {
    let completed = Sums::of(counts, &[kind], JobStatus::Completed);
    Ok(TypeStatistics {
        last_good_backup: last_good(h, kind, now).await?,
        next_due_at: match trigger::switched_off(h, kind) {
            Some(_) => None,
            None => schedule::due_at(h, kind).await?,
        },
        success_rate: SuccessRates {
            last_7_days: rate(week, &[kind]),
            last_30_days: rate(month, &[kind]),
            all: rate(all, &[kind]),
        },
        durations: durations(
            h.catalog
                .durations_ms(kind, now - MONTH, MAX_DURATIONS)
                .await?,
        ),
        stored: measure::stored(h, counts, kind, PATIENCE).await?,
        original_bytes: completed.original_size,
        stored_percent: percent(completed.size, completed.original_size),
        growth_percent: measure::growth_of(h, kind).await?,
    })
}

/// Sums over the jobs of some types in one status.
#[derive(Default)]
struct Sums {
    jobs: u64,
    size: u64,
    original_size: u64,
    duration_ms: u64,
}

impl Sums {
    fn of(counts: &JobCounts, kinds: &[BackupType], status: JobStatus) -> Self {
        let of_them = counts
            .0
            .iter()
            .filter(|count| kinds.contains(&count.backup_type) && count.status == status);
        of_them.fold(Self::default(), |sums, count| Self {
            jobs: sums.jobs + count.jobs,
            size: sums.size + count.size_bytes,
            original_size: sums.original_size + count.original_size_bytes,
            duration_ms: sums.duration_ms + count.duration_ms,
        })
    }
}

/// The newest backup that counts towards retention, by the catalogue alone.
async fn last_good(
    h: &Holdfast,
    kind: BackupType,
    now: Timestamp,
) -> Result<Option<GoodBackup>, OperationError> {
    /// Damaged backups are rare: after this many the search ends.
    const MAX_SEARCHED: u32 = 100;
    let filter = JobFilter {
        backup_type: Some(kind),
        status: Some(JobStatus::Completed),
    };
    let (jobs, _) = h.catalog.list(filter, 1, MAX_SEARCHED).await?;
    let ids: Vec<BackupId> = jobs.iter().map(|job| job.backup_id.clone()).collect();
    let standings = h.catalog.standings(&ids).await?;
    let is_sound = |job: &&Job| matches!(standings.get(&job.backup_id), Some(Ok(known)) if !known.verification_failed);
    let is_filled =
        |job: &&Job| matches!(standings.get(&job.backup_id), Some(Ok(known)) if !known.is_empty);
    let mut sound = jobs.iter().filter(is_sound);
    // An empty backup is good only if there was never any content.
    let good = sound.clone().find(is_filled).or_else(|| sound.next());
    Ok(good.cloned().map(|job| GoodBackup {
        backup_id: job.backup_id,
        created_at: job.created_at,
        age_seconds: u64::try_from(now.duration_since(job.created_at).as_secs())
            .unwrap_or_default(),
    }))
}

fn rate(outcomes: &[Outcomes], kinds: &[BackupType]) -> SuccessRate {
    let of_them = outcomes
        .iter()
        .filter(|one| kinds.contains(&one.backup_type));
    let (completed, failed) = of_them.fold((0, 0), |(completed, failed), one| {
        (completed + one.completed, failed + one.failed)
    });
    SuccessRate {
        completed,
        failed,
        percent: percent(completed, completed + failed),
    }
}

/// By the nearest rank, so each figure is a measured one.
fn durations(newest_first: Vec<u64>) -> Durations {
    let last_ms = newest_first.first().copied();
    let mut sorted = newest_first;
    sorted.sort_unstable();
    let at = |percent: usize| {
        sorted
            .get((sorted.len() * percent).div_ceil(100).saturating_sub(1))
            .copied()
    };
    Durations {
        count: sorted.len() as u64,
        last_ms,
        median_ms: at(50),
        p95_ms: at(95),
    }
}

/// In tenths of a percent, sufficient for a reader. `None` for a zero total.
fn percent(part: u64, whole: u64) -> Option<f64> {
    let tenths = (u128::from(part) * 1000).checked_div(whole.into())?;
    Some(f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0)
}

fn job_statistics(count: &JobCount) -> JobStatistics {
    JobStatistics {
        backup_type: count.backup_type,
        status: count.status,
        count: count.jobs,
        stored_bytes: count.size_bytes,
    }
}

fn verification_statistics(count: &VerificationCount) -> VerificationStatistics {
    VerificationStatistics {
        level: count.level,
        status: count.status,
        count: count.verifications,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_jobs_there_is_no_rate_and_no_duration() {
        assert_eq!(rate(&[], &RETAINED_TYPES), SuccessRate::default());
        assert_eq!(durations(Vec::new()), Durations::default());
        assert_eq!(
            (percent(0, 0), percent(0, 3), percent(3, 3)),
            (None, Some(0.0), Some(100.0))
        );
    }

    #[test]
    fn each_duration_figure_is_a_measured_one() {
        let of = |all: &[u64]| durations(all.to_vec());
        let one = Durations {
            count: 1,
            last_ms: Some(7),
            median_ms: Some(7),
            p95_ms: Some(7),
        };
        assert_eq!(of(&[7]), one);
        let few = of(&[30, 10, 20]);
        assert_eq!(
            (few.last_ms, few.median_ms, few.p95_ms),
            (Some(30), Some(20), Some(30))
        );
        let many = of(&(1..=100).collect::<Vec<_>>());
        assert_eq!(
            (many.last_ms, many.median_ms, many.p95_ms),
            (Some(1), Some(50), Some(95))
        );
    }

    #[test]
    fn a_full_backup_counts_by_its_parts() {
        let outcome = |backup_type, completed, failed| Outcomes {
            backup_type,
            completed,
            failed,
        };
        let outcomes = [
            outcome(BackupType::Database, 2, 1),
            outcome(BackupType::Content, 3, 0),
            outcome(BackupType::Full, 0, 9),
        ];
        let all = rate(&outcomes, &RETAINED_TYPES);
        assert_eq!((all.completed, all.failed, all.percent), (5, 1, Some(83.3)));
        let size = |backup_type| JobCount {
            backup_type,
            status: JobStatus::Completed,
            jobs: 1,
            size_bytes: 10,
            original_size_bytes: 40,
            duration_ms: 5,
        };
        let counts = JobCounts(
            [BackupType::Database, BackupType::Content, BackupType::Full]
                .map(size)
                .to_vec(),
        );
        let sums = Sums::of(&counts, &RETAINED_TYPES, JobStatus::Completed);
        assert_eq!(
            (sums.jobs, sums.size, sums.original_size, sums.duration_ms),
            (2, 20, 80, 10)
        );
    }
}
