//! Deletes one backup, in an order that a later run can finish.
//!
//! It reads the locks and readers, then records the decision and the status `deleted`, then reads
//! the readers again. Then it deletes the manifest, the objects and the rows of items.

use futures_util::{StreamExt as _, TryStreamExt as _};
use holdfast_catalog::{CatalogError, JobChange};
use holdfast_domain::{BackupId, BackupType, JobDeletion, JobStatus, ObjectKey, Timestamp};
use holdfast_repository::Repository;

use crate::{Holdfast, OperationError, RunLimits, readers::first_reader};
use crate::{
    inventory::lock::{CONCURRENCY, lock_of},
    job::run::is_late,
};

/// Result of a deletion.
pub(crate) enum Deletion {
    /// The backup is completely deleted.
    Deleted,
    /// The store retains one of its objects, or a run reads it. No object was deleted.
    Blocked(String),
    /// The status of its job forbids the deletion. Nothing was changed.
    InUse(JobStatus),
}

/// Deletes a backup. It also finishes the deletion of a killed run.
pub(crate) async fn backup(
    h: &Holdfast,
    id: &BackupId,
    limits: RunLimits,
    now: Timestamp,
) -> Result<Deletion, OperationError> {
    let objects = objects(&h.repository, id).await?;
    if let Some(lock) = first_lock(&h.repository, &objects, now).await? {
        return Ok(Deletion::Blocked(lock));
    }
    if let Some(reader) = first_reader(h, id).await? {
        return Ok(Deletion::Blocked(reader));
    }
    let change = JobChange {
        deletion: Some(JobDeletion::by_retention(now)),
        ..JobChange::default()
    };
    match h
        .catalog
        .transition(id, JobStatus::Deleted, change, None)
        .await
    {
        Ok(job) => h.observer.job_changed(&job).await,
        Err(CatalogError::Conflict {
            status: JobStatus::Deleted,
            ..
        }) => {
            // A lost backup is `deleted` too, but without a decision. An accepted loss is void if
            // the manifest is in the store.
            let job = h.catalog.get(id).await?;
            if job.is_lost() || job.is_accepted_loss() {
                return Ok(Deletion::InUse(JobStatus::Deleted));
            }
        }
        Err(CatalogError::Conflict { status, .. }) => return Ok(Deletion::InUse(status)),
        Err(error) => return Err(error.into()),
    }
    // A reader may have begun before the decision was recorded. The next run finishes the deletion.
    if let Some(reader) = first_reader(h, id).await? {
        return Ok(Deletion::Blocked(reader));
    }
    remove(&h.repository, id, objects).await?;
    forget_items(h, id, limits).await?;
    Ok(Deletion::Deleted)
}

/// Deletes the copy of a deleted backup. The row records the deletion before any object is deleted.
pub(crate) async fn copy(
    h: &Holdfast,
    second: &Repository,
    id: &BackupId,
    now: Timestamp,
) -> Result<Deletion, OperationError> {
    let objects = objects(second, id).await?;
    if let Some(lock) = first_lock(second, &objects, now).await? {
        return Ok(Deletion::Blocked(lock));
    }
    if let Some(reader) = first_reader(h, id).await? {
        return Ok(Deletion::Blocked(reader));
    }
    h.catalog.set_copy_deleted(id, now).await?;
    if let Some(reader) = first_reader(h, id).await? {
        return Ok(Deletion::Blocked(reader));
    }
    remove(second, id, objects).await?;
    Ok(Deletion::Deleted)
}

/// Deletes the remains of a `deleted` backup without a manifest, unless the store retains them.
pub(crate) async fn leftovers(
    h: &Holdfast,
    id: &BackupId,
    limits: RunLimits,
    now: Timestamp,
) -> Result<Deletion, OperationError> {
    let objects = objects(&h.repository, id).await?;
    // The manifest is back, so the next run plans this backup.
    if objects.iter().any(|key| key.manifest_of().is_some()) {
        return Ok(Deletion::InUse(JobStatus::Deleted));
    }
    if let Some(lock) = first_lock(&h.repository, &objects, now).await? {
        return Ok(Deletion::Blocked(lock));
    }
    if let Some(reader) = first_reader(h, id).await? {
        return Ok(Deletion::Blocked(reader));
    }
    remove_rest(&h.repository, objects).await?;
    forget_items(h, id, limits).await?;
    Ok(Deletion::Deleted)
}

/// Deletes the manifest first. The remains without it are no backup, and the next run finds them.
async fn remove(
    repository: &Repository,
    id: &BackupId,
    objects: Vec<ObjectKey>,
) -> Result<(), OperationError> {
    repository.store().delete(&ObjectKey::manifest(id)).await?;
    remove_rest(
        repository,
        objects
            .into_iter()
            .filter(|key| key.manifest_of().is_none())
            .collect(),
    )
    .await
}

async fn remove_rest(
    repository: &Repository,
    objects: Vec<ObjectKey>,
) -> Result<(), OperationError> {
    let delete = |key: ObjectKey| async move { repository.store().delete(&key).await };
    let mut deleting = futures_util::stream::iter(objects)
        .map(delete)
        .buffer_unordered(CONCURRENCY);
    while deleting.try_next().await?.is_some() {}
    Ok(())
}

/// Remaining rows are deleted later, together with the other rows without a backup.
async fn forget_items(
    h: &Holdfast,
    id: &BackupId,
    limits: RunLimits,
) -> Result<(), OperationError> {
    if id.backup_type() == BackupType::Content {
        h.catalog
            .delete_items_while(id, || !is_late(limits))
            .await?;
    }
    Ok(())
}

async fn objects(repository: &Repository, id: &BackupId) -> Result<Vec<ObjectKey>, OperationError> {
    let objects = repository.store().list(&ObjectKey::backup_prefix(id));
    Ok(objects.map_ok(|object| object.key).try_collect().await?)
}

/// The first locked object, with its lock.
async fn first_lock(
    repository: &Repository,
    objects: &[ObjectKey],
    now: Timestamp,
) -> Result<Option<String>, OperationError> {
    let lock = |key: ObjectKey| async move { lock_of(repository, &key, now).await };
    let mut locks = futures_util::stream::iter(objects.to_vec())
        .map(lock)
        .buffered(CONCURRENCY);
    while let Some(lock) = locks.try_next().await? {
        if lock.is_some() {
            return Ok(lock);
        }
    }
    Ok(None)
}
