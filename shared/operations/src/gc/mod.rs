//! Deletes unreferenced content objects.
//!
//! The long reading of every manifest and list of items comes before the content lease. Under the
//! lease no content backup is active, and the run reads the backups added meanwhile. Then it
//! deletes rows before their objects, in batches, each after a beat. One unreadable manifest or
//! list stops the collection.

mod listing;
mod live_set;
mod lock;
mod references;
mod replica_lock;

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _};
use holdfast_domain::{BackupId, ObjectKey, Timestamp};
use holdfast_repository::Repository;
use holdfast_storage::ObjectInfo;
use jiff::SignedDuration;
use serde::Serialize;

use self::{
    live_set::{Completeness, LiveSet},
    lock::{Acquisition, CollectionLock},
    references::References,
};
use crate::{
    Holdfast, OperationError, RunLimits,
    inventory::lock::{CONCURRENCY, lock_of},
    job::run::is_late,
};

/// Time that a listing reserves for the removal: two minutes under the lease, and a margin.
const FOR_REMOVAL: SignedDuration = SignedDuration::from_secs(150);
/// Objects deleted between two beats.
const BATCH: usize = 200;

/// Result of a collection of unreferenced content objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionReport {
    /// Unreferenced objects in the bucket, without young ones.
    pub unreferenced: u64,
    /// Their bytes.
    pub unreferenced_bytes: u64,
    /// Number of deleted objects.
    pub deleted: u64,
    /// Bytes of the deleted objects. A bucket with versioning frees them after its versions
    /// expire.
    pub bytes_freed: u64,
    /// Objects under a retention period or a legal hold.
    pub blocked: u64,
    /// Sources to fetch again at the next request. None for the second store.
    pub sources_forgotten: u64,
    /// The reason for a collection without deletions although nothing failed: a backup is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// The reason for a suspended collection: expected manifests are missing from the first store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<String>,
    /// The reason for a partial collection: the time ended, and the next run resumes there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
    /// Failed steps.
    pub problems: Vec<String>,
}

/// The examined store.
#[derive(Clone, Copy)]
pub(super) enum Side<'a> {
    /// The repository of backups.
    Primary,
    /// The repository of their copies.
    Replica(&'a Repository),
}

impl<'a> Side<'a> {
    /// Name of its progress record.
    const fn name(self) -> &'static str {
        match self {
            Self::Primary => "first",
            Self::Replica(_) => "second",
        }
    }

    fn repository(self, h: &'a Holdfast) -> &'a Repository {
        match self {
            Self::Primary => &h.repository,
            Self::Replica(second) => second,
        }
    }
}

/// The objects to remove after the deletion of these backups.
pub(super) async fn plan(
    h: &Holdfast,
    gone: &BTreeSet<BackupId>,
    now: Timestamp,
) -> Result<CollectionReport, OperationError> {
    let (mut references, limits) = (References::default(), RunLimits::none());
    if let Completeness::Suspended(why) =
        live_set::read_expected(h, &mut references, gone, (limits, now)).await?
    {
        return Ok(CollectionReport {
            suspended: Some(why),
            ..CollectionReport::default()
        });
    }
    let found = listing::list(
        &h.repository,
        0,
        |key| references.contains(key),
        limits,
        now,
    )
    .await?;
    Ok(report_of(&found.unreferenced))
}

/// Removes unreferenced objects. If the time ends, it records its progress, and the next run
/// resumes there.
pub(super) async fn collect(
    h: &Holdfast,
    side: Side<'_>,
    limits: RunLimits,
    now: Timestamp,
) -> Result<CollectionReport, OperationError> {
    let mut live = LiveSet::resume(h, side).await?;
    match live.read(h, side, (limits, now)).await? {
        Completeness::All => {}
        Completeness::Suspended(why) => {
            return Ok(CollectionReport {
                suspended: Some(why),
                ..CollectionReport::default()
            });
        }
        Completeness::OutOfTime => {
            live.save_progress(h, side).await?;
            return Ok(CollectionReport {
                unfinished: Some(READING.to_owned()),
                ..CollectionReport::default()
            });
        }
    }
    let for_listing = RunLimits {
        deadline: limits.deadline.map(|deadline| deadline - FOR_REMOVAL),
    };
    let found = listing::list(
        side.repository(h),
        live.part,
        |key| live.contains(key),
        for_listing,
        now,
    )
    .await?;
    let mut report = report_of(&found.unreferenced);
    let is_removed = found.unreferenced.is_empty()
        || (!is_late(limits)
            && lock_and_remove(
                h,
                side,
                limits,
                &mut live,
                &found.unreferenced,
                now,
                &mut report,
            )
            .await?);
    let is_out_of_time = found.is_out_of_time || is_late(limits);
    let is_whole = is_removed && found.next.is_none();
    report.unfinished = (is_out_of_time && !is_whole).then(|| LISTING.to_owned());
    // Remaining candidates are listed again.
    if is_removed {
        live.part = found.next.unwrap_or(0);
    }
    if is_whole {
        live.clear_progress(h, side).await?;
    } else if is_out_of_time || (is_removed && live.is_continued) {
        live.save_progress(h, side).await?;
    } else if is_removed {
        live.save_position(h, side).await?;
    }
    Ok(report)
}

