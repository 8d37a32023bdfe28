//! The second store of a test, and the expectations of every copy.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use holdfast_codec::KeyEncryptionKey;
use holdfast_domain::{
    BackupId, CopyStatus, JobStatus, ObjectKey, RepositoryFile, Secret, Timestamp,
    VerificationLevel, VerificationStatus, settings::StoreLocation,
};
use holdfast_operations::{
    CopyMode, CopyReport, CopyStep, Holdfast, OperationError, RunLimits, copy_backup,
};
use holdfast_recovery::{Verification, verify};
use holdfast_repository::{Keyring, Repository};
use holdfast_storage::{PutMode, Store, read_all};
use holdfast_testing::MemoryStore;

use crate::support::content::KEY;

pub(crate) struct Second {
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) repository: Repository,
}

impl Second {
    pub(crate) fn new() -> Self {
        let memory = MemoryStore::new();
        Self {
            repository: over(memory.clone()),
            memory,
        }
    }

    pub(crate) async fn has(&self, key: &ObjectKey) -> bool {
        self.memory.head(key).await.is_ok()
    }

    pub(crate) async fn object(&self, key: &ObjectKey) -> Vec<u8> {
        read(self.memory.as_ref(), key).await
    }

    pub(crate) async fn replace(&self, key: &ObjectKey, bytes: Vec<u8>) {
        self.memory
            .put(key, bytes.into(), PutMode::Replace)
            .await
            .unwrap();
    }

    /// Flips a bit in the middle of an object.
    pub(crate) async fn damage(&self, key: &ObjectKey) {
        let mut bytes = self.object(key).await;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.replace(key, bytes).await;
    }

    /// Asserts that the copy equals the first store, byte for byte, except for objects outside
    /// backups.
    pub(crate) async fn assert_equals(&self, first: &dyn Store) {
        let keys: Vec<ObjectKey> = first
            .list("")
            .map_ok(|object| object.key)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(self.memory.keys(), keys);
        for key in keys {
            assert!(
                self.object(&key).await == read(first, &key).await,
                "{key} differs"
            );
        }
    }

    pub(crate) async fn verified(&self, id: &BackupId, level: VerificationLevel) -> Verification {
        verify(&self.repository, id, level, Timestamp::now(), |_, _| ())
            .await
            .unwrap()
    }

    /// Asserts that the backup matches its manifest.
    pub(crate) async fn assert_good(&self, id: &BackupId) {
        self.assert_passes(id, VerificationLevel::Structure).await;
    }

    /// Asserts that each byte of a backup without a real dump is unchanged.
    pub(crate) async fn assert_whole(&self, id: &BackupId) {
        self.assert_passes(id, VerificationLevel::Checksum).await;
    }

    async fn assert_passes(&self, id: &BackupId, level: VerificationLevel) {
        let found = self.verified(id, level).await;
        assert_eq!(
            (found.status, found.problems),
            (VerificationStatus::Passed, Vec::new()),
            "{id}"
        );
    }
}

/// The second repository over this store, opened by the key of all tests.
pub(crate) fn over(store: Arc<dyn Store>) -> Repository {
    let location = StoreLocation::S3 {
        bucket: "second".to_owned(),
        prefix: String::new(),
    };
    let key = KeyEncryptionKey::parse(&Secret::new(KEY)).unwrap();
    Repository::new(store, location, Keyring::new(Some(key), None))
}

pub(crate) async fn read(store: &dyn Store, key: &ObjectKey) -> Vec<u8> {
    read_all(store, key, 256 << 20)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
        .to_vec()
}

/// One run without a deadline.
pub(crate) async fn step(
    h: &Holdfast,
    second: &Repository,
    id: &BackupId,
) -> Result<CopyStep, OperationError> {
    copy_backup(
        h,
        second,
        id,
        CopyMode::Missing,
        RunLimits::none(),
        &|_, _| (),
    )
    .await
}

pub(crate) async fn copied(h: &Holdfast, second: &Repository, id: &BackupId) -> CopyReport {
    done(step(h, second, id).await.unwrap())
}

pub(crate) async fn repaired(
    h: &Holdfast,
    second: &Repository,
    id: &BackupId,
) -> Result<CopyReport, OperationError> {
    copy_backup(
        h,
        second,
        id,
        CopyMode::Repair,
        RunLimits::none(),
        &|_, _| (),
    )
    .await
    .map(done)
}

fn done(step: CopyStep) -> CopyReport {
    match step {
        CopyStep::Done(report) => report,
        other => panic!("expected a whole copy, got {other:?}"),
    }
}

/// The state of a backup's copy, and its reason. The job stays completed.
pub(crate) async fn told(h: &Holdfast, id: &BackupId) -> (CopyStatus, Option<String>) {
    let job = h.catalog.get(id).await.unwrap();
    assert_eq!(
        job.status,
        JobStatus::Completed,
        "a copy never changes the job"
    );
    let copy = job.copy.unwrap();
    (copy.status, copy.error.map(|error| error.code.to_string()))
}

/// The repository's files, for backups made without them.
pub(crate) async fn put_files(store: &dyn Store) {
    let id = "0123456789abcdef0123456789abcdef".parse().unwrap();
    let file = serde_json::to_vec(&RepositoryFile::new(id, Timestamp::UNIX_EPOCH)).unwrap();
    for key in [ObjectKey::repository(), ObjectKey::repository_copy()] {
        store
            .put(&key, file.clone().into(), PutMode::Replace)
            .await
            .unwrap();
    }
}
