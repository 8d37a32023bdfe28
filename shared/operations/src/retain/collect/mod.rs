//! Content objects that no backup refers to. The long look, through every manifest and list of items in the bucket, is
//! made before the content lease is held; under the lease, and so with no backup on its way, what has come since is read,
//! then rows go before their objects, a batch at a time, each after a beat. One manifest or list that cannot be read to
//! its end stops everything.

mod hold;
mod mark;
mod references;

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, TryStreamExt as _};
use holdfast_domain::{BackupId, BackupType, ObjectKey, Timestamp};
use holdfast_storage::ObjectInfo;
use jiff::SignedDuration;
use serde::Serialize;

use self::{
    hold::{Held, Hold},
    references::References,
};
use super::{
    backups::is_late,
    delete::{CONCURRENCY, lock_of},
    expected::{Expected, collection_suspension},
    inventory::manifests,
};
use crate::{Holdfast, OperationError, Repository, RunLimits};

/// An object this young is never touched: it may be of a backup that nobody here knows of.
const LEFT_ALONE_FOR: SignedDuration = SignedDuration::from_hours(24);
/// The most that one run removes: what bounds its memory.
const MOST: usize = 50_000;
/// Readings of the store, for content backups that are completed during one.
const READINGS: u32 = 3;
/// Objects deleted between two beats.
const BATCH: usize = 200;

/// What became of the objects that no backup refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionReport {
    /// Objects that no backup in the bucket refers to, but for young ones.
    pub unreferenced: u64,
    /// Their bytes.
    pub unreferenced_bytes: u64,
    /// Those that were deleted.
    pub deleted: u64,
    /// Bytes of those. Where the bucket keeps versions they are freed once the versions expire.
    pub bytes_freed: u64,
    /// Those under a retention period or a legal hold.
    pub blocked: u64,
    /// Sources whose file is fetched anew where it is asked for again. None of the second store.
    pub sources_forgotten: u64,
    /// Why nothing was deleted, though nothing is wrong: a backup is on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Why nothing was collected: manifests that the catalogue expects are missing from the first store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<String>,
    /// Steps that failed.
    pub problems: Vec<String>,
}

/// Which store is looked through.
#[derive(Clone, Copy)]
pub(super) enum Of<'a> {
    /// The repository that backups are written to.
    First,
    /// The one that they are copied to.
    Second(&'a Repository),
}

impl<'a> Of<'a> {
    fn repository(self, h: &'a Holdfast) -> &'a Repository {
        match self {
            Self::First => &h.repository,
            Self::Second(second) => second,
        }
    }
}

/// What may not be removed from a store.
#[derive(Default)]
struct Kept {
    there: References,
    /// Of the second store: what backups in the first refer to. Whoever copies one of those, without a row or after a
    /// long pause, may count on what was there when it looked.
    first: References,
}

impl Kept {
    /// Reads what was not read yet. Returns why nothing may be collected, if so.
    async fn read(&mut self, h: &Holdfast, of: Of<'_>) -> Result<Option<String>, OperationError> {
        match of {
            Of::First => read_expected(h, &mut self.there, &BTreeSet::new()).await,
            Of::Second(second) => {
                self.there.read(second, &BTreeSet::new()).await?;
                read_expected(h, &mut self.first, &BTreeSet::new()).await
            }
        }
    }

