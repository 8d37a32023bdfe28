//! Due times of backups, by the interval of their type.

use holdfast_catalog::Catalog;
use holdfast_domain::settings::Settings;
use holdfast_domain::{BackupType, Timestamp};
use jiff::SignedDuration;

use crate::{OperationError, job::trigger};

/// Hours since a backup of this type was due. It is due an interval after the trigger of the last
/// good one, with two hours' grace. One is for the run itself. The other is for the night with 25
/// hours, at the end of summer time.
///
/// Before the first good one it is late by a complete interval, plus the time since the first
/// request. A deployment with only failed or cancelled backups has no backup.
pub(crate) async fn hours_overdue(
    catalog: &Catalog,
    settings: &Settings,
    kind: BackupType,
    now: Timestamp,
) -> Result<f64, OperationError> {
    const GRACE: SignedDuration = SignedDuration::from_hours(2);
    if trigger::switched_off(settings, kind).is_some() {
        return Ok(0.0);
    }
    let late = if let Some(due) = due_at(catalog, settings, kind).await? {
        now.duration_since(due) - GRACE
    } else {
        let first = catalog.oldest(kind).await?;
        let since = first.map_or(SignedDuration::ZERO, |job| {
            now.duration_since(job.created_at)
        });
        interval(settings, kind) + since.max(SignedDuration::ZERO)
    };
    Ok((late.as_secs_f64() / 3600.0).max(0.0))
}

/// Due time of the next backup of this type: an interval after the last good one, or `None` before
/// it. After a backup with content, an empty one is not good: its source was wiped or misnamed.
pub(crate) async fn due_at(
    catalog: &Catalog,
    settings: &Settings,
    kind: BackupType,
) -> Result<Option<Timestamp>, OperationError> {
    let good = match catalog.newest_filled(kind).await? {
        Some(job) => Some(job),
        None => catalog.newest_completed(kind).await?,
    };
    Ok(good.map(|job| job.created_at + interval(settings, kind)))
}

fn interval(settings: &Settings, kind: BackupType) -> SignedDuration {
    let hours = match kind {
        BackupType::Content => settings.content.interval_hours,
        BackupType::Database | BackupType::Full => settings.database.interval_hours,
    };
    SignedDuration::from_hours(i64::from(hours))
}
