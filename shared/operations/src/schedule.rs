//! Due times of backups, by the interval of their type.

use holdfast_domain::{BackupType, Timestamp};
use jiff::SignedDuration;

use crate::{Holdfast, OperationError, job::trigger};

/// Hours since a backup of this type was due. It is due an interval after the trigger of the last
/// good one, with an hour's grace for the run itself.
///
/// Before the first good one it is late by a complete interval, plus the time since the first
/// request. A deployment with only failed or cancelled backups has no backup.
pub(crate) async fn hours_overdue(
    h: &Holdfast,
    kind: BackupType,
    now: Timestamp,
) -> Result<f64, OperationError> {
    const GRACE: SignedDuration = SignedDuration::from_hours(1);
    if trigger::switched_off(h, kind).is_some() {
        return Ok(0.0);
    }
    let late = if let Some(due) = due_at(h, kind).await? {
        now.duration_since(due) - GRACE
    } else {
        let first = h.catalog.oldest(kind).await?;
        let since = first.map_or(SignedDuration::ZERO, |job| {
            now.duration_since(job.created_at)
        });
        interval(h, kind) + since.max(SignedDuration::ZERO)
    };
    Ok((late.as_secs_f64() / 3600.0).max(0.0))
}

/// Due time of the next backup of this type: an interval after the last good one, or `None` before
/// it. After a backup with content, an empty one is not good: its source was wiped or misnamed.
pub(crate) async fn due_at(
    h: &Holdfast,
    kind: BackupType,
) -> Result<Option<Timestamp>, OperationError> {
    let good = match h.catalog.newest_filled(kind).await? {
        Some(job) => Some(job),
        None => h.catalog.newest_completed(kind).await?,
    };
    Ok(good.map(|job| job.created_at + interval(h, kind)))
}

fn interval(h: &Holdfast, kind: BackupType) -> SignedDuration {
    let hours = match kind {
        BackupType::Content => h.settings.content.interval_hours,
        BackupType::Database | BackupType::Full => h.settings.database.interval_hours,
    };
    SignedDuration::from_hours(i64::from(hours))
}
