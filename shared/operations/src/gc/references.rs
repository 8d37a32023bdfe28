//! The content objects of the backups in the bucket, from every manifest and every line of its list
//! of items. A recently failed or cancelled job may still get a manifest, so its items count too.
//!
//! Memory: 8 bytes and the table's overhead per distinct object. If two keys share a hash, one more
//! object is kept.

use std::collections::{BTreeSet, HashSet};

use holdfast_catalog::CollectingProgress;
use holdfast_domain::{BackupId, BackupType, ItemRecord, ObjectKey, Timestamp};
use holdfast_repository::{Repository, content::stored::StoredContent};
use sha2::{Digest as _, Sha256};

use crate::{
    Holdfast, OperationError, RunLimits, inventory::manifests, job::finish::LATE_MANIFEST_GRACE,
    job::run::is_late,
};

/// Items read between two checks of the clock.
const ITEMS_PER_CLOCK_CHECK: u64 = 4096;

/// Rows of items read in one call.
const ROWS_PER_PAGE: u32 = 1000;

/// Result of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Every backup was read.
    Whole,
    /// The time ended. Completely read backups are not read again.
    OutOfTime,
}

/// Objects referenced by the backups read so far.
#[derive(Default)]
pub(super) struct References {
    objects: HashSet<u64>,
    read: BTreeSet<BackupId>,
    /// Jobs with their rows of items read. The next run reads them again.
    jobs: BTreeSet<BackupId>,
}

impl References {
    /// Restores the references of an earlier run.
    pub(super) fn from_progress(progress: CollectingProgress) -> Self {
        Self {
            objects: progress.objects.into_iter().collect(),
            read: progress.backups.into_iter().collect(),
            jobs: BTreeSet::new(),
        }
    }

    /// Returns the progress for the next run.
    pub(super) fn to_progress(&self, store: String, part: u64) -> CollectingProgress {
        let (backups, objects) = (
            self.read.iter().cloned().collect(),
            self.objects.iter().copied().collect(),
        );
        CollectingProgress {
            store,
            backups,
            objects,
            part,
        }
    }

    /// Reads each unread content backup in the bucket, except those in `gone`. A backup deleted
    /// during its reading has no references.
    ///
    /// # Errors
    /// If a backup cannot be read to its end, because its references are unknown then.
    pub(super) async fn read(
        &mut self,
        repository: &Repository,
        gone: &BTreeSet<BackupId>,
        limits: RunLimits,
    ) -> Result<Reading, OperationError> {
        for id in manifests(repository, BackupType::Content).await? {
            if gone.contains(&id) || self.read.contains(&id) {
                continue;
            }
            match self.read_one(repository, &id, limits).await {
                Ok(Reading::Whole) => {}
                Ok(Reading::OutOfTime) => return Ok(Reading::OutOfTime),
                Err(error) if !is_deleted(repository, &id).await? => return Err(error),
                Err(_) => continue,
            }
            self.read.insert(id);
        }
        Ok(Reading::Whole)
    }

    async fn read_one(
        &mut self,
        repository: &Repository,
        id: &BackupId,
        limits: RunLimits,
    ) -> Result<Reading, OperationError> {
        if is_late(limits) {
            return Ok(Reading::OutOfTime);
        }
        let backup = StoredContent::open(repository, id).await?;
        let mut items = backup.items().await?;
        let mut count: u64 = 0;
        while let Some(item) = items.recv().await {
            self.add(&item?);
            count += 1;
            if count.is_multiple_of(ITEMS_PER_CLOCK_CHECK) && is_late(limits) {
                return Ok(Reading::OutOfTime);
            }
        }
        let expected = backup.content.items.expected;
        if count == expected {
            return Ok(Reading::Whole);
        }
        let problem = format!("its list has {count} items, but its manifest declares {expected}");
        Err(OperationError::corrupt(id, problem))
    }

    /// Reads the items of every content job that failed or was cancelled within
    /// [`LATE_MANIFEST_GRACE`].
    pub(super) async fn read_ended_jobs(
        &mut self,
        h: &Holdfast,
        limits: RunLimits,
        now: Timestamp,
    ) -> Result<Reading, OperationError> {
        let ended = h
            .catalog
            .unsuccessful_ended_since(BackupType::Content, now - LATE_MANIFEST_GRACE)
            .await?;
        for job in ended.into_iter().map(|job| job.backup_id) {
            if !self.jobs.contains(&job) {
                if self.read_rows(h, &job, limits).await? == Reading::OutOfTime {
                    return Ok(Reading::OutOfTime);
                }
                self.jobs.insert(job);
            }
        }
        Ok(Reading::Whole)
    }

    async fn read_rows(
        &mut self,
        h: &Holdfast,
        job: &BackupId,
        limits: RunLimits,
    ) -> Result<Reading, OperationError> {
        let mut after: Option<String> = None;
        loop {
            if is_late(limits) {
                return Ok(Reading::OutOfTime);
            }
            let page = h
                .catalog
                .items_after(job, after.as_deref(), ROWS_PER_PAGE)
                .await?;
            for item in &page {
                self.add(item);
            }
            match page.into_iter().next_back() {
                Some(last) => after = Some(last.item.content_id),
                None => return Ok(Reading::Whole),
            }
        }
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

    /// Whether a backup refers to this object.
    pub(super) fn contains(&self, key: &ObjectKey) -> bool {
        self.objects.contains(&hash(key))
    }
}

/// The first 8 bytes of the key's SHA-256. Runs of different versions share these hashes, so the
/// function must not change.
fn hash(key: &ObjectKey) -> u64 {
    let digest = Sha256::digest(key.as_str());
    digest
        .iter()
        .take(8)
        .fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}

/// Whether its manifest is certain to be missing.
async fn is_deleted(repository: &Repository, id: &BackupId) -> Result<bool, OperationError> {
    match repository.store().head(&ObjectKey::manifest(id)).await {
        Ok(_) => Ok(false),
        Err(error) if error.is_not_found() => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{Encoding, Sha256Digest};

    use super::*;

    #[test]
    fn a_hash_that_was_kept_is_the_same_in_every_version() {
        let key = ObjectKey::content_object(&Sha256Digest::new([7; 32]), Encoding::GZIP);
        let expected =
            u64::from_str_radix(&hex::encode(Sha256::digest(key.as_str()))[..16], 16).unwrap();
        assert_eq!(hash(&key), expected);
    }
}
