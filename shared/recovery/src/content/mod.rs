//! Restores a content backup from the store alone: its files into a directory, or their IPFS blocks
//! into a CAR.

mod car;
mod files;

use std::path::Path;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_domain::{BackupId, ItemRecord};
use holdfast_repository::{Repository, RepositoryError, content::stored::StoredContent};

pub use self::car::{CarReport, export_car};
use self::files::{Outcome, restore_document, restore_file};

/// Files restored at a time.
const CONCURRENT_FILES: usize = 8;

/// Progress of a restore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContentRestoreProgress {
    /// Processed items.
    pub items: u64,
    /// Items of the backup.
    pub expected: u64,
    /// Bytes of written files.
    pub bytes: u64,
}

/// Result of a restore.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContentRestoreReport {
    /// Files written. Each was proved before it got its name.
    pub restored: u64,
    /// Existing identical files.
    pub kept: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Items without a file in the backup. `manifest.json` contains the reasons.
    pub not_backed_up: u64,
    /// Files of the backup with a failed restore.
    pub failed: Vec<NotRestored>,
}

impl ContentRestoreReport {
    /// Whether every file of the backup is in the directory now.
    #[must_use]
    pub fn is_faithful(&self) -> bool {
        self.failed.is_empty()
    }
}

/// A file with a failed restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRestored {
    /// The item, or `None` for `manifest.json` of all items.
    pub content_id: Option<String>,
    /// The file's name.
    pub file_name: String,
    /// The reason.
    pub reason: String,
}

/// Restores the files of a backup into a directory, or the file of one item. With all files it
/// writes `manifest.json`, so the directory equals the folder in the backup's archive. Existing
/// files are never overwritten. An interrupted restore resumes at the missing files.
///
/// # Errors
/// If the backup, its list, the store or the directory is unusable. The report contains the faults
/// of single files.
pub async fn restore_content(
    repository: &Repository,
    id: &BackupId,
    to: &Path,
    only: Option<&str>,
    progress: &(dyn Fn(&ContentRestoreProgress) + Sync),
) -> Result<ContentRestoreReport, RepositoryError> {
    let backup = StoredContent::open(repository, id).await?;
    std::fs::create_dir_all(to).map_err(|error| files::unwritable(to, &error))?;
    let mut state = ContentRestoreProgress {
        expected: backup.content.items.expected,
        ..ContentRestoreProgress::default()
    };
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
    let items = stream::unfold(backup.items().await?, |mut items| async move {
        Some((items.recv().await?, items))
    });
    let wanted = items.filter(|record| {
        let is_wanted = only.is_none_or(|only| {
            record
                .as_ref()
                .map_or(true, |record| record.item.content_id == only)
        });
        std::future::ready(is_wanted)
    });
    let mut restored = Box::pin(wanted.map(restore).buffer_unordered(CONCURRENT_FILES));
    while let Some((record, outcome)) = restored.try_next().await? {
        report.add(&record, outcome);
        state = ContentRestoreProgress {
            items: state.items + 1,
            bytes: report.bytes,
            ..state
        };
        progress(&state);
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

/// A requested item must exist and have a file.
fn check_found(
    id: &BackupId,
    content_id: &str,
    found: Option<ItemRecord>,
) -> Result<(), RepositoryError> {
    match found {
        None => Err(RepositoryError::NoItem(format!(
            "backup {id} has no item {content_id}"
        ))),
        Some(record) if record.file.is_none() => {
            let why = record.error.map_or_else(
                || "its line contains no reason".to_owned(),
                |error| error.message,
            );
            Err(RepositoryError::NoItem(format!(
                "backup {id} holds no file of item {content_id}: {why}"
            )))
        }
        Some(_) => Ok(()),
    }
}