    fn contains(&self, key: &ObjectKey) -> bool {
        self.there.contains(key) || self.first.contains(key)
    }
}

/// Reads the backups in the first store, and then looks for every manifest that the catalogue expects there: a missing
/// one may name any object. Returns why nothing may be collected, if so.
async fn read_expected(
    h: &Holdfast,
    references: &mut References,
    gone: &BTreeSet<BackupId>,
) -> Result<Option<String>, OperationError> {
    for _ in 0..READINGS {
        references.read(&h.repository, gone).await?;
        let databases = manifests(&h.repository, BackupType::Database).await?;
        let databases = Expected::compare(h, BackupType::Database, |id| databases.contains(id)).await?;
        let is_read = |id: &BackupId| references.contains_backup(id) || gone.contains(id);
        let contents = Expected::compare(h, BackupType::Content, is_read).await?;
        let missing = databases.unresolved().chain(contents.unresolved());
        let suspended = collection_suspension(missing);
        if suspended.is_some() || contents.unseen == 0 {
            return Ok(suspended);
        }
    }
    Ok(Some("no content object was deleted, because content backups were completed meanwhile".to_owned()))
}

/// What would be removed once these backups are gone.
pub(super) async fn plan(
    h: &Holdfast,
    gone: &BTreeSet<BackupId>,
    now: Timestamp,
) -> Result<CollectionReport, OperationError> {
    let mut references = References::default();
    let suspended = read_expected(h, &mut references, gone).await?;
    if suspended.is_some() {
        return Ok(CollectionReport { suspended, ..CollectionReport::default() });
    }
    Ok(found(&unreferenced(&h.repository, |key| references.contains(key), now).await?))
}

/// Removes what no backup refers to.
pub(super) async fn collect(
    h: &Holdfast,
    of: Of<'_>,
    limits: RunLimits,
    now: Timestamp,
) -> Result<CollectionReport, OperationError> {
    let mut references = Kept::default();
    let suspended = references.read(h, of).await?;
    if suspended.is_some() {
        return Ok(CollectionReport { suspended, ..CollectionReport::default() });
    }
    let candidates = unreferenced(of.repository(h), |key| references.contains(key), now).await?;
    let mut report = found(&candidates);
    if candidates.is_empty() || is_late(limits) {
        return Ok(report);
    }
    let hold = match Box::pin(Hold::take(h, of, limits, now)).await? {
        Held::Ours(hold) => hold,
        Held::Busy(why) => {
            report.skipped = Some(why);
            return Ok(report);
        }
    };
    let removed = Box::pin(remove(h, of, &hold, &mut references, &candidates, now, &mut report)).await;
    hold.release(h).await;
    if let Err(error) = removed {
        report.problems.push(format!("content objects: {error}; the next run goes on"));
    }
    Ok(report)
}

fn found(candidates: &[ObjectInfo]) -> CollectionReport {
    CollectionReport {
        unreferenced: candidates.len() as u64,
        unreferenced_bytes: candidates.iter().map(|object| object.size_bytes).sum(),
        ..CollectionReport::default()
    }
}

async fn unreferenced(
    repository: &Repository,
    is_referred_to: impl Fn(&ObjectKey) -> bool,
    now: Timestamp,
) -> Result<Vec<ObjectInfo>, OperationError> {
    let mut found = Vec::new();
    for folder in [ObjectKey::OBJECTS, ObjectKey::DAGS] {
        let mut objects = repository.store().list(folder);
        while let Some(object) = objects.try_next().await? {
            let is_old = now.duration_since(object.last_modified_at) > LEFT_ALONE_FOR;
            if is_old && !is_referred_to(&object.key) {
                found.push(object);
            }
            if found.len() == MOST {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

async fn remove(
    h: &Holdfast,
    of: Of<'_>,
    hold: &Hold,
    references: &mut Kept,
    candidates: &[ObjectInfo],
    now: Timestamp,
    report: &mut CollectionReport,
) -> Result<(), OperationError> {
    let repository = of.repository(h);
    // Committed, or lost, between the long look and the lease.
    report.suspended = Box::pin(hold.guard(references.read(h, of))).await?;
    if report.suspended.is_some() {
        return Ok(());
    }
    for batch in candidates.chunks(BATCH) {
        if hold.is_over() {
            tracing::info!(left = report.unreferenced - report.deleted, "the rest is left to the next run");
            return Ok(());
        }
        let batch = batch.iter().filter(|object| !references.contains(&object.key));
        let free = hold.guard(without_locked(repository, batch.cloned().collect(), now, report)).await?;
        let keys: Vec<ObjectKey> = free.iter().map(|object| object.key.clone()).collect();
        hold.confirm().await?;
        // First the rows: whatever asks for these files from now on fetches them anew.
        if matches!(of, Of::First) {
            report.sources_forgotten += h.catalog.forget_objects(&keys).await?;
        }
        delete(repository, hold, free, report).await?;
    }
    Ok(())
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
    let seen: Vec<_> = futures_util::stream::iter(batch).map(look).buffered(CONCURRENCY).try_collect().await?;
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
        tracing::info!(key = %object.key, bytes = object.size_bytes, "a content object that no backup refers to was deleted");
        Ok::<_, OperationError>(object.size_bytes)
    };
    let mut deleting = futures_util::stream::iter(batch).map(delete).buffer_unordered(CONCURRENCY);
    while let Some(bytes) = hold.guard(deleting.try_next()).await? {
        report.deleted += 1;
        report.bytes_freed += bytes;
    }
    Ok(())
}
