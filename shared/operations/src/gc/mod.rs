//! Deletes unreferenced content objects.
//!
//! The long reading of every manifest and list of items comes before the content lease. Under the
//! lease no content backup is active, and the run reads the backups added meanwhile. Then it
//! deletes rows before their objects, in batches, each after a beat. One unreadable manifest or
//! list stops the collection.

mod hold;
mod kept;
mod listing;
mod lock;
mod references;

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _};
use holdfast_domain::{BackupId, ObjectKey, Timestamp};
use holdfast_repository::Repository;
use holdfast_storage::ObjectInfo;
use jiff::SignedDuration;
use serde::Serialize;

use self::{
    hold::{Held, Hold},
    kept::{Kept, Known},
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
pub(super) enum Of<'a> {
    /// The repository of backups.
    First,
    /// The repository of their copies.
    Second(&'a Repository),
}

impl<'a> Of<'a> {
    /// Name of its progress record.
    const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second(_) => "second",
        }
    }

    fn repository(self, h: &'a Holdfast) -> &'a Repository {
        match self {
            Self::First => &h.repository,
            Self::Second(second) => second,
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
    if let Known::Suspended(why) =
        kept::read_expected(h, &mut references, gone, (limits, now)).await?
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
    Ok(of_candidates(&found.unreferenced))
}

/// Removes unreferenced objects. If the time ends, it records its progress, and the next run
/// resumes there.
pub(super) async fn collect(
    h: &Holdfast,
    of: Of<'_>,
    limits: RunLimits,
    now: Timestamp,
) -> Result<CollectionReport, OperationError> {
    let mut kept = Kept::resume(h, of).await?;
    match kept.read(h, of, (limits, now)).await? {
        Known::All => {}
        Known::Suspended(why) => {
            return Ok(CollectionReport {
                suspended: Some(why),
                ..CollectionReport::default()
            });
        }
        Known::OutOfTime => {
            kept.keep(h, of).await?;
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
        of.repository(h),
        kept.part,
        |key| kept.contains(key),
        for_listing,
        now,
    )
    .await?;
    let mut report = of_candidates(&found.unreferenced);
    let is_removed = found.unreferenced.is_empty()
        || (!is_late(limits)
            && take_and_remove(
                h,
                of,
                limits,
                &mut kept,
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
        kept.part = found.next.unwrap_or(0);
    }
    if is_whole {
        kept.forget(h, of).await?;
    } else if is_out_of_time || (is_removed && kept.is_continued) {
        kept.keep(h, of).await?;
    } else if is_removed {
        kept.keep_part(h, of).await?;
    }
    Ok(report)
}

const READING: &str =
    "the time ended before every list of items was read: the next run resumes there";
const LISTING: &str =
    "the time ended before every content object was listed: the next run resumes there";

fn of_candidates(candidates: &[ObjectInfo]) -> CollectionReport {
    CollectionReport {
        unreferenced: candidates.len() as u64,
        unreferenced_bytes: candidates.iter().map(|object| object.size_bytes).sum(),
        ..CollectionReport::default()
    }
}

/// Removes candidates under the lease or the mark. Returns whether all were tried.
async fn take_and_remove(
    h: &Holdfast,
    of: Of<'_>,
    limits: RunLimits,
    kept: &mut Kept,
    candidates: &[ObjectInfo],
    now: Timestamp,
    report: &mut CollectionReport,
) -> Result<bool, OperationError> {
    let hold = match Box::pin(Hold::take(h, of, limits)).await? {
        Held::Ours(hold) => hold,
        Held::Busy(why) => {
            report.skipped = Some(why);
            return Ok(false);
        }
    };
    let removed = Box::pin(remove(
        h,
        of,
        &hold,
        kept,
        candidates,
        (limits, now),
        report,
    ))
    .await;
    hold.release(h).await;
    Ok(removed.unwrap_or_else(|error| {
        report.problems.push(format!(
            "content objects could not be deleted: {error}. The next run resumes"
        ));
        false
    }))
}

async fn remove(
    h: &Holdfast,
    of: Of<'_>,
    hold: &Hold,
    kept: &mut Kept,
    candidates: &[ObjectInfo],
    (limits, now): (RunLimits, Timestamp),
    report: &mut CollectionReport,
) -> Result<bool, OperationError> {
    let repository = of.repository(h);
    // Reads the backups committed, or lost, between the long reading and the lease.
    match Box::pin(hold.guard(kept.read(h, of, (limits, now)))).await? {
        Known::All => {}
        Known::OutOfTime => return Ok(false),
        Known::Suspended(why) => {
            report.suspended = Some(why);
            return Ok(false);
        }
    }
    for batch in candidates.chunks(BATCH) {
        if hold.is_over() || is_late(limits) {
            tracing::info!(
                left = report.unreferenced - report.deleted,
                "unreferenced content objects remain: the next run deletes them"
            );
            return Ok(false);
        }
        let batch = batch.iter().filter(|object| !kept.contains(&object.key));
        let free = hold
            .guard(without_locked(
                repository,
                batch.cloned().collect(),
                now,
                report,
            ))
            .await?;
        let keys: Vec<ObjectKey> = free.iter().map(|object| object.key.clone()).collect();
        hold.confirm().await?;
        // The rows go first, so that later requests for these files fetch them again.
        if matches!(of, Of::First) {
            report.sources_forgotten += h.catalog.forget_objects(&keys).await?;
        }
        delete(repository, hold, free, report).await?;
    }
    Ok(true)
}

async fn without_locked(
    repository: &Repository,
    batch: Vec<ObjectInfo>,
    now: Timestamp,
    report: &mut CollectionReport,
) -> Result<Vec<ObjectInfo>, OperationError> {
    let look = |object: ObjectInfo| async move {
        Ok::<_, OperationError>((lock_of(repository, &object.key, now).await?, object))
    };
    let seen: Vec<_> = futures_util::stream::iter(batch)
        .map(look)
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let (free, locked): (Vec<_>, Vec<_>) = seen.into_iter().partition(|(lock, _)| lock.is_none());
    report.blocked += locked.len() as u64;
    Ok(free.into_iter().map(|(_, object)| object).collect())
}

async fn delete(
    repository: &Repository,
    hold: &Hold,
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
    while let Some(bytes) = hold.guard(deleting.try_next()).await? {
        report.deleted += 1;
        report.bytes_freed += bytes;
    }
    Ok(())
}
