//! A content backup as the store has it: its manifest authenticated, its list read line by line,
//! its objects opened.

use std::io::{self, Read};

use holdfast_content::ipfs::DagRecord;
use holdfast_domain::{
    Artifact, BackupId, BackupType, ContentManifest, ItemRecord, Manifest, ObjectKey, StoredFile,
};
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    item_list::ItemLines,
    proof::{ContentObject, MAX_RECORD_BYTES},
    read::{ObjectSource, ReadFault},
};
use crate::{
    Repository, RepositoryError,
    artifact_reader::{ArtifactReader, stored_object},
};

/// Lines read ahead of the consumer.
const WAITING_ITEMS: usize = 64;

/// A content backup.
#[derive(Clone)]
pub struct StoredContent {
    /// Its manifest.
    pub manifest: Manifest,
    /// The part of the manifest about content.
    pub content: ContentManifest,
    /// Opens its objects and artifacts.
    pub source: ObjectSource,
}

impl StoredContent {
    /// Reads and authenticates the manifest of a backup.
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] if the id is not of a content backup. Otherwise those of
    /// [`Repository::manifest`] and [`Self::of`].
    pub async fn open(repository: &Repository, id: &BackupId) -> Result<Self, RepositoryError> {
        if id.backup_type() != BackupType::Content {
            return Err(RepositoryError::Invalid(format!(
                "backup {id} is not a content backup"
            )));
        }
        Self::of(repository, repository.manifest(id).await?)
    }

    /// A backup of an authenticated manifest. All its artifacts must be in its own folder.
    ///
    /// # Errors
    /// [`RepositoryError::Corrupt`] if an artifact is elsewhere, or the manifest has no list of
    /// items.
    pub fn of(repository: &Repository, manifest: Manifest) -> Result<Self, RepositoryError> {
        let id = &manifest.backup_id;
        let Some(content) = manifest.content.clone() else {
            return Err(RepositoryError::corrupt(
                id,
                "its manifest has no list of items",
            ));
        };
        let elsewhere = |artifact: &&Artifact| artifact.key.backup().as_ref() != Some(id);
        if let Some(artifact) = manifest.artifacts.iter().find(elsewhere) {
            return Err(RepositoryError::corrupt(
                id,
                format!(
                    "its manifest names {}, outside the folder of the backup",
                    artifact.key
                ),
            ));
        }
        let source = ObjectSource::new(repository, &manifest.repository);
        Ok(Self {
            manifest,
            content,
            source,
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &BackupId {
        &self.manifest.backup_id
    }

    /// One of its artifacts, opened.
    async fn artifact(&self, key: &ObjectKey) -> Result<ArtifactReader, ReadFault> {
        let artifact = self
            .manifest
            .artifacts
            .iter()
            .find(|artifact| artifact.key == *key);
        let unknown =
            || ReadFault::Damaged(format!("its manifest names {key} without describing it"));
        self.source
            .open(&stored_object(
                &self.manifest,
                artifact.ok_or_else(unknown)?,
            ))
            .await
    }

    /// Its items, for a blocking thread.
    ///
    /// # Errors
    /// [`ReadFault::Damaged`] if the list is missing, or the manifest does not describe it.
    /// [`ReadFault::Other`] if the store is unavailable, or no key at hand opens the list.
    pub async fn lines(&self) -> Result<ItemLines<ArtifactReader>, ReadFault> {
        Ok(ItemLines::new(
            self.artifact(&self.content.item_list).await?,
        ))
    }

    /// Its items while they are read. The list is complete if the receiver ends without an error.
    ///
    /// # Errors
    /// [`RepositoryError::Corrupt`] if the list is missing, or the manifest does not describe it.
    /// Otherwise as [`Self::lines`]. The receiver yields the later errors.
    pub async fn items(
        &self,
    ) -> Result<mpsc::Receiver<Result<ItemRecord, RepositoryError>>, RepositoryError> {
        let (sender, items) = mpsc::channel(WAITING_ITEMS);
        let mut lines = self
            .lines()
            .await
            .map_err(|fault| fault.of_backup(self.id()))?;
        let (id, list) = (self.id().clone(), self.content.item_list.clone());
        tokio::task::spawn_blocking(move || {
            loop {
                let item = match lines.next_item() {
                    Ok(Some((_, record))) => Ok(record),
                    Ok(None) => return,
                    Err(error) => Err(ReadFault::of(&error, &list).of_backup(&id)),
                };
                let failed = item.is_err();
                if sender.blocking_send(item).is_err() || failed {
                    return;
                }
            }
        });
        Ok(items)
    }

    /// The record of a file's blocks, if there is one. For a blocking thread.
    ///
    /// # Errors
    /// [`ReadFault::Damaged`] if the record is missing, altered, or of another file.
    /// [`ReadFault::Other`] if the store is unavailable, or no key at hand opens the record.
    pub fn dag_record(
        &self,
        handle: &Handle,
        file: &StoredFile,
    ) -> Result<Option<DagRecord>, ReadFault> {
        let Some(object) = ContentObject::blocks(file) else {
            return Ok(None);
        };
        let key = object.key().clone();
        let reader = handle.block_on(self.source.open_stored(object))?;
        let mut bytes = Vec::new();
        let read = reader.take(MAX_RECORD_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| ReadFault::of(&error, &key))?;
        let record = DagRecord::from_bytes(&bytes)
            .map_err(|error| ReadFault::Damaged(format!("{key}: {error}")))?;
        let path = record.path().to_string();
        if file.cid.as_ref().is_some_and(|cid| *cid != path) {
            return Err(ReadFault::Damaged(format!(
                "{key} rebuilds the blocks of {path}, another file's"
            )));
        }
        Ok(Some(record))
    }
}

/// The volumes of an archive, one after another. For a blocking thread.
pub struct Volumes {
    backup: StoredContent,
    handle: Handle,
    coming: std::vec::IntoIter<ObjectKey>,
    current: Option<ArtifactReader>,
}

impl Volumes {
    /// The volumes of a backup. Reads nothing yet.
    #[must_use]
    pub fn new(backup: &StoredContent, handle: &Handle) -> Self {
        let coming = backup.content.archive.clone().into_iter();
        Self {
            backup: backup.clone(),
            handle: handle.clone(),
            coming,
            current: None,
        }
    }
}

impl Read for Volumes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(volume) = &mut self.current {
                let count = volume.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
            }
            let Some(key) = self.coming.next() else {
                return Ok(0);
            };
            self.current = Some(
                self.handle
                    .block_on(self.backup.artifact(&key))
                    .map_err(ReadFault::into_io)?,
            );
        }
    }
}
