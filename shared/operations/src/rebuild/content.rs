//! Restores the items of a content backup from its list: their rows, and the stored objects of their
//! sources. Memory holds one batch of the list.

use holdfast_catalog::SourceAddress;
use holdfast_domain::{ItemRecord, ItemStatus, Sha256Digest, StorageType, StoredFile};
use holdfast_repository::content::stored::StoredContent;

use super::{Rebuild, row};
use crate::{OperationError, backup::content::source::ItemSource};

/// Items written at a time.
const BATCH: usize = 500;

/// Result of reading a list.
#[derive(Default)]
pub(super) struct Filled {
    /// Number of items read.
    pub(super) items: u64,
    /// The reason for an early end, or the damage of the list.
    pub(super) problem: Option<String>,
}

impl Rebuild<'_> {
    /// Writes the items of the list. Each segment is authenticated before its lines are parsed, so
    /// all rows written before damage are right.
    pub(super) async fn fill_from(
        &mut self,
        backup: &StoredContent,
    ) -> Result<Filled, OperationError> {
        let mut filled = Filled::default();
        match self.read_list(backup, &mut filled.items).await {
            Ok(()) => {}
            Err(OperationError::Corrupt { problem, .. }) => filled.problem = Some(problem),
            Err(error) => return Err(error),
        }
        Ok(filled)
    }

    async fn read_list(
        &mut self,
        backup: &StoredContent,
        read: &mut u64,
    ) -> Result<(), OperationError> {
        let mut items = backup.items().await?;
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(item) = items.recv().await {
            batch.push(item?);
            if batch.len() == BATCH {
                self.write(backup, &batch, read).await?;
                batch.clear();
            }
        }
        self.write(backup, &batch, read).await?;
        let expected = backup.content.items.expected;
        if *read == expected {
            return Ok(());
        }
        let problem = format!("its list has {read} items, but its manifest declares {expected}");
        Err(OperationError::corrupt(backup.id(), problem))
    }

    async fn write(
        &mut self,
        backup: &StoredContent,
        batch: &[ItemRecord],
        read: &mut u64,
    ) -> Result<(), OperationError> {
        if let Some(pending) = batch
            .iter()
            .find(|record| record.status == ItemStatus::Pending)
        {
            let problem = format!(
                "its list contains the unsettled item {}",
                pending.item.content_id
            );
            return Err(OperationError::corrupt(backup.id(), problem));
        }
        let catalog = &self.h.catalog;
        // The list of an unencrypted backup is not authenticated, so it does not vouch for
        // encrypted objects.
        let is_vouched_for = backup.manifest.encryption.is_some();
        let may_record =
            |file: &FileOfSource<'_>| is_vouched_for || file.file.object.encryption.is_none();
        let files: Vec<_> = batch
            .iter()
            .filter_map(FileOfSource::of)
            .filter(may_record)
            .collect();
        let rows: Vec<_> = files.iter().map(FileOfSource::as_row).collect();
        let written = async {
            Ok((
                catalog.add_settled_items(backup.id(), batch).await?,
                catalog.record_fetched_files(&rows).await?,
            ))
        };
        let (items, sources) = written
            .await
            .map_err(|error| row::unwritable(backup.id(), error))?;
        self.report.items += items;
        self.report.sources += sources;
        *read += batch.len() as u64;
        self.done.items += batch.len() as u64;
        (self.progress)(&self.done);
        Ok(())
    }
}

/// The origin of an item's file, and its stored objects.
struct FileOfSource<'a> {
    source: ItemSource,
    address: Sha256Digest,
    file: &'a StoredFile,
}

impl<'a> FileOfSource<'a> {
    /// `None` if there is no file, or if its row would vouch for another file. Then the file is
    /// fetched again.
    fn of(record: &'a ItemRecord) -> Option<Self> {
        let file = record.file.as_ref()?;
        let source = ItemSource::of(&record.item).ok()?;
        let is_of_it =
            source.storage_type != StorageType::Ipfs || file.cid.as_ref() == Some(&source.locator);
        let address = file.object.artifact.key.content_address()?;
        is_of_it.then_some(Self {
            source,
            address,
            file,
        })
    }

    fn as_row(&self) -> (SourceAddress<'_>, &StoredFile) {
        let ItemSource {
            storage_type,
            locator,
            ..
        } = &self.source;
        (
            SourceAddress {
                storage_type: *storage_type,
                locator,
                address: &self.address,
            },
            self.file,
        )
    }
}
