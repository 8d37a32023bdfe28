//! One run's copy of a backup, from the repository's files to the manifest. Its progress can be
//! read at any time.
//!
//! Memory: [`CONCURRENT_SMALL`] objects of at most 8 MiB, or the active parts of one larger object.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_catalog::CopyWork;
use holdfast_domain::{BackupId, BackupType, ItemRecord, Manifest, ObjectKey, SEGMENT_BYTES};
use holdfast_repository::{
    Repository,
    artifact_reader::{dump_of, stored_object},
    content::{proof::ContentObject, stored::StoredContent},
};
use holdfast_storage::{PutMode, StoreError};

use super::{
    CopyFault, CopyMode, CopyReport,
    object::{Checker, Ends, Unreadable},
    repository_files::RepositoryFiles,
    wanted::{Sources, Wanted},
};
use crate::{OperationError, inventory::lock::lock_of};

/// Objects checked, or sent in one request, at a time.
const CONCURRENT_SMALL: usize = 16;
/// Items of a list per record of progress.
const BATCH: usize = 256;
/// Maximum number of reported repairs.
const MAX_REPORTED: usize = 100;

/// Result of a copy.
pub(super) enum Copied {
    /// The copy is complete.
    Whole,
    /// The backup's manifest is missing from the first store.
    Gone,
}

/// A copy in progress.
pub(super) struct Copier<'a> {
    pub(super) primary: &'a Repository,
    pub(super) second: &'a Repository,
    pub(super) id: &'a BackupId,
    pub(super) mode: CopyMode,
    pub(super) checker: Checker,
    state: Mutex<State>,
    progress: &'a (dyn Fn(u64, u64) + Sync),
}

#[derive(Default)]
struct State {
    work: CopyWork,
    copied: u64,
    present: u64,
    mended: Vec<String>,
    processed: u64,
    expected: u64,
}

impl<'a> Copier<'a> {
    pub(super) fn new(
        primary: &'a Repository,
        second: &'a Repository,
        id: &'a BackupId,
        mode: CopyMode,
        work: CopyWork,
        progress: &'a (dyn Fn(u64, u64) + Sync),
    ) -> Self {
        // An earlier run may have checked only the size of an object. A repair reads every object.
        let work = match mode {
            CopyMode::Missing => work,
            CopyMode::Repair => CopyWork {
                items: 0,
                to_repair: true,
                ..work
            },
        };
        let state = Mutex::new(State {
            work,
            ..State::default()
        });
        Self {
            primary,
            second,
            id,
            mode,
            checker: Checker::new(primary),
            state,
            progress,
        }
    }

    /// The progress.
    pub(super) fn work(&self) -> CopyWork {
        self.state().work.clone()
    }

    pub(super) fn report(&self) -> CopyReport {
        let state = self.state();
        CopyReport {
            backup_id: self.id.clone(),
            copied: state.copied,
            present: state.present,
            mended: state.mended.clone(),
            bytes: state.work.bytes,
        }
    }

