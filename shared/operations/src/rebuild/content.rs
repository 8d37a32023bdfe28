//! The items of a content backup, out of its list: their rows, and what is held of their sources. A batch of them is in
//! memory, never a list.

use holdfast_catalog::HoldSource;
use holdfast_domain::{ItemRecord, ItemStatus, KeptFile, Sha256Digest, StorageType};

use super::{Rebuild, row};
use crate::{OperationError, backup::content::source::ItemSource};
use holdfast_repository::content::stored::StoredContent;

/// Items written at a time.
const BATCH: usize = 500;

/// What came of a list.
#[derive(Default)]
pub(super) struct Filled {
    /// Items that it has, read so far.
    pub(super) items: u64,
    /// Why it was not read to its end, or what is wrong with it.
    pub(super) problem: Option<String>,
}

impl Rebuild<'_> {
    /// Writes what the list says. Each segment of it is authenticated before its lines are seen, so what was written
    /// before damage was met is right.
    pub(super) async fn fill_from(&mut self, backup: &StoredContent) -> Result<Filled, OperationError> {
        let mut filled = Filled::default();
        match self.read_list(backup, &mut filled.items).await {
            Ok(()) => {}
            Err(OperationError::Corrupt { problem, .. }) => filled.problem = Some(problem),
            Err(error) => return Err(error),
        }
        Ok(filled)
    }

    async fn read_list(&mut self, backup: &StoredContent, read: &mut u64) -> Result<(), OperationError> {
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
        let problem = format!("its list has {read} items, its manifest says {expected}");
        Err(OperationError::corrupt(backup.id(), problem))
    }

    async fn write(
        &mut self,
        backup: &StoredContent,
        batch: &[ItemRecord],
        read: &mut u64,
    ) -> Result<(), OperationError> {
        if let Some(pending) = batch.iter().find(|record| record.status == ItemStatus::Pending) {
            let problem = format!("its list says that item {} is not settled", pending.item.content_id);
            return Err(OperationError::corrupt(backup.id(), problem));
        }
        let catalog = &self.h.catalog;
        // Nothing vouches for the list of a backup that is not encrypted: it does not speak for objects that are.
        let is_vouched_for = backup.manifest.encryption.is_some();
        let may_tell = |held: &Held<'_>| is_vouched_for || held.file.object.encryption.is_none();
        let held: Vec<_> = batch.iter().filter_map(Held::of).filter(may_tell).collect();
        let told: Vec<_> = held.iter().map(Held::told).collect();
        let written =
            async { Ok((catalog.add_settled_items(backup.id(), batch).await?, catalog.hold_as_fetched(&told).await?)) };
        let (items, sources) = written.await.map_err(|error| row::unwritable(backup.id(), error))?;
        self.report.items += items;
        self.report.sources += sources;
        *read += batch.len() as u64;
        self.done.items += batch.len() as u64;
        (self.progress)(&self.done);
        Ok(())
    }
}

/// Where an item's file came from, and what is held of it.
struct Held<'a> {
    source: ItemSource,
    address: Sha256Digest,
    file: &'a KeptFile,
}

impl<'a> Held<'a> {
    /// None where there is no file, or a row of it would vouch for something else: its file is fetched anew then.
    fn of(record: &'a ItemRecord) -> Option<Self> {
        let file = record.file.as_ref()?;
        let source = ItemSource::of(&record.item).ok()?;
        let is_of_it = source.storage_type != StorageType::Ipfs || file.cid.as_ref() == Some(&source.locator);
        let address = file.object.artifact.key.content_address()?;
        is_of_it.then_some(Self { source, address, file })
    }

    fn told(&self) -> (HoldSource<'_>, &KeptFile) {
        let ItemSource { storage_type, locator, .. } = &self.source;
        (HoldSource { storage_type: *storage_type, locator, address: &self.address }, self.file)
    }
}
