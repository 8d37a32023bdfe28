//! What the bucket holds of one type of backup: each backup's folder, its bytes, and what its manifest says of itself.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _};
use holdfast_domain::{BackupId, BackupType, ObjectKey, Timestamp};
use holdfast_storage::StoreError;

use crate::{Holdfast, OperationError};
use holdfast_repository::Repository;

/// Manifests read at a time.
const CONCURRENCY: usize = 4;

/// How far a manifest is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// As it stands there: enough for a plan that nobody carries out, and no key is needed.
    AsListed,
    /// Where it is encrypted, only once it was authenticated: nobody may make a backup go by making another one up.
    Authenticated,
}

/// The folders of one type.
pub(crate) struct Inventory {
    pub(crate) kind: BackupType,
    /// Folders with a manifest.
    pub(crate) backups: BTreeMap<BackupId, Stored>,
    /// Folders without one, and how many objects are in each.
    pub(crate) without_manifest: BTreeMap<BackupId, u64>,
}

/// A backup in the bucket.
pub(crate) struct Stored {
    pub(crate) size_bytes: u64,
    /// When it was triggered; or why its manifest cannot be believed.
    pub(crate) created_at: Result<Timestamp, String>,
}

/// What lies under one id.
#[derive(Default)]
pub(crate) struct Folder {
    pub(crate) size_bytes: u64,
    pub(crate) objects: u64,
    pub(crate) has_manifest: bool,
}

/// Looks through the bucket.
pub(crate) async fn take(h: &Holdfast, kind: BackupType, trust: Trust) -> Result<Inventory, OperationError> {
    let (with, without): (Vec<_>, Vec<_>) =
        folders(&h.repository, kind).await?.into_iter().partition(|(_, folder)| folder.has_manifest);
    let read = |(id, folder): (BackupId, Folder)| async move {
        let created_at = match created_at(h, &id, trust).await {
            // It went while this was going on.
            Err(OperationError::NotFound(_)) => return Ok(None),
            Err(OperationError::Store(error @ (StoreError::Denied { .. } | StoreError::Unavailable { .. }))) => {
                return Err(OperationError::from(error));
            }
            read => read.map_err(|error| error.to_string()),
        };
        Ok(Some((id, Stored { size_bytes: folder.size_bytes, created_at })))
    };
    let read = futures_util::stream::iter(with).map(read).buffered(CONCURRENCY);
    let backups: Vec<Option<_>> = read.try_collect().await?;
    Ok(Inventory {
        kind,
        backups: backups.into_iter().flatten().collect(),
        without_manifest: without.into_iter().map(|(id, folder)| (id, folder.objects)).collect(),
    })
}

/// The backups of one type that have a manifest in this repository.
pub(crate) async fn manifests(repository: &Repository, kind: BackupType) -> Result<BTreeSet<BackupId>, OperationError> {
    let mut objects = repository.store().list(&ObjectKey::backups_prefix(kind));
    let mut found = BTreeSet::new();
    while let Some(object) = objects.try_next().await? {
        found.extend(object.key.manifest_of());
    }
    Ok(found)
}

/// The folders of one type of backup in this repository.
pub(crate) async fn folders(
    repository: &Repository,
    kind: BackupType,
) -> Result<BTreeMap<BackupId, Folder>, OperationError> {
    let mut objects = repository.store().list(&ObjectKey::backups_prefix(kind));
    let mut folders: BTreeMap<BackupId, Folder> = BTreeMap::new();
    while let Some(object) = objects.try_next().await? {
        let Some(id) = object.key.backup() else { continue };
        let folder = folders.entry(id).or_default();
        folder.size_bytes += object.size_bytes;
        folder.objects += 1;
        folder.has_manifest |= object.key.manifest_of().is_some();
    }
    Ok(folders)
}

async fn created_at(h: &Holdfast, id: &BackupId, trust: Trust) -> Result<Timestamp, OperationError> {
    let manifest = match trust {
        Trust::AsListed => h.repository.unauthenticated(id).await?,
        Trust::Authenticated => h.repository.manifest(id).await?,
    };
    Ok(manifest.created_at)
}