    /// Changes the progress.
    pub(super) fn with_work<T>(&self, change: impl FnOnce(&mut CopyWork) -> T) -> T {
        change(&mut self.state().work)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies the backup. A deletion of the backup meanwhile is no fault, even if objects were
    /// missing.
    pub(super) async fn run(&self) -> Result<Copied, OperationError> {
        match Box::pin(self.copy()).await {
            Err(OperationError::NotFound(_)) => Ok(Copied::Gone),
            Err(error) if self.is_gone().await.unwrap_or(false) => {
                tracing::info!(backupId = %self.id, %error, "the backup was deleted during its copy");
                Ok(Copied::Gone)
            }
            Err(error) => Err(error),
            Ok(copied) => Ok(copied),
        }
    }

    async fn copy(&self) -> Result<Copied, OperationError> {
        let bytes = self.primary.manifest_bytes(self.id).await?;
        let manifest = self.primary.authentic(self.id, &bytes).await?;
        RepositoryFiles(self.primary)
            .copy_to(&RepositoryFiles(self.second), self.mode)
            .await?;
        self.state().expected = expected_bytes(&manifest);
        self.artifacts(&manifest).await?;
        if manifest.backup_type == BackupType::Content {
            self.items(&manifest).await?;
        }
        self.small_file(&ObjectKey::restore_guide(self.id)).await?;
        // The last check: retention may have deleted the backup meanwhile.
        if self.is_gone().await? {
            return Ok(Copied::Gone);
        }
        self.put_as_is(&ObjectKey::manifest(self.id), bytes).await?;
        Ok(Copied::Whole)
    }

    async fn artifacts(&self, manifest: &Manifest) -> Result<(), OperationError> {
        if manifest.backup_type == BackupType::Database {
            dump_of(manifest)?;
        }
        for artifact in &manifest.artifacts {
            self.object(&Wanted::Artifact(stored_object(manifest, artifact)))
                .await?;
        }
        Ok(())
    }

    /// Copies every object of the list in batches, and skips the items of earlier runs.
    async fn items(&self, manifest: &Manifest) -> Result<(), OperationError> {
        let backup = StoredContent::of(self.primary, manifest.clone())?;
        let sources = Sources::new(self.primary, self.second, &manifest.repository);
        let mut items = backup.items().await?;
        let (mut seen, done) = (0_u64, self.state().work.items);
        loop {
            let mut batch: Vec<ItemRecord> = Vec::new();
            while batch.len() < BATCH {
                let Some(record) = items.recv().await.transpose()? else {
                    break;
                };
                seen += 1;
                if seen > done {
                    batch.push(record);
                }
            }
            if batch.is_empty() {
                break;
            }
            self.batch(&batch, &sources).await?;
            self.state().work.items = seen;
        }
        let expected = backup.content.items.expected;
        if seen == expected {
            return Ok(());
        }
        let problem = format!("its list has {seen} items, but its manifest declares {expected}");
        Err(OperationError::corrupt(self.id, problem))
    }

    async fn batch(&self, batch: &[ItemRecord], sources: &Sources) -> Result<(), OperationError> {
        let files = batch.iter().filter_map(|record| record.file.as_ref());
        let mut seen = HashSet::new();
        let objects = files
            .flat_map(ContentObject::all)
            .filter(|object| seen.insert(object.key().clone()));
        let wanted = objects.map(|object| Wanted::Content(object, sources));
        let (small, large): (Vec<_>, Vec<_>) =
            wanted.partition(|wanted| wanted.stored().artifact.size <= SEGMENT_BYTES);
        let dealing = small
            .iter()
            .map(|wanted| self.object(wanted))
            .collect::<Vec<_>>();
        stream::iter(dealing)
            .buffer_unordered(CONCURRENT_SMALL)
            .try_collect::<Vec<()>>()
            .await?;
        for wanted in &large {
            self.object(wanted).await?;
        }
        Ok(())
    }

    /// Copies one object: skips a present one, sends a missing one, and replaces a damaged one in a
    /// repair.
    async fn object(&self, wanted: &Wanted<'_>) -> Result<(), OperationError> {
        let artifact = &wanted.stored().artifact;
        let key = &artifact.key;
        match self.inspect(wanted).await? {
            Found::AsItShouldBe => self.state().present += 1,
            Found::Missing => {
                self.send(wanted).await?;
                match self.mode {
                    CopyMode::Missing => self.sent(),
                    CopyMode::Repair => self.mended(format!("{key} was missing")),
                }
            }
            Found::Altered(problem) if self.mode == CopyMode::Missing => {
                return Err(self.differs(key, problem));
            }
            Found::Altered(problem) => {
                self.replace(wanted).await?;
                self.mended(format!("{key}: {problem}"));
            }
        }
        self.count_processed(artifact.size);
        Ok(())
    }

    async fn inspect(&self, wanted: &Wanted<'_>) -> Result<Found, OperationError> {
        let stored = wanted.stored();
        let (key, size) = (&stored.artifact.key, stored.artifact.size);
        let found = match self.second.store().head(key).await {
            Err(error) if error.is_not_found() => return Ok(Found::Missing),
            found => found.map_err(|error| self.second_failed(error))?,
        };
        if found.size_bytes != size && matches!(wanted, Wanted::Artifact(_)) {
            return Ok(Found::Altered(format!(
                "it has {} bytes instead of {size}",
                found.size_bytes
            )));
        }
        let is_to_read = self.mode == CopyMode::Repair || found.size_bytes != size;
        if !is_to_read && self.is_as_stored(wanted).await? {
            return Ok(Found::AsItShouldBe);
        }
        Ok(self
            .read_copy(wanted)
            .await?
            .map_or(Found::AsItShouldBe, Found::Altered))
    }

    /// Whether an object of the right size is authentic, judged by its header and trailer. If it is
    /// not, it must be read.
    async fn is_as_stored(&self, wanted: &Wanted<'_>) -> Result<bool, OperationError> {
        let object = wanted.stored();
        if object.encryption.is_none() {
            return Ok(true);
        }
        let second = match Ends::read(self.second.store().as_ref(), object).await {
            Ok(ends) => ends,
            Err(Unreadable::Damaged(_)) => return Ok(false),
            Err(Unreadable::Store(error)) => return Err(self.second_failed(error)),
            Err(Unreadable::Other(error)) => return Err(error),
        };
        match Ends::read(self.primary.store().as_ref(), object).await {
            Ok(first) if first == second => Ok(true),
            // Only content may have another form. Of an artifact only the recorded bytes are right.
            Ok(first) if matches!(wanted, Wanted::Content(..)) => {
                self.checker.is_another_form(&first, &second, object).await
            }
            Ok(_) | Err(Unreadable::Damaged(_)) => Ok(false),
            Err(fault) => Err(self.primary_failed(fault)),
        }
    }

    /// Copies a file without a digest in the manifest, if the backup has one.
    async fn small_file(&self, key: &ObjectKey) -> Result<(), OperationError> {
        match holdfast_storage::read_all(self.primary.store().as_ref(), key, MAX_GUIDE_BYTES).await
        {
            Ok(bytes) => self.put_as_is(key, bytes).await,
            // An early version wrote the backup without this file.
            Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn put_as_is(&self, key: &ObjectKey, bytes: bytes::Bytes) -> Result<(), OperationError> {
        let size = bytes.len() as u64;
        let there = match self.second.store().head(key).await {
            Ok(found) => Some(found.etag),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(self.second_failed(error)),
        };
        match self
            .second
            .store()
            .put(key, bytes.clone(), PutMode::IfAbsent)
            .await
        {
            Ok(_) if there.is_some() => self.state().present += 1,
            Ok(_) => {
                self.with_work(|work| work.bytes += size);
                self.sent();
            }
            Err(StoreError::AlreadyExists { .. }) => {
                let is_to_mend = self.mode == CopyMode::Repair;
                let Some(etag) = there.filter(|_| is_to_mend) else {
                    return Err(self.differs(key, "a different file is stored there".to_owned()));
                };
                let put = self
                    .second
                    .store()
                    .put(key, bytes, PutMode::IfUnchanged(etag))
                    .await;
                put.map_err(|error| self.second_failed(error))?;
                self.with_work(|work| work.bytes += size);
                self.mended(format!("{key}: it was a different file"));
            }
            Err(error) => return Err(self.second_failed(error)),
        }
        Ok(())
    }

    fn sent(&self) {
        self.state().copied += 1;
    }

    /// As [`Self::sent`], with a line of the report.
    fn mended(&self, what: String) {
        let mut state = self.state();
        state.copied += 1;
        if state.mended.len() < MAX_REPORTED {
            state.mended.push(what);
        }
    }

    pub(super) fn count_processed(&self, bytes: u64) {
        let (done, expected) = {
            let mut state = self.state();
            state.processed += bytes;
            (state.processed, state.expected)
        };
        (self.progress)(done, expected);
    }

    pub(super) fn differs(&self, key: &ObjectKey, problem: String) -> OperationError {
        CopyFault::Differs {
            location: self.second.location().to_string(),
            key: key.clone(),
            problem,
        }
        .into()
    }

    pub(super) fn second_failed(&self, cause: StoreError) -> OperationError {
        CopyFault::Store {
            location: self.second.location().to_string(),
            cause,
        }
        .into()
    }

    /// Whether the backup's manifest is certainly missing from the first store.
    pub(super) async fn is_gone(&self) -> Result<bool, OperationError> {
        match self
            .primary
            .store()
            .head(&ObjectKey::manifest(self.id))
            .await
        {
            Ok(_) => Ok(false),
            Err(error) if error.is_not_found() => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the partial copy of a deleted backup as far as possible now. Retention in the second
    /// store removes the rest, shared objects, and copies with a manifest.
    pub(super) async fn discard(&self) {
        self.abort_upload().await;
        if let Err(error) = self.remove_folder().await {
            tracing::warn!(backupId = %self.id, %error, "the partial copy of a deleted backup could not be removed: the next retention removes it");
        }
    }

    async fn remove_folder(&self) -> Result<(), OperationError> {
        let store = self.second.store();
        let mut objects = store.list(&ObjectKey::backup_prefix(self.id));
        let mut keys = Vec::new();
        while let Some(object) = objects.try_next().await? {
            keys.push(object.key);
        }
        if keys.contains(&ObjectKey::manifest(self.id)) {
            return Ok(());
        }
        for key in keys {
            if lock_of(self.second, &key, holdfast_domain::Timestamp::now())
                .await?
                .is_none()
            {
                store.delete(&key).await?;
            }
        }
        Ok(())
    }
}

/// A guide, with a margin.
const MAX_GUIDE_BYTES: usize = 1024 * 1024;

/// State of an object's key in the second store.
enum Found {
    AsItShouldBe,
    Missing,
    Altered(String),
}

/// The bytes of the artifacts, and approximately those of the items' files.
fn expected_bytes(manifest: &Manifest) -> u64 {
    let artifacts: u64 = manifest
        .artifacts
        .iter()
        .map(|artifact| artifact.size)
        .sum();
    artifacts
        + manifest
            .content
            .as_ref()
            .map_or(0, |content| content.items.bytes)
}
