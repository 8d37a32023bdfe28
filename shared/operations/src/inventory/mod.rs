//! The bucket's content for one type of backup: each backup's folder, its bytes and its manifest's
//! creation time.

pub(crate) mod expected;
pub(crate) mod lock;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _};
use holdfast_domain::{BackupId, BackupType, ObjectKey, Timestamp};
use holdfast_repository::Repository;
use holdfast_storage::StoreError;

use crate::{Holdfast, OperationError};

/// The types with policies. A full backup is deleted with its last part.
pub const RETAINED_TYPES: [BackupType; 2] = [BackupType::Database, BackupType::Content];

/// Manifests read at a time.
const CONCURRENCY: usize = 4;

/// Trust in a manifest's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// As listed, without a key. This suffices for a plan that is only displayed.
    AsListed,
    /// Only after authentication, if it is encrypted. Otherwise a forged backup could expire a real
    /// one.
    Authenticated,
}

/// The folders of one type.
pub(crate) struct Inventory {
    pub(crate) kind: BackupType,
    /// Folders with a manifest.
    pub(crate) backups: BTreeMap<BackupId, Stored>,
    /// Folders without a manifest, with their number of objects.
    pub(crate) without_manifest: BTreeMap<BackupId, u64>,
}

/// A backup in the bucket.
pub(crate) struct Stored {
    pub(crate) size_bytes: u64,
    /// The time of its trigger, or the reason for distrusting its manifest.
    pub(crate) created_at: Result<Timestamp, String>,
}

/// The objects under one id.
#[derive(Default)]
pub(crate) struct Folder {
    pub(crate) size_bytes: u64,
    pub(crate) objects: u64,
    pub(crate) has_manifest: bool,
}

/// Reads the folders and manifests in the bucket.
pub(crate) async fn list(
    h: &Holdfast,
    kind: BackupType,
    trust: Trust,
) -> Result<Inventory, OperationError> {
    let (with, without): (Vec<_>, Vec<_>) = folders(&h.repository, kind)
        .await?
        .into_iter()
        .partition(|(_, folder)| folder.has_manifest);
    let read = |(id, folder): (BackupId, Folder)| async move {
        let created_at = match created_at(h, &id, trust).await {
            // It was deleted during this reading.
            Err(OperationError::NotFound(_)) => return Ok(None),
            Err(OperationError::Store(
                error @ (StoreError::Denied { .. } | StoreError::Unavailable { .. }),
            )) => {
                return Err(OperationError::from(error));
            }
            read => read.map_err(|error| error.to_string()),
        };
        Ok(Some((
            id,
            Stored {
                size_bytes: folder.size_bytes,
                created_at,
            },
        )))
    };
    let read = futures_util::stream::iter(with)
        .map(read)
        .buffered(CONCURRENCY);
    let backups: Vec<Option<_>> = read.try_collect().await?;
    Ok(Inventory {
        kind,
        backups: backups.into_iter().flatten().collect(),
        without_manifest: without
            .into_iter()
            .map(|(id, folder)| (id, folder.objects))
            .collect(),
    })
}

/// The backups of one type with a manifest in this repository.
pub(crate) async fn manifests(
    repository: &Repository,
    kind: BackupType,
) -> Result<BTreeSet<BackupId>, OperationError> {
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
        let Some(id) = object.key.backup() else {
            continue;
        };
        let folder = folders.entry(id).or_default();
        folder.size_bytes += object.size_bytes;
        folder.objects += 1;
        folder.has_manifest |= object.key.manifest_of().is_some();
    }
    Ok(folders)
}

async fn created_at(
    h: &Holdfast,
    id: &BackupId,
    trust: Trust,
) -> Result<Timestamp, OperationError> {
    let manifest = match trust {
        Trust::AsListed => h.repository.unauthenticated(id).await?,
        Trust::Authenticated => h.repository.manifest(id).await?,
    };
    Ok(manifest.created_at)
}
