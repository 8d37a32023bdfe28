//! Manifests lost without retention, and all their objects.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_domain::{BackupId, BackupType, JobStatus, ObjectKey};
use holdfast_storage::PutMode;

use super::invariants;
use crate::support::simulation::World;

struct Loss {
    manifest: Bytes,
    named: Vec<ObjectKey>,
}

/// The missing manifests.
#[derive(Default)]
pub(crate) struct Losses(BTreeMap<BackupId, Loss>);

impl Losses {
    /// Removes the manifest of a backup, and remembers it.
    pub(crate) async fn lose(&mut self, world: &World, id: &BackupId) {
        let key = ObjectKey::manifest(id);
        let named = invariants::named_by(world, id).await;
        let manifest = holdfast_storage::read_all(&*world.store, &key, 1 << 20)
            .await
            .unwrap();
        world.store.delete(&key).await.unwrap();
        self.0.insert(id.clone(), Loss { manifest, named });
    }

    /// Puts the manifest of a backup back.
    pub(crate) async fn restore(&mut self, world: &World, id: &BackupId) {
        let Loss { manifest, .. } = self.0.remove(id).unwrap();
        world
            .store
            .put(&ObjectKey::manifest(id), manifest, PutMode::IfAbsent)
            .await
            .unwrap();
    }

    pub(crate) async fn restore_all(&mut self, world: &World) {
        for id in self.ids() {
            self.restore(world, &id).await;
        }
    }

    /// Removes an accepted loss from the record.
    pub(crate) fn accept(&mut self, id: &BackupId) {
        self.0.remove(id).unwrap();
    }

    pub(crate) fn ids(&self) -> Vec<BackupId> {
        self.0.keys().cloned().collect()
    }

    /// Asserts that the store has every object of a missing manifest, and the catalogue its rows of
    /// items.
    pub(crate) async fn keep_everything(&self, world: &World) {
        for (id, Loss { named, .. }) in &self.0 {
            for key in named {
                assert!(world.has(key).await, "{id} is lost, and {key} was deleted");
            }
            let job = world.h.catalog.get(id).await.unwrap();
            assert!(
                job.is_lost() || job.status == JobStatus::Completed,
                "{job:?}"
            );
            let expected = u64::from(id.backup_type() == BackupType::Content);
            assert!(
                world.h.catalog.item_counts(id).await.unwrap().expected >= expected,
                "{id} has lost its items"
            );
        }
    }
}
