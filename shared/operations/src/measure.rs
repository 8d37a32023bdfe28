//! Measures the stored bytes and their growth by the catalogue alone: the sizes in the jobs' rows,
//! and the content objects of known sources. Only the sweep and retention list the bucket itself.

use std::time::Duration;

use holdfast_catalog::{BackupSize, Catalog, JobCounts, StoredObjects};
use holdfast_domain::{BackupType, JobStatus, Timestamp};
use jiff::SignedDuration;
use serde::Serialize;

use crate::OperationError;

/// Stored data of one type of backup, according to the catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// Number of existing backups.
    pub backups: u64,
    /// Bytes of the backups' own artifacts: dumps, or item lists and archives.
    pub backup_bytes: u64,
    /// Number of content objects. Backups share them. Null if there are too many to count in time.
    pub objects: Option<u64>,
    /// Bytes of the content objects.
    pub object_bytes: Option<u64>,
}

impl Stored {
    /// All bytes, if all of them are known.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        Some(self.backup_bytes.saturating_add(self.object_bytes?))
    }
}

/// The hourly figures of the sweep for one type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// The stored amount.
    #[serde(flatten)]
    pub stored: Stored,
    /// Growth of the newest backup against the earlier ones, in percent.
    pub growth_percent: Option<f64>,
}

/// Time limit of the server's count of objects, in the sweep.
const SWEEP_COUNT_TIMEOUT: Duration = Duration::from_secs(15);

pub(crate) async fn measure(
    catalog: &Catalog,
    counts: &JobCounts,
    kind: BackupType,
) -> Result<Measured, OperationError> {
    let stored = stored(catalog, counts, kind, SWEEP_COUNT_TIMEOUT).await?;
    Ok(Measured {
        stored,
        growth_percent: growth_of(catalog, kind).await?,
    })
}

/// The stored amount. Without objects, if the server needs longer than this to count them.
pub(crate) async fn stored(
    catalog: &Catalog,
    counts: &JobCounts,
    kind: BackupType,
    patience: Duration,
) -> Result<Stored, OperationError> {
    let stored_objects = match kind {
        BackupType::Content => match catalog.stored_objects(patience).await {
            Ok(stored_objects) => Some(stored_objects),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the content objects were not counted in time");
                None
            }
            Err(error) => return Err(error.into()),
        },
        BackupType::Database | BackupType::Full => Some(StoredObjects::default()),
    };
    let there = counts
        .0
        .iter()
        .filter(|count| count.backup_type == kind && count.status == JobStatus::Completed);
    let (backups, backup_bytes) = there.fold((0, 0), |(jobs, bytes), count| {
        (jobs + count.jobs, bytes + count.size_bytes)
    });
    let (objects, object_bytes) = (
        stored_objects.map(|stored_objects| stored_objects.objects),
        stored_objects.map(|stored_objects| stored_objects.bytes),
    );
    Ok(Stored {
        backups,
        backup_bytes,
        objects,
        object_bytes,
    })
}

/// Rows considered: a week of hourly backups, and the newest.
const MAX_ROWS: u32 = 7 * 24 + 1;
/// The newest backup is compared with the earlier ones of this period.
const WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Least number of earlier backups. With fewer there is no figure, because the first days of a
/// deployment are no growth.
const MIN_EARLIER: usize = 7;
/// Least counted difference. A smaller one is ignored, whatever its share of a small backup.
const MIN_DIFFERENCE_BYTES: u64 = 64 * 1024 * 1024;

pub(crate) async fn growth_of(
    catalog: &Catalog,
    kind: BackupType,
) -> Result<Option<f64>, OperationError> {
    let sizes = catalog.sizes(kind, MAX_ROWS).await?;
    // A content backup stores only new files in objects. The amount to store follows from its
    // files.
    let bytes = |size: &BackupSize| {
        if kind == BackupType::Content {
            size.original_size
        } else {
            size.size
        }
    };
    Ok(growth_percent(
        &sizes
            .iter()
            .map(|size| (size.created_at, bytes(size)))
            .collect::<Vec<_>>(),
    ))
}

/// The difference of the first value, the newest, to the mean of the others, in percent. Negative
/// if it is smaller.
fn growth_percent(newest_first: &[(Timestamp, u64)]) -> Option<f64> {
    let ((at, newest), before) = newest_first.split_first()?;
    if before.len() < MIN_EARLIER {
        return None;
    }
    let in_window = before
        .iter()
        .take_while(|(earlier, _)| at.duration_since(*earlier) <= WINDOW)
        .count();
    let compared = &before[..in_window.max(MIN_EARLIER)];
    let sum: u128 = compared.iter().map(|(_, bytes)| u128::from(*bytes)).sum();
    let mean = i128::try_from(sum / compared.len() as u128).unwrap_or(i128::MAX);
    let more = i128::from(*newest) - mean;
    if more.unsigned_abs() < u128::from(MIN_DIFFERENCE_BYTES) {
        return Some(0.0);
    }
    let tenths = more.saturating_mul(1000) / mean.max(1);
    Some(f64::from(i32::try_from(tenths).unwrap_or(i32::MAX)) / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// Backups this many hours apart, the newest first, of these mebibytes.
    fn grown(hours: i64, mebibytes: &[u64]) -> Option<f64> {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let sizes = (0..).zip(mebibytes);
        let sizes: Vec<_> = sizes
            .map(|(index, size)| (now - SignedDuration::from_hours(hours * index), size * MIB))
            .collect();
        growth_percent(&sizes)
    }

    #[test]
    fn nothing_is_reported_of_the_first_backups() {
        assert_eq!(grown(24, &[]), None);
        assert_eq!(grown(24, &[5000, 1, 1, 1, 1, 1, 1]), None);
        assert_eq!(
            grown(24, &[5000, 1000, 1000, 1000, 1000, 1000, 1000, 1000]),
            Some(400.0)
        );
    }

    #[test]
    fn what_stays_as_it_is_does_not_grow_however_often_it_is_backed_up() {
        for hours in [1, 24, 24 * 30] {
            assert_eq!(grown(hours, &[1000; 100]), Some(0.0));
        }
    }

    #[test]
    fn growth_is_against_the_mean_of_a_week_and_of_seven_at_the_least() {
        let daily = [1500, 1300, 1100, 900, 1000, 700, 1000, 1000, 9000, 9000];
        assert_eq!(grown(24, &daily), Some(50.0));
        assert_eq!(grown(24 * 7, &daily), Some(50.0));
        let hourly: Vec<u64> = std::iter::once(2000)
            .chain([1500; 24])
            .chain([1000; 144])
            .collect();
        assert_eq!(grown(1, &hourly), Some(86.6));
    }

    #[test]
    fn a_new_size_is_the_usual_one_after_a_week() {
        let days = |grown_for: usize| [vec![2000; grown_for], vec![1000; 10]].concat();
        assert_eq!(grown(24, &days(1)), Some(100.0));
        assert!(grown(24, &days(4)).unwrap() < 50.0);
        assert_eq!(grown(24, &days(8)), Some(0.0));
    }

    #[test]
    fn a_small_difference_is_ignored_and_a_shrunken_backup_has_negative_growth() {
        assert_eq!(grown(24, &[50, 1, 1, 1, 1, 1, 1, 1]), Some(0.0));
        assert_eq!(
            grown(24, &[100, 1000, 1000, 1000, 1000, 1000, 1000, 1000]),
            Some(-90.0)
        );
        assert_eq!(
            grown(24, &[1000, 0, 0, 0, 0, 0, 0, 0]),
            Some(f64::from(i32::MAX) / 10.0)
        );
    }
}
