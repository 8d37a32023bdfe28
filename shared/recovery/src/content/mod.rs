//! Restoring a content backup, from the store alone: its files into a directory, or the IPFS blocks of them into a CAR.

mod car;
mod files;

use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_domain::{BackupId, ItemRecord};

pub use self::car::{CarReport, export_car};
use self::files::{Outcome, restore_document, restore_file};
use holdfast_repository::{Repository, RepositoryError, content::stored::StoredContent};

/// Files restored at a time.
const AT_A_TIME: usize = 8;

/// How far a restore is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContentRestoreProgress {
    /// Items dealt with.
    pub items: u64,
    /// Items of the backup.
    pub expected: u64,
    /// Bytes of files written.
    pub bytes: u64,
}

/// What a restore did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentRestoreReport {
    /// Files written, each proved before it got its name.
    pub restored: u64,
    /// Files that were there already, and are the same.
    pub kept: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Items that the backup holds no file of; `manifest.json` says why.
    pub not_backed_up: u64,
    /// Files that the backup holds and that could not be restored.
    pub failed: Vec<NotRestored>,
}

impl ContentRestoreReport {
    /// Whether every file of the backup is in the directory now.
    #[must_use]
    pub fn is_faithful(&self) -> bool {
        self.failed.is_empty()
    }
}

/// A file that could not be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRestored {
    /// The item; none for `manifest.json`, which is every item's.
    pub content_id: Option<String>,
    /// The file's name.
    pub file_name: String,
    /// Why.
    pub reason: String,
}

/// Restores the files of a backup into a directory, or of one item alone; with all of them comes `manifest.json`, so
/// that the directory equals the folder in the backup's archive. Nothing that is there is written over. A restore that
/// was interrupted goes on where it stopped.
///
/// # Errors
/// Where the backup, its list, the store or the directory cannot be used. What is wrong with one file is in the report.
pub async fn restore_content(
    repository: &Repository,
    id: &BackupId,
    to: &Path,
    only: Option<&str>,
    progress: &(dyn Fn(&ContentRestoreProgress) + Sync),
) -> Result<ContentRestoreReport, RepositoryError> {
    let backup = StoredContent::open(repository, id).await?;
    std::fs::create_dir_all(to).map_err(|error| files::unwritable(to, &error))?;
    let mut told =
        ContentRestoreProgress { expected: backup.content.items.expected, ..ContentRestoreProgress::default() };
    let mut report = ContentRestoreReport::default();
    let mut found = None;
    let restore = |record: Result<ItemRecord, RepositoryError>| {
        let backup = &backup;
        async move {
            let record = record?;
            let outcome = restore_file(backup, &record, to).await?;
            Ok::<_, RepositoryError>((record, outcome))
        }
    };
    let items = stream::unfold(backup.items().await?, |mut items| async move { Some((items.recv().await?, items)) });
    let wanted = items.filter(|record| {
        let is_wanted = only.is_none_or(|only| record.as_ref().map_or(true, |record| record.item.content_id == only));
        std::future::ready(is_wanted)
    });
    let mut restored = Box::pin(wanted.map(restore).buffer_unordered(AT_A_TIME));
    while let Some((record, outcome)) = restored.try_next().await? {
        report.add(&record, outcome);
        told = ContentRestoreProgress { items: told.items + 1, bytes: report.bytes, ..told };
        progress(&told);
        found = Some(record);
    }
    match only {
        Some(content_id) => check_found(id, content_id, found)?,
        None => report.failed.extend(restore_document(&backup, to).await?),
    }
    Ok(report)
}

impl ContentRestoreReport {
    fn add(&mut self, record: &ItemRecord, outcome: Outcome) {
        match outcome {
            Outcome::Restored(bytes) => {
                self.restored += 1;
                self.bytes += bytes;
            }
            Outcome::Kept => self.kept += 1,
            Outcome::NoFile => self.not_backed_up += 1,
            Outcome::Failed(reason) => self.failed.push(NotRestored {
                content_id: Some(record.item.content_id.clone()),
                file_name: record.file_name.clone().unwrap_or_default(),
                reason,
            }),
        }
    }
}

/// One item was asked for: it has to be there, with a file.
fn check_found(id: &BackupId, content_id: &str, found: Option<ItemRecord>) -> Result<(), RepositoryError> {
    match found {
        None => Err(RepositoryError::NoItem(format!("backup {id} has no item {content_id}"))),
        Some(record) if record.file.is_none() => {
            let why = record.error.map_or_else(|| "its line does not say why".to_owned(), |error| error.message);
            Err(RepositoryError::NoItem(format!("backup {id} holds no file of item {content_id}: {why}")))
        }
        Some(_) => Ok(()),
    }
}