const READING: &str =
    "the time ended before every list of items was read: the next run resumes there";
const LISTING: &str =
    "the time ended before every content object was listed: the next run resumes there";

fn report_of(candidates: &[ObjectInfo]) -> CollectionReport {
    CollectionReport {
        unreferenced: candidates.len() as u64,
        unreferenced_bytes: candidates.iter().map(|object| object.size_bytes).sum(),
        ..CollectionReport::default()
    }
}

/// Removes candidates under the lock. Returns whether all were tried.
async fn lock_and_remove(
    h: &Holdfast,
    side: Side<'_>,
    limits: RunLimits,
    live: &mut LiveSet,
    candidates: &[ObjectInfo],
    now: Timestamp,
    report: &mut CollectionReport,
) -> Result<bool, OperationError> {
    let lock = match Box::pin(CollectionLock::take(h, side, limits)).await? {
        Acquisition::Acquired(lock) => lock,
        Acquisition::Busy(why) => {
            report.skipped = Some(why);
            return Ok(false);
        }
    };
    let removed = Box::pin(remove(
        h,
        side,
        &lock,
        live,
        candidates,
        (limits, now),
        report,
    ))
    .await;
    lock.release(h).await;
    Ok(removed.unwrap_or_else(|error| {
        report.problems.push(format!(
            "content objects could not be deleted: {error}. The next run resumes"
        ));
        false
    }))
}

async fn remove(
    h: &Holdfast,
    side: Side<'_>,
    lock: &CollectionLock,
    live: &mut LiveSet,
    candidates: &[ObjectInfo],
    (limits, now): (RunLimits, Timestamp),
    report: &mut CollectionReport,
) -> Result<bool, OperationError> {
    let repository = side.repository(h);
    // Reads the backups committed, or lost, between the long reading and the lease.
    match Box::pin(lock.guard(live.read(h, side, (limits, now)))).await? {
        Completeness::All => {}
        Completeness::OutOfTime => return Ok(false),
        Completeness::Suspended(why) => {
            report.suspended = Some(why);
            return Ok(false);
        }
    }
    for batch in candidates.chunks(BATCH) {
        if lock.is_over() || is_late(limits) {
            tracing::info!(
                left = report.unreferenced - report.deleted,
                "unreferenced content objects remain: the next run deletes them"
            );
            return Ok(false);
        }
        let batch = batch.iter().filter(|object| !live.contains(&object.key));
        let free = lock
            .guard(without_locked(
                repository,
                batch.cloned().collect(),
                now,
                report,
            ))
            .await?;
        let keys: Vec<ObjectKey> = free.iter().map(|object| object.key.clone()).collect();
        lock.confirm().await?;
        // The rows go first, so that later requests for these files fetch them again.
        if matches!(side, Side::Primary) {
            report.sources_forgotten += h.catalog.forget_objects(&keys).await?;
        }
        delete(repository, lock, free, report).await?;
    }
    Ok(true)
}

async fn without_locked(
    repository: &Repository,
    batch: Vec<ObjectInfo>,
    now: Timestamp,
    report: &mut CollectionReport,
) -> Result<Vec<ObjectInfo>, OperationError> {
    let with_lock = |object: ObjectInfo| async move {
        Ok::<_, OperationError>((lock_of(repository, &object.key, now).await?, object))
    };
    let seen: Vec<_> = futures_util::stream::iter(batch)
        .map(with_lock)
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let (free, locked): (Vec<_>, Vec<_>) = seen.into_iter().partition(|(lock, _)| lock.is_none());
    report.blocked += locked.len() as u64;
    Ok(free.into_iter().map(|(_, object)| object).collect())
}

async fn delete(
    repository: &Repository,
    lock: &CollectionLock,
    batch: Vec<ObjectInfo>,
    report: &mut CollectionReport,
) -> Result<(), OperationError> {
    let delete = |object: ObjectInfo| async move {
        repository.store().delete(&object.key).await?;
        tracing::info!(key = %object.key, bytes = object.size_bytes, "an unreferenced content object was deleted");
        Ok::<_, OperationError>(object.size_bytes)
    };
    let mut deleting = futures_util::stream::iter(batch)
        .map(delete)
        .buffer_unordered(CONCURRENCY);
    while let Some(bytes) = lock.guard(deleting.try_next()).await? {
        report.deleted += 1;
        report.bytes_freed += bytes;
    }
    Ok(())
}
