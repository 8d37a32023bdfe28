//! Which content objects the backups in the bucket refer to: every manifest, every line of its list of items.
//!
//! Memory: 8 bytes and the table's overhead for each distinct object. Two keys that share a hash keep one object more.

use std::{
    collections::{BTreeSet, HashSet},
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
};

use futures_util::TryStreamExt as _;
use holdfast_domain::{BackupId, BackupType, ItemRecord, ObjectKey};

use crate::{OperationError, Repository, content::stored::StoredContent};

/// Objects that are referred to, by all backups that were read.
#[derive(Default)]
pub(super) struct References {
    objects: HashSet<u64>,
    read: BTreeSet<BackupId>,
}

impl References {
    /// Reads every content backup in the bucket that was not read yet, but for those that are taken for gone. One that
    /// goes while it is read refers to nothing any more.
    ///
    /// # Errors
    /// Where one cannot be read to its end: then nobody knows what it refers to.
    pub(super) async fn read(
        &mut self,
        repository: &Repository,
        gone: &BTreeSet<BackupId>,
    ) -> Result<(), OperationError> {
        for id in backups(repository).await? {
            if gone.contains(&id) || self.read.contains(&id) {
                continue;
            }
            match self.read_one(repository, &id).await {
                Ok(()) => {}
                Err(error) if !has_gone(repository, &id).await? => return Err(error),
                Err(_) => continue,
            }
            self.read.insert(id);
        }
        Ok(())
    }

    async fn read_one(&mut self, repository: &Repository, id: &BackupId) -> Result<(), OperationError> {
        let backup = StoredContent::open(repository, id).await?;
        let mut items = backup.items().await?;
        let mut count = 0;
        while let Some(item) = items.recv().await {
            self.add(&item?);
            count += 1;
        }
        let expected = backup.content.items.expected;
        if count == expected {
            return Ok(());
        }
        let problem = format!("its list has {count} items, its manifest says {expected}");
        Err(OperationError::corrupt(id, problem))
    }

    fn add(&mut self, item: &ItemRecord) {
        let Some(file) = &item.file else { return };
        for object in std::iter::once(&file.object).chain(&file.dag) {
            self.objects.insert(hash(&object.artifact.key));
        }
    }

    /// Whether this backup was read.
    pub(super) fn contains_backup(&self, id: &BackupId) -> bool {
        self.read.contains(id)
    }

    /// Whether some backup refers to this object.
    pub(super) fn contains(&self, key: &ObjectKey) -> bool {
        self.objects.contains(&hash(key))
    }
}

fn hash(key: &ObjectKey) -> u64 {
    BuildHasherDefault::<DefaultHasher>::new().hash_one(key.as_str())
}

async fn backups(repository: &Repository) -> Result<Vec<BackupId>, OperationError> {
    let mut objects = repository.store().list(&ObjectKey::backups_prefix(BackupType::Content));
    let mut backups = Vec::new();
    while let Some(object) = objects.try_next().await? {
        backups.extend(object.key.manifest_of());
    }
    Ok(backups)
}

/// Whether its manifest is certain not to be there.
async fn has_gone(repository: &Repository, id: &BackupId) -> Result<bool, OperationError> {
    match repository.store().head(&ObjectKey::manifest(id)).await {
        Ok(_) => Ok(false),
        Err(error) if error.is_not_found() => Ok(true),
        Err(error) => Err(error.into()),
    }
}
