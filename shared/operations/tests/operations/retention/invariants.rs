//! The invariants at every moment, after every event and every kill.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use holdfast_catalog::JobFilter;
use holdfast_domain::{BackupId, BackupType, JobStatus, ObjectKey};
use holdfast_recovery::content_items;

use crate::support::simulation::World;

/// The good backups of a type: completed, with a manifest, and without a failed verification.
pub(crate) async fn good(world: &World, kind: BackupType) -> BTreeSet<BackupId> {
    let filter = JobFilter {
        backup_type: Some(kind),
        status: Some(JobStatus::Completed),
    };
    let (jobs, _) = world.h.catalog.list(filter, 1, 10_000).await.unwrap();
    let ids: Vec<BackupId> = jobs.into_iter().map(|job| job.backup_id).collect();
    let standings = world.h.catalog.standings(&ids).await.unwrap();
    let mut good = BTreeSet::new();
    for (id, standing) in standings {
        if !standing.unwrap().verification_failed && world.exists(&id).await {
            good.insert(id);
        }
    }
    good
}

/// Asserts that every backup with a manifest is complete: its artifacts, and every object of its
/// list. Returns the number of manifests in the store.
pub(crate) async fn no_live_backup_lost_anything(world: &World) -> usize {
    let mut seen: BTreeMap<ObjectKey, bool> = BTreeMap::new();
    let backups = world.h.repository.list().await.unwrap();
    for backup in backups.iter().filter(|backup| backup.manifest.is_ok()) {
        // A decided deletion may have begun. A lost backup is live after its manifest is back.
        let job = world.h.catalog.get(&backup.backup_id).await.unwrap();
        if job.status == JobStatus::Deleted && !job.is_lost() {
            continue;
        }
        for key in named_by(world, &backup.backup_id).await {
            if !seen.contains_key(&key) {
                let there = world.has(&key).await;
                seen.insert(key.clone(), there);
            }
            assert!(seen[&key], "{} has lost {key}", backup.backup_id);
        }
    }
    backups.len()
}

/// Every object of a backup, except for its manifest.
pub(crate) async fn named_by(world: &World, id: &BackupId) -> Vec<ObjectKey> {
    let manifest = world.h.repository.manifest(id).await.unwrap();
    let mut keys: Vec<ObjectKey> = manifest
        .artifacts
        .iter()
        .map(|artifact| artifact.key.clone())
        .collect();
    keys.push(ObjectKey::restore_guide(id));
    if manifest.content.is_some() {
        let refer = |item: holdfast_domain::ItemRecord| {
            keys.extend(item.file.iter().flat_map(|file| {
                std::iter::once(&file.object)
                    .chain(&file.dag)
                    .map(|object| object.artifact.key.clone())
            }));
        };
        content_items(&world.h.repository, id, refer).await.unwrap();
    }
    keys
}

/// Asserts that nothing is half deleted: a deleted backup has no objects and no rows of items.
pub(crate) async fn what_is_deleted_is_gone(world: &World, locked: &[ObjectKey]) {
    for kind in [BackupType::Database, BackupType::Content] {
        let filter = JobFilter {
            backup_type: Some(kind),
            status: Some(JobStatus::Deleted),
        };
        let (jobs, _) = world.h.catalog.list(filter, 1, 10_000).await.unwrap();
        for job in jobs.iter().filter(|job| !job.is_lost()) {
            let folder = ObjectKey::backup_prefix(&job.backup_id);
            let left: Vec<_> = world.store.list(&folder).try_collect().await.unwrap();
            // Locked between a killed run and the next.
            if left
                .iter()
                .any(|object: &holdfast_storage::ObjectInfo| locked.contains(&object.key))
            {
                continue;
            }
            assert!(
                left.is_empty(),
                "{} is deleted, and there is {left:?}",
                job.backup_id
            );
            assert_eq!(
                world
                    .h
                    .catalog
                    .item_counts(&job.backup_id)
                    .await
                    .unwrap()
                    .expected,
                0
            );
        }
    }
}
