//! The folders of backups in the bucket, newest first. A newer backup has the better record of a
//! source's objects, so its rows must be written first.

use std::{cmp::Reverse, collections::BTreeMap};

use futures_util::TryStreamExt as _;
use holdfast_domain::{BackupId, ObjectKey};

use crate::{Holdfast, OperationError, RETAINED_TYPES};

/// The folders of the bucket.
pub(super) struct Inventory {
    /// Folders with a manifest.
    pub(super) backups: Vec<BackupId>,
    /// Folders without a manifest.
    pub(super) without_manifest: Vec<BackupId>,
}

pub(super) async fn list(h: &Holdfast) -> Result<Inventory, OperationError> {
    let mut folders: BTreeMap<BackupId, bool> = BTreeMap::new();
    for kind in RETAINED_TYPES {
        let mut objects = h.repository.store().list(&ObjectKey::backups_prefix(kind));
        while let Some(object) = objects.try_next().await? {
            let Some(id) = object.key.backup() else {
                continue;
            };
            *folders.entry(id).or_default() |= object.key.manifest_of().is_some();
        }
    }
    let (backups, without_manifest): (Vec<_>, Vec<_>) = folders
        .into_iter()
        .partition(|(_, has_manifest)| *has_manifest);
    let newest_first = |folders: Vec<(BackupId, bool)>| {
        let mut ids: Vec<BackupId> = folders.into_iter().map(|(id, _)| id).collect();
        ids.sort_by_cached_key(|id| Reverse(id.created_at()));
        ids
    };
    Ok(Inventory {
        backups: newest_first(backups),
        without_manifest: newest_first(without_manifest),
    })
}
